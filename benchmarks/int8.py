"""Convolutions in int8 against float32 on this processor: what they save, and what they do to maps.

    python benchmarks/int8.py [--rounds 7] [--scenes 200]

The first table is of single convolutions, by torch's own quantized kernels. A network in int8 has
to quantize its activations as well: the last column counts that. The second table is of a whole
network: every convolution of the one by which `mini` sees becomes int8 (weights a scale for each
output channel, activations a range that eight other scenes showed), all else stays in float32. It
shows the largest and mean difference of maps (cosines), figures of made-up duets and quartets with
the head of `mini`, and the time of the network. Candidates take turns; times are medians of CPU
time with one thread.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

import tvsl
from tvsl.audioclip import AudioCLIPEncoder
from tvsl.audioclip.fast_path import FusedConvolution
from tvsl.data.base import DataSet
from tvsl.data.synthetic import SyntheticData
from tvsl.localizer import Localizer
from tvsl.metrics import LabelSource

SHAPES = ((64, 3, 56), (128, 3, 28), (256, 1, 28))
"""Channels, kernel and side of the features; like those of the encoders."""
CALIBRATING, COMPARED = 8, 24
"""Scenes that show the range of activations, and scenes whose maps are compared."""
LABELS: tuple[LabelSource, ...] = ("given", "detected")
SOURCES = {2: "duets", 4: "quartets"}
FIGURES: tuple[tuple[LabelSource, str], ...] = tuple(
    (source, figure) for source in LABELS for figure in ("CAP", "CIoU@0.3")
)


class Int8Convolution(nn.Module):
    """A convolution in int8, whose shortcut and ReLU stay in float32.

    Args:
        layer: The convolution in float32.
        given: Least and largest value that goes in.
        made: Least and largest value that comes out, before shortcut and ReLU.
    """

    def __init__(
        self, layer: FusedConvolution, given: tuple[float, float], made: tuple[float, float]
    ) -> None:
        super().__init__()
        self.relu = layer.relu
        self.given = quantization(*given)
        self.convolution = quantized(
            layer.weight,
            layer.bias,
            quantization(*made),
            layer.stride,
            layer.padding,
            layer.groups,
        )

    def forward(self, features: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Convolve, as ``FusedConvolution`` does."""
        whole = torch.quantize_per_tensor(features, *self.given, torch.quint8)
        result = cast(Tensor, self.convolution(whole)).dequantize()
        if shortcut is not None:
            result = result + shortcut
        return result.relu() if self.relu else result


def quantization(low: float, high: float) -> tuple[float, int]:
    """Scale and zero of unsigned integers for a range; of 7 bits where the kernels need it.

    Without VNNI they add pairs of products in 16 bits, which 8 bits overflow.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    levels = 255 if torch.cpu._is_vnni_supported() else 127
    scale = max(high - low, 1e-8) / levels
    return scale, round(-low / scale)


def quantized(
    weight: Tensor,
    bias: Tensor | None,
    made: tuple[float, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> nn.Module:
    """A convolution in int8, each output channel with a scale of its own."""
    from torch.ao.nn.quantized import Conv2d

    outputs, inputs = len(weight), weight.shape[1] * groups
    kernel = cast("tuple[int, int]", tuple(weight.shape[2:]))
    found = Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
    weight = weight.detach().contiguous()
    scales = weight.flatten(1).abs().amax(1).clamp_min(1e-8) / 127
    zeros = torch.zeros(outputs, dtype=torch.int64)
    found.set_weight_bias(torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8), bias)
    found.scale, found.zero_point = made
    return found


def convolutions(network: nn.Module) -> dict[str, FusedConvolution]:
    """The convolutions of a network on the fast path, by their names."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, FusedConvolution)
    }


def ranges(network: nn.Module, run: Callable[[], object]) -> dict[str, list[tuple[float, float]]]:
    """Least and largest value before and behind each convolution, while something runs."""
    seen: dict[str, list[Tensor]] = {}

    def look(name: str, layer: FusedConvolution, inputs: tuple[Tensor, ...]) -> None:
        features = inputs[0]
        made = F.conv2d(
            features, layer.weight, layer.bias, layer.stride, layer.padding, groups=layer.groups
        )
        ends = torch.stack([torch.stack([one.amin(), one.amax()]) for one in (features, made)])
        seen.setdefault(name, []).append(ends)

    hooks = [
        layer.register_forward_pre_hook(partial(_called, look, name))
        for name, layer in convolutions(network).items()
    ]
    run()
    for hook in hooks:
        hook.remove()
    found = {}
    for name, ends in seen.items():
        low, high = torch.stack(ends).amin(0)[:, 0], torch.stack(ends).amax(0)[:, 1]
        found[name] = list(zip(low.tolist(), high.tolist(), strict=True))
    return found


