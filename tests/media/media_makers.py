"""Makers of small media files with known content."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "media"


def real_video(name: str) -> Path:
    """A real video of the shared folder; skips the test where it is absent."""
    path = SHARED / "open_video" / name
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return path


def grey_picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) that carries a number from 0 to 255 in eight black or white columns."""
    width, height = size
    bits = np.array([255 if number >> bit & 1 else 0 for bit in range(8)], np.uint8)
    row = bits[np.minimum(np.arange(width) * 8 // width, 7)]
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def number_in(picture: NDArray[np.uint8]) -> int:
    """The number that ``grey_picture`` wrote."""
    blocks = np.array_split(np.arange(picture.shape[1]), 8)
    middles = [block[len(block) // 2] for block in blocks]
    lit = picture[:, middles].mean(axis=(0, 2)) > 127
    return int(sum(1 << bit for bit in range(8) if lit[bit]))


def chirp(seconds: float, rate: int, low: float = 100, high: float = 2000) -> NDArray[np.float32]:
    """A sine of rising frequency: every moment of it sounds different."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds))
    return (0.5 * np.sin(phase)).astype(np.float32)


def _encode_sound(
    container: av.container.OutputContainer,
    codec: str,
    samples: NDArray[np.float32],
    rate: int,
    layout: str,
    kind: str,
    offset: float,
) -> None:
    # FFmpeg's own encoder of Vorbis is behind a hyperparameter.
    options = {"strict": "experimental"} if codec == "vorbis" else {}
    stream = container.add_stream(codec, rate=rate, options=options)
    stream.layout = layout
    stream.format = kind
    channels = av.AudioLayout(layout).nb_channels
    resampler = av.AudioResampler(format=kind, layout=layout, rate=rate)
    planes = np.repeat(samples[None, :], channels, 0) if samples.ndim == 1 else samples
    for begin in range(0, planes.shape[1], 1024):
        # Interleaved, for PyAV crashes on eight planes.
        block = np.ascontiguousarray(planes[:, begin : begin + 1024].T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = begin + round(offset * rate)
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    container.mux(stream.encode(None))


def make_sound(
    path: Path,
    samples: NDArray[np.float32],
    rate: int,
    codec: str = "pcm_s16le",
    layout: str = "mono",
    kind: str = "s16",
    container_format: str | None = None,
) -> Path:
    """Write a sound; ``samples`` is (S,) for the same in all channels, or (C, S)."""
    with av.open(str(path), "w", format=container_format) as container:
        _encode_sound(container, codec, samples, rate, layout, kind, 0.0)
    return path


def make_video(
    path: Path,
    count: int = 50,
    rate: int = 25,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    sound: NDArray[np.float32] | None = None,
    sound_offset: float = 0.0,
    container_format: str | None = None,
    muxer: dict[str, str] | None = None,
    lower_half: int | None = None,
    sound_codec: str = "aac",
) -> Path:
    """Write a video whose picture ``k`` carries the number ``k % 256``.

    ``times`` gives each picture's time in seconds (variable frame rate); ``sound`` is mono at
    44.1 kHz and begins ``sound_offset`` seconds after the picture; ``lower_half`` paints the lower
    half of each picture in one grey, so that no two of its sides are alike.
    """
    arguments = {"format": container_format, "container_options": muxer or {}}
    with av.open(str(path), "w", **arguments) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv444p" if codec == "libx264" else "yuv420p"
        tick = Fraction(1, 1000 * rate) if times is not None else Fraction(1, rate)
        stream.codec_context.time_base = tick
        packets = []
        for number in range(count):
            picture = grey_picture(number % 256, size)
            if lower_half is not None:
                picture[size[1] // 2 :] = lower_half
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = tick
            frame.pts = number if times is None else round(times[number] / tick)
            packets += stream.encode(frame)
        if sound is None:
            container.mux(packets + stream.encode(None))
            return path
        packets += stream.encode(None)
        kind = "fltp" if sound_codec == "aac" else "s16"
        _encode_sound(container, sound_codec, sound, 44_100, "mono", kind, sound_offset)
        container.mux(packets)
    return path


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix (a, b, c, d) into the first track header of an MP4."""
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd") + 4
    begin = header + 4 + (20 if content[header] == 0 else 32) + 16
    a, b, c, d = (value << 16 for value in matrix)
    content[begin : begin + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def write_wav(
    path: Path, samples: NDArray[np.floating], rate: int, tag: int = 3, bits: int | None = None
) -> Path:
    """Write samples, (S,) or (S, C), as they are, with a header of our own; 3 is for floats."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    size = samples.dtype.itemsize
    head = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * size * channels, size * channels, bits or 8 * size
    )
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head
    body += b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path
