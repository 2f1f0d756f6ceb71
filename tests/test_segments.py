from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tvsl.boxes import Box, box_iou
from tvsl.errors import UsageError
from tvsl.localization import Localization, SoundSource
from tvsl.segments import (
    find_segments,
    mark_duplicates,
    smooth,
    steady,
)

SIZE = (60, 80)
Map = NDArray[np.float32]


def hill(row: float, column: float, width: float = 1.5) -> Map:
    y, x = np.mgrid[:6, :8]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / width).astype(np.float32)


def source(label: str, score: float = 0.5, grid: Map | None = None) -> SoundSource:
    return SoundSource(label, score, hill(2, 3) if grid is None else grid, SIZE, (0.0, 1.0))


def moment(time: float | None, *sources: SoundSource, still: bool = False) -> Localization:
    return Localization(tuple(sources), "detected", "m", SIZE, time, (0.0, 1.0), still=still)


def test_iou_of_boxes() -> None:
    assert box_iou(Box(0, 0, 4, 4), Box(2, 0, 6, 4)) == pytest.approx(8 / 24)
    assert box_iou(Box(0, 0, 4, 4), Box(4, 0, 6, 4)) == 0


# Segments


def test_a_segment_ends_where_a_moment_lacks_its_label() -> None:
    moments = [
        moment(0.0, source("dog", 0.2)),
        moment(0.5, source("dog", 0.9), source("cat", 0.3)),
        moment(1.0, source("cat", 0.4)),
        moment(1.5, source("dog", 0.6)),
    ]
    found = find_segments(moments, 0.5, end=1.6)
    assert [(one.label, one.start, one.end, one.moments) for one in found] == [
        ("dog", 0.0, 0.75, 2),
        ("cat", 0.25, 1.25, 2),
        ("dog", 1.25, 1.6, 1),
    ]
    assert (found[0].peak, found[0].peak_time) == (0.9, 0.5)
    assert found[0].score == pytest.approx(0.55)


@pytest.mark.parametrize(("start", "begins"), [(0.0, 9.5), (9.7, 9.7), (10.0, 10.0), (10.4, 10.0)])
def test_a_segment_begins_no_earlier_than_the_stretch(start: float, begins: float) -> None:
    moments = [moment(10.0, source("dog")), moment(11.0, source("dog"))]
    (found,) = find_segments(moments, 1.0, 12.0, start)
    assert (found.start, found.end) == (begins, 11.5)


def test_the_mean_box_is_the_mean_of_each_corner() -> None:
    first, second = source("dog", grid=hill(1, 1)), source("dog", grid=hill(4, 6))
    (found,) = find_segments([moment(0.0, first), moment(1.0, second)], 1.0)
    assert first.box is not None
    assert second.box is not None
    expected = np.mean([first.box.to_list(), second.box.to_list()], axis=0)
    assert found.box is not None
    assert np.abs(np.array(found.box.to_list()) - expected).max() <= 0.5


def test_one_moment_lasts_as_long_as_its_sound() -> None:
    (found,) = find_segments([moment(None, source("dog"))], None)
    assert (found.start, found.end, found.peak_time) == (0.0, 1.0, None)


def test_a_label_that_comes_twice_in_a_moment_counts_once() -> None:
    (found,) = find_segments([moment(0.0, source("dog", 0.9), source("dog", 0.1))], 1.0)
    assert (found.moments, found.peak) == (1, 0.9)


# Duplicates


def test_the_less_certain_of_two_labels_on_one_object_is_marked() -> None:
    found = mark_duplicates(
        moment(0.0, source("man", 0.3), source("woman", 0.8), source("dog", 0.9, hill(5, 7)))
    )
    assert [one.duplicate_of for one in found.sources] == ["woman", None, None]
    assert [one.label for one in found.without_duplicates().sources] == ["woman", "dog"]


def test_of_equal_scores_the_first_is_kept() -> None:
    found = mark_duplicates(moment(0.0, source("a", 0.0), source("b", 0.0)))
    assert [one.duplicate_of for one in found.sources] == [None, "a"]


def test_a_map_without_contrast_is_no_duplicate() -> None:
    flat = np.zeros((6, 8), np.float32)
    found = moment(0.0, source("a", grid=flat), source("b", grid=flat))
    assert mark_duplicates(found) is found


def test_a_segment_is_a_duplicate_where_most_of_its_moments_are() -> None:
    both = mark_duplicates(moment(0.0, source("man", 0.3), source("woman", 0.8)))
    apart = moment(1.0, source("man", 0.3, hill(5, 7)), source("woman", 0.8))
    marked = {
        one.label: one.duplicate_of
        for one in find_segments([both, replace(both, time=0.5), apart], 0.5)
    }
    assert marked == {"man": "woman", "woman": None}
    half = {one.label: one.duplicate_of for one in find_segments([both, apart], 1.0)}
    assert half == {"man": None, "woman": None}


