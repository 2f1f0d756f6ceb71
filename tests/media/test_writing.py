from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvsl.media import (
    load_audio,
    load_image,
    probe_video,
    read_frame,
    to_int16,
    write_jpeg,
    write_png,
    write_still_video,
    write_wav,
)

RATE = 16_000


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth colours with noise of its own in each channel."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([120 + x, 60 + 2 * y, 200 - x - y], axis=-1)
    return np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)


def sound(seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 330 * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * time))
    return np.rint(9000 * tone).astype(np.int16)


def test_a_picture_comes_back_bit_for_bit(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture())
    assert np.array_equal(load_image(tmp_path / "a.png"), picture())


def test_a_palette_colours_the_values_and_keeps_them(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    write_png(tmp_path / "a.png", values, bytes(range(100, 118)))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.array(image), values)
    assert load_image(tmp_path / "a.png")[0, 1].tolist() == [103, 104, 105]


def test_a_jpeg_looks_like_the_picture(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", picture())
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"
    difference = load_image(tmp_path / "a.jpg").astype(int) - picture()
    # Halved colours: the noise differs from channel to channel.
    assert np.abs(difference).mean() < 7
    write_jpeg(tmp_path / "b.jpg", picture(), quality=30)
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size


def test_samples_become_integers_and_loud_ones_are_clipped() -> None:
    samples = np.array([0, 0.5, -1, 1, 3, -3, 1.6 / 32768, -1.6 / 32768], np.float32)
    expected = [0, 16384, -32768, 32767, 32767, -32768, 2, -2]
    assert to_int16(samples).tolist() == expected
    assert to_int16(samples).dtype == np.int16
    every = np.arange(-32768, 32768)
    assert np.array_equal(to_int16((every / 32768).astype(np.float32)), every)


def test_a_sound_comes_back_bit_for_bit(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32767, -32768, 12345], dtype=np.int16)
    write_wav(tmp_path / "a.wav", samples, RATE)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert np.array_equal(np.frombuffer(file.readframes(100), "<i2"), samples)
    loaded = load_audio(tmp_path / "a.wav", RATE)
    assert np.array_equal(loaded.samples * 32768, samples)


def test_a_video_shows_the_picture_and_plays_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_still_video(path, picture(), sound(1.28), RATE)
    info = probe_video(path)
    assert (info.height, info.width) == (48, 64)
    assert info.duration == pytest.approx(1.28, abs=0.05)
    for time in (0.0, 0.6, 1.2):
        error = read_frame(path, time).image.astype(float) - picture()
        assert 10 * np.log10(255**2 / np.square(error).mean()) > 40
    heard = load_audio(path, RATE).samples[: round(1.28 * RATE)]
    assert len(heard) == round(1.28 * RATE)
    assert np.corrcoef(heard, sound(1.28))[0, 1] > 0.995


@pytest.mark.parametrize("place", ["absent/a", "folder"])
def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / place
    with pytest.raises(OSError, match=r"."):
        write_png(path, picture())
    with pytest.raises(OSError, match=r"."):
        write_wav(path, sound(), RATE)
    with pytest.raises(OSError, match=r"."):
        write_still_video(path, picture(), sound(), RATE)
