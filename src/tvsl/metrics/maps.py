"""Maps before they are scored: size, range, and the trivial maps beside every table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.metrics.checks import check_maps, require

CENTRE_SPREAD = 0.25
"""Standard deviation of the centre prior, in sides of the frame."""


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


def whole_frame(size: tuple[int, int]) -> Tensor:
    """The trivial map that finds everything: ones, (H, W), not to be stretched.

    A median cut scores it 60.8 % (cIoU@0.5) on one user's sample of Flickr-SoundNet.
    """
    return torch.ones(size)


def centre_prior(size: tuple[int, int], panels: int = 1) -> Tensor:
    """The trivial map that looks at the middle: a Gaussian, (H, W) in [0, 1].

    Args:
        size: Height and width, in pixels.
        panels: Frames that stand side by side, each with a middle of its own.

    Returns:
        A Gaussian of a quarter of each side, stretched to [0, 1].

    Raises:
        ShapeError: The panels do not divide the width.
    """
    height, width = size
    require(
        min(height, width, panels) > 0 and width % panels == 0,
        f"{panels} panels do not divide a frame of {size}.",
        "Give the size of the frames side by side.",
    )
    rows, columns = ((torch.arange(n) + 0.5) / n - 0.5 for n in (height, width // panels))
    distance = rows[:, None] ** 2 + columns[None, :] ** 2
    bump = torch.exp(-distance / (2 * CENTRE_SPREAD**2))
    return minmax(bump[None])[0].tile(1, panels)


def random_map(size: tuple[int, int], seed: int, index: int = 0) -> Tensor:
    """The trivial map that guesses: uniform noise, (H, W) in [0, 1).

    Args:
        size: Height and width, in pixels.
        seed: Of the whole evaluation.
        index: Which item it is for; whatever the order and number of processes, the map is one.
    """
    noise = np.random.default_rng((seed, index)).random(size, dtype=np.float32)
    return torch.from_numpy(noise)


def trivial_maps(
    size: tuple[int, int], indices: Sequence[int], panels: int = 1, seed: int = 0
) -> dict[str, Tensor]:
    """What stands beside every table, one map for each pair.

    Args:
        size: Height and width, in pixels.
        indices: The number of each pair, (P,); only the random maps depend on it.
        panels: Frames that stand side by side.
        seed: Of the random maps.

    Returns:
        Maps in [0, 1], (P, H, W), by the names of the baselines. Score them as they are: stretched,
        the whole frame would be a map that says nothing.
    """
    count = len(indices)
    random = [random_map(size, seed, index) for index in indices]
    return {
        "whole frame": whole_frame(size).expand(count, -1, -1),
        "centre": centre_prior(size, panels).expand(count, -1, -1),
        "random": torch.stack(random) if random else torch.empty(0, *size),
    }
