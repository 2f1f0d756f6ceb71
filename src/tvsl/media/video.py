"""Read pictures of a video: one at a moment, or all in order, upright and in bounded memory.

Times are seconds on the file's clock, which starts at the first picture; ``load_audio`` uses the
same clock. The pixels are taken as square: a sample aspect ratio in the file is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame as DecodedFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tvsl.errors import MediaError, UnreadableMediaError, UsageError
from tvsl.media.decoding import FALLBACK_RATE, decode_pictures
from tvsl.media.limits import (
    DEFAULT_LIMITS,
    MediaLimits,
    check_duration,
    check_file,
    check_frame_rate,
    check_pixels,
    open_container,
)
from tvsl.media.orientation import turn_upright, turned_degrees
from tvsl.media.streams import clock_zero, frame_rate, require_picture, sound_stream

# Containers round times to their clock (1 ms in MKV); a moment this close to a picture means it.
LARGEST_SLACK = Fraction(1, 1000)
ROUNDING = Fraction(1, 1_000_000)
# FFmpeg guesses the length of these from a few timestamps, and often wrong.
GUESSED_LENGTH = frozenset({"mpeg"})


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: The file.
        width: Columns of the picture as shown, after rotation; pixels are taken as square.
        height: Rows of the picture as shown.
        frame_rate: Pictures per second, on average.
        duration: Length of the video in seconds.
        rotation: By how many degrees clockwise the stored pictures are turned for showing: 0, 90,
            180 or 270. Everything in this package gives them turned already.
        has_sound: Whether there is an audio stream.
    """

    path: Path
    width: int
    height: int
    frame_rate: float
    duration: float
    rotation: int
    has_sound: bool


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One picture of a video.

    Attributes:
        time: Seconds from the video's start.
        image: (H, W, 3) uint8 RGB, upright.
    """

    time: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Shown:
    """A decoded picture, its time, how exact that is, and the first moment that shows another."""

    begin: Fraction
    frame: DecodedFrame
    slack: Fraction
    closes: Fraction


def probe_video(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> VideoInfo:
    """Find out size, rate, length and rotation of a video; decodes its first picture only.

    Args:
        path: The file.
        limits: What is allowed.

    Returns:
        What the file holds.

    Raises:
        MissingFileError: No such file.
        NoPictureError: The file has no video; cover art of a sound file is none.
        UnreadableMediaError: The file is broken or cut off.
        MediaLimitError: The file exceeds a limit.
    """
    target = check_file(path, limits)
    with closing(decode_pictures(target, Fraction(0), limits)) as frames:
        _, first = next(frames)
    check_pixels(target, first.width, first.height, limits)
    rotation = turned_degrees(first)
    shown = (first.width, first.height) if rotation % 180 == 0 else (first.height, first.width)
    with open_container(target, limits) as container:
        stream = require_picture(container, target, limits)
        length, rate = _length_and_rate(container, stream)
        has_sound = sound_stream(container) is not None
    check_duration(target, float(length), limits)
    check_frame_rate(target, float(rate), limits)
    return VideoInfo(target, *shown, float(rate), float(length), rotation, has_sound)


def read_frame(
    path: str | Path, time: float | None = None, limits: MediaLimits = DEFAULT_LIMITS
) -> VideoFrame:
    """Read the picture that is shown at a moment: the last one that begins at or before it.

    Args:
        path: A video file.
        time: The moment in seconds from the video's start; None for the middle.
        limits: What is allowed.

    Returns:
        The picture, with the time at which it begins.

    Raises:
        MediaError: The moment lies outside the video.
        MissingFileError: No such file.
        NoPictureError: The file has no video.
        UnreadableMediaError: The file is broken or cut off.
        MediaLimitError: The file exceeds a limit.
    """
    target = check_file(path, limits)
    moment = probe_video(target, limits).duration / 2 if time is None else time
    _check_moment(moment, target)
    last: _Shown | None = None
    wanted = _seconds(moment)
    with closing(_shown_from(target, wanted, limits)) as pictures:
        for last in pictures:
            if last.closes > wanted:
                return _as_frame(last.begin, last.frame, target, limits)
    # The very end of the video still shows its last picture.
    if last is not None and wanted <= last.closes + LARGEST_SLACK:
        return _as_frame(last.begin, last.frame, target, limits)
    raise _beyond_end(moment, last, target)


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
        start: The moment to begin at, in seconds; the first picture is the one shown then.
        stop: The moment to end before, in seconds; None for the end of the video.
        limits: What is allowed.

    Returns:
        An iterator over the pictures. Broken files, and a start behind the end, raise while it
        runs.

    Raises:
        UsageError: A step or stop that cannot be meant.
        MediaError: ``start`` lies outside the video.
        MissingFileError: No such file.
        NoPictureError: The file has no video.
        UnreadableMediaError: The file is broken or cut off.
        MediaLimitError: The file exceeds a limit.
    """
    target = check_file(path, limits)
    _check_moment(start, target)
    if every is not None and not (math.isfinite(every) and every > 0):
        raise UsageError(f"The step is {every:g} s.", "Give a positive number of seconds.")
    if stop is not None and not stop > start:
        raise UsageError(f"The stop {stop:g} s is not behind the start {start:g} s.", "Swap them.")
    end = None if stop is None or math.isinf(stop) else _seconds(stop)
    step = None if every is None else max(ROUNDING, _seconds(every))
    return _frames(target, step, _seconds(start), end, limits)


