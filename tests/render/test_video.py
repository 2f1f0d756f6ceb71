from __future__ import annotations

import errno
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.signal import correlate

from tests.media.media_makers import set_display_matrix
from tvsl.errors import MediaError, OutputError, UsageError
from tvsl.localization import Localization
from tvsl.media.video import iterate_frames, probe_video
from tvsl.render import video as video_module
from tvsl.render.video import write_overlay_video, write_page_video
from tvsl.render.video_sound import can_copy

from .inputs import RATE, SAMPLE_RATE, moment, read_video, shift_and_match, source, write_video

SIZE = (48, 64)


def moments(size: tuple[int, int] = SIZE) -> list[Localization]:
    return [
        moment(0.2, source("dog", 1, 2, size), size=size),
        moment(0.6, source("rain", 5, 9, size), source("dog", 5, 2, size), size=size),
        moment(0.8, size=size),
    ]


def test_frames_times_and_copied_sound_are_those_of_the_source(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    seen: list[tuple[int, int | None]] = []
    target = write_overlay_video(
        path, tmp_path / "b.mp4", moments(), progress=lambda *step: seen.append(step)
    )
    before, after = read_video(path), read_video(target)
    assert len(after.times) == len(before.times) == RATE
    np.testing.assert_allclose(after.times, before.times, atol=1e-3)
    assert after.duration == pytest.approx(before.duration, abs=1 / RATE)
    assert after.sound_codec == "aac"
    shift, likeness = shift_and_match(before, after)
    assert likeness > 0.9999
    assert abs(shift) < 1e-3
    assert seen == [(number, RATE) for number in range(1, RATE + 1)]
    assert sorted(tmp_path.iterdir()) == [path, target]


@pytest.mark.parametrize(
    ("name", "audio", "copied"),
    [
        ("a.mkv", "pcm_s16le", False),
        ("a.mkv", "flac", False),
        ("a.mkv", "libopus", True),
        ("a.mkv", "libmp3lame", True),
        ("a.ts", "aac", True),
        ("a.mov", "alac", True),
    ],
)
@pytest.mark.parametrize("audio_start", [0.0, 0.3])
def test_sound_stays_in_step(
    tmp_path: Path, name: str, audio: str, copied: bool, audio_start: float
) -> None:
    path = write_video(tmp_path / name, audio=audio, audio_start=audio_start, seconds=1.5)
    target = write_overlay_video(path, tmp_path / "b.mp4", moments())
    before, after = read_video(path), read_video(target)
    assert len(after.times) == len(before.times)
    assert before.sound_codec is not None
    copied = copied and can_copy(before.sound_codec)
    assert (after.sound_codec == before.sound_codec) == copied
    shift, likeness = shift_and_match(before, after)
    assert likeness > 0.99
    assert abs(shift) < 0.05


def test_video_that_begins_after_its_sound(tmp_path: Path) -> None:
    times = [0.4 + number / RATE for number in range(10)]
    path = write_video(tmp_path / "a.mkv", times=times)
    target = write_overlay_video(path, tmp_path / "b.mp4", moments())
    before, after = read_video(path), read_video(target)
    # The whole may begin later: some versions of PyAV report sound before the file's zero.
    np.testing.assert_allclose(np.diff(after.times), np.diff(before.times), atol=2e-3)
    assert abs(shift_and_match(before, after)[0]) < 0.05


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.25, 0.7, 0.71, 1.0]
    path = write_video(tmp_path / "a.mkv", times=times, audio=None)
    after = read_video(write_overlay_video(path, tmp_path / "b.mp4", moments()))
    # From 0.25 to 0.7 s and from 0.71 to 1 s a picture is held.
    expected = [0.0, 0.04, 0.2, 0.25, 0.35, 0.45, 0.55, 0.7, 0.71, 0.81, 1.0]
    np.testing.assert_allclose(after.times, expected, atol=2e-3)
    write_page_video(path, tmp_path / "c.mp4", 64)
    np.testing.assert_allclose(read_video(tmp_path / "c.mp4").times, times, atol=2e-3)


def test_odd_size_and_missing_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", size=(49, 67), audio=None)
    after = read_video(write_overlay_video(path, tmp_path / "b.mp4", moments((49, 67)), min_side=1))
    assert after.images[0].shape == (48, 66, 3)
    assert len(after.images) == RATE
    assert after.sound_codec is None


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="PyAV cannot write a rotation"
)
def test_turned_video_is_written_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:20, :20] = 255
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(-90.0)
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    silent = [moment(0.0, size=(64, 48))]
    after = read_video(write_overlay_video(path, tmp_path / "b.mp4", silent, min_side=1))
    assert after.images[0].shape == (64, 48, 3)
    assert after.images[0][4:16, 32:44].mean() > 240
    assert after.images[0][24:, :24].mean() < 15


