import gc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame as DecodedFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from media_makers import (
    chirp,
    make_sound,
    make_video,
    number_in,
    real_video,
    set_display_matrix,
)

from tvsl.errors import (
    MediaError,
    MediaLimitError,
    NoPictureError,
    UnreadableMediaError,
    UsageError,
)
from tvsl.media import (
    MediaLimits,
    iterate_frames,
    load_image,
    media_type_of,
    probe_video,
    read_frame,
    read_frames,
)

CONTAINERS = [
    ("mp4", "libx264", None),
    ("mkv", "libx264", None),
    ("avi", "mpeg4", None),
    ("ts", "libx264", None),
    ("mpg", "mpeg2video", None),
    ("flv", "libx264", None),
    ("h264", "libx264", "h264"),
]


def test_probe(video):
    info = probe_video(video)
    assert (info.width, info.height, info.rotation, info.has_sound) == (64, 48, 0, False)
    assert info.frame_rate == pytest.approx(25)
    assert info.duration == pytest.approx(2.0)
    assert info.path == video


def test_probe_finds_the_sound(tmp_path):
    path = make_video(tmp_path / "both.mp4", sound=chirp(2, 44_100))
    assert probe_video(path).has_sound


@pytest.mark.parametrize("size", [(35, 51), (17, 16), (2, 2), (641, 3)])
def test_odd_sizes(tmp_path, size):
    path = make_video(tmp_path / "odd.mp4", count=3, size=size)
    info = probe_video(path)
    assert (info.width, info.height) == size
    assert read_frame(path, 0).image.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("ending", "codec", "form"), CONTAINERS)
def test_each_moment_gives_its_picture(tmp_path, ending, codec, form):
    # Key pictures far apart and B-pictures between them: the hard case for seeking.
    options = {"g": "60", "bf": "3", "open_gop": "1"} if codec == "libx264" else {"g": "40"}
    path = make_video(
        tmp_path / f"long.{ending}", 250, codec=codec, options=options, container_format=form
    )
    assert probe_video(path).duration == pytest.approx(10, abs=0.1)
    assert [number_in(frame.image) for frame in iterate_frames(path)] == list(range(250))
    for number in (0, 1, 59, 60, 61, 118, 120, 177, 203, 248, 249):
        for inside in (0.0, 0.02):
            frame = read_frame(path, number / 25 + inside)
            assert number_in(frame.image) == number
            assert frame.time == pytest.approx(number / 25, abs=0.002)


@pytest.fixture(scope="module")
def thirds(tmp_path_factory):
    """Six seconds at 30 pictures per second in MKV, whose clock rounds to milliseconds."""
    path = tmp_path_factory.mktemp("thirds") / "thirds.mkv"
    return make_video(path, 180, rate=30, options={"g": "45", "bf": "2"})


@settings(max_examples=25)
@given(number=st.integers(0, 179))
def test_a_pictures_own_time_gives_that_picture(thirds, number):
    assert number_in(read_frame(thirds, number / 30).image) == number


def test_variable_frame_rate(tmp_path):
    gaps = np.array([0.04, 0.2, 0.04, 0.5, 0.02] * 8)
    times = [0.0, *np.cumsum(gaps)[:-1].tolist()]
    path = make_video(tmp_path / "varied.mp4", len(times), times=times, options={"g": "12"})
    frames = list(iterate_frames(path))
    assert [number_in(frame.image) for frame in frames] == list(range(len(times)))
    assert [frame.time for frame in frames] == pytest.approx(times, abs=0.001)
    for moment in np.linspace(0, times[-1], 23):
        shown = int(np.searchsorted(times, moment + 1e-4, side="right")) - 1
        assert number_in(read_frame(path, float(moment)).image) == shown
    stepped = list(iterate_frames(path, every=0.1))
    expected = [
        int(np.searchsorted(times, k / 10 + 1e-3, "right")) - 1 for k in range(len(stepped))
    ]
    assert [number_in(frame.image) for frame in stepped] == expected


