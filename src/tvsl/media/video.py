"""Read pictures of a video: one at a moment, or all in order, upright and in bounded memory.

Times are seconds on the file's clock, which starts at the first picture; ``load_audio`` uses the
same clock. Pictures have square pixels: if the stored ones are not square, the side along which
they are long is stretched.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UsageError
from tvsl.media.decoding import decode_pictures
from tvsl.media.frame_timing import (
    LARGEST_SLACK,
    ROUNDING,
    TimedFrame,
    VideoHeaders,
    as_seconds,
    beyond_end,
    check_moment,
    display_size,
    frame_pixels,
    frame_planes,
    frames_from,
    video_end,
)
from tvsl.media.limits import (
    DEFAULT_LIMITS,
    MediaLimits,
    check_duration,
    check_file,
    check_frame_rate,
    check_pixels,
    open_container,
)
from tvsl.media.pillow import is_upright, turned_degrees
from tvsl.media.planes import ColorMatrix, Planes, color_matrix
from tvsl.media.streams import require_video_stream


@dataclass(frozen=True)
class VideoInfo:
    """Size, rate, length and rotation of a video file.

    Attributes:
        path: The file.
        width: Columns of the picture as shown: after rotation, in square pixels.
        height: Rows of the picture as shown.
        frame_rate: Pictures per second, on average.
        duration: Length of the video in seconds: until its last picture is over, or the sound
            where it goes on for more than a second after that.
        rotation: Clockwise rotation of the stored pictures for display, in degrees: 0, 90, 180 or
            270. Everything in this package applies it already.
        is_upright: Whether pictures are stored as they are shown: neither turned nor mirrored.
        has_sound: Whether there is an audio stream.
        stored: Columns and rows of the picture as stored: before rotation.
        pixel_aspect: Width of a stored pixel over its height; 1 for square ones.
        matrix: Matrix of the colours of its first picture, in which ``iterate_planes`` gives all.
    """

    path: Path
    width: int
    height: int
    frame_rate: float
    duration: float
    rotation: int
    is_upright: bool
    has_sound: bool
    stored: tuple[int, int]
    pixel_aspect: Fraction
    matrix: ColorMatrix


@dataclass(frozen=True, eq=False)
class VideoPlanes:
    """One picture of a video as it is encoded.

    Attributes:
        time: Seconds from the video's start.
        planes: Luma and colour differences, upright, with square pixels.
    """

    time: float
    planes: Planes


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One picture of a video.

    Attributes:
        time: Seconds from the video's start.
        image: (H, W, 3) uint8 RGB, as shown: upright, with square pixels.
    """

    time: float
    image: NDArray[np.uint8]