def test_large_video_is_scaled_down(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", size=(120, 200), times=[0.0, 0.04], audio=None)
    target = write_overlay_video(path, tmp_path / "b.mp4", moments((120, 200)), max_side=100)
    assert read_video(target).images[0].shape == (60, 100, 3)


def test_small_video_is_enlarged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", audio=None)
    target = write_overlay_video(path, tmp_path / "b.mp4", [moment(0.0, size=SIZE)])
    assert read_video(target).images[0].shape == (360, 480, 3)


@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_a_stretch_keeps_picture_and_sound_in_step(codec: str, tmp_path: Path) -> None:
    times = [number / RATE for number in range(3 * RATE)]
    path = write_video(tmp_path / "a.mkv", times=times, audio=codec, seconds=3.0)
    target = tmp_path / "b.mp4"
    found = [moment(0.0, size=SIZE)]
    write_overlay_video(path, target, found, start=0.8, end=2.0, min_side=1)
    before, after = read_video(path), read_video(target)
    assert len(after.images) == 30
    assert after.times[0] == pytest.approx(0, abs=0.001)
    assert len(after.samples) / SAMPLE_RATE == pytest.approx(1.2, abs=0.05)
    place = int(correlate(before.samples, after.samples, mode="valid").argmax())
    assert place / SAMPLE_RATE == pytest.approx(0.8 + after.lead - before.lead, abs=2e-3)
    piece = before.samples[place : place + len(after.samples)]
    assert np.corrcoef(piece, after.samples)[0, 1] > 0.99
    assert 0 <= after.lead < 0.03


def test_the_video_of_a_page_is_the_source_made_small(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", size=(240, 320))
    place = write_page_video(path, tmp_path / "b.mp4", 160, start=0.2)
    after = read_video(tmp_path / "b.mp4")
    assert after.images[0].shape == (120, 160, 3)
    assert (place.start, place.length) == pytest.approx((0.2, 0.8), abs=0.05)
    assert len(after.images) == 20
    assert after.sound_codec == "aac"


def packets(path: Path) -> list[tuple[int, float]]:
    """Size and time of the pictures of a video as they are stored."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (one.size, float((one.pts or 0) * one.time_base))
            for one in container.demux(stream)
            if one.size
        ]


@pytest.mark.parametrize(
    ("name", "audio"),
    [("a.mp4", "aac"), ("a.mov", "alac"), ("a.mov", "pcm_s16le"), ("a.mp4", None)],
)
def test_a_short_small_video_is_copied_into_the_page(
    name: str, audio: str | None, tmp_path: Path
) -> None:
    path, target = write_video(tmp_path / name, audio=audio), tmp_path / "b.mp4"
    assert write_page_video(path, target, 64).length == pytest.approx(1.0, abs=0.05)
    before, after = read_video(path), read_video(target)
    assert [size for size, _ in packets(target)] == [size for size, _ in packets(path)]
    np.testing.assert_allclose(np.diff(after.times), np.diff(before.times), atol=2e-3)
    np.testing.assert_array_equal(after.images, before.images)
    assert (after.sound_codec is None) == (audio is None)
    if audio is not None:
        shift, likeness = shift_and_match(before, after)
        assert likeness > 0.99
        assert abs(shift) < 0.03


@pytest.mark.parametrize("lead", [0.0, 0.4])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mp4", "mpeg4"), ("a.mkv", "libx264"), ("a.ts", "libx264")],
)
def test_the_video_of_a_page_tells_where_its_pictures_begin(
    name: str, codec: str, lead: float, tmp_path: Path
) -> None:
    times = [lead + number / RATE for number in range(RATE)]
    path = write_video(tmp_path / name, times=times, seconds=1.4, codec=codec)
    place = write_page_video(path, tmp_path / "b.mp4", 64)
    before, after = read_video(path), read_video(tmp_path / "b.mp4")
    # Sound codecs begin some milliseconds early.
    assert place.start == pytest.approx(-lead, abs=0.03)
    assert after.times[0] == pytest.approx(-place.start, abs=2e-3)
    assert place.start + place.length == pytest.approx(1.0, abs=2e-3)
    assert after.lead == pytest.approx(before.lead, abs=0.03)
    assert abs(shift_and_match(before, after)[0]) < 0.05


@pytest.mark.parametrize(
    ("audio", "in_page"), [("aac", "aac"), ("libmp3lame", "mp3float"), ("libopus", "opus")]
)
@pytest.mark.parametrize("start", [0.0, 0.2])  # pictures copied, and encoded anew
def test_the_sound_of_a_page_stays_where_browsers_play_it(
    audio: str, in_page: str, start: float, tmp_path: Path
) -> None:
    check_page_sound(tmp_path, audio, in_page, start)


@pytest.mark.parametrize("audio", ["ac3", "eac3", "alac"])
@pytest.mark.parametrize("start", [0.0, 0.2])
def test_the_sound_of_a_page_becomes_one_that_browsers_play(
    audio: str, start: float, tmp_path: Path
) -> None:
    check_page_sound(tmp_path, audio, "aac", start)
    write_overlay_video(tmp_path / "a.mp4", tmp_path / "c.mp4", moments())
    assert read_video(tmp_path / "c.mp4").sound_codec == audio


def check_page_sound(folder: Path, audio: str, in_page: str, start: float) -> None:
    path = write_video(folder / "a.mp4", audio=audio)
    place = write_page_video(path, folder / "b.mp4", 64, start=start)
    before, after = read_video(path), read_video(folder / "b.mp4")
    assert before.sound_codec is not None
    copied = can_copy(before.sound_codec, in_browser=True)
    assert after.sound_codec == (in_page if copied else "aac")
    if not start:
        assert len(packets(path)) == len(packets(folder / "b.mp4"))
        assert abs(shift_and_match(before, after)[0]) < 0.05
    assert place.start + place.length == pytest.approx(1.0, abs=0.05)


def test_what_is_copied_ends_where_it_shall(tmp_path: Path) -> None:
    times = [number / RATE for number in range(2 * RATE)]
    path = write_video(tmp_path / "a.mp4", times=times, seconds=2.0)
    place = write_page_video(path, tmp_path / "b.mp4", 64, end=1.2)
    assert place.start + place.length == pytest.approx(1.2)
    before, after = read_video(path), read_video(tmp_path / "b.mp4")
    # Frames that lean on later ones need those.
    assert 30 <= len(after.images) <= 34
    np.testing.assert_array_equal(after.images, before.images[: len(after.images)])
    assert len(after.samples) / SAMPLE_RATE == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize(
    ("name", "codec", "size", "max_side", "start"),
    [
        ("a.mp4", "libx264", (48, 64), 63, 0.0),
        ("a.mp4", "libx264", (48, 64), 64, 0.2),
        ("a.mp4", "mpeg4", (48, 64), 64, 0.0),
        ("a.ts", "libx264", (48, 64), 64, 0.0),  # its headers lie between the pictures
        ("a.mkv", "libx264", (48, 64), 64, 0.0),  # not all of its pictures have a time to decode
        ("a.mkv", "libx264", (49, 67), 67, 0.0),  # with whole colours, as no browser plays them
    ],
)
def test_other_videos_are_encoded_anew_for_the_page(
    name: str, codec: str, size: tuple[int, int], max_side: int, start: float, tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, size=size, codec=codec)
    write_page_video(path, tmp_path / "b.mp4", max_side, start=start)
    with av.open(str(tmp_path / "b.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    assert [size for size, _ in packets(tmp_path / "b.mp4")] != [size for size, _ in packets(path)]


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1), (0, 1, 1, 0)])
def test_turned_and_mirrored_videos_are_shown_upright_in_the_page(
    matrix: tuple[int, int, int, int], tmp_path: Path
) -> None:
    path = set_display_matrix(write_video(tmp_path / "a.mp4", audio=None), matrix)
    assert not probe_video(path).is_upright
    write_page_video(path, tmp_path / "b.mp4", 64)
    assert probe_video(tmp_path / "b.mp4").is_upright
    shown = next(iterate_frames(path)).image.astype(int)
    assert np.abs(read_video(tmp_path / "b.mp4").images[0] - shown).mean() < 8


def test_large_files_are_encoded_anew_for_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", audio=None)
    monkeypatch.setattr(video_module, "_MOST_COPIED", path.stat().st_size - 1)
    write_page_video(path, tmp_path / "b.mp4", 64)
    assert packets(tmp_path / "b.mp4") != packets(path)
    write_page_video(path, tmp_path / "c.mp4", 64, end=0.5)
    assert packets(tmp_path / "c.mp4") == packets(path)[: len(packets(tmp_path / "c.mp4"))]


def test_a_video_that_mp4_does_not_take_as_it_is_is_encoded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(video_module.SoundTrack):
        def carry_until(self, time: float | None) -> None:
            if self._cuts is False and time == 0.0 and not refused:
                refused.append(True)
                raise av.FFmpegError(22, "no such time")
            super().carry_until(time)

    refused: list[bool] = []
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(video_module, "SoundTrack", Refusing)
    write_page_video(path, tmp_path / "b.mp4", 64)
    assert refused
    assert len(read_video(tmp_path / "b.mp4").images) == RATE
    assert packets(tmp_path / "b.mp4") != packets(path)


def test_frames_are_encoded_while_others_are_drawn(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", audio=None)
    for name in ("b.mp4", "c.mp4"):
        write_page_video(path, tmp_path / name, 32)
    written = (tmp_path / "b.mp4").read_bytes()
    assert b" sliced_threads=0 " in written  # x264 tells how it worked
    assert written == (tmp_path / "c.mp4").read_bytes()


def test_silent_moments_show_the_pictures_as_they_are(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", audio=None)
    target = write_overlay_video(path, tmp_path / "b.mp4", [moment(0.0, size=SIZE)], min_side=1)
    before, after = read_video(path), read_video(target)
    difference = np.abs(before.images[3].astype(int) - after.images[3])
    assert difference.mean() < 4


def test_one_moment_is_held_throughout(tmp_path: Path) -> None:
    size = (96, 128)
    path = write_video(tmp_path / "a.mp4", size=size, audio=None)
    only = [moment(None, source("dog", 2, 3, size), size=size)]
    before = read_video(path)
    after = read_video(write_overlay_video(path, tmp_path / "b.mp4", only, min_side=1))
    for number in (0, RATE - 1):
        change = np.abs(before.images[number].astype(int) - after.images[number]).mean(axis=-1)
        assert change[30:38, 32:40].mean() > 25
        assert change[80:, 90:].mean() < 6


def test_mpeg4_where_there_is_no_h264_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_module, "has_encoder", lambda name: False)
    path = write_video(tmp_path / "a.mp4")
    target = write_overlay_video(path, tmp_path / "b.mp4", moments())
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert len(read_video(target).times) == RATE


def test_existing_target_and_the_source_are_not_overwritten(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    target = tmp_path / "b.mp4"
    target.write_text("kept")
    with pytest.raises(OutputError, match="exists"):
        write_overlay_video(path, target, moments())
    assert target.read_text() == "kept"
    with pytest.raises(OutputError, match="source itself"):
        write_overlay_video(path, path, moments(), force=True)
    with pytest.raises(OutputError, match="folder"):
        write_overlay_video(path, tmp_path, moments(), force=True)
    write_overlay_video(path, target, moments(), force=True)
    assert len(read_video(target).times) == RATE


def test_broken_sources_leave_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"no video at all" * 100)
    whole = write_video(tmp_path / "b.mp4")
    cut = tmp_path / "c.mp4"
    cut.write_bytes(whole.read_bytes()[:3000])
    for path in (broken, cut, tmp_path / "missing.mp4"):
        with pytest.raises(MediaError):
            write_overlay_video(path, tmp_path / "out.mp4", moments())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "c.mp4"]


def test_interruption_leaves_an_older_target_alone(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    target = tmp_path / "b.mp4"
    target.write_text("older")

    def interrupt(done: int, total: int | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_overlay_video(path, target, moments(), force=True, progress=interrupt)
    assert target.read_text() == "older"
    assert sorted(tmp_path.iterdir()) == [path, target]


def test_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(video_module._FrameEncoder, "finish", fail)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_overlay_video(path, tmp_path / "b.mp4", moments())
    assert caught.value.path == tmp_path / "b.mp4"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_overlay_video(path, tmp_path / "none" / "b.mp4", moments())
    assert caught.value.path == tmp_path / "none" / "b.mp4"


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    untimed = [moment(None, size=SIZE), moment(1.0, size=SIZE)]
    for wrong in ([], untimed):
        with pytest.raises(UsageError):
            write_overlay_video(path, tmp_path / "b.mp4", wrong)
    with pytest.raises(UsageError):
        write_overlay_video(path, tmp_path / "b.mp4", moments(), max_side=2)
    assert list(tmp_path.iterdir()) == [path]
