"""Pictures of the made-up world: grounds, and objects of a surface and a shape.

All radii come from one distribution and all places are drawn jointly, so that size, place and order
do not reveal the sounding object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.exact import circle, clamped, power, sine
from tvsl.synthetic.vocabulary import surface_and_shape

SIDE = 112
SMALLEST, LARGEST = 12.0, 30.0
TWIN_RATIO = 1.6
_CANDIDATES = 64
_GAP = 2.0

Place = tuple[float, float, float]
"""Centre x, centre y and radius in pixels."""

Plane = NDArray[np.float32]

Canvas = NDArray[np.float32]

_COLOURS = {
    "red": (205.0, 45.0, 40.0),
    "green": (45.0, 165.0, 60.0),
    "blue": (45.0, 75.0, 205.0),
    "yellow": (225.0, 200.0, 45.0),
}
_COLOUR_SPREAD = 28.0
_TINT = 18.0

Paint = Callable[[np.random.Generator, str, Plane, Plane, float], Canvas]


def draw_radius(rng: np.random.Generator) -> float:
    """Draw a radius in pixels, log-uniform from 12 to 30."""
    return SMALLEST * power(LARGEST / SMALLEST, rng.random())


def draw_places(rng: np.random.Generator, count: int, twin: bool) -> list[Place]:
    """Draw places for objects that do not overlap.

    Args:
        rng: Source of randomness.
        count: Number of objects.
        twin: Whether the first two are twins, whose radii differ by a factor of at least 1.6.
    """
    while True:
        radii = [draw_radius(rng) for _ in range(count)]
        if twin and max(radii[:2]) < TWIN_RATIO * min(radii[:2]):
            continue
        radius = np.array(radii)
        centres = radius[:, None] + rng.random((_CANDIDATES, count, 2)) * (
            SIDE - 2 * radius[:, None]
        )
        first, second = np.triu_indices(count, 1)
        apart = np.square(centres[:, first] - centres[:, second]).sum(axis=-1)
        fits = (apart > np.square(radius[first] + radius[second] + _GAP)).all(axis=1)
        if fits.any():
            chosen = centres[int(fits.argmax())]
            return [(float(x), float(y), r) for (x, y), r in zip(chosen, radii, strict=True)]


def draw_other(rng: np.random.Generator, names: Sequence[str], taken: set[str]) -> str:
    """Draw a class that is not taken.

    Args:
        rng: Source of randomness.
        names: The classes to draw from.
        taken: Classes to leave out.
    """
    free = [name for name in names if name not in taken]
    return free[int(rng.integers(len(free)))]


def _disc(x: Plane, y: Plane, radius: float) -> Plane:
    """A filled circle."""
    return _length(x, y) - np.float32(0.92 * radius)


def _square(x: Plane, y: Plane, radius: float) -> Plane:
    """A square; its corners lie 5 % outside the circle of the radius, its sides inside."""
    return np.maximum(abs(x), abs(y)) - np.float32(0.7 * radius)


def _triangle(x: Plane, y: Plane, radius: float) -> Plane:
    """A triangle of equal sides around the centre."""
    cosine, sine = circle(1 / 6)
    slanted = np.float32(sine) * abs(x) - np.float32(cosine) * y
    return np.maximum(slanted, y) - np.float32(0.5 * radius)


def _star(x: Plane, y: Plane, radius: float) -> Plane:
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


def _ring(x: Plane, y: Plane, radius: float) -> Plane:
    """A circle with a hole."""
    return abs(_length(x, y) - np.float32(0.7 * radius)) - np.float32(0.24 * radius)


def _cross(x: Plane, y: Plane, radius: float) -> Plane:
    """Two bars at right angles."""
    x, y = abs(x), abs(y)
    longer, shorter = np.maximum(x, y), np.minimum(x, y)
    return np.maximum(longer - np.float32(0.95 * radius), shorter - np.float32(0.31 * radius))


def _length(x: Plane, y: Plane) -> Plane:
    return np.sqrt(x * x + y * y)


SHAPE_DISTANCES: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}
"""Signed distance in pixels from a shape's outline, negative inside.

Takes the offsets x and y from the centre and the radius, all in pixels."""


def _coloured(rng: np.random.Generator, name: str, x: Plane, y: Plane, radius: float) -> Canvas:
    """One colour, a little off and lighter towards one side."""
    base = np.array(_COLOURS[name]) + _COLOUR_SPREAD * (2 * rng.random(3) - 1)
    slope = (2 * rng.random(2) - 1) * 24 / radius
    light = np.float32(slope[0]) * x + np.float32(slope[1]) * y
    return base.astype(np.float32) + light[..., None]


def _striped(rng: np.random.Generator, name: str, x: Plane, y: Plane, radius: float) -> Canvas:  # noqa: ARG001
    """Parallel light and dark stripes, fixed to the object's own axes."""
    period = radius * (0.36 + 0.12 * rng.random())
    phase = rng.random()
    turns = x * np.float32(1 / period) + np.float32(phase)
    # A triangle wave around each edge: a ramp of about one pixel, so that stripes have no jags.
    wave = abs(turns - np.floor(turns) - np.float32(0.5)) - np.float32(0.25)
    return _two_tones(rng, np.clip(wave * np.float32(period) + np.float32(0.5), 0, 1))


def _dotted(rng: np.random.Generator, name: str, x: Plane, y: Plane, radius: float) -> Canvas:  # noqa: ARG001
    """Dots on a square grid, light on dark or dark on light."""
    period = radius * (0.42 + 0.10 * rng.random())
    offset = rng.random(2)
    across = x * np.float32(1 / period) + np.float32(offset[0])
    down = y * np.float32(1 / period) + np.float32(offset[1])
    across, down = across - np.floor(across) - 0.5, down - np.floor(down) - 0.5
    inside = np.float32(0.3) - np.sqrt(across * across + down * down)
    return _two_tones(rng, np.clip(inside * np.float32(period) + np.float32(0.5), 0, 1))


