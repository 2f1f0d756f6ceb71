"""The same pictures and sound in every container: one rule for moments, middle and end.

The oracle is the number that each picture carries, at the time at which it was encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_makers import chirp, grey_picture, number_in

from tvsl.errors import MediaError
from tvsl.media import iterate_frames, probe_video, read_frame

# Format, codec of the picture, codec of the sound.
FORMS = [
    ("mp4", "libx264", "aac"),
    ("mp4", "mpeg4", "aac"),
    ("mov", "libx264", "aac"),
    ("matroska", "libx264", "aac"),
    ("webm", "libvpx", "libopus"),
    ("avi", "mpeg4", "libmp3lame"),
    ("avi", "libx264", "pcm_s16le"),
    ("mpegts", "libx264", "aac"),
    ("mpegts", "mpeg2video", "mp2"),
    ("mpeg", "mpeg2video", "mp2"),
    ("vob", "libx264", "mp2"),
    ("flv", "libx264", "aac"),
    ("asf", "mpeg4", "libmp3lame"),
    ("nut", "libx264", "libmp3lame"),
]
RATE = 25


def make(
    folder: Path,
    form: tuple[str, str, str],
    count: int = 50,
    seconds: float = 2.02,
    b_frames: int = 0,
    offset: float = 0.0,
    late: float = 0.0,
    times: Sequence[float] | None = None,
    muxer: dict[str, str] | None = None,
    bit_rate: int | None = None,
) -> Path:
    """A video whose picture ``k`` carries the number ``k``, with a sound of some seconds.

    Args:
        folder: Where to.
        form: Of ``FORMS``.
        count: Number of pictures, 25 per second.
        seconds: Length of the sound.
        b_frames: How many pictures may lean on later ones, where the codec can.
        offset: When picture and sound begin, on the container's clock.
        late: How much later the sound begins.
        times: When each picture begins; evenly spaced when None.
        muxer: Options of the container.
        bit_rate: Bits per second of pictures with grain, which take up all of them; None for plain
            pictures.
    """
    grain = np.random.default_rng(0)
    name, picture_codec, sound_codec = form
    path = folder / "-".join(form)
    tick = Fraction(1, RATE) if times is None else Fraction(1, 1000)
    rate = 48_000 if sound_codec == "libopus" else 44_100
    with av.open(str(path), "w", format=name, container_options=muxer or {}) as container:
        picture = container.add_stream(picture_codec, rate=RATE, options={"bf": str(b_frames)})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        picture.codec_context.time_base = tick
        if bit_rate is not None:
            picture.bit_rate = bit_rate
        sound = container.add_stream(sound_codec, rate=rate, layout="mono")
        packets: list[Any] = []
        for number in range(count):
            pixels = grey_picture(number % 256, (64, 48))
            if bit_rate is not None:
                pixels = pixels // 2 + grain.integers(0, 60, (48, 64, 1), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            begin = number / RATE if times is None else times[number]
            frame.pts, frame.time_base = round((begin + offset) / tick), tick
            packets += picture.encode(frame)
        packets += picture.encode(None)
        whole = av.AudioFrame.from_ndarray(chirp(seconds, rate)[None], format="fltp", layout="mono")
        whole.sample_rate, whole.time_base = rate, Fraction(1, rate)
        whole.pts = round((offset + late) * rate)
        resampler = av.AudioResampler(
            format=sound.format.name,
            layout="mono",
            rate=rate,
            frame_size=sound.codec_context.frame_size,
        )
        for block in [*resampler.resample(whole), *resampler.resample(None)]:
            packets += sound.encode(block)
        packets += sound.encode(None)
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return path


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
@pytest.mark.parametrize("b_frames", [0, 2, 3])
@pytest.mark.parametrize("count", [25, 73, 97])
def test_pictures_of_any_size_in_program_streams(
    tmp_path: Path, codec: str, b_frames: int, count: int
) -> None:
    """Packs end amid pictures, of which FFmpeg gives some the time of a neighbour, some none."""
    for bit_rate in (300_000, 1_000_000):
        more = {"b_frames": b_frames, "bit_rate": bit_rate, "seconds": count / RATE}
        for name in ("mp4", "vob"):
            path = make(tmp_path, (name, codec, "mp2"), count, **more)
            times = [picture.time for picture in iterate_frames(path)]
            assert times == pytest.approx([k / RATE for k in range(count)], abs=0.002)
            assert probe_video(path).duration == pytest.approx(count / RATE, abs=0.002)
            assert len(list(iterate_frames(path, every=0.25))) == -(-count * 4 // RATE)


def named(form: tuple[str, str, str]) -> str:
    return "-".join(form[:2])


@pytest.fixture(params=FORMS, ids=named)
def form(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    return tuple(request.param)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_moments_middle_and_range_are_the_same(
    tmp_path: Path, form: tuple[str, str, str], b_frames: int
) -> None:
    path = make(tmp_path, form, b_frames=b_frames)
    moments = list(iterate_frames(path, every=0.25))
    assert [moment.time for moment in moments] == pytest.approx([k / 4 for k in range(8)])
    # Half-way between two pictures' begins, where a rounding of times does not matter.
    inside = [0.02 + k / 5 for k in range(10)]
    assert [number_in(read_frame(path, time).image) for time in inside] == list(range(0, 50, 5))
    assert number_in(read_frame(path).image) in (24, 25)  # 25 begins in the very middle
    assert probe_video(path).duration == pytest.approx(2.0, abs=0.002)
    assert number_in(read_frame(path, 1.99).image) == 49
    with pytest.raises(MediaError, match="behind the end"):
        read_frame(path, 2.02)


@pytest.mark.parametrize("extra", [-0.3, 0.0, 0.05, 0.4, 0.9])
@pytest.mark.parametrize("kind", ["mp4", "matroska", "avi", "mpegts", "webm", "flv"])
def test_a_sound_that_is_a_little_longer_adds_no_moment(
    tmp_path: Path, kind: str, extra: float
) -> None:
    form = next(form for form in FORMS if form[0] == kind)
    path = make(tmp_path, form, seconds=2 + extra)
    assert len(list(iterate_frames(path, every=0.5))) == 4


@pytest.mark.parametrize("count", [1, 2, 10])
def test_the_last_picture_is_held_while_a_long_sound_goes_on(
    tmp_path: Path, form: tuple[str, str, str], count: int
) -> None:
    path = make(tmp_path, form, count=count, seconds=20)
    assert probe_video(path).duration == pytest.approx(20)
    moments = list(iterate_frames(path, every=2))
    assert [moment.time for moment in moments] == pytest.approx(list(range(0, 20, 2)))
    assert {number_in(moment.image) for moment in moments[1:]} == {count - 1}
    assert number_in(read_frame(path).image) == number_in(read_frame(path, 19.9).image) == count - 1
    with pytest.raises(MediaError, match="behind the end"):
        read_frame(path, 20.6)


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_the_clock_begins_with_the_first_picture(
    tmp_path: Path, form: tuple[str, str, str], late: float
) -> None:
    if form[0] == "avi":
        pytest.skip("AVI stores no times: a late first picture is one that is shown for long")
    path = make(tmp_path, form, b_frames=2, offset=1.4, late=late, seconds=2.02 - late)
    assert probe_video(path).duration == pytest.approx(2.0, abs=0.002)
    moments = [number_in(frame.image) for frame in iterate_frames(path, every=0.2, start=0.02)]
    assert moments == list(range(0, 50, 5))


@pytest.mark.parametrize("kind", ["mp4", "mov", "matroska", "webm", "flv"])
def test_uneven_times(tmp_path: Path, kind: str) -> None:
    gaps = [0.04, 0.2, 0.04, 0.52, 0.04, 0.04] * 5
    times = [0.0, *np.cumsum(gaps)[:-1].tolist()]
    form = next(form for form in FORMS if form[0] == kind)
    path = make(tmp_path, form, count=len(times), times=times, seconds=times[-1] + 0.1)
    # The last picture lasts for as long as most do, 0.04 s.
    assert probe_video(path).duration == pytest.approx(times[-1] + 0.04, abs=0.002)
    moments = list(iterate_frames(path, every=0.1, start=0.02))
    shown = [int(np.searchsorted(times, moment.time + 1e-3, "right")) - 1 for moment in moments]
    assert [number_in(moment.image) for moment in moments] == shown
    assert len(moments) == len(np.arange(0.02, times[-1] + 0.04, 0.1))


@pytest.mark.parametrize("lists", ["0", "1"])
def test_with_and_without_an_edit_list(tmp_path: Path, lists: str) -> None:
    path = make(tmp_path, FORMS[0], b_frames=2, muxer={"use_editlist": lists})
    assert probe_video(path).duration == pytest.approx(2.0, abs=0.002)
    moments = [number_in(frame.image) for frame in iterate_frames(path, every=0.2, start=0.02)]
    assert moments == list(range(0, 50, 5))


def test_the_end_of_a_long_video_is_found_without_reading_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tvsl.media import showing

    path = make(tmp_path, FORMS[3], count=25 * 60, seconds=60.02)
    read: list[bool] = []
    measure = showing._stream_ends

    def noting(*arguments: Any, from_start: bool) -> Any:
        read.append(from_start)
        return measure(*arguments, from_start=from_start)

    monkeypatch.setattr(showing, "_stream_ends", noting)
    assert probe_video(path).duration == pytest.approx(60, abs=0.002)
    assert read == [False]
