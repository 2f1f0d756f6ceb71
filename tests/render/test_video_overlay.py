from __future__ import annotations

import numpy as np
import pytest

from tvsl.boxes import min_max, upscale
from tvsl.render.colors import blend, color_layer
from tvsl.render.video_overlay import Keyframes, VideoOverlay

from .inputs import moment, picture, source
from .test_video import SIZE, moments


def test_colors_belong_to_labels_throughout() -> None:
    size = (96, 128)
    overlay = VideoOverlay(moments(size), size)
    assert list(overlay.colors) == ["dog", "rain"]
    image = picture(*size)
    for time, shown in ((0.0, ["dog"]), (0.2, ["dog"]), (0.6, ["dog", "rain"]), (0.9, [])):
        drawn = overlay.draw(image, time)
        for label, color in overlay.colors.items():
            found = (drawn == np.array(color, dtype=np.uint8)).all(axis=-1).sum()
            assert (found > 20) == (label in shown)


def test_maps_are_mixed_by_time_and_fade() -> None:
    keyframes = Keyframes(list(reversed(moments())))
    dog = {moment.time: moment.sources for moment in moments()}
    first, second = dog[0.2][0].grid, dog[0.6][1].grid
    halfway = {timed.label: timed for timed in keyframes.maps_at(0.4)}
    ranges = [(grid - grid.min()) / np.ptp(grid) for grid in (first, second)]
    np.testing.assert_allclose(halfway["dog"].grid, (ranges[0] + ranges[1]) / 2, atol=1e-5)
    assert halfway["dog"].presence == 1.0
    # A label of one moment alone fades half-way to the other: beyond lie other pictures.
    before = keyframes.maps_at(0.39)
    assert [timed.label for timed in before] == ["dog"]
    coming = {timed.label: timed for timed in keyframes.maps_at(0.5)}
    assert coming["rain"].presence == pytest.approx(0.5)
    fading = keyframes.maps_at(0.65)
    assert [timed.presence for timed in fading] == pytest.approx([0.5, 0.5])
    assert keyframes.maps_at(0.75) == []
    assert keyframes.maps_at(0.8) == []
    assert keyframes.maps_at(99.0) == []
    (held,), (at_first,) = keyframes.maps_at(-1.0), keyframes.maps_at(0.2)
    assert held.label == at_first.label == "dog"
    assert held.presence == at_first.presence == 1.0
    np.testing.assert_array_equal(held.grid, at_first.grid)


def test_moments_at_the_same_time_and_other_grids_do_not_crash() -> None:
    other = source("dog", 1, 1, SIZE)
    small = type(other)("dog", 0.5, other.grid[:3, :4].copy(), SIZE)
    keyframes = Keyframes(
        [
            moment(1.0, other, size=SIZE),
            moment(1.0, small, size=SIZE),
            moment(2.0, other, size=SIZE),
        ]
    )
    for time in (0.5, 1.0, 1.5, 2.0):
        assert [timed.label for timed in keyframes.maps_at(time)] == ["dog"]


def test_frames_are_blended_as_single_pictures_are() -> None:
    size = (90, 160)
    overlay = VideoOverlay([moment(0.0, source("dog", 2, 3, size), size=size)], size)
    image = picture(*size)
    drawn = overlay.draw(image, 0.0).astype(int)
    heat = min_max(upscale(source("dog", 2, 3, size).grid, size))
    expected = blend(image, color_layer([heat], [overlay.colors["dog"]])).astype(int)
    # But for line, box and name, which cover some of it.
    assert np.percentile(np.abs(drawn - expected).max(axis=-1), 75) <= 2


def test_maps_move_in_tenths_of_a_second_and_meet_the_moments() -> None:
    keyframes = Keyframes(moments())  # at 0.2, 0.6 and 0.8 s
    for time, step in ((0.2, 0.2), (0.24, 0.2), (0.26, 0.3), (0.59, 0.6), (0.6, 0.6)):
        assert keyframes.step_at(time) == pytest.approx(step)
    assert keyframes.step_at(-1.0) == 0.2
    assert keyframes.step_at(9.0) == 0.8
    close = Keyframes([moment(0.04 * number, size=SIZE) for number in range(5)])
    assert close.step_at(0.079) == pytest.approx(0.08)
