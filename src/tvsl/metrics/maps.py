"""Maps before they are scored: their size, their range, and counts of their pixels.

Counts and their quotients are float64, which keeps every digit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.metrics.validation import Array, check_maps, require


def foreground(targets: Tensor) -> Tensor:
    """Pixels where a target is over 0, bool."""
    return targets if targets.dtype == torch.bool else targets > 0


def at_least(maps: Tensor, threshold: float | Tensor) -> Tensor:
    """Compare each pixel with a threshold.

    Args:
        maps: (P, H, W), floating.
        threshold: One for all, or one for each map, (P, 1, 1).

    Returns:
        (P, H, W) bool, true where the threshold is reached.
    """
    if maps.device.type != "cpu" or maps.dtype == torch.bfloat16:
        return maps >= threshold
    # NumPy compares about five times as fast as torch.
    level = threshold.detach().numpy() if isinstance(threshold, Tensor) else threshold
    return torch.from_numpy(maps.detach().numpy() >= level)


def count(masks: Tensor) -> Tensor:
    """Count the true elements of each row, (R, N) bool to (R,) float64."""
    if masks.device.type == "cpu":
        # NumPy counts bytes with vector instructions, many times as fast as torch sums them.
        counts = [np.count_nonzero(row) for row in masks.numpy()]
        return torch.tensor(counts, dtype=torch.float64)
    return masks.sum(dim=1).double()


def sort_rows(values: Tensor) -> Tensor:
    """Sort each row in ascending order, (P, N); the tensor given may be overwritten."""
    if values.device.type == "cpu" and values.dtype != torch.bfloat16:
        # NumPy sorts with vector instructions, about ten times as fast as torch.
        values.numpy().sort(axis=1)
        return values
    return values.sort(dim=1).values


def resize_maps(maps: Array, size: tuple[int, int]) -> Tensor:
    """Resize maps to the size of their targets, bilinear (design, Sec. 7).

    Args:
        maps: (P, h, w), floating.
        size: Height and width, in pixels.

    Returns:
        (P, H, W). Corners are not aligned: a cell is an area, not a point.

    Raises:
        ShapeError: Not maps, a value is not finite, or a size below one pixel.

    Examples:
        >>> resize_maps([[[0.0, 1.0]]], (1, 4)).tolist()
        [[[0.0, 0.25, 0.75, 1.0]]]
    """
    tensor = check_maps(maps)
    shape = tuple(size) if isinstance(size, tuple | list) else ()
    whole = len(shape) == 2 and all(isinstance(side, int | np.integer) for side in shape)
    require(
        whole and min(shape) > 0,
        f"No map has the size {size!r}.",
        "Give a height and width in pixels.",
    )
    height, width = (int(side) for side in shape)
    return F.interpolate(tensor[:, None], (height, width), mode="bilinear", align_corners=False)[
        :, 0
    ]


def minmax(maps: Array) -> Tensor:
    """Normalize each map to [0, 1], as every public evaluator but one does.

    Args:
        maps: (P, H, W), floating.

    Returns:
        (P, H, W) in [0, 1]. A constant map says nothing and becomes zeros.

    Raises:
        ShapeError: Not maps, or a value is not finite.

    Examples:
        >>> minmax([[[-1.0, 0.0, 3.0]]]).tolist()
        [[[0.0, 0.25, 1.0]]]
    """
    tensor = check_maps(maps, finite=False)
    low, high = tensor.amin(dim=(1, 2), keepdim=True), tensor.amax(dim=(1, 2), keepdim=True)
    require(
        bool((low.isfinite() & high.isfinite()).all()),
        "A map holds a value that is not finite.",
        "Look for an overflow where the maps are made.",
    )
    span = high - low
    return (tensor - low).div_(torch.where(span > 0, span, torch.ones_like(span)))
