"""Boxes in pixels, and how a map becomes one: scaled up, normalized, cut around its peak."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.metrics.maps import minmax, resize_maps

BOX_CUT = 0.5
# Scaling a map without contrast leaves differences of this order, which mean nothing.
_ROUNDING = 1e-6
# Of larger pictures boxes are found in a map of this size: finer than any cell of a map by far.
LONGEST_BOX_SIDE = 4096
BOX_PROTOCOL = (
    f"bilinear to the picture's size (at most {LONGEST_BOX_SIDE} pixels a side), min-max, cut at "
    "0.5 of the range, bounding box of the connected region that holds the peak"
)
BOX_PIXELS = "columns and rows of the picture as shown: upright, with square pixels"


def upscale(grid: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale a map up to a picture's size, as protocols do (``resize_maps``).

    Args:
        grid: Map, (h, w), any range.
        size: Height and width of the picture in pixels.

    Returns:
        The map, ``size``, float32, same range.
    """
    scaled: NDArray[np.float32] = resize_maps(_one_map(grid), size)[0].numpy()
    return scaled


def _one_map(values: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]


def min_max(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalize a map (H, W) to [0, 1] by ``minmax``; without contrast but for rounding, to zero.

    Raises:
        ShapeError: A value is not finite.
    """
    low, high = float(values.min()), float(values.max())
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        return np.zeros_like(values, dtype=np.float32)
    normalized: NDArray[np.float32] = minmax(_one_map(values))[0].numpy()
    return normalized


def reduced_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """A size with the same shape whose longer side is at most a number of pixels.

    Args:
        size: Height and width in pixels.
        longest: Limit of the longer side in pixels.

    Returns:
        Height and width, at least 1 each.
    """
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the input picture; ``right`` and ``bottom`` are exclusive.

    The pixels are those of the picture as shown: a video that is stored turned, or with pixels that
    are not square, is turned upright and stretched first.

    Attributes:
        left: First column.
        top: First row.
        right: One past the last column.
        bottom: One past the last row.
    """

    left: int
    top: int
    right: int
    bottom: int

    def to_list(self) -> list[int]:
        """The four numbers, x1 y1 x2 y2."""
        return [self.left, self.top, self.right, self.bottom]


def shared_area(first: Box, second: Box) -> int:
    """Pixels that two boxes have in common.

    Args:
        first: A box.
        second: Another one.
    """
    across = min(first.right, second.right) - max(first.left, second.left)
    down = min(first.bottom, second.bottom) - max(first.top, second.top)
    return max(across, 0) * max(down, 0)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, 0 to 1.

    Args:
        first: A box.
        second: Another one.
    """
    shared = shared_area(first, second)
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (first, second)]
    return shared / (sum(areas) - shared)


def scaled_box(box: Box, size: tuple[int, int], target: tuple[int, int]) -> Box:
    """The same box in a picture of another size; at least one pixel large.

    Args:
        box: Box in a picture of ``size``.
        size: Height and width in pixels.
        target: Height and width of the other picture in pixels.
    """
    down, across = target[0] / size[0], target[1] / size[1]
    left, top = math.floor(box.left * across), math.floor(box.top * down)
    right, bottom = math.ceil(box.right * across), math.ceil(box.bottom * down)
    return Box(left, top, max(right, left + 1), max(bottom, top + 1))


def box_around_peak(heatmap: NDArray[np.float32], cut: float = BOX_CUT) -> Box | None:
    """Box of the connected region that holds the largest value; None where the map is all zero.

    Args:
        heatmap: Map, (H, W), in [0, 1].
        cut: Pixels at or over it belong to a region.
    """
    if float(heatmap.max()) <= 0.0:
        return None
    row, column = divmod(int(heatmap.argmax()), heatmap.shape[1])
    return _region_box(heatmap >= cut, row, column)


def _region_box(region: NDArray[np.bool_], row: int, column: int) -> Box:
    """Box of the connected pixels around one, run by run: a run touches those above and below."""
    edges = np.diff(region.view(np.int8), axis=1, prepend=0, append=0)
    length = edges.shape[1]
    # Numbers over all rows, so that one search finds the neighbours of every run.
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    neighbours = [
        (
            np.searchsorted(stops, starts + step, side="right").tolist(),
            np.searchsorted(starts, stops + step, side="left").tolist(),
        )
        for step in (-length, length)
    ]
    waiting = [int(np.searchsorted(starts, row * length + column, side="right")) - 1]
    is_found = [False] * len(starts)
    is_found[waiting[0]] = True
    while waiting:
        run = waiting.pop()
        for begins, ends in neighbours:
            for near in range(begins[run], ends[run]):
                if not is_found[near]:
                    is_found[near] = True
                    waiting.append(near)
    found = np.array(is_found)
    of_row, left = np.divmod(starts[found], length)
    right = stops[found] - of_row * length
    return Box(int(left.min()), int(of_row[0]), int(right.max()), int(of_row[-1]) + 1)
