"""The six shapes as signed distances to their outlines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.exact import circle

Plane = NDArray[np.float32]


def disc(x: Plane, y: Plane, radius: float) -> Plane:
    """A filled circle."""
    return _length(x, y) - np.float32(0.92 * radius)


def square(x: Plane, y: Plane, radius: float) -> Plane:
    """A square; its corners lie 5 % outside the circle of the radius, its sides inside."""
    return np.maximum(abs(x), abs(y)) - np.float32(0.7 * radius)


def triangle(x: Plane, y: Plane, radius: float) -> Plane:
    """A triangle of equal sides around the centre."""
    cosine, sine = circle(1 / 6)
    slanted = np.float32(sine) * abs(x) - np.float32(cosine) * y
    return np.maximum(slanted, y) - np.float32(0.5 * radius)


def star(x: Plane, y: Plane, radius: float) -> Plane:
    """A star of five points.

    Five lines bound its inner pentagon; a point of the star is beyond one of them at most. So the
    second largest of the five distances is negative inside.
    """
    distance = np.float32(radius * circle(1 / 5)[0])
    largest = second = np.full_like(x, -np.inf)
    for tip in range(5):
        cosine, sine = circle(tip / 5 - 0.25)
        line = np.float32(cosine) * x + np.float32(sine) * y - distance
        second = np.maximum(second, np.minimum(line, largest))
        largest = np.maximum(largest, line)
    return second


def ring(x: Plane, y: Plane, radius: float) -> Plane:
    """A circle with a hole."""
    return abs(_length(x, y) - np.float32(0.7 * radius)) - np.float32(0.24 * radius)


def cross(x: Plane, y: Plane, radius: float) -> Plane:
    """Two bars at right angles."""
    x, y = abs(x), abs(y)
    longer, shorter = np.maximum(x, y), np.minimum(x, y)
    return np.maximum(longer - np.float32(0.95 * radius), shorter - np.float32(0.31 * radius))


def _length(x: Plane, y: Plane) -> Plane:
    return np.sqrt(x * x + y * y)


SHAPE_DISTANCES: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "disc": disc,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "cross": cross,
}
"""Distance in pixels at offsets (x, y) from the centre, negative inside."""
