"""Masks against outlines that know nothing of signed distances: formulas and polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tvsl.scenes import box_of
from tvsl.synthetic.pictures import LARGEST, SIDE, SMALLEST, WorldObject, render_picture
from tvsl.synthetic.vocabulary import SHAPES

Points = list[tuple[float, float]]

radii = st.floats(SMALLEST, LARGEST)
turns = st.floats(0, 1)


def rays(radius: float, count: int, start: float) -> Points:
    angles = [math.radians(start) + math.tau * step / count for step in range(count)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]


def star(radius: float) -> Points:
    """Tips, and the notches between them where the lines between tips cross."""
    notch = radius * math.cos(math.radians(72)) / math.cos(math.radians(36))
    pairs = zip(rays(radius, 5, -90), rays(notch, 5, -54), strict=True)
    return [point for pair in pairs for point in pair]


def cross(radius: float) -> Points:
    long, short = 0.95 * radius, 0.31 * radius
    corner = [(short, long), (short, short), (long, short)]
    return (
        corner
        + [(x, -y) for x, y in corner[::-1]]
        + [(-x, -y) for x, y in corner]
        + [(-x, y) for x, y in corner[::-1]]
    )


def square(radius: float) -> Points:
    return rays(0.7 * math.sqrt(2) * radius, 4, 45)


def triangle(radius: float) -> Points:
    return rays(radius, 3, -90)


POLYGONS = {"square": square, "triangle": triangle, "star": star, "cross": cross}
BANDS = {"disc": (0.0, 0.92), "ring": (0.46, 0.94)}


def own_axes(thing: WorldObject) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every pixel's centre in the axes of an object."""
    centres = np.arange(SIDE) + 0.5
    x, y = centres[None] - thing.x, centres[:, None] - thing.y
    cosine, sine = math.cos(math.tau * thing.turn), math.sin(math.tau * thing.turn)
    return x * cosine + y * sine, y * cosine - x * sine


def inside_polygon(
    x: NDArray[np.float64], y: NDArray[np.float64], points: Points
) -> NDArray[np.bool_]:
    """Even-odd rule: a ray to the right crosses the outline an odd number of times."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    return inside


def expected_mask(shape: str, thing: WorldObject, slack: float) -> NDArray[np.bool_]:
    """The shape, its outline moved outwards by some hundredths of a pixel."""
    x, y = own_axes(thing)
    if shape in BANDS:
        low, high = BANDS[shape]
        distance = np.hypot(x, y)
        return (distance >= low * thing.radius - slack) & (distance <= high * thing.radius + slack)
    return inside_polygon(x, y, POLYGONS[shape](thing.radius + 3 * slack))


def expected_area(shape: str, radius: float) -> float:
    areas = {
        "disc": math.pi * 0.92**2,
        "square": (2 * 0.7) ** 2,
        "triangle": 3 * math.sqrt(3) / 4,
        "star": 5 * math.cos(math.radians(72)) * math.tan(math.radians(36)),
        "ring": math.pi * (0.94**2 - 0.46**2),
        "cross": 2 * (1.9 * 0.62) - 0.62**2,
    }
    return areas[shape] * radius**2


def draw(label: str, radius: float, turn: float, x: float, y: float) -> NDArray[np.bool_]:
    thing = WorldObject(label, x, y, radius, turn, sounds=True, twin=False)
    return render_picture(np.random.default_rng(0), [thing])[1][0]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=25)
@given(radius=radii, turn=turns, x=st.floats(30, 82), y=st.floats(30, 82))
def test_masks_are_the_shapes(shape: str, radius: float, turn: float, x: float, y: float) -> None:
    thing = WorldObject(f"red {shape}", x, y, radius, turn, sounds=True, twin=False)
    found = render_picture(np.random.default_rng(0), [thing])[1][0]
    # A centre that lies on the outline may fall to either side of it by rounding.
    assert (found >= expected_mask(shape, thing, -0.003)).all()
    assert (found <= expected_mask(shape, thing, 0.003)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_areas_are_those_of_the_formulas(shape: str) -> None:
    rng = np.random.default_rng(5)
    ratios = []
    for _ in range(25):
        radius, x, y = 12 + 18 * rng.random(), *(31 + 50 * rng.random(2))
        area = draw(f"blue {shape}", radius, rng.random(), x, y).sum()
        ratios.append(area / expected_area(shape, radius))
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)
    assert np.ptp(ratios) < 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_stay_within_their_circle(shape: str) -> None:
    """The circle lies in the frame; a square's corners may leave it by a pixel and a half."""
    reach = LARGEST + (1.5 if shape == "square" else 0.01)
    for turn in np.arange(0, 1, 1 / 16):
        mask = draw(f"green {shape}", LARGEST, float(turn), 56, 56)
        thing = WorldObject("", 56, 56, LARGEST, 0, sounds=True, twin=False)
        assert np.hypot(*own_axes(thing))[mask].max() <= reach


def test_boxes_are_the_extent_of_the_masks() -> None:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[3, 10] = mask[7, 5] = True
    assert box_of(mask) == (5, 3, 11, 8)


def test_an_object_changes_its_own_pixels_and_no_others() -> None:
    """The ground is drawn first and alike, so that without noise nothing else may change."""
    thing = WorldObject("striped star", 50, 60, 25, 0.1, sounds=True, twin=False)
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    ground, _ = render_picture(rng, [])
    picture, masks = render_picture(other, [thing])
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    x, y = own_axes(thing)
    far = np.hypot(x, y) > thing.radius + 2
    # The camera draws anew after the object: its light differs, the order of pixels does not.
    flat, seen = ground[far].astype(float).ravel(), picture[far].astype(float).ravel()
    assert np.corrcoef(flat, seen)[0, 1] > 0.75
    inside = masks[0]
    assert np.corrcoef(ground[inside].ravel(), picture[inside].ravel())[0, 1] < 0.5


@pytest.mark.parametrize(
    ("surface", "rule"),
    [
        ("red", lambda r, g, b: r > max(g, b) + 60),
        ("green", lambda r, g, b: g > max(r, b) + 40),
        ("blue", lambda r, g, b: b > max(r, g) + 60),
        ("yellow", lambda r, g, b: min(r, g) > b + 60),
    ],
)
def test_colours_are_what_they_are_called(surface: str, rule: object) -> None:
    assert callable(rule)
    for seed in range(20):
        thing = WorldObject(f"{surface} disc", 56, 56, 20, 0, sounds=True, twin=False)
        picture, masks = render_picture(np.random.default_rng(seed), [thing])
        assert rule(*picture[masks[0]].mean(axis=0))


@pytest.mark.parametrize("surface", ["striped", "dotted"])
def test_patterns_are_light_and_dark(surface: str) -> None:
    for seed in range(20):
        thing = WorldObject(f"{surface} square", 56, 56, 26, 0.07, sounds=True, twin=False)
        picture, masks = render_picture(np.random.default_rng(seed), [thing])
        lightness = picture[masks[0]].mean(axis=1)
        low, high = np.quantile(lightness, [0.1, 0.9])
        assert high - low > 80
        assert picture[masks[0]].mean(axis=0).std() < 25  # hardly any colour
