"""Which picture of a video is shown when: decoded pictures with the stretch of time of each.

Times are seconds on the file's clock. The pixels are taken as square: a sample aspect ratio in the
file is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Generator
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

from tvsl.errors import MediaError, UnreadableMediaError
from tvsl.media.decoding import FALLBACK_RATE, decode_pictures
from tvsl.media.limits import MediaLimits, check_pixels
from tvsl.media.orientation import turn_upright
from tvsl.media.streams import clock_zero, frame_rate, require_picture, sound_stream

# Containers round times to their clock (1 ms in MKV); a moment this close to a picture means it.
LARGEST_SLACK = Fraction(1, 1000)
ROUNDING = Fraction(1, 1_000_000)
# FFmpeg guesses the length of these from a few timestamps, and often wrong.
GUESSED_LENGTH = frozenset({"mpeg"})


@dataclass(frozen=True, eq=False)
class Shown:
    """A decoded picture and the stretch of time in which it is shown.

    Attributes:
        begin: When it begins, in seconds.
        frame: The picture as decoded.
        slack: How exact the times are, in seconds.
        closes: The first moment that shows another picture, or lies behind the video's end.
    """

    begin: Fraction
    frame: DecodedFrame
    slack: Fraction
    closes: Fraction


class VideoHeaders:
    """What the headers of a video tell, noted while it is opened for decoding.

    Attributes:
        length: Length in seconds; None where the headers do not tell.
        rate: Pictures per second; 0 where the headers do not tell.
        slack: How exact the times of pictures are, in seconds.
        has_sound: Whether there is an audio stream.
    """

    length: Fraction | None = None
    rate: Fraction = Fraction(0)
    slack: Fraction = ROUNDING
    has_sound: bool = False

    def choose(self, container: InputContainer, path: Path, limits: MediaLimits) -> VideoStream:
        """Choose the stream to decode, as ``require_picture`` does, and take notes."""
        stream = require_picture(container, path, limits)
        self.length = declared_length(container, stream)
        self.rate = frame_rate(stream)
        self.slack = min((stream.time_base or LARGEST_SLACK) / 2, LARGEST_SLACK) + ROUNDING
        self.has_sound = sound_stream(container) is not None
        return stream


def shown_from(path: Path, time: Fraction, limits: MediaLimits) -> Generator[Shown, None, None]:
    """Pictures from the one shown at a time, or an earlier one, to the last of the video.

    Args:
        path: The file.
        time: Seconds on the file's clock.
        limits: What is allowed.

    Yields:
        Each picture, in the order in which they are shown.

    Raises:
        NoPictureError: The file has no video.
        UnreadableMediaError: The file is broken.
        MediaLimitError: The file exceeds a limit.
    """
    headers = VideoHeaders()
    held: tuple[Fraction, DecodedFrame] | None = None
    with closing(decode_pictures(path, time, limits, headers.choose)) as frames:
        for moment, frame in frames:
            if held is not None:
                yield Shown(*held, slack=headers.slack, closes=moment - headers.slack)
            held = moment, frame
    if held is not None:
        step = 1 / (headers.rate or FALLBACK_RATE)
        closes = max(held[0] + step, headers.length or Fraction(0))
        yield Shown(*held, slack=headers.slack, closes=closes)


def upright_pixels(frame: DecodedFrame, path: Path, limits: MediaLimits) -> NDArray[np.uint8]:
    """A decoded picture as upright RGB.

    Args:
        frame: The picture; its size may have changed since the file's header.
        path: Its file, for the message.
        limits: What is allowed.

    Returns:
        (H, W, 3).

    Raises:
        UnreadableMediaError: It cannot be converted.
        MediaLimitError: It has too many pixels.
    """
    check_pixels(path, frame.width, frame.height, limits)
    try:
        pixels = frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableMediaError(
            f"A picture of the video cannot be converted to RGB ({error}).",
            "Convert the video to MP4.",
            path,
        ) from error
    return turn_upright(frame, np.asarray(pixels, dtype=np.uint8))


def as_seconds(value: float) -> Fraction:
    """A user's time as the simple fraction that is meant: 0.3333333 is a third."""
    return Fraction(value).limit_denominator(1_000_000)


def check_moment(time: float, path: Path) -> None:
    """Refuse a moment that can lie in no video.

    Raises:
        MediaError: It is negative or not finite.
    """
    if not (math.isfinite(time) and time >= 0):
        raise MediaError(
            f"The moment {time:g} s lies outside the video.",
            "Give a time of at least 0 s and less than the video's length.",
            path,
        )


def beyond_end(time: float, last: Shown | None, path: Path) -> MediaError:
    """The error for a moment behind the end of a video, whose last picture is given."""
    end = 0.0 if last is None else float(last.closes)
    problem = f"The moment {time:g} s lies behind the end of the video."
    return MediaError(problem, f"Give a time from 0 to {end:.3f} s.", path)


def declared_length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Length of a video in seconds by the file's headers; None where they do not tell."""
    if container.format.name in GUESSED_LENGTH:
        return None
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if not container.duration:
        return None
    end = Fraction((container.start_time or 0) + container.duration, 1_000_000)
    return end - clock_zero(container)
