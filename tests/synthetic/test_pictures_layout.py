"""Nothing but the sound may tell which object sounds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp, kstest

from tvsl.synthetic.pictures import (
    LARGEST,
    SIDE,
    SMALLEST,
    TWIN_RATIO,
    WorldObject,
    draw_other,
    draw_places,
    draw_radius,
)

UNLIKELY = 1e-3
LAYOUTS = 2000


@settings(max_examples=150)
@given(seed=st.integers(0, 2**40), count=st.integers(1, 3), twin=st.booleans())
def test_places_are_apart_in_frame_and_in_range(seed: int, count: int, twin: bool) -> None:
    twin = twin and count > 1
    places = draw_places(np.random.default_rng(seed), count, twin)
    assert len(places) == count
    for x, y, radius in places:
        assert SMALLEST <= radius <= LARGEST
        assert radius <= x <= SIDE - radius
        assert radius <= y <= SIDE - radius
    for (x1, y1, r1), (x2, y2, r2) in itertools.combinations(places, 2):
        assert math.hypot(x1 - x2, y1 - y2) > r1 + r2
    if twin:
        small, large = sorted(place[2] for place in places[:2])
        assert large >= TWIN_RATIO * small


def test_radii_are_log_uniform() -> None:
    rng = np.random.default_rng(3)
    q = [math.log(LARGEST / draw_radius(rng)) / math.log(LARGEST / SMALLEST) for _ in range(2000)]
    assert kstest(q, "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize(("count", "twin"), [(2, False), (3, False), (2, True), (3, True)])
def test_the_first_object_is_like_the_others(count: int, twin: bool) -> None:
    """The first is the one that sounds; its twin, or without twins any other, is just like it."""
    rng = np.random.default_rng((count, twin))
    drawn = np.array([draw_places(rng, count, twin) for _ in range(LAYOUTS)])
    for column in range(3):
        for other in range(1, 2 if twin else count):
            first, second = drawn[:, 0, column], drawn[:, other, column]
            assert ks_2samp(first, second).pvalue > UNLIKELY
    if twin:
        larger = np.count_nonzero(drawn[:, 0, 2] > drawn[:, 1, 2])
        assert chisquare([larger, LAYOUTS - larger]).pvalue > UNLIKELY


def test_in_whole_panels_size_place_turn_and_order_tell_nothing(
    panels: list[tuple[WorldObject, ...]],
) -> None:
    plain = [objects for objects in panels if not any(thing.twin for thing in objects)]
    crowded = [objects for objects in plain if len(objects) > 1]
    for name in ("x", "y", "radius", "turn"):
        sounding, silent = (
            [getattr(t, name) for objects in crowded for t in objects if t.sounds == sounds]
            for sounds in (True, False)
        )
        assert ks_2samp(sounding, silent).pvalue > UNLIKELY, name
    for count in (2, 3):
        at = [[t.sounds for t in objects].index(True) for objects in plain if len(objects) == count]
        assert chisquare(np.bincount(at, minlength=count)).pvalue > UNLIKELY


def test_the_sounding_twin_is_as_often_the_larger_one(
    panels: list[tuple[WorldObject, ...]],
) -> None:
    twins = [[t for t in objects if t.twin] for objects in panels]
    larger = [next(t for t in pair if t.sounds) == max(pair, key=lambda t: t.radius)
              for pair in twins if pair]  # fmt: skip
    assert len(larger) > 100
    assert chisquare([sum(larger), len(larger) - sum(larger)]).pvalue > UNLIKELY


def test_another_class_is_none_of_those_taken() -> None:
    rng = np.random.default_rng(0)
    names = ("a", "b", "c", "d")
    drawn = [draw_other(rng, names, {"b", "d"}) for _ in range(200)]
    assert set(drawn) == {"a", "c"}
    assert chisquare([drawn.count("a"), drawn.count("c")]).pvalue > UNLIKELY
