"""Backgrounds: value noise at two scales, gratings, clutter, and what a camera adds."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.exact import circle, clamped, sine
from tvsl.synthetic.layout import SIDE
from tvsl.synthetic.shapes import Plane
from tvsl.synthetic.surfaces import Picture


@cache
def pixel_centres() -> NDArray[np.float32]:
    """Coordinates of the pixels' centres along one side, (112,)."""
    return np.arange(SIDE, dtype=np.float32) + np.float32(0.5)


def textured(rng: np.random.Generator) -> Picture:
    """A ground, (112, 112, 3), around 0 to 255."""
    mean = 60 + 130 * rng.random(3)
    coarse = int(rng.integers(3, 7))
    fine = int(rng.integers(12, 25))
    rows = _value_noise(rng, coarse, 25 + 45 * rng.random())
    rows += _value_noise(rng, fine, 8 + 26 * rng.random())
    if rng.random() < 0.4:
        stripes = np.repeat(_grating(rng), 3, axis=1)
        stripes *= _along_row(25 * rng.random(3))
        rows += stripes
    rows += _along_row(mean)
    return rows.reshape(SIDE, SIDE, 3)


def add_clutter(rng: np.random.Generator, picture: Picture) -> None:
    """Draw two to six short strokes of any colour into a picture."""
    for _ in range(int(rng.integers(2, 7))):
        centre = SIDE * rng.random(2)
        half, thickness = 2 + 9 * rng.random(), 0.8 + 1.7 * rng.random()
        cosine, across = circle(rng.random())
        colour = (255 * rng.random(3)).astype(np.float32)
        window = patch(centre[0], centre[1], half + thickness + 1)
        x, y = offsets(centre[0], centre[1], window)
        along = x * np.float32(cosine) + y * np.float32(across)
        beside = y * np.float32(cosine) - x * np.float32(across)
        beyond = along - clamped(along.copy(), -half, half)
        distance = np.sqrt(beyond * beyond + beside * beside) - np.float32(thickness)
        blend(picture, window, coverage(distance), colour)


def photographed(rng: np.random.Generator, picture: Picture) -> NDArray[np.uint8]:
    """What a camera makes of a picture: light, contrast, cast and noise; (112, 112, 3) uint8."""
    contrast = (0.8 + 0.4 * rng.random()) * (1 + 0.16 * (rng.random(3) - 0.5))
    light = 128 + 50 * (rng.random() - 0.5) - 128 * contrast
    noise = np.frombuffer(rng.bytes(picture.size), dtype=np.int8).reshape(SIDE, -1)
    rows = picture.reshape(SIDE, -1) * _along_row(contrast)
    rows += _along_row(light)
    rows += noise * np.float32((2 + 14 * rng.random()) / 128)
    seen = clamped(rows, 0, 255)
    return np.rint(seen, out=seen).astype(np.uint8).reshape(picture.shape)


def patch(x: float, y: float, reach: float) -> tuple[slice, slice]:
    """The pixels within reach of a point, as slices of rows and columns."""
    rows, columns = (
        slice(max(0, int(centre - reach)), min(SIDE, int(centre + reach) + 1)) for centre in (y, x)
    )
    return rows, columns


def offsets(x: float, y: float, window: tuple[slice, slice]) -> tuple[Plane, Plane]:
    """Offsets of a window's pixels from a point: across, (1, w), and down, (h, 1)."""
    centres = pixel_centres()
    across, down = centres[window[1]] - np.float32(x), centres[window[0]] - np.float32(y)
    return across[None], down[:, None]


def coverage(distance: Plane) -> Plane:
    """How much of each pixel lies inside an outline, from the signed distance of its centre."""
    return clamped(np.float32(0.5) - distance, 0, 1)


def blend(
    picture: Picture, window: tuple[slice, slice], share: Plane, paint: NDArray[np.float32]
) -> None:
    """Paint a window of a picture in place, each pixel by its share."""
    below = picture[window]
    below += share[..., None] * (paint - below)


def _along_row(colour: NDArray[np.float64]) -> NDArray[np.float32]:
    """A colour repeated for each pixel of a row, (336,).

    Pictures are worked on as 112 rows of 336 values where all is done to whole rows: loops over
    the three values of a pixel are several times slower.
    """
    return np.tile(colour.astype(np.float32), SIDE)


@cache
def _interpolation(cells: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Left neighbour and smooth weight of each pixel on a lattice of ``cells`` + 1 knots."""
    place = pixel_centres().astype(np.float64) * cells / SIDE
    left = place.astype(np.intp)
    rest = place - left
    return left, (rest * rest * (3 - 2 * rest)).astype(np.float32)


@cache
def _row_interpolation(cells: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The same for each value of a row of pixels, (336,)."""
    left, weight = _interpolation(cells)
    return (3 * left[:, None] + np.arange(3)).ravel(), np.repeat(weight, 3)


def _value_noise(rng: np.random.Generator, cells: int, strength: float) -> Plane:
    """Random knots, smoothly interpolated; partly grey, partly coloured; (112, 336)."""
    colour = 0.3 + 0.7 * rng.random()
    knots = 2 * rng.random((cells + 1, cells + 1, 3)) - 1
    grey = 2 * rng.random((cells + 1, cells + 1, 1)) - 1
    lattice = (strength * (grey + colour * (knots - grey))).astype(np.float32)
    lattice = lattice.reshape(cells + 1, -1)
    left, weight = _interpolation(cells)
    rows = lattice[left] + weight[:, None] * (lattice[left + 1] - lattice[left])
    left, weight = _row_interpolation(cells)
    noise: Plane = (rows[:, 3:] - rows[:, :-3]).take(left, axis=1)
    noise *= weight
    noise += rows.take(left, axis=1)
    return noise


def _grating(rng: np.random.Generator) -> Plane:
    """Waves across the picture, (112, 112)."""
    period = 5 + 20 * rng.random()
    cosine, across = circle(rng.random())
    centres = pixel_centres()
    # Whole turns added keep the angle above 0, as the look-up wants it.
    along = centres * np.float32(cosine / period) + np.float32(rng.random() + 64)
    return sine(along + (centres * np.float32(across / period))[:, None])
