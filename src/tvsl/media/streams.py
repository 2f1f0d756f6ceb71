"""Choose the streams of a file that are meant, and define the file's clock.

The clock of a file starts at its first picture, or at its first sound where it has no picture, so
that the sound and the picture of one moment carry the same time.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from tvsl.errors import NoPictureError, NoSoundError, UnreadableMediaError
from tvsl.media.limits import (
    MediaLimits,
    check_frame_rate,
    check_pixels,
    check_sound_format,
    open_container,
)

STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpegls"})


def _is_marked(stream: AudioStream | VideoStream, mark: str) -> bool:
    """Whether the container marks a stream as ``default``, ``attached_pic`` and the like."""
    disposition = getattr(stream, "disposition", None)  # PyAV 14.0 does not have it
    return disposition is not None and bool(disposition & getattr(type(disposition), mark))


def _is_cover(stream: VideoStream) -> bool:
    """Whether a video stream is the cover art of a sound file."""
    if _is_marked(stream, "attached_pic"):
        return True
    codec = stream.codec_context
    return stream.average_rate is None and codec is not None and codec.name in STILL_CODECS


def _area(stream: VideoStream) -> int:
    """Pixels of a stream's picture; 0 where its codec is not known."""
    codec = stream.codec_context
    return 0 if codec is None else codec.width * codec.height


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The largest video stream; cover art of a sound file is not one.

    Args:
        container: An opened file.

    Returns:
        The stream, or None where the file has no video.
    """
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    return max(streams, key=_area, default=None)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The audio stream that a player would choose: the one marked default, or the first.

    Args:
        container: An opened file.

    Returns:
        The stream, or None where the file has no audio.
    """
    streams = container.streams.audio
    marked = [stream for stream in streams if _is_marked(stream, "default")]
    return next(iter(marked or streams), None)


def require_picture(container: InputContainer, path: Path, limits: MediaLimits) -> VideoStream:
    """The video stream, checked against the limits before anything is decoded.

    Args:
        container: An opened file.
        path: Its path, for the message.
        limits: What is allowed.

    Returns:
        The stream.

    Raises:
        NoPictureError: The file has no video.
        UnreadableMediaError: Its codec is not known.
        MediaLimitError: Too many pixels or too many pictures per second.
    """
    stream = picture_stream(container)
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


def require_sound(container: InputContainer, path: Path, limits: MediaLimits) -> AudioStream:
    """The audio stream, checked against the limits before anything is decoded.

    Args:
        container: An opened file.
        path: Its path, for the message.
        limits: What is allowed.

    Returns:
        The stream.

    Raises:
        NoSoundError: The file has no audio.
        UnreadableMediaError: Its codec is not known.
        MediaLimitError: A rate or number of channels outside the limits.
    """
    stream = sound_stream(container)
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


def clock_zero(container: InputContainer) -> Fraction:
    """Where a file's clock starts, in seconds of its container's timestamps.

    Args:
        container: An opened file.

    Returns:
        Time of the first picture, or of the first sound where there is no picture.
    """
    stream = picture_stream(container) or sound_stream(container)
    if stream is None or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base


def file_end(path: Path, limits: MediaLimits) -> float:
    """Where a file ends by its own headers.

    Args:
        path: A sound or video file.
        limits: What is allowed.

    Returns:
        Seconds on the file's clock; 0 where the file does not tell.

    Raises:
        UnreadableMediaError: The file is broken.
        MediaLimitError: The file exceeds a limit.
    """
    with open_container(path, limits) as container:
        if container.duration is None:
            return 0.0
        end = Fraction((container.start_time or 0) + container.duration, 1_000_000)
        return float(end - clock_zero(container))
