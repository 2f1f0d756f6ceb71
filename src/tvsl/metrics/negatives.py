"""Scores with silent and off-screen sounds: is there a source at all? (SLAVC).

Every public evaluator but SLAVC's asks only where. With frames whose sound has no visible source
among the others, a map also has a confidence, and a prediction is one at a confidence of t or more:
right where the cIoU reaches its threshold, wrong where it does not or where nothing sounds. A
sounding frame below t is a miss; one that is found in the wrong place is wrong, but no miss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.metrics.intervals import Statistic
from tvsl.metrics.maps import (
    Array,
    as_tensor,
    check_flags,
    check_maps,
    check_number,
    check_values,
    require,
    sort_rows,
)
from tvsl.metrics.overlap import ciou as ciou_of
from tvsl.metrics.pair_metric import Columns, PairMetric

CONFIDENT_SHARE = 0.25
"""The share of a map's pixels whose mean is its confidence."""

_CURVE_STEPS, _F1_STEPS = 200, 10


def confidence(maps: Array, share: float = CONFIDENT_SHARE) -> Tensor:
    """Confidence of a map that something sounds: the mean of its highest pixels.

    Args:
        maps: (P, H, W), floating; in [0, 1] for SLAVC's protocol.
        share: Part of the pixels that counts, in (0, 1]; rounded down, but at least one pixel.

    Returns:
        (P,), float64.

    Raises:
        ShapeError: Not maps, or a share outside (0, 1].

    Examples:
        >>> confidence([[[0.9, 0.7, 0.1, 0.3]]], share=0.5).item()
        0.8
    """
    maps = check_maps(maps)
    share = check_number(share, "A share")
    require(0 < share <= 1, f"No part of a map is {share}.", "Give a share over 0 and up to 1.")
    pixels = maps.shape[1] * maps.shape[2]
    highest = sort_rows(maps.detach().flatten(1).clone())[:, -max(1, int(share * pixels)) :]
    return highest.double().mean(dim=1)


def precision_recall(
    confidence: Array, correct: Array, sounding: Array, thresholds: Array
) -> tuple[Tensor, Tensor]:
    """Precision and recall of the predictions at some confidences.

    Args:
        confidence: (P,).
        correct: (P,) bool, true where the map is in the right place.
        sounding: (P,) bool, true where there is anything to be found.
        thresholds: (T,), confidences from which on a map is a prediction.

    Returns:
        Precision and recall, (T,) each, float64. Both are 1 where they have nothing to count.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.

    Examples:
        >>> sure, place, there = [0.9, 0.8, 0.1], [True, False, True], [True, True, True]
        >>> [value.tolist() for value in precision_recall(sure, place, there, [0.5])]
        [[0.5], [0.5]]
    """
    sure = check_values(confidence)
    right_place = check_flags(correct, sure, "places")
    there = check_flags(sounding, sure, "targets")
    levels = as_tensor(thresholds, "Thresholds").to(sure)
    require(
        levels.ndim == 1 and not bool(levels.isnan().any()),
        f"Thresholds must be numbers (T,), got {tuple(levels.shape)}.",
        "Give the confidences from which on a map is a prediction.",
    )

    def predicted(chosen: Tensor) -> Tensor:
        ordered = sure[chosen].sort().values
        return (len(ordered) - torch.searchsorted(ordered, levels.contiguous())).double()

    right = predicted(right_place & there)
    every = predicted(torch.ones_like(there))
    missed = there.sum() - predicted(there)
    return _quotient(right, every), _quotient(right, right + missed)


def _quotient(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole, torch.ones_like(part))


