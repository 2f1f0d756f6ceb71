"""The video and audio stream of a file that are used, and the file's clock.

The clock of a file starts at its first picture, or at its first sound where it has no picture, so
that the sound and the picture of one moment carry the same time.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tvsl.errors import NoPictureError, NoSoundError, UnreadableMediaError
from tvsl.media.limits import (
    DEFAULT_LIMITS,
    MediaLimits,
    check_frame_rate,
    check_pixels,
    check_sound_format,
    open_container,
)
from tvsl.media.ogg import ogg_links

# Pixels further from square than this are a damaged header's (the flattest in use are 32:11).
LARGEST_PIXEL_ASPECT = 8
# In these the first packet's time is not that of the first picture.
LATE_FIRST_PICTURE = frozenset({"avi", "asf"})
LARGEST_DELAY = Fraction(1, 10)
# AVI stores the order of pictures alone; MPEG-PS the times of some, and those that FFmpeg finds
# where a picture begins at the end of a pack are another's. When they are decoded is sure.
TIMED_BY_ORDER = frozenset({"avi", "mpeg"})
# Headers of these tell when the file ends, not how long it is.
DURATION_IS_END = frozenset({"matroska,webm", "flv"})
STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpegls"})


def _is_marked(stream: AudioStream | VideoStream, mark: str) -> bool:
    """Tell whether the container marks a stream as ``default``, ``attached_pic`` and the like."""
    disposition = getattr(stream, "disposition", None)  # PyAV 14.0 does not have it
    return disposition is not None and bool(disposition & getattr(type(disposition), mark))


def _is_cover(stream: VideoStream) -> bool:
    """Tell whether a video stream is the cover art of a sound file."""
    if _is_marked(stream, "attached_pic"):
        return True
    codec = stream.codec_context
    return stream.average_rate is None and codec is not None and codec.name in STILL_CODECS


def _area(stream: VideoStream) -> int:
    """Pixels of a stream's picture; 0 where its codec is not known."""
    codec = stream.codec_context
    return 0 if codec is None else codec.width * codec.height


def video_stream(container: InputContainer) -> VideoStream | None:
    """The largest video stream, or None; cover art of a sound file is not one."""
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    return max(streams, key=_area, default=None)


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The audio stream that a player would choose, if any: the one marked default, or the first."""
    streams = container.streams.audio
    marked = [stream for stream in streams if _is_marked(stream, "default")]
    return next(iter(marked or streams), None)


def require_video_stream(container: InputContainer, path: Path, limits: MediaLimits) -> VideoStream:
    """The video stream, checked against the limits before anything is decoded.

    Args:
        container: An opened file.
        path: Its path, for the message.
        limits: What is allowed.

    Raises:
        NoPictureError: The file has no video.
        UnreadableMediaError: Its codec is not known.
        MediaLimitError: Too many pixels or too many pictures per second.
    """
    stream = video_stream(container)
    if stream is None:
        raise NoPictureError("The file has no video.", "Give a video file.", path)
    if _area(stream) == 0:
        raise UnreadableMediaError(
            "The video is of an unknown codec or broken.", "Convert it to MP4.", path
        )
    check_pixels(path, stream.codec_context.width, stream.codec_context.height, limits)
    check_frame_rate(path, float(frame_rate(stream)), limits)
    stream.codec_context.options = {"max_pixels": str(2 * limits.max_pixels)}
    return stream


def require_audio_stream(container: InputContainer, path: Path, limits: MediaLimits) -> AudioStream:
    """The audio stream that a player would choose, with a sample rate and channels in the limits.

    Args:
        container: As for ``require_video_stream``.
        path: As for ``require_video_stream``.
        limits: As for ``require_video_stream``.

    Raises:
        NoSoundError: The file has no audio.
        UnreadableMediaError: Its codec is not known.
        MediaLimitError: A rate or number of channels outside the limits.
    """
    stream = audio_stream(container)
    if stream is None:
        raise NoSoundError(
            "The file has no sound.", "Give a file with sound, or the sound separately.", path
        )
    if stream.codec_context is None or not stream.rate:
        raise UnreadableMediaError(
            "The sound is of an unknown codec or broken.", "Convert it to WAV or MP4.", path
        )
    check_sound_format(path, stream.rate, stream.layout.nb_channels, limits)
    return stream


def frame_rate(stream: VideoStream) -> Fraction:
    """Average number of pictures per second; 0 where the file does not tell."""
    return stream.average_rate or stream.guessed_rate or Fraction(0)


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height when it is shown; 1 where the file is silent.

    The container's word goes before the codec's, as in FFmpeg and in players.
    """
    ratio = stream.sample_aspect_ratio
    if ratio is None or not Fraction(1, LARGEST_PIXEL_ASPECT) <= ratio <= LARGEST_PIXEL_ASPECT:
        return Fraction(1)
    return Fraction(ratio)


