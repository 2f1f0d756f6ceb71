"""Which picture of a video is shown when: decoded pictures with the stretch of time of each.

Times are seconds on the file's clock. Pictures come as they are shown: upright and with square
pixels, whatever the shape of the stored ones.

One rule says how long a video lasts, whatever its container, whose headers often tell the length of
the longest stream alone: the last picture is shown for as long as those before it, and where the
sound goes on for more than a second after it, until the sound ends (a still picture with a song, a
series of slides).
"""

from __future__ import annotations

import heapq
from collections.abc import Generator
from contextlib import closing, suppress
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
from tvsl.media.orientation import turn_upright
from tvsl.media.streams import (
    clock_zero,
    decoding_delay,
    frame_rate,
    packet_time,
    pixel_aspect,
    require_picture,
    sound_stream,
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
class Shown:
    """A decoded picture and the stretch of time in which it is shown.

    Attributes:
        begin: When it begins, in seconds.
        frame: The picture as decoded.
        slack: How exact the times are, in seconds.
        closes: The first moment that shows another picture, or lies behind the video's end.
        aspect: Width of a stored pixel over its height.
    """

    begin: Fraction
    frame: DecodedFrame
    slack: Fraction
    closes: Fraction
    aspect: Fraction


class VideoHeaders:
    """What the headers of a video tell, noted while it is opened for decoding.

    Attributes:
        rate: Pictures per second; 0 where the headers do not tell.
        slack: How exact the times of pictures are, in seconds.
        aspect: Width of a stored pixel over its height.
        has_sound: Whether there is an audio stream.
    """

    rate: Fraction = Fraction(0)
    slack: Fraction = ROUNDING
    aspect: Fraction = Fraction(1)
    has_sound: bool = False

    def choose(self, container: InputContainer, path: Path, limits: MediaLimits) -> VideoStream:
        """Choose the stream to decode, as ``require_picture`` does, and take notes."""
        stream = require_picture(container, path, limits)
        self.rate = frame_rate(stream)
        self.slack = min((stream.time_base or LARGEST_SLACK) / 2, LARGEST_SLACK) + ROUNDING
        self.aspect = pixel_aspect(stream)
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
                yield Shown(*held, headers.slack, moment - headers.slack, headers.aspect)
            held = moment, frame
    if held is not None:
        closes = max(held[0] + headers.slack, video_end(path, limits) - 2 * headers.slack)
        yield Shown(*held, headers.slack, closes, headers.aspect)


def shown_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size of a picture with square pixels: the side along which pixels are long is stretched.

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


def shown_pixels(shown: Shown, path: Path, limits: MediaLimits) -> NDArray[np.uint8]:
    """A decoded picture as it is shown: upright RGB with square pixels.

    Args:
        shown: The picture; its size may have changed since the file's header.
        path: Its file, for the message.
        limits: What is allowed.

    Returns:
        (H, W, 3).

    Raises:
        UnreadableMediaError: It cannot be converted.
        MediaLimitError: It has too many pixels.
    """
    frame = shown.frame
    width, height = shown_size(frame.width, frame.height, shown.aspect)
    check_pixels(path, width, height, limits)
    try:
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
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
        MediaError: It is negative, not finite, or later than any clock counts.
    """
    if not 0 <= time <= LATEST_MOMENT:
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


def video_end(path: Path, limits: MediaLimits) -> Fraction:
    """When a video is over, by the rule at the head of this file.

    Args:
        path: The file.
        limits: What is allowed.

    Returns:
        Seconds on the file's clock.

    Raises:
        NoPictureError: The file has no video.
        UnreadableMediaError: The file is broken.
        MediaLimitError: The file exceeds a limit.
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
    """Where the last pictures of a file begin and end, and where its sound ends, by its packets.

    Args:
        path: The file.
        limits: What is allowed.
        from_start: Whether the whole file is read, or its last seconds only where it is long.

    Returns:
        Begin and own end of each of the last pictures, in seconds, and the end of the sound; 0
        where no sound was met.
    """
    with open_container(path, limits) as container:
        picture, sound = require_picture(container, path, limits), sound_stream(container)
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
    """Move to the last seconds of a long file, where its format allows that."""
    tail = (container.start_time or 0) + (container.duration or 0) - TAIL * av.time_base
    if container.format.name in UNSEEKABLE or not container.duration or tail <= 0:
        return
    with suppress(av.FFmpegError):  # it is read from its start instead
        container.seek(tail, backward=True)