def _curve(
    confidence: Array, ciou: Array, sounding: Array, threshold: float, falling: bool
) -> tuple[Tensor, Tensor]:
    """Precision and recall at the confidences that SLAVC tries for the AP (falling) or the F1."""
    confidence = check_values(confidence)
    ciou = check_values(ciou, confidence, "cIoUs")
    correct = ciou >= check_number(threshold, "A threshold")
    ordered = confidence.sort().values
    tried = ordered[:-1].flip(0) if falling else ordered
    stride = max(1, len(ordered) // (_CURVE_STEPS if falling else _F1_STEPS))
    return precision_recall(confidence, correct, sounding, tried[::stride].contiguous())


def negatives_average_precision(
    confidence: Array, ciou: Array, sounding: Array, threshold: float = 0.5
) -> Tensor:
    """AP over the confidence, as `EvaluatorFull.calc_ap` of SLAVC computes it.

    The confidences are thresholds from high to low, the highest left out and about 200 at most;
    precision is made to fall with recall; the first step of recall, from 0, is not counted. All of
    this lowers the number a little and is kept, since published numbers have it.

    Args:
        confidence: (P,), from `confidence`.
        ciou: (P,) in [0, 1].
        sounding: (P,) bool, False for silent and off-screen pairs.
        threshold: From this cIoU on a map is in the right place.

    Returns:
        A scalar in [0, 1], float64.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.

    Examples:
        >>> sure, overlap = [0.9, 0.8, 0.7, 0.1], [0.6, 0.7, 0.0, 0.0]
        >>> negatives_average_precision(sure, overlap, [True, True, True, False]).item()
        0.33333333333333337
    """
    precision, recall = _curve(confidence, ciou, sounding, threshold, falling=True)
    envelope = precision.flip(0).cummax(dim=0).values.flip(0)
    return (envelope[:-1] * recall.diff()).sum()


def negatives_max_f1(
    confidence: Array, ciou: Array, sounding: Array, threshold: float = 0.5
) -> Tensor:
    """Best F1 over the confidence, as `EvaluatorFull.finalize_stats` of SLAVC computes it.

    About eleven quantiles of the confidences are tried. SLAVC prints it in percent with one digit.

    Args:
        confidence: As for `negatives_average_precision`, like the others.
        ciou: (P,).
        sounding: (P,).
        threshold: Least cIoU of the right place.

    Returns:
        A scalar in [0, 1], float64.

    Raises:
        ShapeError: As for `negatives_average_precision`.

    Examples:
        >>> negatives_max_f1([0.9, 0.8, 0.1], [0.6, 0.7, 0.0], [True, True, False]).item()
        1.0
    """
    precision, recall = _curve(confidence, ciou, sounding, threshold, falling=False)
    both = precision + recall
    return torch.where(both > 0, 2 * precision * recall / both, torch.zeros_like(both)).max()


def resampled_negatives(
    confidence: Array, ciou: Array, sounding: Array, falling: bool, threshold: float = 0.5
) -> Statistic:
    """AP or best F1 over the confidence as a function of counts, for intervals.

    The thresholds that are tried are places among the sorted confidences of a resample, found by
    running sums of the counts.

    Args:
        confidence: As for `negatives_average_precision`, like the others.
        ciou: (P,).
        sounding: (P,).
        falling: The AP, with its thresholds from high to low; else the best F1.
        threshold: Least cIoU of the right place.
    """
    sure = check_values(confidence).cpu().double().numpy()
    there = check_flags(sounding, check_values(confidence), "targets").cpu().numpy()
    right = there & (check_values(ciou).cpu().numpy() >= threshold)
    order = np.argsort(sure, kind="stable")
    ordered = sure[order]
    # At a threshold all of the same confidence are predicted.
    first = np.searchsorted(ordered, ordered, side="left")
    flags = np.stack([np.ones(len(order)), right[order], there[order]])

    def of_one(counts: NDArray[np.float64]) -> float:
        running = counts[order].cumsum()
        total = int(running[-1])
        if total == 0:
            return float("nan")
        stride = max(1, total // (_CURVE_STEPS if falling else _F1_STEPS))
        ranks = np.arange(total - 2, -1, -stride) if falling else np.arange(0, total, stride)
        place = first[np.searchsorted(running, ranks, side="right")]
        above = (flags * counts[order])[:, ::-1].cumsum(axis=1)[:, ::-1]
        every, hits, seen = above[:, place]
        missed = above[2, 0] - seen
        precision = np.where(every > 0, hits / np.maximum(every, 1), 1.0)
        recall = np.where(hits + missed > 0, hits / np.maximum(hits + missed, 1), 1.0)
        if falling:
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            return float((envelope[:-1] * np.diff(recall)).sum())
        both = precision + recall
        return float(np.where(both > 0, 2 * precision * recall / np.maximum(both, 1e-12), 0).max())

    return lambda counts: np.array([of_one(one) for one in counts])


class NegativesAveragePrecision(PairMetric[Tensor]):
    """AP over the confidence with silent and off-screen sounds among the pairs (SLAVC).

    Args:
        threshold: From this cIoU on a map is in the right place.
        level: Pixels of this value or more are the prediction.
        normalize: Whether maps are raw and are to be normalized to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no such threshold or level.

    Examples:
        >>> metric = NegativesAveragePrecision(normalize=False)
        >>> metric.update([[[0.9, 0.1]], [[0.8, 0.2]], [[0.0, 0.7]]], [[[True, False]]] * 3)
        >>> round(metric.compute().item(), 4)
        0.3333
    """

    score_names = ("ciou", "confidence")
    include_empty = True

    def __init__(
        self, threshold: float = 0.5, level: float = 0.5, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(normalize, **kwargs)
        self.threshold = check_number(threshold, "A threshold")
        self.level = check_number(level, "The level of a cut")

    def score(self, maps: Tensor, targets: Tensor) -> Columns:
        """CIoU and confidence of each pair; see the base class."""
        return {"ciou": ciou_of(maps, targets, self.level), "confidence": confidence(maps)}

    def aggregate(self, columns: Columns) -> Tensor:
        """Area under the published precision-recall curve."""
        return negatives_average_precision(
            columns["confidence"], columns["ciou"], columns["sounding"], self.threshold
        )


class NegativesMaxF1(NegativesAveragePrecision):
    """Best F1 over the confidence (SLAVC); arguments as for `NegativesAveragePrecision`.

    Examples:
        >>> metric = NegativesMaxF1(normalize=False)
        >>> metric.update([[[0.9, 0.1]], [[0.8, 0.2]], [[0.0, 0.7]]], [[[True, False]]] * 3)
        >>> metric.compute().item()
        0.8
    """

    def aggregate(self, columns: Columns) -> Tensor:
        """Best F1."""
        return negatives_max_f1(
            columns["confidence"], columns["ciou"], columns["sounding"], self.threshold
        )
