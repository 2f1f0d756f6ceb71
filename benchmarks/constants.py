"""Worth of T-VSL's hand-set constants on validation scenes.

    python benchmarks/constants.py [--scenes N] [--model NAME]

An untrained head on scenes that no training, decision or table sees. Each constant in turn takes
other values while the rest stay as they are; what the code has is marked. Detection: mean average
precision over single sources, duets, mixtures of three and four. Maps, labels given: the mean of
AP and IoU@0.5 of single sources, and of CAP and CIoU@0.3 of duets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from tvsl.evaluation.batch import EncodedBatch, encode_scenes
from tvsl.loading import load
from tvsl.methods.base import Method
from tvsl.methods.operations import AFFINITY
from tvsl.methods.tvsl import TVSL, TVSLConfig, detection
from tvsl.metrics import detection_mean_average_precision
from tvsl.synthetic.world import World
from tvsl.training.calibrate import map_score
from tvsl.utils.devices import keep_freed_memory

START = 30_000
SHOWN = {"readout": "evidence", "exponent": 3.5, "clamp_negative": True, "affinity": AFFINITY}
SWITCHES: Mapping[str, Sequence[float]] = {
    "affinity": (0.0, 10.0, 20.0, 30.0, AFFINITY, 60.0, 100.0),
    "responsibility": (0.0, 2.0, 5.0, 10.0, 20.0, 40.0),
}
VALUES: Mapping[str, tuple[Any, Sequence[float]]] = {
    "RIDGE": (detection, (0.025, 0.05, 0.1, 0.2, 0.4)),
    "SEEN_SHARE": (detection, (0.0, 0.25, 0.5, 1.0)),
    "DECOMPOSITION_SHARE": (detection, (0.0, 0.75, 1.5, 3.0)),
    "EVIDENCE_PERCENT": (detection, (1, 2, 3, 5, 10)),
}

Scenes = Sequence[EncodedBatch]


@torch.inference_mode()
def maps(method: Method, scenes: Scenes) -> list[str]:
    """The figure of the maps, for each number of sources."""
    raw = [method.spread_maps(part.tokens, part.queries, part.vocabulary) for part in scenes[:2]]
    figures = (map_score(method, [one], [part]) for one, part in zip(raw, scenes, strict=False))
    return [f"{figure:.1f}" for figure in figures]


@torch.inference_mode()
def detected(method: Method, scenes: Scenes) -> list[str]:
    """Detection's mean average precision, for each number of sources."""
    figures = []
    for part in scenes:
        scores = method.detect(part.tokens, part.vocabulary)
        assert scores is not None
        figures.append(100 * float(detection_mean_average_precision(scores, part.labels)))
    return [f"{figure:.1f}" for figure in figures]


@contextmanager
def constant(module: Any, name: str, value: float) -> Iterator[None]:
    """A constant of a module that has another value for a while."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def table(title: str, columns: Sequence[str]) -> Table:
    """An empty table of a constant's values."""
    made = Table("value", *columns, title=title)
    for column in made.columns:
        column.justify = "right"
    return made


def marked(value: float, own: float) -> str:
    """A value, with a star where it is the code's own."""
    return f"{value:g}{' *' if value == own else '  '}"


def print_all(console: Console, make: Callable[[], Method], scenes: Scenes) -> None:
    """Print a table for each constant."""
    for name, values in SWITCHES.items():
        rows = table(f"{name}: maps", ("single", "duet"))
        own = getattr(make().config, name)
        for value in values:
            method = make()
            method.set_tuned(**{name: value})
            rows.add_row(marked(value, own), *maps(method, scenes))
        console.print(rows)
    for name, (module, values) in VALUES.items():
        rows = table(f"{name}: detection", ("1 source", "2", "3", "4"))
        own = getattr(module, name)
        for value in values:
            with constant(module, name, value):
                rows.add_row(marked(value, own), *detected(make(), scenes))
        console.print(rows)


def main() -> None:
    """Encode the scenes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--model", default="mini")
    arguments = parser.parse_args()
    keep_freed_memory()
    encoder = load(arguments.model, device="cpu", flip_average="turn").encoder
    world = World("validation", "seen")
    scenes = [encode_scenes(encoder, world, k, arguments.scenes, start=START) for k in (1, 2, 3, 4)]
    config = TVSLConfig(embedding=encoder.embedding, detector="decomposition", **SHOWN)
    print_all(Console(), lambda: TVSL(config).eval(), scenes)


if __name__ == "__main__":
    main()
