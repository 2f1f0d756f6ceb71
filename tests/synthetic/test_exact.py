from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvsl.synthetic.exact import (
    GRID,
    circle,
    clamped,
    decay_table,
    on_grid,
    power,
    root_mean_square,
    sine,
)

numbers = st.floats(-1e4, 1e4)


@given(numbers)
def test_on_grid_is_near_and_on_the_grid(value: float) -> None:
    found = on_grid(value)
    assert abs(found - value) <= GRID / 2
    assert (found / GRID).is_integer()


@given(st.integers(-(2**30), 2**30), st.floats(-0.49, 0.49))
def test_on_grid_hides_what_is_below_it(steps: int, rest: float) -> None:
    assert on_grid((steps + rest) * GRID) == steps * GRID


@given(st.floats(1.0, 20.0), st.floats(-3.0, 3.0))
def test_power_is_a_power(base: float, exponent: float) -> None:
    assert power(base, exponent) == pytest.approx(base**exponent, abs=GRID)


@given(st.floats(0, 1e4))
def test_sines_are_looked_up(turns: float) -> None:
    found = sine(np.array([turns]))
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(math.sin(2 * math.pi * turns), abs=2 * math.pi / 4096 + GRID)


def test_sines_keep_the_shape_and_the_period() -> None:
    turns = np.arange(12, dtype=np.float32).reshape(3, 4) / 12
    assert sine(turns).shape == (3, 4)
    assert np.array_equal(sine(turns), sine(turns + 1))


@given(st.floats(0, 1))
def test_circle_is_a_point_on_it(turns: float) -> None:
    cosine, across = circle(turns)
    assert math.hypot(cosine, across) == pytest.approx(1, abs=2 * GRID)
    assert math.atan2(across, cosine) % math.tau == pytest.approx(math.tau * turns, abs=1e-5) or (
        turns in (0, 1) or min(turns, 1 - turns) < 1e-5
    )


def test_decay_falls_to_1_over_e() -> None:
    table = decay_table()
    assert table[0] == 1
    assert table[256] == pytest.approx(math.exp(-1), abs=GRID)
    assert (np.diff(table) <= 0).all()


def test_clamped_is_clip() -> None:
    values = np.linspace(-3, 3, 50, dtype=np.float32)
    expected = np.clip(values, -1, 2)
    assert np.array_equal(clamped(values, -1, 2), expected)


def test_root_mean_square_is_right_and_knows_no_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, 20480).astype(np.float32)
    expected = math.sqrt(math.fsum(float(value) ** 2 for value in values) / len(values))
    found = root_mean_square(values)
    assert found == pytest.approx(expected, abs=GRID)
    for _ in range(20):
        assert root_mean_square(rng.permutation(values)) == found
