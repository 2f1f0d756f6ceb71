"""Speed of the fast path on this machine against plain eager float32, in one run.

    python benchmarks/encoders.py [--checkpoint FILE] [--rounds N] [--device cuda] [--keep-memory]

On a CPU it fails where the fast path in float32 is not as many times as fast as plain modules as
`FLOORS` says, or differs from them. All candidates take turns within every round, so that a noisy
neighbour slows all of them alike; compare ratios, not seconds. With one thread
(`OMP_NUM_THREADS=1`) it counts CPU seconds, which a neighbour changes less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tvsl.audioclip.encoder import load_audioclip
from tvsl.audioclip.fast_path import FastImageFeatures, fast_audio_features
from tvsl.audioclip.model import AudioCLIP
from tvsl.utils.devices import keep_freed_memory

SIDE = 2048
SECONDS = 5
HOPELESS = 0.3
"""A type with a smaller share of float32's rate than this is not tried on the encoders."""
PLAIN, FAST = "plain float32", "fast float32"
SOUND, PICTURE = f"{SECONDS} s clip", "224 x 448 picture"
FLOORS = {SOUND: 1.4, PICTURE: 1.1}
"""Least times plain of the fast path in float32. Without it the ratio is 1; the least that was
measured on any machine is 1.81 and 1.28 (docs/weights.md, docs/speed.md)."""
CLOSE = 1e-4
DTYPES = (torch.float32, torch.bfloat16)


@dataclass
class Work:
    """One encoder: what goes in, and the candidates that do the same with it."""

    name: str
    candidates: Mapping[str, Callable[[], Tensor]]


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(run: Callable[[], Tensor], device: torch.device) -> float:
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    synchronise(device)
    start = clock()
    run()
    synchronise(device)
    return clock() - start


def works(model: AudioCLIP, device: torch.device, dtypes: Collection[torch.dtype]) -> list[Work]:
    generator = torch.Generator().manual_seed(1)
    picture = torch.randn(1, 3, 224, 448, generator=generator).to(device)
    samples = SECONDS * model.config.audio.sample_rate
    noise = torch.randn(1, samples, generator=generator).to(device)
    waveform = 3000.0 * torch.sin(torch.arange(samples, device=device) * 0.06) + 300.0 * noise

    def see(features: Callable[[Tensor], Tensor]) -> Tensor:
        return model.visual.attnpool.tokens(features(picture), "values")

    def hear(features: Callable[[Tensor], Tensor]) -> Tensor:
        return model.audio.tokens(features(waveform))

    fast_image = {dtype: FastImageFeatures(model.visual, dtype).to(device) for dtype in dtypes}
    fast_audio = {dtype: fast_audio_features(model.audio, dtype).to(device) for dtype in dtypes}
    pictures = {PLAIN: partial(see, model.visual.features)}
    sounds = {PLAIN: partial(hear, model.audio.features)}
    for dtype in dtypes:
        label = f"fast {str(dtype).removeprefix('torch.')}"
        pictures[label] = partial(see, fast_image[dtype])
        sounds[label] = partial(hear, fast_audio[dtype])
    return [Work(SOUND, sounds), Work(PICTURE, pictures)]


def matrix_rate(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Multiply-add rate of matrix products, in FLOP/s, the best of several."""
    first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / min(seconds_of(lambda: first @ second, device) for _ in range(12))


def matrix_rates(device: torch.device) -> dict[torch.dtype, float]:
    """The rate of each type, of large matrices where it is not hopeless on small ones."""
    small = {dtype: matrix_rate(SIDE // 8, dtype, device) for dtype in DTYPES}
    return {
        dtype: rate if rate < HOPELESS * small[torch.float32] else matrix_rate(SIDE, dtype, device)
        for dtype, rate in small.items()
    }


def measure(work: Work, rounds: int, device: torch.device) -> dict[str, list[float]]:
    for run in work.candidates.values():  # builds layouts and caches
        run()
        run()
    times: dict[str, list[float]] = {label: [] for label in work.candidates}
    for _ in range(rounds):
        for label, run in work.candidates.items():
            times[label].append(seconds_of(run, device))
    return times


def ratio(times: dict[str, list[float]], label: str) -> float:
    """Median of plain beside a candidate of the same round."""
    rounds = zip(times[PLAIN], times[label], strict=True)
    return statistics.median(plain / other for plain, other in rounds)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def cosine(found: Tensor, expected: Tensor) -> float:
    return float(torch.cosine_similarity(found.double(), expected.double(), dim=-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", help="weights to measure errors with; random otherwise")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--keep-memory", action="store_true", help="as the command line runs: freed memory is kept"
    )
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if arguments.keep_memory:
        keep_freed_memory()
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = load_audioclip(arguments.checkpoint) if arguments.checkpoint else AudioCLIP().freeze()
    model = model.to(device)
    rates = matrix_rates(device)
    title = (
        f"{device}, {torch.get_num_threads()} of {os.cpu_count()} cores, torch {torch.__version__}"
    )
    table = Table(title=title)
    for column in (
        "work",
        "path",
        "median ms",
        "times plain",
        "share of matmul rate",
        "error",
        "cosine",
    ):
        table.add_column(column, justify="left" if column in ("work", "path") else "right")
    totals: dict[str, float] = {}
    failures = []
    with torch.inference_mode():
        paying = [dtype for dtype in rates if rates[dtype] >= HOPELESS * rates[torch.float32]]
        for work in works(model, device, paying):
            with FlopCounterMode(display=False) as counter:
                expected = work.candidates[PLAIN]()
            times = measure(work, arguments.rounds, device)
            for label, run in work.candidates.items():
                median = statistics.median(times[label])
                totals[label] = totals.get(label, 0.0) + median
                gain = ratio(times, label)
                rate = rates[torch.bfloat16 if label.endswith("bfloat16") else torch.float32]
                share = counter.get_total_flops() / median / rate
                found = run()
                if label == FAST and device.type == "cpu":
                    if gain < FLOORS[work.name]:
                        failures.append(
                            f"{work.name}: {gain:.2f} times plain, {FLOORS[work.name]} is the floor"
                        )
                    if error(found, expected) > CLOSE:
                        failures.append(f"{work.name}: differs by {error(found, expected):.1e}")
                table.add_row(
                    work.name,
                    label,
                    f"{median * 1e3:.1f}",
                    f"{gain:.2f}",
                    f"{share:.0%}",
                    f"{error(found, expected):.1e}",
                    f"{cosine(found, expected):.5f}",
                )
            table.add_section()
    for label, seconds in totals.items():
        table.add_row("both", label, f"{seconds * 1e3:.1f}", f"{totals[PLAIN] / seconds:.2f}")
    console = Console(width=110)
    console.print(table)
    for dtype, rate in rates.items():
        console.print(f"Matrix product, {dtype}: {rate / 1e9:.1f} GFLOP/s")
    if rates[torch.bfloat16] < 1.5 * rates[torch.float32]:
        console.print("This machine has no fast bfloat16 units: keep float32 here.")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
