"""Convolutions in int8 against float32 on this processor, by torch's own quantized kernels.

    python benchmarks/int8.py [--rounds 7]

The candidates take turns; figures are ratios of median CPU time with one thread. A network in int8
has to quantize its activations as well: the last column counts that. It tells whether int8 is worth
its errors on a processor before anybody calibrates a network for it.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

SHAPES = ((64, 3, 56), (128, 3, 28), (256, 1, 28))
"""Channels, kernel and side of the features; like those of the encoders."""


def quantized(layer: nn.Conv2d, channels: int, kernel: int) -> Callable[[Tensor], Tensor]:
    """The layer in int8, each output channel with a scale of its own."""
    from torch.ao.nn.quantized import Conv2d

    found = Conv2d(channels, channels, kernel, padding=kernel // 2)
    weight = layer.weight.detach().contiguous()
    scales = weight.flatten(1).abs().amax(1) / 127
    zeros = torch.zeros(channels, dtype=torch.int64)
    found.set_weight_bias(
        torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8), layer.bias
    )
    found.scale, found.zero_point = 0.05, 128
    return found


def medians(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each candidate; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            if number:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torch announces that these kernels will move
    torch.set_num_threads(1)
    table = Table(title=f"int8 beside float32, {torch.backends.cpu.get_cpu_capability()}")
    for head in ("convolution", "engine", "times float32", "with quantizing"):
        table.add_column(head)
    for channels, kernel, side in SHAPES:
        features = torch.rand(1, channels, side, side)
        features = features.contiguous(memory_format=torch.channels_last)
        layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2).requires_grad_(False)
        layer.weight.data = layer.weight.contiguous(memory_format=torch.channels_last)
        for engine in ("x86", "onednn"):
            if engine not in torch.backends.quantized.supported_engines:
                continue
            torch.backends.quantized.engine = engine
            whole = quantized(layer, channels, kernel)
            given = torch.quantize_per_tensor(features, 1 / 127, 0, torch.quint8)

            with torch.inference_mode():
                found = medians(
                    {
                        "float32": partial(layer, features),
                        "int8": partial(whole, given),
                        "quantize": partial(
                            torch.quantize_per_tensor, features, 1 / 127, 0, torch.quint8
                        ),
                    },
                    arguments.rounds,
                )
            table.add_row(
                f"{channels} channels, {kernel} x {kernel}, {side} x {side}",
                engine,
                f"{found['float32'] / found['int8']:.2f}",
                f"{found['float32'] / (found['int8'] + found['quantize']):.2f}",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
