"""From a list of objects to a picture with exact masks and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.exact import circle
from tvsl.synthetic.ground import (
    add_clutter,
    blend,
    coverage,
    offsets,
    patch,
    photographed,
    textured,
)
from tvsl.synthetic.layout import SIDE
from tvsl.synthetic.shapes import SHAPE_DISTANCES
from tvsl.synthetic.surfaces import SURFACE_PAINTS
from tvsl.synthetic.vocabulary import parts


@dataclass(frozen=True)
class WorldObject:
    """An object of a picture.

    Attributes:
        label: Its class.
        x: Centre from the left in pixels.
        y: Centre from the top in pixels.
        radius: Size in pixels.
        turn: How far it is turned, in full turns.
        sounds: Whether it makes the clip's sound.
        twin: Whether it is the silent twin of the object that sounds, or that object.
    """

    label: str
    x: float
    y: float
    radius: float
    turn: float
    sounds: bool
    twin: bool


def render_picture(
    rng: np.random.Generator, objects: Sequence[WorldObject]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Paint objects on a ground.

    Args:
        rng: Source of randomness.
        objects: They do not overlap.

    Returns:
        The picture, (112, 112, 3) uint8 RGB, and the mask of each object, (n, 112, 112).
    """
    picture = textured(rng)
    add_clutter(rng, picture)
    masks = np.zeros((len(objects), SIDE, SIDE), dtype=np.bool_)
    for mask, thing in zip(masks, objects, strict=True):
        surface, shape = parts(thing.label)
        window = patch(thing.x, thing.y, thing.radius + 2)
        x, y = offsets(thing.x, thing.y, window)
        cosine, across = (np.float32(value) for value in circle(thing.turn))
        own_x, own_y = x * cosine + y * across, y * cosine - x * across
        share = coverage(SHAPE_DISTANCES[shape](own_x, own_y, thing.radius))
        paint = SURFACE_PAINTS[surface](rng, surface, own_x, own_y, thing.radius)
        blend(picture, window, share, paint)
        mask[window] = share >= 0.5
    return photographed(rng, picture), masks


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Smallest box around a mask (H, W): left, top, right, bottom in pixels, ends exclusive."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
