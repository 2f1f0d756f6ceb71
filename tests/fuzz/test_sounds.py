"""Fuzz of the door for sounds: 20 forms of file in 6 damaged or hostile versions each, 120 cases,
and 12 of noise behind the first bytes of a form.

Every case is sorted, heard whole and in a window; it ends in finite samples of bounded number or in
an error of this package, in bounded time, and nothing reaches the terminal or the disk.
"""

from __future__ import annotations

import os
import random
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tvsl.errors import MediaError, MediaWarning
from tvsl.media import MediaLimits, Waveform, load_audio, media_type_of, sound_window

CASES = 6
RATE = 48_000
SECONDS = 1
LIMITS = MediaLimits(max_duration=60.0, max_channels=8)
SLOWEST = 2.0  # seconds; the usual case takes some milliseconds
# Container, codec, sample format, layout.
FORMS = {
    "wav-16": ("wav", "pcm_s16le", "s16", "mono"),
    "wav-8": ("wav", "pcm_u8", "u8", "stereo"),
    "wav-24": ("wav", "pcm_s24le", "s32", "mono"),
    "wav-float": ("wav", "pcm_f32le", "flt", "mono"),
    "wav-law": ("wav", "pcm_mulaw", "s16", "mono"),
    "w64": ("w64", "pcm_s16le", "s16", "mono"),
    "aiff": ("aiff", "pcm_s16be", "s16", "mono"),
    "au": ("au", "pcm_s16be", "s16", "mono"),
    "caf": ("caf", "pcm_s16le", "s16", "mono"),
    "flac": ("flac", "flac", "s16", "stereo"),
    "ogg-flac": ("ogg", "flac", "s16", "mono"),
    "ogg-opus": ("ogg", "libopus", "flt", "mono"),
    "ogg-vorbis": ("ogg", "vorbis", "fltp", "stereo"),
    "mp3": ("mp3", "libmp3lame", "fltp", "mono"),
    "adts": ("adts", "aac", "fltp", "mono"),
    "m4a": ("ipod", "aac", "fltp", "mono"),
    "mka": ("matroska", "aac", "fltp", "mono"),
    "webm": ("webm", "libopus", "flt", "mono"),
    "ts": ("mpegts", "mp2", "s16", "mono"),
    "ac3": ("ac3", "ac3", "fltp", "mono"),
}
EXTREMES = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
Change = Callable[[bytes, random.Random], bytes]


def encoded(folder: Path, form: str) -> bytes:
    container_format, codec, kind, layout = FORMS[form]
    path = folder / form
    options = {"strict": "experimental"} if codec == "vorbis" else {}
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.layout, stream.format = layout, kind
        tone = 0.3 * np.sin(np.arange(SECONDS * RATE, dtype=np.float32) / 20)[None]
        frame = av.AudioFrame.from_ndarray(tone.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        resampler = av.AudioResampler(kind, layout, RATE, stream.codec_context.frame_size or 1024)
        for block in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sounds")
    return {form: encoded(folder, form) for form in FORMS}


def bits(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 30)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def head(content: bytes, rng: random.Random) -> bytes:
    """Sizes, rates and channels at the beginning become the least and the greatest numbers."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(4, min(len(data) - 4, 120))
        data[place : place + 4] = struct.pack(rng.choice(("<I", ">I")), rng.choice(EXTREMES))
    return bytes(data)


def filled(content: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(content))
    length = rng.randrange(1, len(content) - begin + 1)
    return content[:begin] + rng.choice((b"\0", b"\xff", b"\x55")) * length


def moved(content: bytes, rng: random.Random) -> bytes:
    """Parts exchanged, doubled or left out."""
    parts = sorted(rng.randrange(len(content)) for _ in range(3))
    first, second, third = (slice(*pair) for pair in ((0, parts[0]), parts[:2], parts[1:]))
    order = rng.choice(((first, third, second), (first, second, second, third), (first, third)))
    return b"".join(content[part] for part in order) + content[parts[2] :]


def joined(content: bytes, rng: random.Random) -> bytes:
    return content + cut(content, rng) + rng.randbytes(rng.randint(0, 3000))


CHANGES: tuple[Change, ...] = (bits, cut, head, filled, moved, joined)
assert len(CHANGES) == CASES


def hear(path: Path) -> None:
    """Take a file through every door for sounds; each ends in a value or an error of ours."""
    began = time.process_time()
    refusal: MediaError | None
    for reader in (
        media_type_of,
        lambda file, limits: load_audio(file, 16_000, limits=limits),
        lambda file, limits: sound_window(file, 0.6, 0.3, RATE, limits),
    ):
        try:
            given = reader(path, LIMITS)  # type: ignore[no-untyped-call]
        except MediaError as error:
            refusal = error
        else:
            refusal = None
        if refusal is not None:
            assert refusal.path == path
            assert refusal.remedy
        elif isinstance(given, Waveform):
            assert given.samples.dtype == np.float32
            assert 0 < given.samples.size <= LIMITS.max_duration * RATE
            assert np.isfinite(given.samples).all()
    assert time.process_time() - began < SLOWEST


@pytest.fixture
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is printed, not by FFmpeg either, and only damage that is heard over is warned of."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    assert [one for one in warned if not issubclass(one.category, MediaWarning)] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", FORMS)
def test_damaged_sounds(
    tmp_path: Path, sounds: dict[str, bytes], form: str, change: Change, silent: None
) -> None:
    rng = random.Random(f"{form} {change.__name__}")
    path = tmp_path / f"a.{form}"
    path.write_bytes(change(sounds[form], rng))
    hear(path)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208


@pytest.mark.parametrize("form", [*list(FORMS)[::2], "", "ID3"])
def test_noise_behind_the_first_bytes_of_a_sound(
    tmp_path: Path, sounds: dict[str, bytes], form: str, silent: None
) -> None:
    rng = random.Random(form)
    begin = sounds[form][: rng.randint(12, 80)] if form in sounds else form.encode()
    path = tmp_path / "noise"
    path.write_bytes(begin + rng.randbytes(20_000))
    hear(path)
