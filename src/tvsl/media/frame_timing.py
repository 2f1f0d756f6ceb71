"""Frame timing: decoded pictures of a video with the time span in which each is shown.

Times are seconds on the file's clock. Pictures are upright and have square pixels, whatever the
shape of the stored ones.

One rule gives the length of a video for all containers, whose headers often state the length of
the longest stream alone: the last picture is shown for as long as those before it. If the sound
goes on for more than a second after that, the picture is shown until the sound ends (a still
picture with a song, a series of slides).
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame as DecodedFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tvsl.errors import MediaError, UnreadableMediaError
from tvsl.media.decoding import FALLBACK_RATE, UNSEEKABLE, decode_pictures
from tvsl.media.limits import LATEST_MOMENT, MediaLimits, check_pixels, open_container
from tvsl.media.pillow import turn_upright
from tvsl.media.planes import ColorMatrix, Planes, picture_planes
from tvsl.media.streams import (
    audio_stream,
    clock_zero,
    decoding_delay,
    frame_rate,
    packet_time,
    pixel_aspect,
    require_video_stream,
)

# Containers round times to their clock (1 ms in MKV); a moment this close to a picture means it.
LARGEST_SLACK = Fraction(1, 1000)
ROUNDING = Fraction(1, 1_000_000)
# Sound that outlasts the pictures by less is what coding in blocks or an inexact cut left over.
LARGEST_OVERHANG = Fraction(1)
# The end of a sound depends on the container by some blocks of its codec; a held picture's end
# is rounded to this.
HELD_ROUNDING = Fraction(1, 2)
# Seconds before the end from which a long file is read to find out where its streams end.
TAIL = 10
# Gaps between the last pictures, whose median is how long the very last one lasts.
LAST_GAPS = 9


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A decoded picture and the time span in which it is shown.

    Attributes:
        begin: Its start in seconds.
        frame: The picture as decoded.
        slack: Uncertainty of the times in seconds.
        end: The first moment that shows another picture, or lies behind the video's end.
        aspect: Width of a stored pixel over its height.
    """

    begin: Fraction
    frame: DecodedFrame
    slack: Fraction
    end: Fraction
    aspect: Fraction


class VideoHeaders:
    """Facts from the headers of a video, filled in while it is opened for decoding.

    Attributes:
        rate: Pictures per second; 0 if the headers do not state it.
        slack: Uncertainty of the pictures' times in seconds.
        aspect: Width of a stored pixel over its height.
        has_sound: Whether there is an audio stream.
    """

    rate: Fraction = Fraction(0)
    slack: Fraction = ROUNDING
    aspect: Fraction = Fraction(1)
    has_sound: bool = False

    def choose(self, container: InputContainer, path: Path, limits: MediaLimits) -> VideoStream:
        """Choose the stream to decode, and store the facts from its headers.

        Args:
            container: The opened file.
            path: Its path, for the message.
            limits: What is allowed.

        Returns:
            The stream that ``require_video_stream`` gives.
        """
        stream = require_video_stream(container, path, limits)
        self.rate = frame_rate(stream)
        self.slack = min((stream.time_base or LARGEST_SLACK) / 2, LARGEST_SLACK) + ROUNDING
        self.aspect = pixel_aspect(stream)
        self.has_sound = audio_stream(container) is not None
        return stream


def frames_from(
    path: Path, time: Fraction, limits: MediaLimits
) -> Generator[TimedFrame, None, None]:
    """Read pictures from the one shown at a time, or an earlier one, to the last of the video.

    Args:
        path: The file.
        time: Seconds on the file's clock.
        limits: What is allowed.

    Yields:
        Each picture, in display order.

    Raises:
        MediaError: As for ``require_video_stream``, or the file is broken.
    """
    headers = VideoHeaders()
    held: tuple[Fraction, DecodedFrame] | None = None
    with closing(decode_pictures(path, time, limits, headers.choose)) as frames:
        for moment, frame in frames:
            if held is not None:
                yield TimedFrame(*held, headers.slack, moment - headers.slack, headers.aspect)
            held = moment, frame
    if held is not None:
        end = max(held[0] + headers.slack, video_end(path, limits) - 2 * headers.slack)
        yield TimedFrame(*held, headers.slack, end, headers.aspect)


