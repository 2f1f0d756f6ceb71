from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvsl.data.targets import (
    Boxes,
    FileTarget,
    Mask,
    Nowhere,
    Shape,
    SideBySide,
    clipped,
    files_of,
    pixel_box,
)

numbers = st.floats(allow_nan=True, allow_infinity=True)
shares = st.floats(-2, 3)


@dataclass(frozen=True)
class Everywhere(FileTarget):
    def load(self, shape: Shape | None) -> Boxes:
        return Boxes(((0, 0, 1, 1),))


@given(st.tuples(numbers, numbers, numbers, numbers))
def test_a_clipped_box_lies_in_the_picture_and_has_an_area(box: tuple[float, ...]) -> None:
    found = clipped(box)
    if found is not None:
        left, top, right, bottom = found
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


@given(st.tuples(shares, shares, shares, shares))
def test_clipping_keeps_what_lies_inside(box: tuple[float, ...]) -> None:
    left, top, right, bottom = box
    inside = max(left, 0) < min(right, 1) and max(top, 0) < min(bottom, 1)
    assert (clipped(box) is not None) == inside
    if inside:
        assert clipped(box) == (max(left, 0), max(top, 0), min(right, 1), min(bottom, 1))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0.3968, 0.6625, -2.8823037615171176e16, 0.984), None),  # of VGG-SS
        ((0.26875, 1.0, 0.753125, 1.0), None),  # of VGG-SS
        ((-1e300, 0.5, 0.25, 7), (0.0, 0.5, 0.25, 1.0)),
        ((float("nan"), 0, 1, 1), None),
    ],
)
def test_wild_boxes(box: tuple[float, ...], expected: tuple[float, ...] | None) -> None:
    assert clipped(box) == expected


@given(st.tuples(shares, shares, shares, shares), st.integers(1, 300), st.integers(1, 300))
def test_boxes_are_cut_off_as_public_evaluators_do(
    box: tuple[float, float, float, float], height: int, width: int
) -> None:
    cut = clipped(box)
    if cut is not None:
        pixels = zip(
            pixel_box(cut, height, width), np.array(cut) * ([width, height] * 2), strict=True
        )
        # Exactly astype(int), but for what rounding takes from a whole number.
        assert all(one in (int(two), int(two + 1e-5)) for one, two in pixels)


@given(st.integers(1, 2000), st.data())
def test_boxes_given_in_pixels_come_back(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first + 1, size))
    box = (first / size, first / size, last / size, last / size)
    assert pixel_box(box, size, size) == (first, first, last, last)


def test_overlapping_boxes_are_a_union() -> None:
    drawn = Boxes(((0.0, 0.0, 0.5, 0.5), (0.25, 0.25, 1.0, 1.0))).draw(8, 4)
    expected = np.zeros((8, 4))
    expected[:4, :2] = 1
    expected[2:, 1:] = 1
    np.testing.assert_array_equal(drawn, expected)
    assert drawn.dtype == np.float32


def test_no_box_draws_nothing() -> None:
    assert not Boxes(()).draw(3, 5).any()
    assert Nowhere().draw(3, 5).shape == (3, 5)
    assert not Nowhere().draw(3, 5).any()


def test_a_mask_at_its_own_size_is_itself() -> None:
    mask = np.random.default_rng(0).random((7, 11)) > 0.5
    np.testing.assert_array_equal(Mask(mask).draw(7, 11), mask)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
def test_a_mask_is_drawn_by_the_nearest_pixels(
    rows: int, columns: int, height: int, width: int
) -> None:
    mask = np.random.default_rng(rows * 10 + columns).random((rows, columns)) > 0.5
    drawn = Mask(mask).draw(height, width)
    for row in range(height):
        for column in range(width):
            source = int((row + 0.5) * rows / height), int((column + 0.5) * columns / width)
            assert drawn[row, column] == mask[source]


def test_side_by_side_draws_each_part_in_its_panel() -> None:
    target = SideBySide((Boxes(((0, 0, 0.5, 1),)), Nowhere(), Boxes(((0.5, 0, 1, 0.5),))))
    drawn = target.draw(2, 12)
    expected = np.zeros((2, 12))
    expected[:, :2] = 1
    expected[0, 10:] = 1
    np.testing.assert_array_equal(drawn, expected)


def test_files_of_targets() -> None:
    one, other = Path("one"), Path("other")
    target = SideBySide((Everywhere(one), Nowhere(), Everywhere(other)))
    assert files_of(target) == (one, other)
    assert files_of(Boxes(())) == ()
