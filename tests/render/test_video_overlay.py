from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from tvsl.boxes import upscale
from tvsl.media.planes import BT601, BT709, ColorMatrix, split_planes
from tvsl.render.overlay import moment_overlay
from tvsl.render.video_overlay import InterpolatedMap, Keyframes, VideoOverlay, _larger, _Layer

from .inputs import as_image, as_planes, moment, picture, source
from .test_video import SIZE, moments


def test_colors_belong_to_labels_throughout() -> None:
    size = (96, 128)
    overlay = VideoOverlay(moments(size), size)
    assert list(overlay.colors) == ["dog", "rain"]
    planes = as_planes(picture(*size))
    for time, shown in ((0.0, ["dog"]), (0.2, ["dog"]), (0.6, ["dog", "rain"]), (0.9, [])):
        drawn = as_image(overlay.draw(planes, time)).astype(int)
        for label, color in overlay.colors.items():
            found = (np.abs(drawn - np.array(color)) <= 8).all(axis=-1).sum()
            assert (found > 20) == (label in shown)


@pytest.mark.parametrize(
    "times",
    [
        [number / 25 for number in range(30)],
        [0.0, 0.5, 1.0],
        [0.9, 0.3, 0.62, 0.1, 0.62],
        [0.4, 0.4, 0.4],
    ],
    ids=["25 a second", "2 a second", "to and fro", "one time"],
)
def test_what_is_drawn_does_not_depend_on_the_frames_before(times: list[float]) -> None:
    size = (96, 128)
    planes, overlay = as_planes(picture(*size)), VideoOverlay(moments(size), size)
    for time in times:
        alone = VideoOverlay(moments(size), size).draw(planes, time)
        np.testing.assert_array_equal(overlay.draw(planes, time), alone)


def test_the_next_step_is_drawn_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    size, drawn = (96, 128), list[tuple[float, bool]]()
    maps_at = Keyframes.maps_at

    def noted(keyframes: Keyframes, time: float) -> list[InterpolatedMap]:
        drawn.append((round(time, 6), threading.current_thread() is threading.main_thread()))
        return maps_at(keyframes, time)

    monkeypatch.setattr(Keyframes, "maps_at", noted)
    planes, overlay = as_planes(picture(*size)), VideoOverlay(moments(size), size)
    for number in range(16):
        overlay.draw(planes, 0.2 + number / 25)
    assert len(drawn) == len({time for time, _ in drawn}) > 5  # each step once
    assert [here for _, here in drawn] == [True] + [False] * (len(drawn) - 1)


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


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_frames_are_drawn_as_single_pictures_are(matrix: ColorMatrix) -> None:
    size = (360, 640)
    found = moment(0.0, source("dog", 2, 3, size), source("rain", 4, 8, size), size=size)
    overlay = VideoOverlay([found], size, matrix)
    image = picture(*size)
    drawn = overlay.draw(as_planes(image, matrix), 0.0)
    expected = as_planes(moment_overlay(image, found, overlay.colors), matrix)
    for one, other in zip(split_planes(drawn), split_planes(expected), strict=True):
        away = np.abs(one.astype(int) - other.astype(int))
        assert np.percentile(away, 95) <= 2
        # Lines and boxes may lie a pixel beside.
        assert (away > 24).mean() < 0.015


def test_a_map_without_contrast_has_a_legend_and_no_line() -> None:
    size = (96, 128)
    flat = replace(source("wind", 1, 1, size), grid=np.full((7, 12), 0.5, np.float32))
    image = np.full((*size, 3), 128, np.uint8)
    drawn = VideoOverlay([moment(0.0, flat, size=size)], size).draw(as_planes(image), 0.0)
    luma = split_planes(drawn)[0]
    changed = np.argwhere(luma != split_planes(as_planes(image))[0])
    assert len(changed)
    assert changed[:, 0].min() > size[0] / 2
    assert changed[:, 1].max() < size[1] * 3 / 4


@pytest.mark.parametrize("size", [(90, 160), (7, 12), (33, 50)])
def test_maps_are_scaled_up_as_everywhere(size: tuple[int, int]) -> None:
    grid = np.random.default_rng(2).random((7, 12), dtype=np.float32)
    larger = _larger(grid, size)
    assert larger.dtype == np.float32
    np.testing.assert_allclose(larger, upscale(grid, size), atol=1e-6)


def test_drawing_computes_nothing_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    size = (96, 128)
    overlay = VideoOverlay(moments(size), size)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("threads of torch would wait for small work")

    monkeypatch.setattr(torch.nn.functional, "interpolate", forbidden)
    monkeypatch.setattr(torch, "from_numpy", forbidden)
    planes = as_planes(picture(*size))
    assert overlay.draw(planes, 0.5) is not planes


def test_bright_frames_do_not_wrap_around() -> None:
    size = (64, 64)
    random = np.random.default_rng(3)
    for color in ((255, 255, 255), (255, 235, 60), (0, 0, 255), (255, 0, 0)):
        shares = random.uniform(0, 0.03, (16, 16)).astype(np.float32)
        shares[:, :4] = 0
        layer = np.stack([*(shares * part for part in color), shares]).astype(np.float32)
        white = np.full((96, 64), 255, np.uint8)
        assert _Layer(size, BT601, layer).over(white).min() > 240


def test_maps_move_in_tenths_of_a_second_and_meet_the_moments() -> None:
    keyframes = Keyframes(moments())  # at 0.2, 0.6 and 0.8 s
    for time, step in ((0.2, 0.2), (0.24, 0.2), (0.26, 0.3), (0.59, 0.6), (0.6, 0.6)):
        assert keyframes.step_at(time) == pytest.approx(step)
    assert keyframes.step_at(-1.0) == 0.2
    assert keyframes.step_at(9.0) == 0.8
    close = Keyframes([moment(0.04 * number, size=SIZE) for number in range(5)])
    assert close.step_at(0.079) == pytest.approx(0.08)
