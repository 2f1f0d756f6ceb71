"""The rows of the synthetic world's table, and what methods reach in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tvsl.evaluation.scenes import EncodedScenes
from tvsl.evaluation.score import Figures, score_named
from tvsl.methods.base import Method
from tvsl.metrics import detection_mean_average_precision
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World, WorldSplit


@dataclass(frozen=True)
class Row:
    """A kind of scene.

    Attributes:
        title: What the table calls it.
        sources: K, the number of sources.
        world: Where the scenes come from.
        names: Classes among which is detected; those of the world when None.
    """

    title: str
    sources: int
    world: World
    names: tuple[str, ...] | None = None


def table_rows(split: WorldSplit = "test") -> tuple[Row, ...]:
    """Ordinary scenes of one to four sources, unseen classes, twins alone, off-screen alone.

    Unseen classes are detected among the unseen ones, as zero-shot transfer to another vocabulary
    is measured, and once more among all 36, where the seen ones that training knew compete.
    """
    seen, unseen = World(split), World(split, "unseen")
    twins, off_screen = World(split, twins=1.0), World(split, off_screen=1.0)
    return (
        Row("single", 1, seen),
        Row("duet", 2, seen),
        Row("3 sources", 3, seen),
        Row("4 sources", 4, seen),
        Row("unseen single", 1, unseen),
        Row("unseen duet", 2, unseen),
        Row("unseen single of 36", 1, unseen, CLASSES["all"]),
        Row("unseen duet of 36", 2, unseen, CLASSES["all"]),
        Row("twin single", 1, twins),
        Row("twin duet", 2, twins),
        Row("off-screen single", 1, off_screen),
        Row("off-screen duet", 2, off_screen),
    )


@dataclass(frozen=True, eq=False)
class Reached:
    """What a method reaches in a row, in percent.

    Attributes:
        given: Figures with the true labels given.
        detected: Figures with detected labels (the top K), strict: an undetected source scores
            0; None for a method that cannot detect and does not ask for labels.
        detection: Mean average precision of its detection; None where it has none.
    """

    given: Figures
    detected: Figures | None
    detection: float | None


@torch.inference_mode()
def reach(method: Method, scenes: EncodedScenes, on: str = "boxes") -> Reached:
    """Score a calibrated head in a row.

    Args:
        method: The head.
        scenes: The row's scenes.
        on: Ground truth: ``boxes`` or ``masks``.

    Returns:
        Its figures.
    """
    method.eval()
    found = score_named(method, scenes, on)
    given = found.given.summary(scenes.sources)
    if found.detection is None or found.detected is None:
        return Reached(given, None, None)
    precision = detection_mean_average_precision(found.detection, scenes.labels)
    return Reached(given, found.detected.summary(scenes.sources), 100 * float(precision))


def reach_all(
    methods: Mapping[str, Method], scenes: EncodedScenes, on: str = "boxes"
) -> dict[str, Reached]:
    """Score several heads in a row, by their names in the table."""
    return {name: reach(method, scenes, on) for name, method in methods.items()}
