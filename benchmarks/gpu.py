"""The encoder and a head on a GPU: golden numbers, agreement with the CPU, and speed.

    python benchmarks/gpu.py [--device cuda] [--rounds 20] [--batch 1,16] [--compile] [--quick]

`benchmarks/gpu.sh` runs it after tests of the fast path. The golden numbers of `../shared/golden`,
made by the official implementation, are computed on the device, with TF32 off and on and in
bfloat16. Features with random weights are compared with those of float32 on the CPU. Float32 with
TF32 off has to meet both (3e-4 of the norm, 1e-3 of the largest value); the others are shown.

Then the clips a second of encoding, training a head and evaluating are measured, beside plain eager
modules on the same device; with a GPU also those of its CPU. Candidates take turns. With
`--compile` `torch.compile` is tried on the last of the batches, and CUDA graphs wherever there is a
GPU. On a CPU (`--device cpu --quick`) everything else runs too, so that a test keeps this file
alive.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from agreement import error, filled, load_fill
from tvsl.audioclip import AudioCLIP, AudioCLIPConfig, AudioCLIPEncoder
from tvsl.audioclip.config import AudioEncoderConfig, ImageEncoderConfig, TextEncoderConfig
from tvsl.audioclip.fast_path import FastImageFeatures, fast_audio_features
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.tvsl import ReleasedTVSL
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.utils.devices import Precision

GOLDEN = Path(__file__).parents[2] / "shared" / "golden"
GOLDEN_CLOSE = 3e-4
"""Most by which golden numbers may be missed, norm over norm. Plain modules on a CPU meet 1e-4;
the golden sounds are so quiet that they use up most of it, and other kernels round otherwise."""
CLOSE = 1e-3
EXACT = "float32, TF32 off"
ARITHMETIC: tuple[tuple[str, Precision, bool], ...] = (
    (EXACT, "float32", False),
    ("float32, TF32 on", "float32", True),
    ("bfloat16", "bfloat16", True),
)
COMPILING = 60.0
"""Seconds of a work after which no other form of it is compiled: the script has to end in time."""
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
    compiles: bool = False


def wait(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def medians(candidates: Mapping[str, Run], setting: Setting) -> dict[str, float]:
    """Median seconds of each candidate; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    first = 3 if setting.device.type == "cuda" else 1  # load kernels, record graphs
    for number in range(setting.rounds + first):
        for name, run in candidates.items():
            wait(setting.device)
            start = time.perf_counter()
            run()
            wait(setting.device)
            if number >= first:
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
def agreement(model: AudioCLIP, setting: Setting) -> dict[str, list[float]]:
    """Differences of the last features of pictures and sounds from those on the CPU."""
    pictures, sounds = inputs(model, 2, setting.seconds)
    model.cpu()
    expected = model.visual.features(pictures), model.audio.features(sounds)
    found = {}
    for name, precision, tf32 in ARITHMETIC:
        allow_tf32(tf32)
        dtype = getattr(torch, precision)
        see, hear = (part.to(setting.device) for part in networks(model, dtype))
        given = pictures.to(setting.device), sounds.to(setting.device)
        found[name] = [off(see(given[0]), expected[0]), off(hear(given[1]), expected[1])]
    allow_tf32(False)
    return found


@torch.inference_mode()
def goldens(device: torch.device) -> dict[str, list[float]]:
    """Errors of the golden pictures, sounds, texts and maps, on this device."""
    fill = load_fill(GOLDEN / "fill.py")
    with np.load(GOLDEN / "audioclip.npz") as file:
        expected = dict(file)
    with np.load(GOLDEN / "tokens.npz") as file:
        ids = torch.from_numpy(file["phrase_ids"]).to(device)
    model = filled(fill, waveform_scale=1.0)
    found = {}
    for name, precision, tf32 in ARITHMETIC:
        allow_tf32(tf32)
        encoder = AudioCLIPEncoder(model, precision, image_tokens="released").to(device)

        def frames(width: int) -> Tensor:
            return torch.from_numpy(fill.image(2, 224, width)).to(device)

        def sounds(clips: int, seconds: int) -> Tensor:
            return torch.from_numpy(fill.audio(clips, 44_100 * seconds)[:, 0]).to(device)

        seen, wide = (encoder.encode_frames(frames(width)) for width in (224, 448))
        heard, short = (encoder.encode_sounds(sounds(*one)) for one in ((2, 5), (1, 2)))
        pictures = {
            "image_pooled_224": seen.embeddings,
            "image_tokens_released_224": seen.tokens[0],
            "image_tokens_released_448": wide.tokens[0],
        }
        waves = {
            "audio_pooled_5s": heard.embeddings,
            "audio_tokens_5s": heard.tokens[0],
            "audio_pooled_2s": short.embeddings,
            "audio_tokens_2s": short.tokens[0],
        }
        texts = {"text_embeddings": model.encode_text(ids)}
        errors = [
            max(error(value.cpu(), expected[key]) for key, value in part.items())
            for part in (pictures, waves, texts)
        ]
        found[name] = [*errors, golden_maps(fill, device)]
    allow_tf32(False)
    return found


