"""Average precision: of pixels within a map, of clips within a class.

AP = Σ_n (R_n - R_{n-1}) P_n over the distinct scores, highest first: scikit-learn's
`average_precision_score`, equal scores taken together. A scalar per positive says the same: AP is
the mean, over the positives, of the precision at the positive's own score. So one sort is enough,
and all that follows it concerns the positives alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.metrics.maps import to_float64
from tvsl.metrics.validation import (
    Array,
    as_tensor,
    check_pairs,
    maps_of,
    masks_of,
    require,
    targets_of,
)

_GPU_PIXELS = 1 << 26  # at a time
_ROW_BITS = 35  # keys lie within ±2^33


def average_precision(maps: Array, targets: Array) -> Tensor:
    """Pixel average precision of each map (AP and CAP of the tables).

    Args:
        maps: (P, H, W), floating; only their order counts.
        targets: (P, H, W) bool.

    Returns:
        (P,) in [0, 1], float64; NaN where a target is empty, since nothing can be recalled there.

    Raises:
        ShapeError: The shapes differ, targets are not bool, or a value is not finite.

    Example:
        >>> target = torch.tensor([[[True, True], [False, False]]])
        >>> average_precision(torch.tensor([[[0.9, 0.5], [0.6, 0.0]]]), target).tolist()
        [0.8333333333333333]
    """
    maps = maps_of(maps, finite=False)
    targets = masks_of(targets_of(targets, maps))
    check_pairs(maps, targets)
    return _of_rows(maps.detach().flatten(1), targets.flatten(1))


def _of_rows(scores: Tensor, truth: Tensor) -> Tensor:
    """AP of every row of (R, N); NaN where no column is true."""
    if scores.element_size() < 4:
        scores = scores.float()
    if scores.device.type == "cpu":
        return _one_by_one(scores, truth)
    count = max(1, _GPU_PIXELS // scores.shape[1])
    parts = zip(scores.split(count), truth.split(count), strict=True)
    return torch.cat([_all_at_once(*part) for part in parts])


def _check_finite(low: float, high: float) -> None:
    require(
        math.isfinite(low) and math.isfinite(high),
        "A score is not finite.",
        "Look for an overflow where the maps are made.",
    )


def _one_by_one(scores: Tensor, truth: Tensor) -> Tensor:
    """AP of every row by NumPy, whose sort is many times as fast as torch's on CPUs."""
    rows = zip(scores.numpy(), truth.numpy(), strict=True)
    return torch.tensor([_of_row(*row) for row in rows], dtype=torch.float64)


def _of_row(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """AP of one row, (N,)."""
    positives = np.count_nonzero(truth)
    keys = _keys(scores)  # integers, so that the truth can be their last bit
    if positives == 0:
        return np.nan
    keys |= truth
    # Negatives below every positive are never predicted: in a good map, most of it.
    line = keys[keys >= keys[truth].min() - 1]
    line.sort()
    place = np.flatnonzero((line.astype(np.uint8) & 1).view(np.bool_))
    key = line[place]
    # Equal positives stand together; the first of them speaks for all.
    begins = np.ones(positives + 1, dtype=np.bool_)
    begins[1:-1] = key[1:] != key[:-1]
    bounds = np.flatnonzero(begins)
    rank = bounds[:-1]
    if len(rank) < positives:
        place, key = place[rank], key[rank]
    # Negatives of the same score stand just before: all from the first of them on are predicted.
    # (Before place 0 comes the last one, which is no smaller.)
    tied = np.flatnonzero(line[place - 1] == key - 1)
    place[tied] = np.searchsorted(line, key[tied] - 1)
    precision = (positives - rank) / (len(line) - place)
    return float((precision * np.diff(bounds)).sum()) / positives  # no BLAS, no threads


def _keys(scores: NDArray[Any]) -> NDArray[Any]:
    """Even integers in the order of the scores, whose last bit is free."""
    low, high = float(scores.min()), float(scores.max())
    _check_finite(low, high)
    if scores.dtype == np.float64:  # its bits leave no room
        return 2 * np.unique(scores, return_inverse=True)[1]
    # The bits of a float are in the order of its value; adding 0 makes -0 a 0.
    bits = (scores + np.float32(0)).view(np.int32)
    if low >= 0 and high < 2:  # so that int32 is wide enough
        bits <<= 1
        return bits
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64) << 1


def _all_at_once(scores: Tensor, truth: Tensor) -> Tensor:
    """AP of every row by torch: `_of_row`, many rows at a time, for GPUs."""
    rows, columns = scores.shape
    if rows:
        low, high = scores.aminmax()
        _check_finite(float(low), float(high))
    if scores.dtype == torch.float64:
        order = scores.unique(return_inverse=True)[1]
    else:
        bits = (scores + 0.0).view(torch.int32)
        order = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
    # With the row as the highest digit all rows together are one sorted line.
    digit = torch.arange(rows, device=scores.device)[:, None] << _ROW_BITS
    line = (order.mul_(2).add_(truth).sort(dim=1).values + digit).flatten()
    place = (line & 1).nonzero()[:, 0]
    positives = (place // columns).bincount(minlength=rows)
    key = line[place]
    begins = torch.ones_like(key, dtype=torch.bool)
    begins[1:] = key[1:] != key[:-1]
    rank = begins.nonzero()[:, 0]
    place, key = place[rank], key[rank]
    row = place // columns
    tied = (line[(place - 1).clamp(min=0)] == key - 1).nonzero()[:, 0]
    place[tied] = torch.searchsorted(line, key[tied] - 1)
    precision = to_float64(positives.cumsum(0)[row] - rank) / ((row + 1) * columns - place)
    gained = torch.diff(rank, append=positives.sum()[None])
    total = precision.new_zeros(rows).index_add_(0, row, precision * gained)
    result: Tensor = total / positives
    return result


def detection_mean_average_precision(scores: Array, labels: Array) -> Tensor:
    """How well the sounding classes are detected (Sec. 3.2): mAP over clips.

    Args:
        scores: (B, N), floating, higher = more likely heard and seen.
        labels: (B, N) bool, the true classes.

    Returns:
        A scalar in [0, 1], float64: the mean over the classes that occur in any clip.

    Raises:
        ShapeError: The shapes differ, labels are not bool, no class occurs, or a score is not
            finite.
    """
    scores, labels = as_tensor(scores, "Scores"), as_tensor(labels, "Labels")
    require(
        scores.ndim == 2 and scores.shape == labels.shape and scores.is_floating_point(),
        f"Scores and labels must share one shape (B, N), got {tuple(scores.shape)} {scores.dtype} "
        f"and {tuple(labels.shape)}.",
        "Give one row per clip and one column per class.",
    )
    labels = masks_of(labels, scores, "Labels")
    occurs = labels.any(dim=0)
    require(bool(occurs.any()), "No clip has a label.", "Give at least one true class.")
    rows, truth = scores.detach()[:, occurs].T.contiguous(), labels[:, occurs].T.contiguous()
    return _of_rows(rows, truth).mean()
