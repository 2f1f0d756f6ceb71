"""Videos with the sound drawn in: every frame painted, the original sound kept beside it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

from tvsl.errors import OutputError, UsageError
from tvsl.localization import Localization
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, open_container
from tvsl.media.streams import clock_zero
from tvsl.media.video import VideoFrame, VideoInfo, iterate_frames, probe_video
from tvsl.media.writing import BT601_MATRIX, X264, has_encoder
from tvsl.render.colormap import Picture
from tvsl.render.painter import OverlayPainter
from tvsl.render.sound import SoundTrack
from tvsl.staging import check_free_file, writable, write_whole

LONGEST_SIDE = 1280
_SMALLEST_SIDE = 16
# Fine enough for every frame rate in use, and within what MPEG-4 Part 2 can express.
_CLOCK = Fraction(1, 60_000)
_USUAL_FRAME_RATE = 25.0
_BITS_PER_PIXEL = 0.2
# FFmpeg's number for the matrix of ITU-R BT.601, which PyAV converts with.

Progress = Callable[[int, int | None], None]


def write_overlay_video(
    source: str | Path,
    target: str | Path,
    localizations: Sequence[Localization],
    force: bool = False,
    progress: Progress | None = None,
    max_side: int = LONGEST_SIDE,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Path:
    """Write a video with the map of every source tinted in, and with the original sound.

    Between two analysed moments the maps of a label are mixed by time; before the first and
    after the last one they are held. One moment alone is held throughout. Every label keeps its
    colour. The file is H.264 in mp4 (MPEG-4 Part 2 where no H.264 encoder is installed); it
    appears whole or not at all.

    Args:
        source: The video.
        target: Where to, an mp4 file; the folder must exist.
        localizations: The analysed moments of this video, each with its time in seconds.
        force: Whether an existing file may be replaced.
        progress: Called after each frame with the number of frames written and of all frames
            (an estimate; None where the file does not tell).
        max_side: Longest side of the output in pixels, at least 16; larger videos are scaled.
        limits: What the source may demand at most.

    Returns:
        The path that was written.

    Raises:
        UsageError: There is nothing to draw, or ``max_side`` is too small.
        MediaError: The source cannot be read.
        OutputError: The target exists and ``force`` is not set, or it cannot be written.
    """
    source, target = Path(source), Path(target)
    if max_side < _SMALLEST_SIDE:
        raise UsageError(f"A video of {max_side} pixels is too small.", "Choose e.g. 1280.")
    _check_target(source, target, force)

    def write(partial: Path) -> None:
        _write(source, target, partial, localizations, progress, max_side, limits)

    with writable(target, "video"):
        write_whole(target, write)
    return target


def require_overlay_video(
    source: str | Path, max_side: int = LONGEST_SIDE, limits: MediaLimits = DEFAULT_LIMITS
) -> None:
    """Let through only a video that ``write_overlay_video`` can encode with the FFmpeg here.

    A black picture with the beginning of the sound is written, to nowhere.

    Args:
        source: The video.
        max_side: As for ``write_overlay_video``.
        limits: As for ``write_overlay_video``.

    Raises:
        MediaError: The source cannot be read.
        OutputError: There is no encoder, or it does not work.
    """
    source = Path(source)
    info = probe_video(source, limits)
    size = _output_size(info, max_side)
    with open_container(source, limits) as sound:
        try:
            with av.open(io.BytesIO(), "w", format="mp4") as output:
                encoder = _FrameEncoder(output, size, info.frame_rate or _USUAL_FRAME_RATE)
                track = SoundTrack(sound, output, Fraction(0), source)
                encoder.write(np.zeros((*size, 3), np.uint8), 0.0, 1.0)
                track.carry_until(0.0)
                encoder.finish()
        except (av.FFmpegError, ValueError) as error:  # an unknown codec is a ValueError
            raise OutputError(
                f"The video with what was found cannot be written: FFmpeg has no encoder for it "
                f"that works here ({error}).",
                "Install PyAV from PyPI, whose FFmpeg has H.264 and AAC, or give a picture.",
                source,
            ) from error


def _check_target(source: Path, target: Path, force: bool) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError("This is the source itself.", "Choose another name.", target)
    check_free_file(target, force)


def _write(
    source: Path,
    target: Path,
    partial: Path,
    localizations: Sequence[Localization],
    progress: Progress | None,
    max_side: int,
    limits: MediaLimits,
) -> None:
    info = probe_video(source, limits)
    painter = OverlayPainter(localizations, _output_size(info, max_side))
    # Inside the block of the source, its door would take an error of the output for one of its own.
    with (
        open_container(source, limits) as sound,
        _output_errors(target),
        av.open(str(partial), "w", format="mp4") as output,
    ):
        zero = clock_zero(sound)
        # The sound may begin before the first picture, where the clock of the times stands at 0.
        origin = min(zero, Fraction(sound.start_time or 0, av.time_base))
        rate = info.frame_rate or _USUAL_FRAME_RATE
        encoder = _FrameEncoder(output, painter.size, rate)
        track = SoundTrack(sound, output, origin, source)
        total = max(1, round(info.duration * rate)) if info.duration else None
        for count, (frame, duration) in enumerate(
            _with_durations(iterate_frames(source, limits=limits), 1.0 / rate), start=1
        ):
            start = frame.time + float(zero - origin)
            track.carry_until(start)
            image = painter.paint(_scaled(frame.image, painter.size), frame.time)
            encoder.write(image, start, duration)
            if progress is not None:
                progress(count, total)
        encoder.finish()
        track.carry_until(None)


@contextmanager
def _output_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise OutputError(
            f"The video cannot be written ({error.strerror}).", "Choose a writable place.", target
        ) from error


class _FrameEncoder:
    """Encodes pictures at given times, which need not be evenly spaced."""

    def __init__(self, output: OutputContainer, size: tuple[int, int], rate: float) -> None:
        self._output = output
        self._stream = _video_stream(output, size, rate)
        self._last = -1
        self._durations: dict[int, int] = {}

    def write(self, image: Picture, start: float, duration: float) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        # Times that a damaged file repeats would be refused by the container.
        self._last = max(self._last + 1, round(start / _CLOCK))
        frame.pts, frame.time_base = self._last, _CLOCK
        self._durations[self._last] = max(1, round(duration / _CLOCK))
        self._pack(frame)

    def finish(self) -> None:
        self._pack(None)

    def _pack(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            # Without it the last picture would last no time at all.
            duration = self._durations.pop(packet.pts or 0, None)
            if duration is not None:
                packet.duration = round(duration * _CLOCK / packet.time_base)
            self._output.mux(packet)


def _video_stream(output: OutputContainer, size: tuple[int, int], rate: float) -> VideoStream:
    exact = Fraction(rate).limit_denominator(1001)
    if has_encoder(X264):
        options = {"crf": "20", "preset": "veryfast"}
        stream = output.add_stream(X264, rate=exact, options=options)
    else:
        stream = output.add_stream("mpeg4", rate=exact)
        stream.bit_rate = round(_BITS_PER_PIXEL * size[0] * size[1] * rate)
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = _CLOCK
    stream.codec_context.colorspace = BT601_MATRIX
    return stream


def _output_size(info: VideoInfo, max_side: int) -> tuple[int, int]:
    """Height and width of the output: both even, because colours are stored for 2 x 2 pixels."""
    scale = min(1.0, max_side / max(info.width, info.height))
    height, width = (max(2, int(side * scale) // 2 * 2) for side in (info.height, info.width))
    return height, width


def _scaled(image: Picture, size: tuple[int, int]) -> Picture:
    if image.shape[:2] == size:
        return image
    picture = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(picture)


def _with_durations(
    frames: Iterable[VideoFrame], usual: float
) -> Iterator[tuple[VideoFrame, float]]:
    """Each frame with the seconds until the next one."""
    held: VideoFrame | None = None
    for frame in frames:
        if held is not None:
            yield held, frame.time - held.time
        held = frame
    if held is not None:
        yield held, usual