def golden_maps(fill: ModuleType, device: torch.device) -> float:
    """Error of the released T-VSL's maps of given tokens, in float32."""
    with np.load(GOLDEN / "tvsl_released_heads.npz") as file:
        expected = dict(file)
    head = ReleasedTVSL()
    shapes = json.loads((GOLDEN / "tvsl_released_state_dict.json").read_text(encoding="utf-8"))
    weights = {name: fill.weight(name, tuple(shape)) for name, shape in shapes.items()}
    head.load_state_dict({name: torch.from_numpy(np.asarray(one)) for name, one in weights.items()})
    visual = nn.functional.normalize(torch.from_numpy(fill.tokens("image_tokens", 4, 98)), dim=-1)
    audio = torch.from_numpy(fill.tokens("audio_tokens", 4, 143))
    tokens = Tokens(visual, audio, visual.mean(dim=1), audio.mean(dim=1), (7, 14), panels=2)
    text = torch.from_numpy(expected["text_class"]).to(device)
    vocabulary = Vocabulary(tuple(f"class {row}" for row in range(len(text))), text)
    labels = torch.cat([torch.from_numpy(expected[f"labels{source}"]) for source in (1, 2)])
    queries = Queries(torch.arange(4).repeat(2), labels).to(device)
    maps = head.eval().to(device).maps(tokens.to(device), queries, vocabulary)
    heat = np.concatenate([expected[f"heat{source}"][:, 0] for source in (1, 2)])
    return error(maps.cpu(), heat)


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
def encoding(model: AudioCLIP, setting: Setting) -> dict[str, float]:
    """Seconds of encoding a batch of pictures and sounds."""
    start = time.monotonic()
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
        if setting.compiles and time.monotonic() - start < COMPILING:
            compiled = torch.compile(see), torch.compile(hear)
            run = _both(*compiled, pictures, sounds)
            run()
            candidates[f"fast, {name}, compiled"] = run
    return medians(candidates, setting)


def _size(setting: Setting) -> tuple[int, float]:
    return setting.batch, setting.seconds


def _both(
    see: Callable[[Tensor], Tensor], hear: Callable[[Tensor], Tensor], first: Tensor, second: Tensor
) -> Run:
    return lambda: (see(first), hear(second))


def _all(*runs: Run) -> Run:
    return lambda: [run() for run in runs]


def forms(setting: Setting) -> Iterator[tuple[str, Callable[[Run], Run]]]:
    """Forms in which a head is tried: as it is, compiled, and compiled with CUDA graphs."""
    start = time.monotonic()
    yield "eager", lambda run: run
    if setting.compiles:
        yield "compiled", torch.compile
    if setting.compiles and setting.device.type == "cuda" and time.monotonic() - start < COMPILING:
        yield "compiled, CUDA graphs", lambda run: torch.compile(run, mode="reduce-overhead")


def training(model: AudioCLIP, setting: Setting) -> dict[str, float]:
    """Seconds of a training step of the head, in each form."""
    candidates = {}
    for name, form in forms(setting):
        candidates[name] = _step(form, *head_inputs(model, setting), setting)
        candidates[name]()
    return medians(candidates, setting)


def evaluating(model: AudioCLIP, setting: Setting) -> dict[str, float]:
    """Seconds of maps and scores of a batch, in each form."""
    candidates = {}
    for name, form in forms(setting):
        candidates[name] = _evaluation(form, *head_inputs(model, setting))
        candidates[name]()
    return medians(candidates, setting)


