"""Scores of the demo's maps, by the protocol ``paper``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tvsl.demo.scenes import DemoScene
from tvsl.evaluation.batch import EncodedBatch, scene_truth
from tvsl.evaluation.predict import NO_MAP, Predictions
from tvsl.evaluation.score import score
from tvsl.localization import Box, SoundSource, shared_area
from tvsl.metrics import PAPER
from tvsl.tokens import Queries, Tokens, Vocabulary

SINGLE_THRESHOLD = 0.5
SEVERAL_THRESHOLD = 0.3
PROTOCOL = (
    f"{PAPER.name}: the map, bilinear to the picture's size, min-max, cut at {PAPER.level}, must "
    f"reach a cIoU of {SINGLE_THRESHOLD} with the true box, or of {SEVERAL_THRESHOLD} where "
    "several sources sound; with detected labels a source that is not detected is a miss"
)


@dataclass(frozen=True)
class MapScore:
    """Scores of one map for its source.

    Attributes:
        ciou: Of the cut map with the true box.
        box_iou: Of the box that the user gets with the true box.
        hit: Whether ``ciou`` reaches the scene's threshold.
        right_twin: Whether the map is higher on the source than on its silent twin; None without
            a twin.
    """

    ciou: float
    box_iou: float
    hit: bool
    right_twin: bool | None


def threshold(shown: DemoScene) -> float:
    """The cIoU of a hit in a scene: less is asked where several sources sound."""
    return SINGLE_THRESHOLD if len(shown.scene.panels) == 1 else SEVERAL_THRESHOLD


def score_sources(
    found: Sequence[SoundSource | None], shown: DemoScene, tokens: Tokens, vocabulary: Vocabulary
) -> list[MapScore | None]:
    """Score the maps of a scene's true sources by the protocol ``paper``.

    Args:
        found: Localization of each true source; None where its class was not detected.
        shown: The scene.
        tokens: Its tokens.
        vocabulary: Its classes.

    Returns:
        The scores of each source.
    """
    boxes, masks, twins = map(torch.from_numpy, scene_truth(shown.scene))
    queries = Queries.from_lists([vocabulary.indices(shown.scene.labels)])
    batch = EncodedBatch(tokens, vocabulary, queries, boxes, masks, twins)
    pairs = [place for place, source in enumerate(found) if source is not None]
    if not pairs:
        return [None] * len(found)
    maps = torch.from_numpy(np.stack([source.grid for source in found if source is not None]))
    rows = torch.full((len(found),), NO_MAP)
    rows[pairs] = torch.arange(len(pairs))
    predictions = Predictions(maps, torch.tensor(pairs), {"given": rows})
    columns = score(predictions, batch)["given"].columns
    scores = []
    for place, source in enumerate(found):
        overlap, twin = float(columns["ciou"][place]), float(columns["right twin"][place])
        truth = Box(*shown.boxes[place])
        scores.append(
            None
            if source is None
            else MapScore(
                overlap,
                0.0 if source.box is None else _box_iou(truth, source.box),
                overlap >= threshold(shown),
                None if np.isnan(twin) else twin == 1,
            )
        )
    return scores


def _box_iou(first: Box, second: Box) -> float:
    shared = shared_area(first, second)
    return shared / (shared_area(first, first) + shared_area(second, second) - shared)