def test_step_start_and_stop(video):
    frames = list(iterate_frames(video, every=0.3, start=0.5, stop=1.4))
    assert [frame.time for frame in frames] == pytest.approx([0.5, 0.8, 1.1])
    assert [number_in(frame.image) for frame in frames] == [12, 20, 27]
    plain = [number_in(frame.image) for frame in iterate_frames(video, start=0.5, stop=0.64)]
    assert plain == [12, 13, 14, 15]
    assert len(list(iterate_frames(video, every=0.1))) == 20
    assert len(list(iterate_frames(video, every=0.01))) == 200
    assert len(list(iterate_frames(video, every=100))) == 1


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])  # times of 1 ms are less sure
@pytest.mark.parametrize("every", [None, 0.5])
@pytest.mark.parametrize("length", [0.00002, 1e-7, 1e-12])
@pytest.mark.parametrize("start", [0.0, 0.999, 1.0, 1.9])
def test_the_picture_at_the_start_is_given_however_short_the_stretch(
    tmp_path, name, every, length, start
):
    path = make_video(tmp_path / name, count=30, rate=15)
    (frame,) = iterate_frames(path, every, start, start + length)
    assert number_in(frame.image) == number_in(read_frame(path, start).image)
    if every is not None:
        assert frame.time == start


def test_default_is_the_middle(video):
    assert number_in(read_frame(video).image) == 25


def test_moments_outside(video):
    assert number_in(read_frame(video, 2.0).image) == 49
    for moment in (-0.1, 2.5, 1e9, 1e18, 1e300, float("inf"), float("nan")):
        with pytest.raises(MediaError, match=r"plain.*Give a time"):
            read_frame(video, moment)
    with pytest.raises(MediaError, match=r"from 0 to 2\.000"):
        list(iterate_frames(video, start=3))
    with pytest.raises(UsageError):
        iterate_frames(video, every=0)
    with pytest.raises(UsageError):
        iterate_frames(video, start=1, stop=1)


@pytest.mark.parametrize(
    ("matrix", "degrees"),
    [
        ((1, 0, 0, 1), 0),
        ((0, 1, -1, 0), 90),
        ((-1, 0, 0, -1), 180),
        ((0, -1, 1, 0), 270),
        ((-1, 0, 0, 1), 0),
        ((0, 1, 1, 0), 90),
    ],
)
def test_pictures_come_out_upright(tmp_path, matrix, degrees):
    video = make_video(tmp_path / "phone.mp4", 10, lower_half=64)
    stored = read_frame(video, 0.2).image
    assert not np.array_equal(stored, stored[:, ::-1])
    assert not np.array_equal(stored, stored[::-1])
    set_display_matrix(video, matrix)
    a, b, c, d = matrix
    rows, columns = np.mgrid[0 : stored.shape[0], 0 : stored.shape[1]]
    # The definition itself, point by point: (x, y) goes to (a x + c y, b x + d y).
    shown_columns, shown_rows = a * columns + c * rows, b * columns + d * rows
    shown_columns -= shown_columns.min()
    shown_rows -= shown_rows.min()
    expected = np.zeros((shown_rows.max() + 1, shown_columns.max() + 1, 3), np.uint8)
    expected[shown_rows, shown_columns] = stored
    info = probe_video(video)
    assert info.rotation == degrees
    assert (info.height, info.width) == expected.shape[:2]
    assert np.array_equal(read_frame(video, 0.2).image, expected)


def test_sound_is_no_video(tmp_path):
    path = make_sound(tmp_path / "sound.wav", chirp(1, 8000), 8000)
    assert media_type_of(path) == "sound"
    for call in (probe_video, read_frame, lambda file: list(iterate_frames(file))):
        with pytest.raises(NoPictureError, match="sound"):
            call(path)