def _step(
    form: Callable[[Run], Run],
    head: Method,
    tokens: Tokens,
    queries: Queries,
    vocabulary: Vocabulary,
    setting: Setting,
) -> Run:
    """A training step; each form has a head of its own."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4)
    sounding = torch.zeros(setting.batch, CLASSES, dtype=torch.bool, device=setting.device)
    sounding[queries.clip, queries.label] = True

    def sum_up() -> Tensor:
        return torch.stack(list(head.losses(tokens, sounding, vocabulary).values())).sum()

    loss = form(sum_up)

    def step() -> None:
        if setting.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad()
        found = loss()
        assert isinstance(found, Tensor)
        found.backward()
        optimizer.step()

    return step


def _evaluation(
    form: Callable[[Run], Run],
    head: Method,
    tokens: Tokens,
    queries: Queries,
    vocabulary: Vocabulary,
) -> Run:
    """Scores of all classes and maps of the queries."""
    head.eval()
    found = form(lambda: (head.detect(tokens, vocabulary), head.maps(tokens, queries, vocabulary)))

    @torch.inference_mode()
    def evaluate() -> None:
        found()

    return evaluate


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


def errors_table(title: str, columns: tuple[str, ...], found: Mapping[str, list[float]]) -> Table:
    """Errors of each arithmetic."""
    table = Table(title=title)
    for head in ("arithmetic", *columns):
        table.add_column(head)
    for kind, errors in found.items():
        table.add_row(kind, *(f"{one:.1e}" for one in errors))
    return table


def speeds_table(model: AudioCLIP, settings: list[Setting]) -> Table:
    """Clips a second of each work and form, beside eager modules on the same device."""
    table = Table(title="Clips a second")
    for head in ("device, batch", "work", "form", "clips/s", "times eager"):
        table.add_column(head, justify="right" if head in ("clips/s", "times eager") else "left")
    for setting in settings:
        works = {
            "encoding": encoding(model, setting),
            "training step": training(model, setting),
            "maps and scores": evaluating(model, setting),
        }
        for work, seconds in works.items():
            eager = next(iter(seconds.values()))
            for form, spent in seconds.items():
                table.add_row(
                    f"{setting.device.type}, {setting.batch}",
                    work,
                    form,
                    f"{setting.batch / spent:.1f}",
                    f"{eager / spent:.2f}",
                )
        table.add_section()
    return table


def planned(arguments: argparse.Namespace, device: torch.device) -> list[Setting]:
    """The work to measure: the batches on the device, and a few clips on the CPU beside a GPU."""
    quick = arguments.quick
    batches = [4] if quick else [int(one) for one in arguments.batch.split(",")]
    rounds, seconds = (2, 1.0) if quick else (arguments.rounds, 5.0)
    settings = [Setting(device, rounds, batch, seconds) for batch in batches]
    settings[-1] = replace(settings[-1], compiles=arguments.compile)
    if device.type != "cpu":
        settings.insert(0, Setting(torch.device("cpu"), 2, 4, seconds))
    return settings


def main() -> None:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", default="1,16", help="clips at once, by commas")
    parser.add_argument("--quick", action="store_true", help="a small model, few rounds")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no GPU here; --device cpu --quick runs what a CPU can.")
    console, failures = Console(width=100), []
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    console.print(f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    if GOLDEN.is_dir():
        golden = goldens(device)
        parts = ("pictures", "sounds", "texts", "released heads' maps")
        title = "Largest error beside golden numbers, norm over norm"
        console.print(errors_table(title, parts, golden))
        if max(golden[EXACT]) > GOLDEN_CLOSE:
            failures.append(f"Golden numbers are missed by {max(golden[EXACT]):.1e}.")
    else:
        console.print(f"Golden numbers are not checked: {GOLDEN} is not here.")
    torch.manual_seed(0)
    model = AudioCLIP(SMALL if arguments.quick else AudioCLIPConfig()).freeze()
    settings = planned(arguments, device)
    found = agreement(model, settings[-1])
    title = "Largest difference from float32 on the CPU, as a share of the largest value"
    console.print(errors_table(title, ("pictures", "sounds"), found))
    if max(found[EXACT]) > CLOSE:
        failures.append(f"float32 differs by {max(found[EXACT]):.1e}, over {CLOSE:.0e}.")
    console.print(speeds_table(model, settings))
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
