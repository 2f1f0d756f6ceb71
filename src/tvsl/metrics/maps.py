"""Maps before they are scored: their size and range."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.metrics.checks import check_maps, require


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring maps to the size of their targets, bilinear (design, Sec. 7).

    Args:
        maps: (P, h, w), floating.
        size: Height and width, in pixels.

    Returns:
        (P, H, W). Corners are not aligned: a cell is an area, not a point.

    Raises:
        ShapeError: Not maps, or a size below one pixel.
    """
    check_maps(maps)
    require(min(size) > 0, f"No map has the size {size}.", "Give a height and width in pixels.")
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def minmax(maps: Tensor) -> Tensor:
    """Stretch each map to [0, 1], as every public evaluator but one does.

    Args:
        maps: (P, H, W), floating.

    Returns:
        (P, H, W) in [0, 1]. A constant map says nothing and becomes zeros.

    Raises:
        ShapeError: Not maps, or a value is not finite.
    """
    check_maps(maps)
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    require(
        bool((low.isfinite() & high.isfinite()).all()),
        "A map holds a value that is not finite.",
        "Look for an overflow where the maps are made.",
    )
    span = high - low
    return (maps - low).div_(torch.where(span > 0, span, torch.ones_like(span)))
