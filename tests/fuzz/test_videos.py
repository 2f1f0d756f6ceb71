"""Fuzz of the door for videos: 60 seeded cases, each probed, walked through, asked for a moment
and heard; every one ends in a valid result or an error of ours, in bounded time.

Kinds: bit flips, truncations, patched headers (zeros or ones over a stretch), blocks moved or
doubled, odd timestamps, and files that are no video at all.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from tvsl.errors import MediaWarning, TvslError
from tvsl.media import iterate_frames, probe_video, read_frame, sound_event

FORMS = {
    "mp4": ("libx264", "aac"),
    "matroska": ("libx264", "aac"),
    "avi": ("mpeg4", "libmp3lame"),
    "mpegts": ("mpeg2video", "mp2"),
    "webm": ("libvpx", "libopus"),
}
KINDS = ["bits", "cut", "zeros", "ones", "moved", "doubled", "head", "noise", "times", "rates"]
COUNT = 12
RATE = 48_000
LONGEST = 10.0


def write(path: Path, form: str, times: list[int] | None = None, rate: int = 6) -> Path:
    """Two seconds of a small video; ``times`` replaces the pictures' even timestamps."""
    codec, sound_codec = FORMS[form]
    with av.open(str(path), "w", format=form) as container:
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream(sound_codec, rate=RATE, layout="mono")
        for number in range(COUNT):
            pixels = np.full((32, 32, 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        tone = 0.3 * np.sin(np.arange(2 * RATE, dtype=np.float32) / 20)[None]
        whole = av.AudioFrame.from_ndarray(tone.astype(np.float32), format="fltp", layout="mono")
        whole.sample_rate, whole.time_base, whole.pts = RATE, Fraction(1, RATE), 0
        size = sound.codec_context.frame_size
        resampler = av.AudioResampler(sound.format.name, "mono", RATE, frame_size=size)
        for block in [*resampler.resample(whole), *resampler.resample(None)]:
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {form: write(folder / form, form).read_bytes() for form in FORMS}


def mutated(content: bytes, kind: str, random: np.random.Generator) -> bytes:
    data = bytearray(content)
    begin = int(random.integers(len(data)))
    stretch = slice(begin, min(len(data), begin + int(random.integers(1, 64))))
    if kind == "bits":
        for place in random.integers(0, len(data), 20):
            data[place] ^= 1 << int(random.integers(8))
    elif kind == "cut":
        del data[begin:]
    elif kind in ("zeros", "ones"):
        data[stretch] = (b"\0" if kind == "zeros" else b"\xff") * (stretch.stop - stretch.start)
    elif kind == "moved":
        data = data[begin:] + data[:begin]
    elif kind == "doubled":
        data[begin:begin] = data[begin : begin + 2000]
    elif kind == "head":
        # The stretch where sizes, rates, lengths and aspects are told.
        for place in random.integers(0, min(len(data), 700), 6):
            data[place] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF]))
    else:
        data = bytearray(random.integers(0, 256, 3000, dtype=np.uint8).tobytes())
    return bytes(data)


def use(path: Path) -> None:
    """All that is done with a video, and what every result must hold to."""
    with contextlib.suppress(TvslError):
        info = probe_video(path)
        assert 0 <= info.duration < 24 * 3600
        assert info.width * info.height <= 100_000_000
        last = -1.0
        for frame in islice(iterate_frames(path, every=0.5), 20):
            assert frame.time > last
            assert frame.image.shape == (info.height, info.width, 3) or frame.image.ndim == 3
            last = frame.time
        assert read_frame(path).image.dtype == np.uint8
    for moment in (0.0, 1.0, 1e6):
        with contextlib.suppress(TvslError):
            heard = sound_event(path, moment, 2.0, 0.5, 16_000)
            if heard is not None:
                assert 0 < heard.duration <= 2.01
                assert np.isfinite(heard.samples).all()
    for moment in (0.0, 1.5, 1e9, float("nan")):
        with contextlib.suppress(TvslError):
            read_frame(path, moment)


@pytest.mark.parametrize("seed", range(60))
def test_a_video_is_used_or_refused(
    whole: dict[str, bytes], seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(seed)
    form, kind = list(FORMS)[seed % 5], KINDS[seed // 5 % len(KINDS)]
    path = tmp_path / "clip.bin"
    if kind in ("times", "rates"):
        gaps = random.choice([1, 1, 2, 50, 100_000], COUNT) if kind == "times" else [1] * COUNT
        rate = 6 if kind == "times" else int(random.choice([1, 25, 240]))
        with contextlib.suppress(av.FFmpegError):  # some containers refuse such gaps themselves
            write(path, form, np.cumsum(gaps).tolist(), rate)
    else:
        path.write_bytes(mutated(whole[form], kind, random))
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", MediaWarning)  # damage that is heard over, told as ours
        use(path)
    assert time.process_time() - began < LONGEST
    assert {entry.name for entry in tmp_path.iterdir()} <= {"clip.bin"}
    assert capfd.readouterr().err == ""
