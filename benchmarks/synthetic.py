"""Clips of the synthetic world that one core makes a second, beside its matrix-product rate.

    python benchmarks/synthetic.py [--rounds N] [--clips N]

Both are measured in turns on one thread. On a machine with noisy neighbours both fall together:
compare clips per GFLOP, which hardly move, not clips per second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tvsl.synthetic.world import World

SIDE = 1024
GOAL = 200


def matrix_rate(first: torch.Tensor, second: torch.Tensor) -> float:
    """FLOP/s of a float32 matrix product."""
    start = time.perf_counter()
    for _ in range(4):
        first @ second
    return 4 * 2 * SIDE**3 / (time.perf_counter() - start)


def clip_rate(world: World, first: int, count: int, sources: int) -> float:
    """Clips (panels with their sound) a second."""
    start = time.perf_counter()
    for index in range(first, first + count // sources):
        world.scene(index, sources)
    return count // sources * sources / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--clips", type=int, default=120, help="clips a round")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    first, second = torch.randn(2, SIDE, SIDE)
    world = World(seed=1)
    matrix_rate(first, second), clip_rate(world, 0, 24, 1)  # fills the tables
    rates: dict[int, list[float]] = {1: [], 2: [], 4: []}
    products = []
    for number in range(arguments.rounds):
        products.append(matrix_rate(first, second))
        for sources, measured in rates.items():
            start = number * arguments.clips
            measured.append(clip_rate(world, start, arguments.clips, sources))
    product = statistics.median(products)
    title = f"one thread of {os.cpu_count()} cores, numpy {np.__version__}"
    table = Table("sources", "clips/s, median", "clips/s, best", "clips per GFLOP", title=title)
    for sources, measured in rates.items():
        median = statistics.median(measured)
        table.add_row(
            str(sources), f"{median:.0f}", f"{max(measured):.0f}", f"{median / product * 1e9:.2f}"
        )
    console = Console(width=90)
    console.print(table)
    console.print(f"{SIDE} x {SIDE} matrix product, float32: {product / 1e9:.0f} GFLOP/s (median)")
    verdict = "reached" if max(rates[1]) >= GOAL else "not reached"
    console.print(f"{GOAL} clips a second and core: {verdict}")


if __name__ == "__main__":
    main()
