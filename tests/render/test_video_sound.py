"""The sound beside a drawn video where it is damaged, pauses or changes its form."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from tvsl.errors import MediaWarning
from tvsl.media.audio import load_audio
from tvsl.render.video import require_overlay_video, write_overlay_video, write_page_video
from tvsl.render.video_sound import SteadyBlocks

from .inputs import RATE, SAMPLE_RATE, moment, read_video, shift_and_match, write_video

SIZE = (48, 64)
TIMES = [number / RATE for number in range(3 * RATE)]


def damaged(path: Path, first: int, count: int) -> Path:
    """Overwrite some blocks of the sound of a Matroska file."""
    with av.open(str(path)) as container:
        blocks = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    content = path.read_bytes()
    for block in blocks[first : first + count]:
        assert content.count(block) == 1
        content = content.replace(block, b"\x5a" * len(block))
    bad = path.with_name(f"bad_{path.name}")
    bad.write_bytes(content)
    return bad


@pytest.mark.parametrize(("codec", "length"), [("flac", 4608), ("mp2", 1152)])
@pytest.mark.parametrize(("first", "count"), [(0, 1), (12, 1), (12, 3)])
def test_damaged_blocks_become_silence(
    codec: str, length: int, first: int, count: int, tmp_path: Path
) -> None:
    whole = write_video(tmp_path / "a.mkv", times=TIMES, audio=codec, seconds=3.0)
    bad = damaged(whole, first, count)
    if first:
        with pytest.warns(MediaWarning, match="damaged"):  # as localizing says
            load_audio(bad, 16_000)
    require_overlay_video(bad)
    before = read_video(whole)
    for target in (tmp_path / "b.mp4", tmp_path / "c.mp4"):
        if target.name == "b.mp4":
            write_overlay_video(bad, target, [moment(0.0, size=SIZE)], min_side=1)
        else:
            write_page_video(bad, target, 64)
        after = read_video(target)
        shift, likeness = shift_and_match(before, after)
        assert abs(shift) < 2e-3
        assert likeness > 0.9
        if first:
            place = round((after.lead - before.lead) * SAMPLE_RATE)
            middle = first * length + count * length // 2 - place
            quarter = slice(middle - length // 4, middle + length // 4)
            assert np.abs(after.samples[quarter]).max() < 0.02
        assert len(after.samples) == pytest.approx(3 * SAMPLE_RATE, abs=2 * length)


def block(
    samples: NDArray[np.float32], start: float | None, layout: str = "mono", rate: int = 8000
) -> AudioFrame:
    frame = AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate = rate
    frame.time_base = Fraction(1, 1000)
    frame.pts = None if start is None else round(1000 * start)
    return frame


def ones(channels: int = 1, count: int = 800) -> NDArray[np.float32]:
    return np.full((channels, count), 0.5, np.float32)


def given(line: SteadyBlocks, *frames: AudioFrame) -> list[tuple[float | None, int, float]]:
    """Time, length and largest sample of each block that is given on."""
    found = [one for frame in frames for one in line.add(frame)]
    return [(one.time, one.samples, float(np.abs(one.to_ndarray()).max())) for one in found]


def test_blocks_without_a_gap_are_given_on_as_they_are() -> None:
    line = SteadyBlocks("flac")
    frames = [block(ones(), 0.0), block(ones(), 0.101), block(ones(), None)]
    assert [one for frame in frames for one in line.add(frame)] == frames


def test_a_pause_is_filled_and_a_rounded_time_is_not() -> None:
    found = given(SteadyBlocks("flac"), block(ones(), 0.0), block(ones(), 0.12))
    assert found == [(0.0, 800, 0.5), (0.12, 800, 0.5)]
    found = given(SteadyBlocks("flac"), block(ones(), 0.0), block(ones(), 1.6))
    assert found == [(0.0, 800, 0.5), (0.1, 8000, 0.0), (1.1, 4000, 0.0), (1.6, 800, 0.5)]


def test_after_a_missing_block_the_smallest_gap_is_filled() -> None:
    line = SteadyBlocks("flac")
    assert given(line, block(ones(), 0.0)) == [(0.0, 800, 0.5)]
    line.miss()
    assert given(line, block(ones(), 0.12)) == [(0.1, 160, 0.0), (0.12, 800, 0.5)]


def test_times_that_are_far_off_are_not_filled() -> None:
    found = given(SteadyBlocks("flac"), block(ones(), 0.0), block(ones(), 9e5))
    assert found == [(0.0, 800, 0.5), (9e5, 800, 0.5)]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e20])
def test_what_damage_made_huge_becomes_silence(wrong: float) -> None:
    found = given(SteadyBlocks("vorbis"), block(ones(), 0.0), block(ones() * wrong, 0.1))
    assert found == [(0.0, 800, 0.5), (0.1, 800, 0.0)]


def test_a_sound_that_changes_its_form_keeps_the_first_one() -> None:
    line = SteadyBlocks("ac3")
    frames = [
        block(ones(2), 0.0, "stereo"),
        block(ones(), 0.1, "mono"),
        block(ones(2, 1600), 0.2, "stereo", 16_000),
        block(ones(2), 0.3, "stereo"),
    ]
    found = [one for frame in frames for one in line.add(frame)]
    assert {(one.layout.name, one.sample_rate) for one in found} == {("stereo", 8000)}
    assert sum(one.samples for one in found) == pytest.approx(3200, abs=50)
    assert [one.time for one in found] == pytest.approx([0.0, 0.1, 0.2, 0.3])
