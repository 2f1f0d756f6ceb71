"""The encoder and a head on a GPU: agreement with the CPU, and speed beside plain eager modules.

    python benchmarks/gpu.py [--device cuda] [--rounds 20] [--batch 16] [--quick]

`benchmarks/gpu.sh` runs it after tests of the fast path. Weights are random. Agreement is with
float32 on the CPU: float32 with TF32 off has to be within 1e-3 of the largest value, TF32 and
bfloat16 are shown. Candidates take turns; `torch.compile` and CUDA graphs are tried where the
device has them. On a CPU (`--device cpu --quick`) everything else runs too, so that a test keeps
this file alive.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from tvsl.audioclip import AudioCLIP, AudioCLIPConfig
from tvsl.audioclip.config import AudioEncoderConfig, ImageEncoderConfig, TextEncoderConfig
from tvsl.audioclip.fast_path import FastImageFeatures, fast_audio_features
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.tokens import Queries, Tokens, Vocabulary

CLOSE = 1e-3
CLASSES, SOURCES = 36, 2
SMALL = AudioCLIPConfig(
    embedding=32,
    image=ImageEncoderConfig(width=8, blocks=(1, 1, 1, 1), heads=4),
    audio=AudioEncoderConfig(stem_width=8, blocks=(1, 1, 1, 1), groups=2),
    text=TextEncoderConfig(width=32, layers=1, heads=2),
)

Run = Callable[[], object]


@dataclass
class Setting:
    """The device and modules that are measured."""

    device: torch.device
    rounds: int
    batch: int
    seconds: float


def wait(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def medians(candidates: Mapping[str, Run], setting: Setting) -> dict[str, float]:
    """Median seconds of each candidate; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(setting.rounds + 2):
        for name, run in candidates.items():
            wait(setting.device)
            start = time.perf_counter()
            run()
            wait(setting.device)
            if number > 1:  # the first ones load kernels and choose algorithms
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def allow_tf32(allowed: bool) -> None:
    """Let matrix products and convolutions of float32 round their factors, or not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def networks(model: AudioCLIP, dtype: torch.dtype | None) -> tuple[nn.Module, nn.Module]:
    """Fast networks of pictures and sounds."""
    chosen = torch.float32 if dtype is None else dtype
    return FastImageFeatures(model.visual, chosen), fast_audio_features(model.audio, chosen)


def off(found: Tensor, expected: Tensor) -> float:
    """Largest difference, as a share of the largest value."""
    return float((found.cpu().float() - expected).abs().max() / expected.abs().max())


@torch.inference_mode()
def agreement(model: AudioCLIP, setting: Setting) -> dict[str, tuple[float, float]]:
    """Differences of the last features of pictures and sounds from those on the CPU."""
    pictures, sounds = inputs(model, 2, setting.seconds)
    model.cpu()
    expected = model.visual.features(pictures), model.audio.features(sounds)
    cases: list[tuple[str, torch.dtype, bool]] = [
        ("float32, TF32 off", torch.float32, False),
        ("float32, TF32 on", torch.float32, True),
        ("bfloat16", torch.bfloat16, True),
    ]
    found = {}
    for name, dtype, tf32 in cases:
        allow_tf32(tf32)
        see, hear = (part.to(setting.device) for part in networks(model, dtype))
        given = pictures.to(setting.device), sounds.to(setting.device)
        found[name] = off(see(given[0]), expected[0]), off(hear(given[1]), expected[1])
    allow_tf32(False)
    return found


def inputs(model: AudioCLIP, batch: int, seconds: float) -> tuple[Tensor, Tensor]:
    """Pictures and scaled waveforms, the same each time."""
    generator = torch.Generator().manual_seed(0)
    samples = round(seconds * model.config.audio.sample_rate)
    side = model.config.image.resolution
    return (
        torch.randn(batch, 3, side, side, generator=generator),
        3000 * torch.randn(batch, samples, generator=generator),
    )


def graphed(network: nn.Module, given: Tensor) -> Run | None:
    """The network as a CUDA graph, which starts all of its kernels at once."""
    if given.device.type != "cuda":
        return None
    network(given)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(given)
    return graph.replay


@torch.inference_mode()
def encoding(model: AudioCLIP, setting: Setting, compiles: bool) -> dict[str, float]:
    """Seconds of encoding a batch of pictures and sounds."""
    pictures, sounds = (part.to(setting.device) for part in inputs(model, *_size(setting)))
    model.to(setting.device)
    candidates: dict[str, Run] = {
        "plain eager, float32": lambda: (
            model.visual.features(pictures),
            model.audio.features(sounds),
        )
    }
    for dtype in (torch.float32, torch.bfloat16):
        see, hear = (part.to(setting.device) for part in networks(model, dtype))
        name = str(dtype).removeprefix("torch.")
        candidates[f"fast, {name}"] = _both(see, hear, pictures, sounds)
        runs = graphed(see, pictures), graphed(hear, sounds)
        if runs[0] is not None and runs[1] is not None:
            candidates[f"fast, {name}, CUDA graphs"] = _all(runs[0], runs[1])
        if compiles:
            compiled = torch.compile(see), torch.compile(hear)
            candidates[f"fast, {name}, compiled"] = _both(*compiled, pictures, sounds)
    return medians(candidates, setting)


def _size(setting: Setting) -> tuple[int, float]:
    return setting.batch, setting.seconds


def _both(
    see: Callable[[Tensor], Tensor], hear: Callable[[Tensor], Tensor], first: Tensor, second: Tensor
) -> Run:
    return lambda: (see(first), hear(second))


def _all(*runs: Run) -> Run:
    return lambda: [run() for run in runs]


def head_times(model: AudioCLIP, setting: Setting) -> dict[str, float]:
    """Seconds of a training step of the head, and of a batch that is evaluated."""
    head, tokens, queries, vocabulary = head_inputs(model, setting)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4)
    sounding = torch.zeros(setting.batch, CLASSES, dtype=torch.bool, device=setting.device)
    sounding[queries.clip, queries.label] = True

    def step() -> None:
        losses = head.losses(tokens, sounding, vocabulary)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    @torch.inference_mode()
    def evaluate() -> None:
        head.eval()
        head.detect(tokens, vocabulary)
        head.maps(tokens, queries, vocabulary)
        head.train()

    return medians({"training step": step, "maps and scores": evaluate}, setting)


def head_inputs(model: AudioCLIP, setting: Setting) -> tuple[Method, Tokens, Queries, Vocabulary]:
    """A head with made-up tokens."""
    torch.manual_seed(0)
    width, device = model.config.embedding, setting.device
    method = METHODS["tvsl"]
    head = method.from_config(method.config_type(embedding=width), None).to(device).train()
    batch = setting.batch
    tokens = Tokens(
        torch.randn(batch, 98, width),
        torch.randn(batch, 40, width),
        torch.randn(batch, width),
        torch.randn(batch, width),
        (7, 14),
        SOURCES,
    ).to(device)
    names = tuple(f"class {number}" for number in range(CLASSES))
    embeddings = nn.functional.normalize(torch.randn(CLASSES, width), dim=-1).to(device)
    rows = [[(2 * clip + source) % CLASSES for source in range(SOURCES)] for clip in range(batch)]
    return head, tokens, Queries.from_lists(rows).to(device), Vocabulary(names, embeddings)


def main() -> None:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--quick", action="store_true", help="a small model, few rounds")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no GPU here; --device cpu --quick runs what a CPU can.")
    quick = arguments.quick
    setting = Setting(
        device, 2 if quick else arguments.rounds, 4 if quick else arguments.batch, 5.0
    )
    if quick:
        setting.seconds = 1.0
    torch.manual_seed(0)
    model = AudioCLIP(SMALL if quick else AudioCLIPConfig()).freeze()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    console = Console(width=100)
    console.print(f"{name}, torch {torch.__version__}, batches of {setting.batch}")
    table = Table(
        title="Largest difference from float32 on the CPU, as a share of the largest value"
    )
    for head in ("arithmetic", "pictures", "sounds"):
        table.add_column(head)
    found = agreement(model, setting)
    for kind, errors in found.items():
        table.add_row(kind, *(f"{error:.1e}" for error in errors))
    console.print(table)
    speeds = Table(title="Clips a second")
    for head in ("work", "clips/s", "times plain"):
        speeds.add_column(head)
    seconds = encoding(model, setting, arguments.compile)
    plain = next(iter(seconds.values()))
    for kind, spent in seconds.items():
        speeds.add_row(kind, f"{setting.batch / spent:.1f}", f"{plain / spent:.2f}")
    for kind, spent in head_times(model, setting).items():
        speeds.add_row(kind, f"{setting.batch / spent:.1f}", "")
    console.print(speeds)
    if max(found["float32, TF32 off"]) > CLOSE:
        sys.exit(f"float32 differs by {max(found['float32, TF32 off']):.1e}, over {CLOSE:.0e}.")


if __name__ == "__main__":
    main()
