"""Maps of scenes against their ground truth, by the protocol ``paper``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from tvsl.evaluation.scenes import EncodedScenes
from tvsl.methods.base import Method
from tvsl.metrics import (
    PAPER,
    Figure,
    ProtocolMetric,
    class_average,
    minmax,
    resize_maps,
    success_auc,
    success_rate,
)
from tvsl.metrics.maps import count

SceneFigure = Figure | Literal["small IoU", "large IoU", "right twin", "detection"]
"""A number of a protocol, or one that only made-up scenes have."""

NOT_ALWAYS: frozenset[SceneFigure] = frozenset(
    {"small IoU", "large IoU", "right twin", "detection"}
)
"""Those that need enough sources, twins or a detector."""

Figures = dict[SceneFigure, float]
"""Figures in percent, by name."""

_CHUNK = 128


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of P (scene, source) pairs.

    Attributes:
        precision: Average precision over the pixels, (P,), in [0, 1].
        overlap: cIoU, (P,), in [0, 1].
        right_twin: Whether the map is higher on the object than on its silent twin, (P,), 0 or
            1; NaN for a pair without a twin.
        label: Class of each pair, (P,).
        area: Pixels of its truth, (P,).
    """

    precision: Tensor
    overlap: Tensor
    right_twin: Tensor
    label: Tensor
    area: Tensor

    @classmethod
    def joined(cls, parts: Sequence[PairScores]) -> PairScores:
        """The scores of several sets of pairs."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def only(self, chosen: Tensor) -> PairScores:
        """The scores of some of the pairs, (P,) bool."""
        names = [field.name for field in fields(self)]
        return PairScores(*(getattr(self, name)[chosen] for name in names))

    def strict(self, detected: Tensor) -> PairScores:
        """The same with 0 for every pair whose class was not detected, (P,) bool."""
        return replace(
            self,
            precision=self.precision * detected,
            overlap=self.overlap * detected,
            right_twin=self.right_twin * detected,
        )

    def summary(self, sources: int) -> Figures:
        """The protocol's figures in percent, and the mean cIoU of small and of large sources.

        Small and large: the third of the pairs with the smallest truth, and with the largest.

        Args:
            sources: How many sources the scenes have, which decides the figures: AP and IoU@τ of
                single sources, CAP and CIoU@τ of several.
        """
        by_size = self.overlap[self.area.argsort(stable=True)].tensor_split(3)
        twins = self.right_twin[~self.right_twin.isnan()]
        figures: dict[SceneFigure, Tensor] = {"AUC": success_auc(self.overlap)}
        if sources == 1:
            figures["AP"] = self.precision.mean()
            figures["IoU@0.1"] = success_rate(self.overlap, 0.1)
            figures["IoU@0.3"] = success_rate(self.overlap, 0.3)
            figures["IoU@0.5"] = success_rate(self.overlap, 0.5)
        else:
            figures["CAP"] = class_average(self.precision, self.label)
            figures["CIoU@0.1"] = success_rate(self.overlap, 0.1)
            figures["CIoU@0.3"] = success_rate(self.overlap, 0.3)
            figures["CIoU@0.5"] = success_rate(self.overlap, 0.5)
        if len(by_size[2]):  # three pairs at least
            figures |= {"small IoU": by_size[0].mean(), "large IoU": by_size[2].mean()}
        if len(twins):
            figures["right twin"] = twins.mean()
        return {name: 100 * float(value) for name, value in figures.items()}


@dataclass(frozen=True, eq=False)
class NamedScores:
    """What a method reaches in scenes, by where the names of the sources come from.

    Attributes:
        given: With the true names.
        detected: With as many detected ones as the scene has, strict: an undetected source scores
            0; None for a method that cannot detect or does not ask for names.
        detection: Its detection scores, (B, N) on the CPU; None where it has none.
    """

    given: PairScores
    detected: PairScores | None
    detection: Tensor | None


def score_named(method: Method, scenes: EncodedScenes, on: str = "boxes") -> NamedScores:
    """Score a calibrated head with given and with detected names.

    Args:
        method: The head, in evaluation mode.
        scenes: The scenes.
        on: Ground truth: ``boxes`` or ``masks``.

    Returns:
        Its scores.
    """
    raw = method.maps(scenes.tokens, scenes.queries, scenes.vocabulary)
    given = score_maps(method.postprocess(raw), scenes, on)
    detection = method.detect(scenes.tokens, scenes.vocabulary)
    if detection is None:
        return NamedScores(given, None, None)
    detection = detection.cpu()
    return NamedScores(given, given.strict(detected_pairs(detection, scenes)), detection)


def score_maps(
    maps: Tensor, scenes: EncodedScenes, on: str = "boxes", every: int = 1
) -> PairScores:
    """Score the maps of all true pairs.

    Args:
        maps: Maps as a method shows them, (P, h, w), in the order of the scenes' queries.
        scenes: The scenes.
        on: Ground truth: ``boxes`` or ``masks``.
        every: Which rows and columns are looked at: 1 for all, 2 for every other one. Figures that
            are told need all; to choose among a hundred candidates fewer will do.

    Returns:
        The scores.
    """
    seen = slice(None, None, every)
    targets = (scenes.boxes if on == "boxes" else scenes.masks)[:, seen, seen]
    masks, twins = scenes.masks[:, seen, seen], scenes.twins[:, seen, seen]
    metric = ProtocolMetric(PAPER, normalize=False)
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in torch.arange(len(maps)).split(_CHUNK):
        full = stretched(maps[part].float().cpu(), scenes.size)[:, seen, seen]
        measured = metric.pair_scores(full, targets[part])
        right = _right_twin(full, masks[part], twins[part])
        columns.append((measured["ap"], measured["ciou"], right))
    precision, overlap, right = (torch.cat(column) for column in zip(*columns, strict=True))
    area = count(targets.flatten(1))
    return PairScores(precision, overlap, right, scenes.queries.label.cpu(), area)


def stretched(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps as they are scored.

    Args:
        maps: As a method shows them, (P, h, w), on the CPU.
        size: Height and width in pixels.

    Returns:
        In full size and in [0, 1], (P, H, W); one without a range means all of the frame, or
        nothing.
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(low == high, (high > 0).float(), minmax(resize_maps(maps, size)))


def _right_twin(maps: Tensor, masks: Tensor, twins: Tensor) -> Tensor:
    """1 where the highest value lies on the object and not on its twin, NaN without a twin."""
    right = torch.full((len(maps),), torch.nan)
    pairs = twins.flatten(1).any(dim=1).nonzero()[:, 0]
    own = maps[pairs].masked_fill(~masks[pairs], -1).amax(dim=(1, 2))
    other = maps[pairs].masked_fill(~twins[pairs], -1).amax(dim=(1, 2))
    right[pairs] = (own > other).float()
    return right


def detected_pairs(scores: Tensor, scenes: EncodedScenes) -> Tensor:
    """Which true pairs a detector finds when it is told K of each scene: the top K classes.

    Args:
        scores: Detection scores, (B, N).
        scenes: The scenes.

    Returns:
        (P,) bool.
    """
    clip, label = scenes.queries.clip.cpu(), scenes.queries.label.cpu()
    return taken_classes(scores, torch.bincount(clip, minlength=len(scores)))[clip, label]


def taken_classes(scores: Tensor, sources: Tensor) -> Tensor:
    """The classes that a detector takes when it is told K of each scene: the top K.

    Args:
        scores: Detection scores, (B, N).
        sources: K of each scene, (B,), on the CPU.

    Returns:
        (B, N) bool.
    """
    order = scores.cpu().sort(dim=1, descending=True, stable=True).indices
    taken = torch.arange(scores.shape[1]) < sources[:, None]
    return torch.zeros(scores.shape, dtype=torch.bool).scatter_(1, order, taken)
