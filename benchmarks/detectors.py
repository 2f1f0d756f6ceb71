"""Duets that T-VSL loses between labels given and labels detected, detector by detector.

    python benchmarks/detectors.py FOLDER --data real [--option root=../shared/real]
        [--option development=true] [--model NAME]

FOLDER is that of `tvsl reproduce table2` with the same data, options and model: its heads are
scored, on its duets, those that validation chose, all seeds. A source is found where its class is
among the two likeliest. Hit: the map reaches cIoU 0.3. A detector that finds sources whatever their
maps are like loses more than one that finds those that it can place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tvsl.cli.options import name_values
from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.score import score_batches
from tvsl.methods.base import Method
from tvsl.metrics import detection_mean_average_precision
from tvsl.reproduce import tables
from tvsl.reproduce.benchmark import MODELS, kind_of
from tvsl.reproduce.experiment import Experiment, ExperimentConfig
from tvsl.reproduce.plan import Choice, Plan
from tvsl.reproduce.specs import DUET, SceneSet, reproduce_config
from tvsl.reproduce.train import HeadStore

COLUMNS = ("given", "detected", "found", "likeliest", "second", "hit, found", "hit, missed", "mAP")
HIT = 0.3


@torch.inference_mode()
def figures(head: Method, scenes: Sequence[EncodedBatch]) -> dict[str, tuple[float, ...]]:
    """The columns in percent, by detector.

    Args:
        head: A head; it is left with the last of its detectors.
        scenes: Duets.
    """
    pairs = score_batches(head, scenes, sources=["given"]).pairs["given"].columns
    hit, clip, label = pairs["ciou"] >= HIT, pairs["frames"], pairs["labels"]
    truth = torch.cat([part.labels for part in scenes])
    reached = {}
    for hyperparameters in head.detectors():
        head.set_tuned(**hyperparameters)
        found = [head.detect(part.tokens, part.vocabulary) for part in scenes]
        scores = torch.cat([one.cpu() for one in found if one is not None])
        likely = scores.topk(2, dim=1).indices
        right = truth.gather(1, likely).double().mean(dim=0)
        there = (likely[clip] == label[:, None]).any(dim=1)
        precision = torch.as_tensor(detection_mean_average_precision(scores, truth))
        columns = (hit, hit & there, there, *right, hit[there], hit[~there], precision)
        name = str(hyperparameters["detector"])
        reached[name] = tuple(100 * float(one.double().mean()) for one in columns)
    return reached


def heads(experiment: Experiment, trained: bool) -> Iterator[Method]:
    """The heads of the row T-VSL for several sources, or the one without training."""
    heads = HeadStore(experiment.settings.folder)
    plan = Plan(experiment.config, {}, experiment.benchmark.halved)
    candidates = plan.canonical((tables.TVSL if trained else tables.TVSL_UNTRAINED).several)
    found = plan.search(candidates, heads.record)
    if not isinstance(found, Choice) or found.chosen is None:
        raise SystemExit("There is no such head in the folder. Run `tvsl reproduce table2` first.")
    for one in plan.repeats(found.chosen):
        yield heads.load(one, experiment)


def table(title: str, reached: Sequence[dict[str, tuple[float, ...]]]) -> Table:
    """The means over some heads."""
    made = Table("detector", *COLUMNS, title=title)
    for column in made.columns[1:]:
        column.justify = "right"
    for name in reached[0]:
        values = np.array([one[name] for one in reached]).mean(axis=0)
        made.add_row(name, *(f"{value:.1f}" for value in values))
    return made


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--model")
    parser.add_argument("--scale", default="full")
    given = parser.parse_args()
    options = name_values("--option", given.option) or {}
    kind = kind_of(given.data, options)
    settings = ExperimentConfig(
        reproduce_config(kind, given.scale),
        given.model or MODELS[kind],
        given.data,
        options,
        given.folder,
        "cpu",
    )
    experiment = Experiment(settings)
    scenes = list(experiment.scenes(SceneSet(DUET, "test")))
    for title, trained in (("trained", True), ("untrained", False)):
        reached = [figures(head, scenes) for head in heads(experiment, trained)]
        Console(width=110).print(table(f"T-VSL, {title}: {len(reached)} heads, duets", reached))


if __name__ == "__main__":
    main()
