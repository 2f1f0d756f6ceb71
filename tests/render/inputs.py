"""Pictures, localizations and videos that the tests of this folder make themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tvsl.localization import Localization, SoundSource
from tvsl.media.planes import BT601, ColorMatrix, Planes

RATE = 25
SAMPLE_RATE = 48_000


def picture(height: int, width: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    planes = (rows * 200 // height + 20, columns * 200 // width + 20, (rows + columns) % 50 + 90)
    return np.stack(planes, axis=-1).astype(np.uint8)


def as_planes(image: NDArray[np.uint8], matrix: ColorMatrix = BT601) -> Planes:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=matrix.swscale).to_ndarray()


def as_image(planes: Planes) -> NDArray[np.uint8]:
    return av.VideoFrame.from_ndarray(planes, format="yuv420p").to_ndarray(format="rgb24")


def source(label: str, row: float, column: float, size: tuple[int, int]) -> SoundSource:
    """A source whose map is a hill on a grid of 7 x 12 with its top at row and column."""
    rows, columns = np.mgrid[:7, :12]
    hill = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4.0).astype(np.float32)
    return SoundSource(label, 0.75, hill, size)


def moment(time: float | None, *sources: SoundSource, size: tuple[int, int]) -> Localization:
    return Localization(tuple(sources), "given", "some model", size, time)


def sound(seconds: float) -> NDArray[np.float32]:
    """A chirp whose loudness changes irregularly, so that it matches itself at one shift only."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chirp = np.sin(2 * np.pi * (300 * time + 150 * time**2))
    steps = np.random.default_rng(7).uniform(0.1, 0.6, size=round(seconds * 10) + 2)
    loudness = np.interp(time, np.arange(len(steps)) / 10, steps)
    return (chirp * loudness).astype(np.float32)


def write_video(
    path: Path,
    size: tuple[int, int] = (48, 64),
    times: Sequence[float] = tuple(number / RATE for number in range(RATE)),
    audio: str | None = "aac",
    audio_start: float = 0.0,
    seconds: float = 1.0,
    codec: str = "libx264",
) -> Path:
    """Write a video with one picture at each time, and a sound of a codec."""
    height, width = size
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=RATE)
        video.width, video.height = width, height
        video.pix_fmt = "yuv420p" if height % 2 == 0 and width % 2 == 0 else "yuv444p"
        video.codec_context.time_base = Fraction(1, 1000)
        track = None
        if audio is not None:
            track = output.add_stream(audio, rate=SAMPLE_RATE)
            track.layout = "mono"
        image = picture(height, width)
        for time in times:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if track is not None:
            samples = sound(seconds)
            for start in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(
                    samples[None, start : start + 1024], format="fltp", layout="mono"
                )
                block.sample_rate = SAMPLE_RATE
                block.pts = start + round(audio_start * SAMPLE_RATE)
                block.time_base = Fraction(1, SAMPLE_RATE)
                output.mux(track.encode(block))
            output.mux(track.encode(None))
    return path


@dataclass(frozen=True, eq=False)
class Decoded:
    """Content of a video: times on the container's clock."""

    times: list[float]
    images: list[NDArray[np.uint8]]
    duration: float
    samples: NDArray[np.float32]
    sound_start: float
    sound_codec: str | None

    @property
    def lead(self) -> float:
        """Seconds from the first picture to the first sample."""
        return self.sound_start - self.times[0]


def read_video(path: Path) -> Decoded:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)
        ]
        duration = float((stream.duration or 0) * stream.time_base)
    blocks: list[NDArray[np.float32]] = []
    start, codec = 0.0, None
    with av.open(str(path)) as container:
        if container.streams.audio:
            codec = container.streams.audio[0].codec_context.name
            to_mono = av.AudioResampler("fltp", "mono", SAMPLE_RATE)
            for frame in container.decode(audio=0):
                if not blocks:
                    start = frame.time
                blocks.extend(block.to_ndarray()[0] for block in to_mono.resample(frame))
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    times = [time for time, _ in frames]
    return Decoded(times, [image for _, image in frames], duration, samples, start, codec)


def shift_and_match(first: Decoded, second: Decoded) -> tuple[float, float]:
    """Seconds by which the second sounds later against its pictures, and how alike they are."""
    from scipy.signal import correlate

    length = min(len(first.samples), len(second.samples))
    one, other = first.samples[:length], second.samples[:length]
    products = correlate(other, one, mode="full")
    shift = int(products.argmax()) - (length - 1)
    overlap = slice(max(0, shift), length + min(0, shift))
    matched = one[max(0, -shift) : length - max(0, shift)]
    likeness = float(np.corrcoef(matched, other[overlap])[0, 1])
    return shift / SAMPLE_RATE + second.lead - first.lead, likeness