def display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size of a picture with square pixels; the side along which pixels are long is stretched.

    Args:
        width: Stored columns.
        height: Stored rows.
        aspect: Width of a stored pixel over its height.

    Returns:
        Columns and rows, no fewer than are stored.
    """
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def frame_pixels(timed: TimedFrame, path: Path, limits: MediaLimits) -> NDArray[np.uint8]:
    """Convert a decoded picture for display: upright RGB with square pixels, (H, W, 3).

    Args:
        timed: The picture; its size may differ from the file's header.
        path: Its file, for the message.
        limits: What is allowed.

    Raises:
        UnreadableMediaError: It cannot be converted.
        MediaLimitError: It has too many pixels.
    """
    frame = timed.frame
    width, height = display_size(frame.width, frame.height, timed.aspect)
    check_pixels(path, width, height, limits)
    with _conversion_errors(path):
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    return turn_upright(frame, np.asarray(pixels, dtype=np.uint8))


def frame_planes(
    timed: TimedFrame, size: tuple[int, int], matrix: ColorMatrix, path: Path, limits: MediaLimits
) -> Planes:
    """Convert a decoded picture for encoding: upright, at a size.

    Args:
        timed: The picture; its size may differ from the file's header.
        size: Even height and width as shown.
        matrix: The matrix of the result.
        path: Its file, for the message.
        limits: What is allowed.

    Raises:
        UnreadableMediaError: It cannot be converted.
        MediaLimitError: It has too many pixels.
    """
    check_pixels(path, *display_size(timed.frame.width, timed.frame.height, timed.aspect), limits)
    with _conversion_errors(path):
        return picture_planes(timed.frame, size, matrix)


@contextmanager
def _conversion_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableMediaError(
            f"A picture of the video cannot be converted ({error}).",
            "Convert the video to MP4.",
            path,
        ) from error


def as_seconds(value: float) -> Fraction:
    """Convert a user's time to the nearest simple fraction: 0.3333333 is a third."""
    return Fraction(value).limit_denominator(1_000_000)


def check_moment(time: float, path: Path) -> None:
    """Refuse a moment that can lie in no video.

    Args:
        time: The moment in seconds.
        path: The file, for the message.

    Raises:
        MediaError: It is negative, not finite, or later than any clock counts.
    """
    if not 0 <= time <= LATEST_MOMENT:
        raise MediaError(
            f"The moment {time:g} s lies outside the video.",
            "Give a time of at least 0 s and less than the video's length.",
            path,
        )


def beyond_end(time: float, last: TimedFrame | None, path: Path) -> MediaError:
    """Error for a moment behind the end of a video.

    Args:
        time: The moment in seconds.
        last: The video's last picture, if it has any.
        path: The file, for the message.
    """
    end = 0.0 if last is None else float(last.end)
    problem = f"The moment {time:g} s lies behind the end of the video."
    return MediaError(problem, f"Give a time from 0 to {end:.3f} s.", path)


def video_end(path: Path, limits: MediaLimits) -> Fraction:
    """End of a video in seconds on the file's clock, by the rule at the top of this module.

    Args:
        path: The file.
        limits: What is allowed.

    Raises:
        MediaError: As for ``require_video_stream``, or the file is broken.
    """
    pictures, sound = _stream_ends(path, limits, from_start=False)
    if len(pictures) <= LAST_GAPS:
        pictures, sound = _stream_ends(path, limits, from_start=True)
    times = sorted(pictures)
    gaps = sorted(later - earlier for earlier, later in pairwise(times) if later > earlier)
    end = (
        times[-1] + gaps[(len(gaps) - 1) // 2]
        if gaps
        else max(pictures.values(), default=Fraction(0))
    )
    if sound - end <= LARGEST_OVERHANG:
        return end
    return max(end, round(sound / HELD_ROUNDING) * HELD_ROUNDING)


def _stream_ends(
    path: Path, limits: MediaLimits, from_start: bool
) -> tuple[dict[Fraction, Fraction], Fraction]:
    """Start and end of the last pictures of a file, and end of its sound or 0, by its packets.

    Only the last seconds of a long file are read, or all of it ``from_start``.
    """
    with open_container(path, limits) as container:
        picture, sound = require_video_stream(container, path, limits), audio_stream(container)
        zero = clock_zero(container)
        if not from_start:
            _seek_tail(container)
        delay = decoding_delay(container)
        usual = 1 / (frame_rate(picture) or FALLBACK_RATE)
        last: list[tuple[Fraction, Fraction]] = []
        sound_end, following = Fraction(0), Fraction(0)
        for packet in container.demux([stream for stream in (picture, sound) if stream]):
            if packet.size == 0 or packet.is_discard:
                continue
            time = packet_time(packet, container)
            is_picture = packet.stream.index == picture.index
            if time is None and not is_picture:
                continue
            # Raw streams carry no times: their pictures are counted. MPEG-PS has them for some.
            begin = following if time is None else time - zero
            end = begin + (packet.duration or 0) * packet.time_base
            if not is_picture:
                sound_end = max(sound_end, end)
                continue
            following = begin + usual
            begin, end = begin + delay, end + delay
            heapq.heappush(last, (begin, end if end > begin else begin + usual))
            if len(last) > LAST_GAPS + 1:
                heapq.heappop(last)
        return dict(last), sound_end


def _seek_tail(container: InputContainer) -> None:
    """Seek to the last seconds of a long file, if its format allows that."""
    tail = (container.start_time or 0) + (container.duration or 0) - TAIL * av.time_base
    if container.format.name in UNSEEKABLE or not container.duration or tail <= 0:
        return
    with suppress(av.FFmpegError):  # it is read from its start instead
        container.seek(tail, backward=True)
