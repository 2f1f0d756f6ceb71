"""Pictures that are shown for long: slides, screen recordings, a still picture with a song."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tvsl.localization import Localization
from tvsl.media.video import probe_video
from tvsl.render.video import write_overlay_video, write_page_video

from .inputs import Decoded, moment, read_video, source, write_video

SIZE = (48, 64)
SLIDES = [0.0, 1.5, 4.0]


def wandering(seconds: int) -> list[Localization]:
    """A map each second, always at another place."""
    return [
        moment(float(time), source("dog", 3, 2 * time, SIZE), size=SIZE) for time in range(seconds)
    ]


def drawn_columns(before: Decoded, after: Decoded) -> list[float]:
    """Middle of the columns that the overlay changes, for each picture."""
    columns = np.arange(before.images[0].shape[1])
    changes = [np.abs(one.astype(int) - before.images[0]).sum(axis=(0, 2)) for one in after.images]
    return [float((change * columns).sum() / change.sum()) for change in changes]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_maps_of_a_still_with_a_song_move(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, times=[0.0], seconds=5.3)
    target = write_overlay_video(path, tmp_path / "b.mp4", wandering(5), min_side=1)
    after = read_video(target)
    assert probe_video(path).duration == 5.5
    np.testing.assert_allclose(after.times, np.arange(55) / 10, atol=1e-3)
    assert after.duration == pytest.approx(5.5, abs=0.01)
    for number, (before, later) in enumerate(pairwise(after.images)):
        moved = np.abs(before.astype(int) - later).max() > 8
        assert moved == (number < 40), number  # the last map is held


@pytest.mark.parametrize(
    ("audio", "seconds", "end"), [(None, 0.0, 5.5), ("aac", 4.9, 5.5), ("aac", 7.8, 8.0)]
)
def test_slides_last_as_localizing_takes_them(
    audio: str | None, seconds: float, end: float, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mkv", times=SLIDES, audio=audio, seconds=seconds)
    assert probe_video(path).duration == end
    after = read_video(write_overlay_video(path, tmp_path / "b.mp4", wandering(5), min_side=1))
    np.testing.assert_allclose(after.times, np.arange(10 * end) / 10, atol=1e-3)
    assert after.duration == pytest.approx(end, abs=0.01)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])  # copied, and encoded anew
@pytest.mark.parametrize("times", [[0.0], SLIDES])
def test_the_last_picture_of_a_page_video_lasts_to_the_end(
    name: str, times: list[float], tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, times=times, seconds=7.8)
    write_page_video(path, tmp_path / "b.mp4", 64)
    after = read_video(tmp_path / "b.mp4")
    np.testing.assert_allclose(after.times, times, atol=2e-3)
    assert after.duration == pytest.approx(8.0, abs=0.01)


def test_a_held_picture_begins_and_ends_with_the_stretch(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=SLIDES, seconds=7.8)
    found = wandering(8)
    target = write_overlay_video(path, tmp_path / "b.mp4", found, min_side=1, start=2.0, end=3.55)
    after = read_video(target)
    np.testing.assert_allclose(after.times, np.arange(15) / 10, atol=1e-3)
    assert after.duration == pytest.approx(1.55, abs=0.01)
    whole = read_video(write_overlay_video(path, tmp_path / "w.mp4", found, min_side=1))
    expected = drawn_columns(read_video(path), whole)[20:35]  # from 2 s on, and not from 1.5 s
    np.testing.assert_allclose(drawn_columns(read_video(path), after), expected, atol=0.3)
    write_page_video(path, tmp_path / "c.mp4", 64, start=2.0, end=3.55)
    assert read_video(tmp_path / "c.mp4").duration == pytest.approx(1.55, abs=0.01)


@pytest.mark.parametrize("times", [[0.0], SLIDES])  # slides are stored before they are shown
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_of_a_held_picture_a_page_shows_the_stretch(
    name: str, times: list[float], tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, times=times, seconds=7.8)
    write_page_video(path, tmp_path / "b.mp4", 64, end=1.2)
    after = read_video(tmp_path / "b.mp4")
    assert after.times == [0.0]
    assert after.duration == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize("rate", [10, 25])
def test_a_picture_that_lasts_no_longer_than_a_step_is_written_once(
    rate: int, tmp_path: Path
) -> None:
    times = [number / rate for number in range(2 * rate)]
    path = write_video(tmp_path / "a.mkv", times=times, seconds=2.0)
    seen: list[tuple[int, int | None]] = []
    target = write_overlay_video(
        path, tmp_path / "b.mp4", wandering(2), progress=lambda *step: seen.append(step)
    )
    np.testing.assert_allclose(read_video(target).times, times, atol=2e-3)
    assert seen[-1][0] == 2 * rate
