"""Decode a stream of a file from a moment on, with times on the file's own clock."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, TypeVar

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tvsl.errors import UnreadableMediaError
from tvsl.media.limits import MediaLimits, open_container
from tvsl.media.streams import clock_zero, frame_rate, require_picture, require_sound

# How long before the wanted moment decoding begins: sound codecs need some blocks to settle.
LEAD = Fraction(1, 2)
FURTHER_BACK = 10
# A moment this early is reached as fast from the file's start as by a seek.
NEAR_START = 2
# A seek in these loses count of time: raw streams carry no times, MPEG program streams few.
UNSEEKABLE = frozenset(
    {"h264", "hevc", "h263", "vc1", "m4v", "mpegvideo", "mjpeg", "av1", "obu", "aac", "loas"}
    | {"mpeg"}
)
# Formats whose length stands in their headers (Ogg: in its last page) and is not an estimate.
KNOWN_LENGTH = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac", "ogg", "flv"})
LARGEST_SHORTFALL = Fraction(1, 2)
# Formats of sound that store every moment; elsewhere a pause may be meant and becomes silence.
WITHOUT_HOLES = frozenset({"flac", "ogg"})
LARGEST_HOLE = Fraction(3, 100)
FALLBACK_RATE = Fraction(25)

FrameT = TypeVar("FrameT", AudioFrame, VideoFrame)
Chooser: TypeAlias = Callable[[InputContainer, Path, MediaLimits], "AudioStream | VideoStream"]


def decode_pictures(
    path: Path, time: Fraction, limits: MediaLimits, choose: Chooser = require_picture
) -> Generator[tuple[Fraction, VideoFrame], None, None]:
    """Decode a video, beginning with the picture that is shown at a time or an earlier one.

    Args:
        path: The file.
        time: Seconds on the file's clock.
        limits: What is allowed.
        choose: Chooses the stream when the file has been opened, and may look at its headers.

    Yields:
        Each picture with its time in seconds, in the order in which they are shown.

    Raises:
        NoPictureError: The file has no video.
        UnreadableMediaError: The file is broken or no picture in it can be decoded.
        MediaLimitError: The file exceeds a limit.
    """
    return _decode_from(path, time, limits, choose, VideoFrame)


def decode_sound(
    path: Path, time: Fraction, limits: MediaLimits
) -> Generator[tuple[Fraction, AudioFrame], None, None]:
    """Decode a sound, beginning with a block at or before a time.

    Args:
        path: The file.
        time: Seconds on the file's clock.
        limits: What is allowed.

    Yields:
        Each block of samples with its time in seconds; the time is negative for sound before the
        first picture.

    Raises:
        NoSoundError: The file has no audio.
        UnreadableMediaError: The file is broken or nothing in its sound can be decoded.
        MediaLimitError: The file exceeds a limit.
    """
    return _decode_from(path, time, limits, require_sound, AudioFrame)


def _decode_from(
    path: Path,
    time: Fraction,
    limits: MediaLimits,
    choose: Chooser,
    kind: type[FrameT],
) -> Generator[tuple[Fraction, FrameT], None, None]:
    """Seek before a time and decode; where a seek lands too late, seek further back, then not."""
    early = (time - LEAD, time - LEAD - FURTHER_BACK)
    seeks: list[Fraction | None] = [seek for seek in early if seek > NEAR_START]
    for seek in [*seeks, None]:
        with open_container(path, limits) as container:
            stream = choose(container, path, limits)
            frames = _decode(container, stream, kind, seek)
            first = next(frames, None)
            if first is not None and (seek is None or first[0] <= time):
                yield first
                yield from frames
                return
    raise UnreadableMediaError(
        "Nothing in the file can be decoded.", "Check that it plays elsewhere.", path
    )


def _decode(
    container: InputContainer,
    stream: AudioStream | VideoStream,
    kind: type[FrameT],
    seek: Fraction | None,
) -> Generator[tuple[Fraction, FrameT], None, None]:
    """Decode a stream from its start or after a seek; nothing where a seek is not possible."""
    zero = clock_zero(container)
    if seek is not None and not _seek(container, stream, zero + seek):
        return
    following: Fraction | None = Fraction(0) if seek is None else None
    reliable = zero
    waiting = seek is not None
    ends: dict[int, int] = {}
    for packet in container.demux():
        index = packet.stream.index
        if packet.pts is not None:
            ends[index] = max(ends.get(index, 0), packet.pts + (packet.duration or 0))
        if index != stream.index:
            continue
        if waiting and packet.size:
            # A decoder that starts between two key pictures gives grey or torn pictures, and those
            # shown before the key picture may lean on others that were never read.
            if not packet.is_keyframe or packet.pts is None:
                continue
            waiting = False
            reliable = packet.pts * packet.time_base
        for frame in packet.decode():
            if not isinstance(frame, kind):
                continue
            moment = _moment(frame, zero, following)
            if moment is None:
                continue
            if isinstance(frame, AudioFrame):
                _check_hole(container, moment, following)
            following = moment + _length(frame, stream)
            if seek is None or moment >= reliable - zero:
                yield moment, frame
    _check_end(container, ends)


def _check_hole(container: InputContainer, moment: Fraction, following: Fraction | None) -> None:
    """Refuse a hole where the format has none: FFmpeg skips damaged blocks without a word."""
    if container.format.name not in WITHOUT_HOLES or following is None:
        return
    if following > 0 and moment - following > LARGEST_HOLE:
        raise UnreadableMediaError(
            f"The file is damaged: its sound breaks off at {float(following):.2f} s and goes on "
            f"at {float(moment):.2f} s.",
            "Copy or download it again.",
            container.name.removeprefix("file:"),
        )


def _check_end(container: InputContainer, ends: Mapping[int, int]) -> None:
    """Refuse a file that ran out long before its headers said it would.

    Args:
        container: The file, read to its end.
        ends: Where each of its streams ended, by its number and on its own clock.
    """
    if container.format.name not in KNOWN_LENGTH or not container.duration:
        return
    reached = max(
        (end * (container.streams[index].time_base or 0) for index, end in ends.items()),
        default=Fraction(0),
    )
    promised = Fraction((container.start_time or 0) + container.duration, 1_000_000)
    if promised - reached > LARGEST_SHORTFALL:
        raise UnreadableMediaError(
            f"The file is damaged: it breaks off at {float(reached):.1f} s of "
            f"{float(promised):.1f} s.",
            "Copy or download it again.",
            container.name.removeprefix("file:"),
        )


def _seek(container: InputContainer, stream: AudioStream | VideoStream, seconds: Fraction) -> bool:
    """Seek to a time of the container; False where this format or file cannot."""
    if container.format.name in UNSEEKABLE or stream.time_base is None:
        return False
    try:
        container.seek(int(seconds / stream.time_base), stream=stream, backward=True)
    except av.FFmpegError:
        return False  # the caller reads from the start instead
    return True


def _moment(
    frame: AudioFrame | VideoFrame, zero: Fraction, following: Fraction | None
) -> Fraction | None:
    """Time of a frame on the file's clock; the end of the one before where it carries none."""
    stamp = frame.dts if frame.pts is None else frame.pts
    if stamp is None or frame.time_base is None:
        return following
    return stamp * frame.time_base - zero


def _length(frame: AudioFrame | VideoFrame, stream: AudioStream | VideoStream) -> Fraction:
    """How long a frame lasts, in seconds."""
    if isinstance(frame, AudioFrame):
        return Fraction(frame.samples, frame.sample_rate)
    if isinstance(stream, VideoStream):
        return 1 / (frame_rate(stream) or FALLBACK_RATE)
    return Fraction(0)