def test_wrong_ending_still_works(video, tmp_path):
    path = video.rename(tmp_path / "video.jpg")
    assert media_type_of(path) == "video"
    assert number_in(read_frame(path, 1.0).image) == 25
    with pytest.raises(UnreadableMediaError, match="video"):
        load_image(path)


def test_length_without_a_header(tmp_path):
    path = make_video(tmp_path / "live.mkv", 60, muxer={"live": "1"})
    info = probe_video(path)
    assert info.duration == pytest.approx(2.4, abs=0.05)
    assert number_in(read_frame(path).image) in (29, 30)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_at_moments_are_those_read_one_by_one(tmp_path, codec):
    path = make_video(tmp_path / "clip.mp4", 100, codec=codec)
    times = [0.0, 0.0, 0.03, 1.0, 1.0 + 0.5 / 25, 2.6, 3.99]
    found = list(read_frames(path, times))
    assert [frame.time for frame in found] == pytest.approx(times)
    for time, frame in zip(times, found, strict=True):
        assert np.array_equal(frame.image, read_frame(path, time).image)


def test_pictures_by_number_are_met_whatever_the_rate(tmp_path):
    path = make_video(tmp_path / "ntsc.mkv", 90, rate=Fraction(30_000, 1001))
    rate = probe_video(path).frame_rate
    numbers = [0, 7, 14, 21, 30, 37, 89]
    found = read_frames(path, [number / rate for number in numbers])
    assert [number_in(frame.image) for frame in found] == numbers


def test_no_moments_give_no_pictures(video):
    assert list(read_frames(video, [])) == []


@pytest.mark.parametrize(
    ("times", "error", "words"),
    [
        ([1.0, 0.5], UsageError, "rise"),
        ([-0.1], MediaError, "outside"),
        ([float("nan")], MediaError, "outside"),
        ([1.0, 2.5], MediaError, "behind the end"),
    ],
)
def test_moments_that_cannot_be_meant(video, times, error, words):
    with pytest.raises(error, match=words):
        list(read_frames(video, times))


def test_iterator_keeps_few_pictures_alive(tmp_path):
    path = make_video(tmp_path / "long.mp4", 200, size=(32, 32))
    alive = []
    for number, _ in enumerate(iterate_frames(path)):
        if number % 20 == 10:
            alive.append(sum(type(one) is DecodedFrame for one in gc.get_objects()))
    assert len(alive) == 10
    assert min(alive) >= 1
    assert max(alive) <= 6  # two of ours, and what the decoder gives at once


def test_leaving_the_iterator_early_closes_the_file(video):
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for _ in range(20):
        next(iterate_frames(video))
    gc.collect()
    assert len(list(opened.iterdir())) <= before + 1


def test_limits_of_videos(video):
    for limits, message in [
        (MediaLimits(max_pixels=64 * 48 - 1), "64 x 48 pixels, 3071"),
        (MediaLimits(max_frame_rate=20), "25 pictures per second, 20"),
        (MediaLimits(max_duration=1), r"2\.0 seconds, 1"),
    ]:
        for call in (
            probe_video,
            read_frame,
            lambda file, limits: list(iterate_frames(file, limits=limits)),
        ):
            with pytest.raises(MediaLimitError, match=message):
                call(video, limits=limits)


@pytest.mark.parametrize(
    ("name", "size"), [("pe_train_woman.mp4", (598, 336)), ("nasa_13013.mp4", (480, 270))]
)
def test_real_video(name, size):
    path = real_video(name)
    info = probe_video(path)
    assert (info.width, info.height) == size
    assert info.has_sound
    assert 12 < info.duration < 16
    frame = read_frame(path, 7.0)
    assert 7.0 - 1.5 / info.frame_rate < frame.time <= 7.0
    assert frame.image.shape == (size[1], size[0], 3)
    assert frame.image.std() > 10
    assert np.array_equal(frame.image, next(iterate_frames(path, start=7.0)).image)