def _called(
    look: Callable[[str, FusedConvolution, tuple[Tensor, ...]], None],
    name: str,
    layer: nn.Module,
    inputs: tuple[Tensor, ...],
) -> None:
    look(name, cast(FusedConvolution, layer), inputs)


def replaced(network: nn.Module, found: dict[str, list[tuple[float, float]]]) -> nn.Module:
    """A copy of the network with all its convolutions in int8."""
    network = copy.deepcopy(network)
    for name, layer in convolutions(network).items():
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, Int8Convolution(layer, *found[name]))
    return network


def medians(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each candidate; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            if number:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def maps(localizer: Localizer, data: DataSet, scenes: range) -> list[NDArray[np.float32]]:
    """Maps of the sources of some scenes, with their labels given."""
    rate, found = localizer.encoder.sample_rate, []
    for item in (data.items[number] for number in scenes):
        sample = data.read(item, rate)
        labels = [label for label in item.labels if label is not None]
        result = localizer.localize(sample.pictures[0], (sample.waveform, rate), labels=labels)
        found += [source.grid for source in result.sources]
    return found


def figures(localizer: Localizer, sources: int, scenes: int) -> list[str]:
    """CAP and CIoU@0.3 of made-up scenes, with labels given and detected, in percent."""
    options = {"sources": sources, "count": scenes}
    results = tvsl.evaluate(localizer, "synthetic", data_options=options, workers=1)
    found = {
        (row.scores.label_source, figure): f"{100 * value:.1f}"
        for row in results.evaluation.rows
        if row.name == localizer.method.name
        for figure, value in row.scores.values.items()
    }
    return [found[key] for key in FIGURES]


def network_table(scenes: int, rounds: int) -> Table:
    """The mini as it is, and with its picture network in int8."""
    localizer = Localizer.from_pretrained("mini", device="cpu")
    encoder = cast(AudioCLIPEncoder, localizer.encoder)
    data = SyntheticData(sources=1, count=CALIBRATING + COMPARED)
    usual, side = encoder._image_features, encoder.config.image.resolution
    frames = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        found = ranges(usual, lambda: maps(localizer, data, range(CALIBRATING)))
        int8 = replaced(usual, found)
        candidates = {"float32": partial(usual, frames), "int8": partial(int8, frames)}
        times = medians(candidates, rounds)
    gain = times["float32"] / times["int8"]
    table = Table(title=f"mini, {scenes} scenes each, percent; int8 is {gain:.2f} times as fast")
    table.add_column("picture network, scenes")
    for source, figure in FIGURES:
        table.add_column(f"{figure}, {source}", justify="right")
    compared = range(CALIBRATING, CALIBRATING + COMPARED)
    expected = maps(localizer, data, compared)
    for name, network in (("float32", usual), ("int8", int8)):
        encoder._image_features = network  # type: ignore[assignment]
        for sources, title in SOURCES.items():
            table.add_row(f"{name}, {title}", *figures(localizer, sources, scenes))
    pairs = zip(maps(localizer, data, compared), expected, strict=True)
    away = np.stack([np.abs(one - other) for one, other in pairs])
    table.caption = f"maps differ by {away.max():.3f} at most, {away.mean():.4f} on average"
    return table


def convolutions_table(engines: Sequence[str], rounds: int) -> Table:
    """Single convolutions."""
    table = Table(title=f"int8 beside float32, {torch.backends.cpu.get_cpu_capability()}")
    for head in ("convolution", "engine", "times float32", "with quantizing"):
        table.add_column(head)
    for channels, kernel, side in SHAPES:
        features = torch.rand(1, channels, side, side)
        features = features.contiguous(memory_format=torch.channels_last)
        layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2).requires_grad_(False)
        layer.weight.data = layer.weight.contiguous(memory_format=torch.channels_last)
        for engine in engines:
            torch.backends.quantized.engine = engine
            padding = (kernel // 2, kernel // 2)
            whole = quantized(layer.weight, layer.bias, (0.05, 128), padding=padding)
            quantize = partial(torch.quantize_per_tensor, features, 1 / 127, 0, torch.quint8)
            given = quantize()
            candidates = {
                "float32": partial(layer, features),
                "int8": partial(whole, given),
                "quantize": quantize,
            }
            with torch.inference_mode():
                found = medians(candidates, rounds)
            table.add_row(
                f"{channels} channels, {kernel} x {kernel}, {side} x {side}",
                engine,
                f"{found['float32'] / found['int8']:.2f}",
                f"{found['float32'] / (found['int8'] + found['quantize']):.2f}",
            )
    return table


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scenes", type=int, default=200, help="duets that are evaluated")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torch announces that these kernels will move
    torch.set_num_threads(1)
    supported = torch.backends.quantized.supported_engines
    engines = [one for one in ("onednn", "x86") if one in supported]
    console = Console(width=110)
    console.print(convolutions_table(engines, arguments.rounds))
    console.print(network_table(arguments.scenes, arguments.rounds))


if __name__ == "__main__":
    main()
