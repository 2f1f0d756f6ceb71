"""Scores of the demo's maps, by the protocol ``paper``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tvsl.demo.scenes import DemoScene
from tvsl.localization import SoundSource
from tvsl.metrics import PAPER, ciou, minmax, resize_maps

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


def score_source(found: SoundSource, shown: DemoScene, place: int) -> MapScore:
    """Score the map of one true source by the protocol ``paper``.

    Args:
        found: What was localized.
        shown: The scene.
        place: Which of its sources is meant.

    Returns:
        The scores.
    """
    left, top, right, bottom = shown.boxes[place]
    target = torch.zeros(1, *found.size, dtype=torch.bool)
    target[0, top:bottom, left:right] = True
    resized = minmax(resize_maps(torch.from_numpy(found.grid)[None], found.size))
    overlap = float(ciou(resized, target, PAPER.level))
    box = found.box
    box_iou = 0.0 if box is None else _box_iou(shown.boxes[place], box.to_list())
    return MapScore(
        overlap, box_iou, overlap >= threshold(shown), _right_twin(resized[0], shown, place)
    )


def _right_twin(heat: Tensor, shown: DemoScene, place: int) -> bool | None:
    panel = shown.scene.panels[place]
    if panel.twin is None:
        return None
    side = panel.mask.shape[1]
    part = heat[:, place * side : (place + 1) * side].numpy()
    return bool(part[panel.mask].max() > part[panel.masks[panel.twin]].max())


def _box_iou(first: Sequence[int], second: Sequence[int]) -> float:
    across = min(first[2], second[2]) - max(first[0], second[0])
    down = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(across, 0) * max(down, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return shared / (areas - shared)