def _frames(
    path: Path, step: Fraction | None, start: Fraction, stop: Fraction | None, limits: MediaLimits
) -> Iterator[VideoFrame]:
    """The pictures from a start to a stop, all of them or those at each step."""
    shown: _Shown | None = None
    moment = start
    with closing(_shown_from(path, start, limits)) as pictures:
        for shown in pictures:
            if shown.closes <= start:
                continue
            if stop is not None and shown.begin + shown.slack >= stop:
                return
            if step is None:
                yield _as_frame(shown.begin, shown.frame, path, limits)
                continue
            while moment < shown.closes and (stop is None or moment < stop):
                yield _as_frame(moment, shown.frame, path, limits)
                moment += step
    if shown is None or shown.closes <= start:
        raise _beyond_end(float(start), shown, path)


def _shown_from(path: Path, time: Fraction, limits: MediaLimits) -> Generator[_Shown, None, None]:
    """Pictures from the one shown at a time, or an earlier one, to the last of the video."""
    with open_container(path, limits) as container:
        stream = require_picture(container, path, limits)
        declared = _declared_length(container, stream) or Fraction(0)
        step = 1 / (frame_rate(stream) or FALLBACK_RATE)
        slack = min((stream.time_base or LARGEST_SLACK) / 2, LARGEST_SLACK) + ROUNDING
    held: tuple[Fraction, DecodedFrame] | None = None
    with closing(decode_pictures(path, time, limits)) as frames:
        for moment, frame in frames:
            if held is not None:
                yield _Shown(*held, slack=slack, closes=moment - slack)
            held = moment, frame
    if held is not None:
        closes = max(held[0] + step, declared)
        yield _Shown(*held, slack=slack, closes=closes)


def _as_frame(time: Fraction, frame: DecodedFrame, path: Path, limits: MediaLimits) -> VideoFrame:
    """A decoded picture as upright RGB; its size may have changed since the file's header."""
    check_pixels(path, frame.width, frame.height, limits)
    try:
        pixels = frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableMediaError(
            f"A picture of the video cannot be converted to RGB ({error}).",
            "Convert the video to MP4.",
            path,
        ) from error
    return VideoFrame(float(time), turn_upright(frame, np.asarray(pixels, dtype=np.uint8)))


def _seconds(value: float) -> Fraction:
    """A user's time as the simple fraction that is meant: 0.3333333 is a third."""
    return Fraction(value).limit_denominator(1_000_000)


def _check_moment(time: float, path: Path) -> None:
    """Refuse a moment that can lie in no video."""
    if not (math.isfinite(time) and time >= 0):
        raise MediaError(
            f"The moment {time:g} s lies outside the video.",
            "Give a time of at least 0 s and less than the video's length.",
            path,
        )


def _beyond_end(time: float, last: _Shown | None, path: Path) -> MediaError:
    """The error for a moment behind the end of a video."""
    end = 0.0 if last is None else float(last.closes)
    problem = f"The moment {time:g} s lies behind the end of the video."
    return MediaError(problem, f"Give a time from 0 to {end:.3f} s.", path)


def _declared_length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Length in seconds by the file's headers; None where they do not tell."""
    if container.format.name in GUESSED_LENGTH:
        return None
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if not container.duration:
        return None
    end = Fraction((container.start_time or 0) + container.duration, 1_000_000)
    return end - clock_zero(container)


def _length_and_rate(container: InputContainer, stream: VideoStream) -> tuple[Fraction, Fraction]:
    """Length in seconds and pictures per second; counts packets where the headers do not tell."""
    length, rate = _declared_length(container, stream), frame_rate(stream)
    if length is not None and rate > 0:
        return length, rate
    zero, count, end = clock_zero(container), 0, Fraction(0)
    for packet in container.demux(stream):
        count += packet.size > 0
        if packet.pts is not None:
            stamp = (packet.pts + (packet.duration or 0)) * packet.time_base - zero
            end = max(end, stamp)
    length = length or end or count / (rate or FALLBACK_RATE)
    return length, rate or Fraction(count) / (length or 1)
