from __future__ import annotations

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.media.media_makers import make_video, number_in
from tests.preprocess.videos import RATE, make_broken, make_clip, pitch_at
from tvsl.errors import MediaError, NoSoundError, OutputError, SilentAudioError
from tvsl.media import load_audio, load_image
from tvsl.preprocess.journal import Extracted
from tvsl.preprocess.options import describe_error, make_options
from tvsl.preprocess.worker import prepare_video

Prepare = Callable[..., Extracted]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s at 10 pictures per second, with a tone that rises from 100 to 2000 Hz."""
    return make_clip(tmp_path_factory.mktemp("videos") / "clip.mp4")


@pytest.fixture
def prepare(tmp_path: Path, video: Path) -> Prepare:
    for name in ("frames", "audio"):
        (tmp_path / name).mkdir()

    def call(*pictures: str, source: Path = video, **options: object) -> Extracted:
        return prepare_video("clip", source, pictures, make_options(**options), tmp_path)

    return call


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_the_middle_and_the_sound_around_it(prepare: Prepare, tmp_path: Path) -> None:
    taken = prepare(window=1.0)
    assert taken == Extracted({"clip": 1.5}, (1.0, 2.0))
    assert files(tmp_path) == {"frames/clip.jpg", "audio/clip.wav"}
    assert number_in(load_image(tmp_path / "frames/clip.jpg")) == 15
    with Image.open(tmp_path / "frames/clip.jpg") as image:
        assert image.format == "JPEG"
        assert image.size == (64, 48)
    with wave.open(str(tmp_path / "audio/clip.wav")) as file:
        assert file.getparams()[:4] == (1, 2, RATE, RATE)
    sound = load_audio(tmp_path / "audio/clip.wav", RATE).samples
    for time in (0.1, 0.5, 0.9):
        expected = 100 + 1900 * (1.0 + time) / 3
        assert pitch_at(sound, RATE, time) == pytest.approx(expected, abs=20)


def test_another_moment_rate_and_size(prepare: Prepare, tmp_path: Path) -> None:
    taken = prepare(at=0.4, window=1.0, rate=16_000, short_side=24)
    assert taken == Extracted({"clip": 0.4}, (0.0, 1.0))  # shifted inwards, of full length
    picture = load_image(tmp_path / "frames/clip.jpg")
    assert picture.shape == (24, 32, 3)
    assert number_in(picture) == 4
    with wave.open(str(tmp_path / "audio/clip.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 16_000)


def test_small_pictures_are_not_enlarged(prepare: Prepare, tmp_path: Path) -> None:
    prepare(short_side=100)
    assert load_image(tmp_path / "frames/clip.jpg").shape == (48, 64, 3)


def test_the_whole_sound(prepare: Prepare, tmp_path: Path) -> None:
    taken = prepare(layout="vggsound")
    assert taken.window == pytest.approx((0.0, 3.0), abs=0.1)
    sound = load_audio(tmp_path / "audio/clip.wav", RATE)
    assert (0.0, sound.duration) == taken.window
    assert pitch_at(sound.samples, RATE, 2.5) == pytest.approx(100 + 1900 * 2.5 / 3, abs=20)


def test_pictures_of_every_second(prepare: Prepare, tmp_path: Path) -> None:
    taken = prepare(layout="music")
    numbers = [0, 2, 4, 6, 10, 12, 14, 16, 20, 22, 24, 26]
    assert list(taken.pictures) == [f"clip_{n // 10:03d}_{n:05d}" for n in numbers]
    assert files(tmp_path) == {"audio/clip.wav", *(f"frames/{n}.jpg" for n in taken.pictures)}
    for number, (name, time) in zip(numbers, taken.pictures.items(), strict=True):
        assert number_in(load_image(tmp_path / f"frames/{name}.jpg")) == number
        assert time == pytest.approx(number / 10)
    assert taken.window == pytest.approx((0.0, 3.0), abs=0.1)


def test_pictures_of_a_list(prepare: Prepare, tmp_path: Path) -> None:
    taken = prepare("clip_002_00029", "clip_000_00003", layout="music")
    assert list(taken.pictures) == ["clip_000_00003", "clip_002_00029"]
    for name in taken.pictures:
        assert number_in(load_image(tmp_path / f"frames/{name}.jpg")) == int(name[-5:])


@pytest.mark.parametrize("layout", ["vggsound", "music"])
def test_a_broken_video_leaves_no_file(prepare: Prepare, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, kind in make_broken(folder).items():
        with pytest.raises(MediaError) as caught:
            prepare(source=folder / name, layout=layout)
        named, text = describe_error(caught.value)
        assert named == kind
        assert str(tmp_path) not in text
    assert not files(tmp_path / "frames") | files(tmp_path / "audio")


def test_pictures_that_break_off_leave_no_file(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="behind the end"):
        prepare("clip_000_00003", "clip_009_00099", layout="music")
    assert files(tmp_path) == set()


def test_a_moment_behind_the_end(prepare: Prepare) -> None:
    with pytest.raises(MediaError, match="behind the end"):
        prepare(at=5.0)


def test_a_sound_that_ends_before_the_window(prepare: Prepare, tmp_path: Path) -> None:
    from tests.media.media_makers import chirp, make_video

    short = make_video(tmp_path / "short.mkv", 100, 10, sound=chirp(2.0, RATE))
    with pytest.raises(MediaError, match="sound ends at 2"):
        prepare(source=short, at=8.0, window=4.0)
    assert not files(tmp_path / "frames") | files(tmp_path / "audio")
    # Where the window reaches the sound it is shifted inwards, as at any border.
    start, end = prepare(source=short, at=3.0, window=2.5).window
    assert start == 0.0
    assert end == pytest.approx(2.0, abs=0.1)


def test_pictures_are_in_the_shown_shape(prepare: Prepare, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, RATE)).astype(np.float32)
        block = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
        block.sample_rate = RATE
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    prepare(source=tmp_path / "wide.mp4")
    assert load_image(tmp_path / "frames/clip.jpg").shape == (48, 128, 3)
    prepare(source=tmp_path / "wide.mp4", short_side=24)
    assert load_image(tmp_path / "frames/clip.jpg").shape == (24, 64, 3)


def test_a_video_that_lost_its_sound(prepare: Prepare, tmp_path: Path) -> None:
    from tests.media.media_makers import make_video

    mute = make_video(tmp_path / "mute.mp4", 20)
    with pytest.raises(NoSoundError):
        prepare(source=mute)


def test_a_place_that_cannot_be_written(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "audio").rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        prepare()
    assert not list(tmp_path.rglob("*.part"))


def test_samples_are_those_of_the_video(prepare: Prepare, tmp_path: Path, video: Path) -> None:
    prepare(layout="vggsound")
    original = load_audio(video, RATE).samples
    written = load_audio(tmp_path / "audio/clip.wav", RATE).samples
    assert np.abs(written - original).max() <= 0.5 / 32768 + 1e-7


def test_a_sound_that_is_an_offset_alone_is_told_as_silent(
    prepare: Prepare, tmp_path: Path
) -> None:
    offset = np.full(2 * RATE, 0.2, np.float32)
    source = make_video(
        tmp_path / "offset.avi", 20, 10, codec="mpeg4", sound=offset, sound_codec="pcm_s16le"
    )
    for options in ({}, {"layout": "vggsound"}, {"rate": 16_000, "window": 1.0}):
        with pytest.raises(SilentAudioError):
            prepare(source=source, **options)
    assert files(tmp_path) == {"offset.avi"}