# Still pictures


def test_boxes_of_a_still_picture_stand_still() -> None:
    generator = np.random.default_rng(0)
    jumping = [
        moment(
            float(n),
            source("dog", grid=hill(*generator.uniform(1, 5, size=2))),
            still=n > 0,
        )
        for n in range(8)
    ]
    before = {one.sources[0].box for one in jumping}
    steadied = list(steady(jumping))
    assert len(before) > 2
    assert len({one.sources[0].box for one in steadied}) == 1
    mean = np.mean([one.sources[0].grid for one in jumping], axis=0)
    np.testing.assert_allclose(steadied[3].sources[0].grid, mean, atol=1e-6)
    assert [one.time for one in steadied] == [one.time for one in jumping]


def test_moving_pictures_are_left_as_they_are() -> None:
    moving = [moment(float(n), source("dog", grid=hill(n, n))) for n in range(5)]
    for before, after in zip(moving, steady(moving), strict=True):
        np.testing.assert_array_equal(before.sources[0].grid, after.sources[0].grid)


def test_a_new_picture_begins_anew() -> None:
    grids = [hill(1, 1), hill(1, 3), hill(4, 6), hill(4, 4)]
    moments = [
        moment(float(n), source("dog", grid=grid), still=n % 2 == 1) for n, grid in enumerate(grids)
    ]
    after = [one.sources[0].grid for one in steady(moments)]
    np.testing.assert_allclose(after[0], (grids[0] + grids[1]) / 2, atol=1e-6)
    np.testing.assert_allclose(after[3], (grids[2] + grids[3]) / 2, atol=1e-6)


def test_moments_are_held_back_no_longer_than_the_picture_stands() -> None:
    taken: list[float] = []

    def moments() -> list[Localization]:
        return [moment(float(n), source("dog"), still=n in (1, 2)) for n in range(5)]

    def noted() -> object:
        for one in moments():
            taken.append(one.time or 0.0)
            yield one

    stream = steady(noted())  # type: ignore[arg-type]
    assert next(stream).time == 0.0
    assert taken == [0.0, 1.0, 2.0, 3.0]


def test_a_long_still_picture_is_given_out_in_parts() -> None:
    generator = np.random.default_rng(1)
    grids = [hill(*generator.uniform(1, 5, size=2)) for _ in range(150)]
    moments = [moment(float(n), source("dog", grid=g), still=n > 0) for n, g in enumerate(grids)]
    after = [one.sources[0].grid for one in steady(moments)]
    assert len(after) == 150
    np.testing.assert_allclose(after[70], np.mean(grids[:120], axis=0), atol=1e-5)
    np.testing.assert_allclose(after[149], np.mean(grids, axis=0), atol=1e-5)


# Smoothing


def test_smoothing_weights_by_a_triangle() -> None:
    grids = [hill(1, 1), hill(2, 3), hill(4, 6)]
    moments = [moment(float(n), source("dog", grid=grid)) for n, grid in enumerate(grids)]
    after = [one.sources[0].grid for one in smooth(moments, 4.0)]
    np.testing.assert_allclose(after[1], (grids[0] / 2 + grids[1] + grids[2] / 2) / 2, atol=1e-6)
    np.testing.assert_allclose(after[0], (grids[0] + grids[1] / 2) / 1.5, atol=1e-6)


def test_smoothing_over_less_than_a_step_changes_nothing() -> None:
    moments = [moment(float(n), source("dog", grid=hill(n, n))) for n in range(4)]
    for before, after in zip(moments, smooth(moments, 1.9), strict=True):
        np.testing.assert_allclose(before.sources[0].grid, after.sources[0].grid, atol=1e-6)


def test_smoothing_leaves_out_moments_without_the_label() -> None:
    first, last = moment(0.0, source("dog", grid=hill(1, 1))), moment(2.0, source("dog"))
    after = list(smooth([first, moment(1.0, source("cat")), last], 4.0))
    np.testing.assert_allclose(after[0].sources[0].grid, hill(1, 1), atol=1e-6)
    np.testing.assert_allclose(after[1].sources[0].grid, hill(2, 3), atol=1e-6)
    assert [one.time for one in after] == [0.0, 1.0, 2.0]


def test_smoothing_over_no_time_is_refused() -> None:
    with pytest.raises(UsageError):
        list(smooth([], 0.0))