def _two_tones(rng: np.random.Generator, share: Plane) -> Canvas:
    """Blend a light and a dark tone, both almost grey; which is which is left to chance."""
    light = 215 + 30 * (rng.random() - 0.5) + _TINT * (2 * rng.random(3) - 1)
    dark = 35 + 40 * (rng.random() - 0.5) + _TINT * (2 * rng.random(3) - 1)
    first, second = (light, dark) if rng.random() < 0.5 else (dark, light)
    step = (second - first).astype(np.float32)
    return first.astype(np.float32) + share[..., None] * step


SURFACE_PAINTS: dict[str, Paint] = {
    **dict.fromkeys(_COLOURS, _coloured),
    "striped": _striped,
    "dotted": _dotted,
}
"""Colours (h, w, 3) of a surface, in 0 to 255.

Takes the random generator, the surface's name, offsets x and y in the object's own axes, and the
radius."""


@cache
def _pixel_centres() -> NDArray[np.float32]:
    """Coordinates of the pixels' centres along one side, (112,)."""
    return np.arange(SIDE, dtype=np.float32) + np.float32(0.5)


def _ground(rng: np.random.Generator) -> Canvas:
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


def _add_clutter(rng: np.random.Generator, picture: Canvas) -> None:
    """Draw two to six short strokes of any colour into a picture."""
    for _ in range(int(rng.integers(2, 7))):
        centre = SIDE * rng.random(2)
        half, thickness = 2 + 9 * rng.random(), 0.8 + 1.7 * rng.random()
        cosine, across = circle(rng.random())
        colour = (255 * rng.random(3)).astype(np.float32)
        window = _window(centre[0], centre[1], half + thickness + 1)
        x, y = _offsets(centre[0], centre[1], window)
        along = x * np.float32(cosine) + y * np.float32(across)
        beside = y * np.float32(cosine) - x * np.float32(across)
        beyond = along - clamped(along.copy(), -half, half)
        distance = np.sqrt(beyond * beyond + beside * beside) - np.float32(thickness)
        _blend(picture, window, _coverage(distance), colour)


def _photograph(rng: np.random.Generator, picture: Canvas) -> NDArray[np.uint8]:
    """Apply a camera's light, contrast, colour cast and noise; (112, 112, 3) uint8."""
    contrast = (0.8 + 0.4 * rng.random()) * (1 + 0.16 * (rng.random(3) - 0.5))
    light = 128 + 50 * (rng.random() - 0.5) - 128 * contrast
    noise = np.frombuffer(rng.bytes(picture.size), dtype=np.int8).reshape(SIDE, -1)
    rows = picture.reshape(SIDE, -1) * _along_row(contrast)
    rows += _along_row(light)
    rows += noise * np.float32((2 + 14 * rng.random()) / 128)
    seen = clamped(rows, 0, 255)
    return np.rint(seen, out=seen).astype(np.uint8).reshape(picture.shape)


def _window(x: float, y: float, reach: float) -> tuple[slice, slice]:
    """The pixels within reach of a point, as slices of rows and columns."""
    rows, columns = (
        slice(max(0, int(centre - reach)), min(SIDE, int(centre + reach) + 1)) for centre in (y, x)
    )
    return rows, columns


def _offsets(x: float, y: float, window: tuple[slice, slice]) -> tuple[Plane, Plane]:
    """Offsets of a window's pixels from a point: across, (1, w), and down, (h, 1)."""
    centres = _pixel_centres()
    across, down = centres[window[1]] - np.float32(x), centres[window[0]] - np.float32(y)
    return across[None], down[:, None]


def _coverage(distance: Plane) -> Plane:
    """Share of each pixel inside an outline, from the signed distance of its centre."""
    return clamped(np.float32(0.5) - distance, 0, 1)


def _blend(
    picture: Canvas, window: tuple[slice, slice], share: Plane, paint: NDArray[np.float32]
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
    place = _pixel_centres().astype(np.float64) * cells / SIDE
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
    centres = _pixel_centres()
    # Whole turns added keep the angle above 0, as the look-up wants it.
    along = centres * np.float32(cosine / period) + np.float32(rng.random() + 64)
    return sine(along + (centres * np.float32(across / period))[:, None])


@dataclass(frozen=True)
class WorldObject:
    """An object of a picture.

    Attributes:
        label: Its class.
        x: Centre from the left in pixels.
        y: Centre from the top in pixels.
        radius: Size in pixels.
        turn: Its rotation in full turns.
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
    picture = _ground(rng)
    _add_clutter(rng, picture)
    masks = np.zeros((len(objects), SIDE, SIDE), dtype=np.bool_)
    for mask, thing in zip(masks, objects, strict=True):
        surface, shape = surface_and_shape(thing.label)
        window = _window(thing.x, thing.y, thing.radius + 2)
        x, y = _offsets(thing.x, thing.y, window)
        cosine, across = (np.float32(value) for value in circle(thing.turn))
        own_x, own_y = x * cosine + y * across, y * cosine - x * across
        share = _coverage(SHAPE_DISTANCES[shape](own_x, own_y, thing.radius))
        paint = SURFACE_PAINTS[surface](rng, surface, own_x, own_y, thing.radius)
        _blend(picture, window, share, paint)
        mask[window] = share >= 0.5
    return _photograph(rng, picture), masks