def clock_zero(container: InputContainer) -> Fraction:
    """Start of a file's clock, in seconds of its container's timestamps.

    Returns:
        Time of the first picture, or of the first sound where there is no picture.

    Raises:
        UnreadableMediaError: The file is broken.
    """
    stream = video_stream(container) or audio_stream(container)
    if stream is None or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    if container.format.name in LATE_FIRST_PICTURE and isinstance(stream, VideoStream):
        return _first_picture(container, stream)
    return stream.start_time * stream.time_base


def picture_stamp(frame: VideoFrame, container: InputContainer) -> int | None:
    """Timestamp of a decoded picture, in units of its time base; None where it has none.

    Args:
        frame: The picture.
        container: Its file.

    Returns:
        When it is shown. AVI stores no such time but the order alone, from which FFmpeg guesses
        times that do not rise where pictures lean on later ones; the order itself is right.
    """
    first, second = (frame.dts, frame.pts) if _is_ordered(container) else (frame.pts, frame.dts)
    return second if first is None else first


def _is_ordered(container: InputContainer) -> bool:
    """Tell whether a container stores the order of its pictures in place of their times."""
    return container.format.name == "avi"


def _first_picture(container: InputContainer, stream: VideoStream) -> Fraction:
    """Time of the first picture, by decoding it: the headers tell that of the first packet."""
    _, times = _opening(container, stream)
    if not times:
        return (stream.start_time or 0) * (stream.time_base or Fraction(0))
    rate = frame_rate(stream)
    if len(times) == 2 and _is_ordered(container) and rate:
        # FFmpeg writes a first picture that is late by some pictures without that delay, and the
        # delay behind it.
        delay = times[1] - times[0] - 1 / rate
        return times[0] + (delay if 0 < delay <= LARGEST_DELAY else 0)
    return times[0]


def _opening(
    container: InputContainer, stream: VideoStream
) -> tuple[Fraction | None, list[Fraction]]:
    """Time of the first packet of a video, and of the first two pictures that come of it."""
    path = Path(container.name.removeprefix("file:"))
    # It has been let in already, by limits that may be wider.
    limits = replace(DEFAULT_LIMITS, max_file_size=2**63, max_duration=float(2**63))
    first: Fraction | None = None
    times: list[Fraction] = []
    with open_container(path, limits) as again:
        for packet in again.demux(again.streams[stream.index]):
            if first is None and packet.dts is not None:
                first = packet.dts * packet.time_base
            for frame in packet.decode():
                if not isinstance(frame, VideoFrame) or frame.time_base is None:
                    continue
                stamp = picture_stamp(frame, again)
                if stamp is not None:
                    times.append(stamp * frame.time_base)
            if len(times) >= 2:
                break
    return first, times[:2]


def packet_time(packet: Packet[Any], container: InputContainer) -> Fraction | None:
    """Presentation time of a packet; None if it carries no time.

    Args:
        packet: A packet of any stream.
        container: Its file.

    Returns:
        Seconds of the container's timestamps; of a picture in AVI and MPEG-PS, the time at which
        it is decoded, see ``decoding_delay``.
    """
    first, second = (packet.pts, packet.dts)
    if container.format.name in TIMED_BY_ORDER and isinstance(packet.stream, VideoStream):
        first, second = second, first
    stamp = second if first is None else first
    return None if stamp is None or packet.time_base is None else stamp * packet.time_base


def decoding_delay(container: InputContainer) -> Fraction:
    """Delay in seconds between ``packet_time`` and the display of a picture.

    Returns:
        0 where the container stores when each picture is shown.

    Raises:
        UnreadableMediaError: The file is broken.
    """
    stream = video_stream(container)
    if stream is None or container.format.name not in TIMED_BY_ORDER:
        return Fraction(0)
    first, times = _opening(container, stream)
    return times[0] - first if times and first is not None else Fraction(0)


def declared_end(container: InputContainer) -> Fraction | None:
    """End of a file by its headers, in seconds of its timestamps; None if not stated."""
    if not container.duration:
        return None
    begin = 0 if container.format.name in DURATION_IS_END else container.start_time or 0
    return Fraction(begin + container.duration, 1_000_000) - _opus_lead(container)


def _opus_lead(container: InputContainer) -> Fraction:
    """Seconds that Opus decodes before its sound begins, which Ogg counts in (RFC 7845)."""
    stream = audio_stream(container)
    if container.format.name != "ogg" or stream is None or video_stream(container) is not None:
        return Fraction(0)
    head = bytes(stream.codec_context.extradata or b"") if stream.codec_context else b""
    if not head.startswith(b"OpusHead"):
        return Fraction(0)
    return Fraction(int.from_bytes(head[10:12], "little"), 48_000)


def file_end(path: Path, limits: MediaLimits) -> float:
    """End of a file by its own headers.

    Args:
        path: A sound or video file.
        limits: What is allowed.

    Returns:
        Seconds on the file's clock; 0 if the file does not state it.

    Raises:
        UnreadableMediaError: The file is broken.
        MediaLimitError: The file exceeds a limit.
    """
    total = Fraction(0)
    for link in range(max(1, len(ogg_links(path)))):
        with open_container(path, limits, link) as container:
            end = declared_end(container)
            if end is None:
                return 0.0
            total += end - clock_zero(container)
    return float(total)
