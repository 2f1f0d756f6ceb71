"""Maps before they are scored: their size and range."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.metrics.checks import Array, maps_of, require


def resize_maps(maps: Array, size: tuple[int, int]) -> Tensor:
    """Bring maps to the size of their targets, bilinear (design, Sec. 7).

    Args:
        maps: (P, h, w), floating.
        size: Height and width, in pixels.

    Returns:
        (P, H, W). Corners are not aligned: a cell is an area, not a point.

    Raises:
        ShapeError: Not maps, a value is not finite, or a size below one pixel.
    """
    tensor = maps_of(maps)
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
    """Stretch each map to [0, 1], as every public evaluator but one does.

    Args:
        maps: (P, H, W), floating.

    Returns:
        (P, H, W) in [0, 1]. A constant map says nothing and becomes zeros.

    Raises:
        ShapeError: Not maps, or a value is not finite.
    """
    tensor = maps_of(maps, finite=False)
    low, high = tensor.amin(dim=(1, 2), keepdim=True), tensor.amax(dim=(1, 2), keepdim=True)
    require(
        bool((low.isfinite() & high.isfinite()).all()),
        "A map holds a value that is not finite.",
        "Look for an overflow where the maps are made.",
    )
    span = high - low
    return (tensor - low).div_(torch.where(span > 0, span, torch.ones_like(span)))
