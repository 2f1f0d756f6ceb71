"""The paper's figures: bars of its main tables, and pictures under the maps of several methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.predict import predict
from tvsl.methods.base import Method
from tvsl.metrics import LabelSource
from tvsl.metrics.maps import normalize_maps
from tvsl.reproduce.experiment import Experiment
from tvsl.reproduce.plan import Choice, Plan
from tvsl.reproduce.specs import DUET, TRIO, Candidates, RowSpec, SceneSet, TestCondition
from tvsl.reproduce.tables import ALIGNMENT, AVGN, MIX_AND_LOCALIZE, TVSL
from tvsl.reproduce.train import HeadStore

HeatMaps = NDArray[np.float32]
"""(n, H, W) in [0, 1]."""


@dataclass(frozen=True)
class SheetSpec:
    """A figure of pictures.

    Attributes:
        name: Name on the command line.
        title: Title on pages.
        condition: The scenes that it shows.
        rows: The methods that it compares.
        paper: Number of the paper's figure.
    """

    name: str
    title: str
    condition: TestCondition
    rows: tuple[RowSpec, ...]
    paper: int


_COMPARED = (ALIGNMENT, MIX_AND_LOCALIZE, AVGN, TVSL)
SHEETS: Mapping[str, SheetSpec] = {
    sheet.name: sheet
    for sheet in (
        SheetSpec("figure3", "Maps on duets", DUET, _COMPARED, 3),
        SheetSpec("figure4", "Maps on mixtures of three", TRIO, _COMPARED, 4),
    )
}
"""Figures of pictures by name."""


@dataclass(frozen=True, eq=False)
class SheetCase:
    """A scene with the maps of several methods.

    Attributes:
        picture: Its panels side by side, RGB, (H, W, 3) uint8.
        labels: Classes of the sources.
        truth: Masks of the sources, (P, H, W) bool.
        maps: For each method one map for each source, or one for all; None where it has none.
    """

    picture: NDArray[np.uint8]
    labels: tuple[str, ...]
    truth: NDArray[np.bool_]
    maps: tuple[HeatMaps | None, ...]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A figure of pictures.

    Attributes:
        spec: The figure.
        methods: The methods, in the order of the maps.
        cases: The scenes.
    """

    spec: SheetSpec
    methods: tuple[str, ...]
    cases: tuple[SheetCase, ...]


def sheet(
    spec: SheetSpec, experiment: Experiment, plan: Plan, choices: Mapping[Candidates, Choice]
) -> Sheet | None:
    """Look at test scenes through the heads of the first seed, labels given.

    Args:
        spec: The figure.
        experiment: The reproduction.
        plan: The plan.
        choices: Choices of validation.

    Returns:
        The figure; the recipe's seed draws its scenes, and no result has a say in it. None where
        there are no such scenes.
    """
    wanted = SceneSet(spec.condition, "test")
    if experiment.benchmark.lacks(wanted) is not None:
        return None
    scenes = next(experiment.scenes(wanted))
    count = min(experiment.config.pictures, scenes.tokens.batch)
    rng = np.random.default_rng(experiment.config.seed)
    numbers = sorted(rng.choice(scenes.tokens.batch, count, replace=False).tolist())
    clip = scenes.queries.clip.cpu()
    shown = experiment.benchmark.preview(spec.condition, numbers)
    heads, maps = HeadStore(experiment.settings.folder), []
    for row in spec.rows:
        chosen = choices[plan.canonical(row.several)].chosen
        head = None if chosen is None else heads.load(chosen, experiment)
        maps.append([None] * count if head is None else _maps(head, scenes, numbers))
    cases = tuple(
        SheetCase(picture, labels, scenes.targets[clip == number].numpy(), tuple(found))
        for number, (picture, labels), *found in zip(numbers, shown, *maps, strict=True)
    )
    return Sheet(spec, tuple(row.title for row in spec.rows), cases)


@torch.inference_mode()
def _maps(head: Method, scenes: EncodedBatch, numbers: list[int]) -> list[HeatMaps]:
    clip = scenes.queries.clip.cpu()
    source: LabelSource = "given" if head.class_aware else "none"
    if head.permutation_invariant:
        source = "assigned"
    found = predict(head, scenes, (source,)).maps.cpu()
    each = (found[clip == number] for number in numbers)
    some = (maps if head.class_aware else maps[:1] for maps in each)
    return [normalize_maps(maps, scenes.size).numpy() for maps in some]