def probe_video(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> VideoInfo:
    """Read size, rate, length and rotation of a video; only its first picture is decoded.

    Args:
        path: The file.
        limits: What is allowed.

    Raises:
        MissingFileError: No such file.
        NoPictureError: The file has no video; cover art of a sound file is none.
        UnreadableMediaError: The file is broken or cut off.
        MediaLimitError: The file exceeds a limit.
    """
    target = check_file(path, limits)
    return _probed(target, limits, _state(target))


def _state(path: Path) -> tuple[int, ...]:
    """Marks of a file that change with its content."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=64)
def _probed(target: Path, limits: MediaLimits, state: tuple[int, ...]) -> VideoInfo:  # noqa: ARG001
    """``probe_video``; a file is read again when it was changed."""
    headers = VideoHeaders()
    with closing(decode_pictures(target, Fraction(0), limits, headers.choose)) as frames:
        _, first = next(frames)
    stored = first.width, first.height
    width, height = display_size(*stored, headers.aspect)
    check_pixels(target, width, height, limits)
    rotation = turned_degrees(first)
    upright = (width, height) if rotation % 180 == 0 else (height, width)
    length = video_end(target, limits)
    rate = headers.rate or _counted_rate(target, length, limits)
    check_duration(target, float(length), limits)
    check_frame_rate(target, float(rate), limits)
    return VideoInfo(
        target,
        *upright,
        float(rate),
        float(length),
        rotation,
        is_upright(first),
        headers.has_sound,
        stored,
        headers.aspect,
        color_matrix(first),
    )


def read_frame(
    path: str | Path, time: float | None = None, limits: MediaLimits = DEFAULT_LIMITS
) -> VideoFrame:
    """Read the picture that is shown at a moment: the last one that begins at or before it.

    Args:
        path: A video file.
        time: The moment in seconds from the video's start; None for the middle.
        limits: What is allowed.

    Raises:
        MediaError: The moment lies outside the video, or as for ``probe_video``.
    """
    target = check_file(path, limits)
    moment = probe_video(target, limits).duration / 2 if time is None else time
    check_moment(moment, target)
    with closing(_frames_at(target, deque([as_seconds(moment)]), limits)) as frames:
        _, frame = next(frames)
        return _as_frame(frame.begin, frame, target, limits)


def read_frames(
    path: str | Path, times: Iterable[float], limits: MediaLimits = DEFAULT_LIMITS
) -> Iterator[VideoFrame]:
    """Read the pictures that are shown at some moments, in one pass.

    Args:
        path: A video file.
        times: The moments in seconds from the video's start, none before the one ahead of it.
        limits: What is allowed.

    Returns:
        An iterator over the pictures, one for each moment, with that moment as its time. Broken
        files, and a moment behind the end, raise while it runs.

    Raises:
        UsageError: A moment lies before the one ahead of it.
        MediaError: A moment lies outside the video, or as for ``probe_video``.
    """
    target = check_file(path, limits)
    moments = list(times)
    for moment in moments:
        check_moment(moment, target)
    if any(later < earlier for earlier, later in pairwise(moments)):
        raise UsageError("The moments do not rise.", "Sort them.")
    found = _frames_at(target, deque(as_seconds(moment) for moment in moments), limits)
    return (_as_frame(moment, frame, target, limits) for moment, frame in found)


def iterate_frames(
    path: str | Path,
    every: float | None = None,
    start: float = 0.0,
    stop: float | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Iterator[VideoFrame]:
    """Read the pictures of a video in order, in one pass and with two decoded ones alive at most.

    Args:
        path: A video file.
        every: Seconds from one picture to the next; None for all pictures. With a step each result
            carries the moment asked for (``start``, ``start + every`` ...) and the picture shown
            then, so that a picture shown for long comes more than once.
        start: The moment to begin at, in seconds; the first picture is the one shown then, however
            soon the stop comes.
        stop: The moment to end before, in seconds; None for the end of the video.
        limits: What is allowed.

    Returns:
        An iterator over the pictures. Broken files, and a start behind the end, raise while it
        runs.

    Raises:
        UsageError: The step is not positive, or the stop is not behind the start.
        MediaError: ``start`` lies outside the video, or as for ``probe_video``.
    """
    frames = _checked_frames(path, every, start, stop, limits)
    return (_as_frame(moment, frame, Path(path), limits) for moment, frame in frames)


def iterate_planes(
    path: str | Path,
    size: tuple[int, int],
    start: float = 0.0,
    stop: float | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Iterator[VideoPlanes]:
    """Read all pictures of a video in order as they are encoded, at a size.

    Args:
        path: The file.
        size: Even height and width in pixels, as shown.
        start: As for ``iterate_frames``.
        stop: As for ``iterate_frames``.
        limits: What is allowed.

    Returns:
        An iterator over the pictures, in the matrix that ``probe_video`` tells.

    Raises:
        UsageError: As for ``iterate_frames``.
        MediaError: As for ``iterate_frames``.
    """
    matrix = probe_video(path, limits).matrix
    frames = _checked_frames(path, None, start, stop, limits)
    return (
        VideoPlanes(float(moment), frame_planes(frame, size, matrix, Path(path), limits))
        for moment, frame in frames
    )


def _checked_frames(
    path: str | Path, every: float | None, start: float, stop: float | None, limits: MediaLimits
) -> Iterator[tuple[Fraction, TimedFrame]]:
    """The pictures that ``iterate_frames`` gives, each with its moment."""
    target = check_file(path, limits)
    check_moment(start, target)
    if every is not None and not (math.isfinite(every) and every > 0):
        raise UsageError(f"The step is {every:g} s.", "Give a positive number of seconds.")
    if stop is not None and not stop > start:
        raise UsageError(f"The stop {stop:g} s is not behind the start {start:g} s.", "Swap them.")
    begin = as_seconds(start)
    # Two moments that differ by less than they are rounded to are not one.
    is_open = stop is None or math.isinf(stop)
    end = None if is_open else max(as_seconds(stop or 0.0), begin + ROUNDING)
    step = None if every is None else max(ROUNDING, as_seconds(every))
    return _frames(target, step, begin, end, limits)


def _frames_at(
    path: Path, moments: deque[Fraction], limits: MediaLimits
) -> Generator[tuple[Fraction, TimedFrame], None, None]:
    """Moments, which rise and are used up, each with the picture on display then."""
    if not moments:
        return
    last: TimedFrame | None = None
    with closing(frames_from(path, moments[0], limits)) as frames:
        for last in frames:
            while moments and moments[0] < last.end:
                yield moments.popleft(), last
            if not moments:
                return
    # At the very end of the video the last picture still stands.
    while last is not None and moments and moments[0] <= last.end + LARGEST_SLACK:
        yield moments.popleft(), last
    if moments:
        raise beyond_end(float(moments[0]), last, path)


def _frames(
    path: Path, step: Fraction | None, start: Fraction, stop: Fraction | None, limits: MediaLimits
) -> Iterator[tuple[Fraction, TimedFrame]]:
    """The pictures from a start to a stop, all of them or those at each step; one at least."""
    frame: TimedFrame | None = None
    moment, is_first = start, True
    with closing(frames_from(path, start, limits)) as frames:
        for frame in frames:
            if frame.end <= start:
                continue
            if stop is not None and frame.begin + frame.slack >= stop and not is_first:
                return
            is_first = False
            if step is None:
                yield frame.begin, frame
                continue
            while moment < frame.end and (stop is None or moment < stop):
                yield moment, frame
                moment += step
    if frame is None or frame.end <= start:
        raise beyond_end(float(start), frame, path)


def _as_frame(time: Fraction, frame: TimedFrame, path: Path, limits: MediaLimits) -> VideoFrame:
    return VideoFrame(float(time), frame_pixels(frame, path, limits))


def _counted_rate(path: Path, length: Fraction, limits: MediaLimits) -> Fraction:
    """Pictures per second where the headers do not tell: the packets are counted."""
    with open_container(path, limits) as container:
        packets = container.demux(require_video_stream(container, path, limits))
        count = sum(packet.size > 0 for packet in packets)
    return Fraction(count) / (length or 1)
