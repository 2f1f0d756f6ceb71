"""Whether a source is there at all: scores with silent and off-screen sounds (SLAVC).

Every public evaluator but SLAVC's asks only where. With frames whose sound has no visible source
among the others, a map also has a confidence, and a prediction is one at a confidence of t or more:
right where the cIoU reaches its threshold, wrong where it does not or where nothing sounds. A
sounding frame below t is a miss; one that is found in the wrong place is wrong, but no miss.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.metrics.maps import sort_rows, to_float64
from tvsl.metrics.validation import (
    Array,
    as_tensor,
    flags_of,
    maps_of,
    number_of,
    require,
    values_of,
)

CONFIDENT_SHARE = 0.25
"""The share of a map's pixels whose mean is its confidence."""

_CURVE_STEPS, _F1_STEPS = 200, 10


def confidence(maps: Array, share: float = CONFIDENT_SHARE) -> Tensor:
    """How sure a map is that something sounds: the mean of its highest pixels.

    Args:
        maps: (P, H, W), floating; in [0, 1] for SLAVC's protocol.
        share: Part of the pixels that counts, in (0, 1]; rounded down, but at least one pixel.

    Returns:
        (P,), float64.

    Raises:
        ShapeError: Not maps, or a share outside (0, 1].
    """
    maps = maps_of(maps)
    share = number_of(share, "A share")
    require(0 < share <= 1, f"No part of a map is {share}.", "Give a share over 0 and up to 1.")
    pixels = maps.shape[1] * maps.shape[2]
    highest = sort_rows(maps.detach().flatten(1).clone())[:, -max(1, int(share * pixels)) :]
    return to_float64(highest).mean(dim=1)


def precision_recall(
    confidence: Array, correct: Array, sounding: Array, thresholds: Array
) -> tuple[Tensor, Tensor]:
    """Precision and recall of the predictions at some confidences.

    Args:
        confidence: (P,).
        correct: (P,) bool, whether the map is in the right place.
        sounding: (P,) bool, whether there is anything to be found.
        thresholds: (T,), confidences from which on a map is a prediction.

    Returns:
        Precision and recall, (T,) each, float64. Both are 1 where they have nothing to count.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    sure = values_of(confidence)
    right_place = flags_of(correct, sure, "places")
    there = flags_of(sounding, sure, "targets")
    levels = as_tensor(thresholds, "Thresholds").to(sure)
    require(
        levels.ndim == 1 and not bool(levels.isnan().any()),
        f"Thresholds must be numbers (T,), got {tuple(levels.shape)}.",
        "Give the confidences from which on a map is a prediction.",
    )

    def predicted(chosen: Tensor) -> Tensor:
        ordered = sure[chosen].sort().values
        return to_float64(len(ordered) - torch.searchsorted(ordered, levels.contiguous()))

    right = predicted(right_place & there)
    every = predicted(torch.ones_like(there))
    missed = there.sum() - predicted(there)
    return _quotient(right, every), _quotient(right, right + missed)


def _quotient(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole, torch.ones_like(part))


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
    """
    confidence = values_of(confidence)
    ciou = values_of(ciou, confidence, "cIoUs")
    threshold = number_of(threshold, "A threshold")
    stride = max(1, len(confidence) // _CURVE_STEPS)
    thresholds = confidence.sort().values[:-1].flip(0)[::stride].contiguous()
    precision, recall = precision_recall(confidence, ciou >= threshold, sounding, thresholds)
    envelope = precision.flip(0).cummax(dim=0).values.flip(0)
    return (envelope[:-1] * recall.diff()).sum()


def negatives_max_f1(
    confidence: Array, ciou: Array, sounding: Array, threshold: float = 0.5
) -> Tensor:
    """The best F1 over the confidence, as `EvaluatorFull.finalize_stats` of SLAVC computes it.

    About eleven quantiles of the confidences are tried. SLAVC prints it in percent with one digit.

    Args:
        confidence: (P,), from `confidence`.
        ciou: (P,) in [0, 1].
        sounding: (P,) bool, False for silent and off-screen pairs.
        threshold: From this cIoU on a map is in the right place.

    Returns:
        A scalar in [0, 1], float64.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    confidence = values_of(confidence)
    ciou = values_of(ciou, confidence, "cIoUs")
    threshold = number_of(threshold, "A threshold")
    stride = max(1, len(confidence) // _F1_STEPS)
    thresholds = confidence.sort().values[::stride].contiguous()
    precision, recall = precision_recall(confidence, ciou >= threshold, sounding, thresholds)
    both = precision + recall
    return torch.where(both > 0, 2 * precision * recall / both, torch.zeros_like(both)).max()
