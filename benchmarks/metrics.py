"""Speed of scoring maps: map by map with NumPy and scikit-learn, against tvsl.

    python benchmarks/metrics.py [--pairs N] [--rounds N] [--threads N] [--device cuda]

Both score the same maps by the `paper` protocol (cIoU, AP and AUC at 448 x 224 pixels) in every
round and must agree. Both take turns, so that a noisy neighbour slows them alike; compare ratios,
not seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import auc, average_precision_score
from torch import Tensor

from tvsl.metrics import PAPER, ProtocolMetric, resize_maps
from tvsl.utils.devices import keep_freed_memory

SIZE = (224, 448)
GRID = (7, 14)
TOLERANCE = 1e-9
BATCH = 32

Numbers = dict[str, float]


def plain(maps: NDArray[np.float32], targets: NDArray[np.bool_]) -> Numbers:
    """Score by the formulas, map by map."""
    overlaps, precisions = [], []
    for one, target in zip(maps, targets.astype(np.float32), strict=True):
        stretched = (one - one.min()) / (one.max() - one.min())
        cut = (stretched >= 0.5).astype(np.float32)
        overlaps.append(np.sum(cut * target) / (np.sum(target) + np.sum(cut * (target == 0))))
        precisions.append(average_precision_score(target.ravel(), stretched.ravel()))
    values, steps = np.array(overlaps), [0.05 * step for step in range(21)]
    numbers = {f"IoU@{level}": float((values >= level).mean()) for level in (0.1, 0.3, 0.5)}
    area = float(auc(steps, [(values >= step).mean() for step in steps]))
    return {"AP": float(np.mean(precisions)), **numbers, "AUC": area}


def vectorised(maps: Tensor, targets: Tensor) -> Numbers:
    """The same with tvsl."""
    metric = ProtocolMetric(PAPER).to(maps.device)
    for some, truth in zip(maps.split(BATCH), targets.split(BATCH), strict=True):
        metric.update(some, truth)
    return {name: value.item() for name, value in metric.compute().items()}


def made_up(pairs: int) -> tuple[Tensor, Tensor]:
    """Maps of a token grid at full size, and one box each; the maps lean towards the boxes."""
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(pairs, 2, 2, generator=generator).sort(dim=1).values
    rows = torch.arange(SIZE[0])[:, None] / SIZE[0]
    columns = torch.arange(SIZE[1])[None, :] / SIZE[1]
    (top, left), (bottom, right) = corners.permute(1, 2, 0)[..., None, None]
    targets = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
    kept = targets.flatten(1).any(dim=1)
    maps = torch.randn(pairs, *GRID, generator=generator)
    leaning = torch.nn.functional.adaptive_avg_pool2d(targets.float(), GRID)
    return resize_maps(maps + 2 * leaning, SIZE)[kept], targets[kept]


def seconds_of(run: Callable[[], Numbers]) -> tuple[float, Numbers]:
    start = time.perf_counter()
    numbers = run()  # the numbers have left the device when it returns
    return time.perf_counter() - start, numbers


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast maps are scored.")
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch; NumPy has one")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as `tvsl evaluate` does; both candidates have it
    maps, targets = made_up(options.pairs)
    moved = maps.to(options.device), targets.to(options.device)
    candidates = {
        "NumPy and scikit-learn": lambda: plain(maps.numpy(), targets.numpy()),
        "tvsl": lambda: vectorised(*moved),
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    vectorised(*moved)  # loads what is loaded once
    for _ in range(options.rounds):
        results = {}
        for name, run in candidates.items():
            seconds, results[name] = seconds_of(run)
            times[name].append(seconds)
        expected, found = results.values()
        wrong = [name for name in expected if abs(found[name] - expected[name]) > TOLERANCE]
        if wrong or expected.keys() != found.keys():
            print(f"The results differ: {results}", file=sys.stderr)
            return 1
    report(times, len(maps), options.device)
    return 0


def report(times: dict[str, list[float]], pairs: int, device: str) -> None:
    slow, fast = times.values()
    ratios = [slower / faster for slower, faster in zip(slow, fast, strict=True)]
    threads, cores = torch.get_num_threads(), os.cpu_count()
    title = f"{pairs} maps of {SIZE[1]} x {SIZE[0]} on {device}, {threads} thread(s), {cores} cores"
    table = Table("Evaluation", "ms per map, median", "fastest", title=title)
    for name, seconds in times.items():
        milliseconds = [1000 * value / pairs for value in seconds]
        table.add_row(name, f"{statistics.median(milliseconds):.2f}", f"{min(milliseconds):.2f}")
    console = Console()
    console.print(table)
    console.print(
        f"Equal results; {statistics.median(ratios):.1f} times as fast "
        f"({min(ratios):.1f} to {max(ratios):.1f} over {len(ratios)} rounds)."
    )


if __name__ == "__main__":
    sys.exit(main())
