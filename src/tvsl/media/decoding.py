"""Decode a stream of a file from a moment on, with times on the file's own clock."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tvsl.errors import MediaError, UnreadableMediaError
from tvsl.media.limits import MediaLimits, open_container
from tvsl.media.ogg import ogg_links
from tvsl.media.streams import (
    clock_zero,
    declared_end,
    frame_rate,
    picture_stamp,
    require_audio_stream,
    require_video_stream,
)

# Seconds of decoding before the wanted moment: sound codecs need some blocks to settle.
PREROLL = Fraction(1, 2)
LONG_PREROLL = 10
# A moment this early is reached as fast from the file's start as by a seek.
NEAR_START = 2
# A seek in these loses the time: raw streams carry no times, MPEG program streams few.
UNSEEKABLE = frozenset(
    {"h264", "hevc", "h263", "vc1", "m4v", "mpegvideo", "mjpeg", "av1", "obu", "aac", "loas"}
    | {"mpeg"}
)
# Formats whose length stands in their headers (Ogg: in its last page) and is not an estimate.
KNOWN_LENGTH = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac", "ogg", "flv"})
LARGEST_SHORTFALL = Fraction(1, 2)
# Formats of sound that store every moment; elsewhere a gap may be a pause and becomes silence.
WITHOUT_HOLES = frozenset({"flac", "ogg"})
LARGEST_HOLE = Fraction(3, 100)
# Raw streams without times: FFmpeg counts on with the first block's length, whatever comes later.
COUNTED_TIMES = frozenset({"aac", "loas"})
# Packs that do not end with a picture: FFmpeg gives some pictures the time of a neighbour.
UNSURE_TIMES = frozenset({"mpeg"})
# Streams whose blocks begin with eleven set bits; a last one that is not whole was cut off.
SYNCHRONIZED = frozenset({"aac", "mp3", "flac"})
# Damage within so many seconds of the one before is joined with it.
SAME_PLACE = Fraction(1, 10)
FALLBACK_RATE = Fraction(25)
# Number of blocks at the start of a sound that show whether all are of one length.
GRID_BLOCKS = 6

FrameT = TypeVar("FrameT", AudioFrame, VideoFrame)
Chooser: TypeAlias = Callable[[InputContainer, Path, MediaLimits], "AudioStream | VideoStream"]


def decode_pictures(
    path: Path, time: Fraction, limits: MediaLimits, choose: Chooser = require_video_stream
) -> Generator[tuple[Fraction, VideoFrame], None, None]:
    """Decode a video, from the picture that is shown at a time or an earlier one.

    Args:
        path: The file.
        time: Seconds on the file's clock.
        limits: What is allowed.
        choose: Function that chooses the stream of the opened file, and may read its headers.

    Yields:
        Each picture with its time in seconds, in display order.

    Raises:
        MediaError: As for ``require_video_stream``, or no picture can be decoded.
    """
    return _decode_from(path, time, limits, choose, VideoFrame, None)


class Damage:
    """Parts of a sound that cannot be decoded, collected during decoding.

    Attributes:
        intervals: Begin and end of each, in seconds on the file's clock, in the order of the file.
        count: Number of calls of ``note``.
        is_pcm: Whether the file stores plain samples, so that no block can be damaged.
    """

    def __init__(self) -> None:
        self.intervals: list[tuple[Fraction, Fraction]] = []
        self.count = 0
        self.is_pcm = False

    def note(self, begin: Fraction, length: Fraction) -> None:
        """Add a part, joined with the one before it where they are less than 0.1 s apart.

        Args:
            begin: Its start in seconds on the file's clock.
            length: Its length in seconds.
        """
        self.count += 1
        end = begin + length
        if self.intervals and begin - self.intervals[-1][1] < SAME_PLACE:
            before = self.intervals.pop()
            begin, end = before[0], max(before[1], end)
        self.intervals.append((begin, end))

    def clear(self, since: Fraction) -> None:
        """Drop the parts from a moment on, since reading starts there again."""
        self.intervals = [interval for interval in self.intervals if interval[0] < since]


def decode_sound(
    path: Path, time: Fraction, limits: MediaLimits, damage: Damage
) -> Generator[tuple[Fraction, AudioFrame], None, None]:
    """Decode a sound, from a block at or before a time; damaged blocks are left out.

    Args:
        path: The file.
        time: Seconds on the file's clock.
        limits: What is allowed.
        damage: Collects the parts that are left out.

    Yields:
        Each block of samples with its time in seconds; the time is negative for sound before the
        first picture.

    Raises:
        MediaError: As for ``require_audio_stream``, or nothing can be decoded.
    """
    links = len(ogg_links(path))
    if links < 2:
        return _decode_from(path, time, limits, require_audio_stream, AudioFrame, damage)
    return _decode_links(path, time, limits, damage, links)


def _decode_links(
    path: Path, time: Fraction, limits: MediaLimits, damage: Damage, links: int
) -> Generator[tuple[Fraction, AudioFrame], None, None]:
    """Decode the sounds of a chained Ogg file one after the other, on one clock."""
    begin = Fraction(0)
    for link in range(links):
        try:
            end = begin + _sound_length(path, limits, link)
            if time < end or link == links - 1:
                yield from _decode_from(
                    path, time, limits, require_audio_stream, AudioFrame, damage, link, begin
                )
        except MediaError as error:
            if link == 0:
                raise
            raise UnreadableMediaError(
                f"The file holds {links} Ogg streams one after another; number {link + 1} begins "
                f"at {float(begin):.2f} s and cannot be used: {error.problem}",
                "Take the streams apart, or convert the file to WAV or FLAC.",
                path,
            ) from error
        begin = end


def _sound_length(path: Path, limits: MediaLimits, link: int) -> Fraction:
    """Seconds of sound in a link of a chained Ogg file, by its headers."""
    with open_container(path, limits, link) as container:
        stream, end = require_audio_stream(container, path, limits), declared_end(container)
        length = None if end is None else end - clock_zero(container)
        if length is None or length < 0:
            raise UnreadableMediaError(
                "The file does not say how long it is.", "Convert the file to WAV or FLAC.", path
            )
        return Fraction(round(length * stream.rate), stream.rate)


def _decode_from(
    path: Path,
    time: Fraction,
    limits: MediaLimits,
    choose: Chooser,
    kind: type[FrameT],
    damage: Damage | None,
    link: int = 0,
    begin: Fraction = Fraction(0),
) -> Generator[tuple[Fraction, FrameT], None, None]:
    """Seek before a time and decode; if a seek lands too late, seek further back, then not at all.

    A link of a chained Ogg file begins at a time of its own.
    """
    early = (time - PREROLL, time - PREROLL - LONG_PREROLL)
    seeks: list[Fraction | None] = [seek for seek in early if seek > begin + NEAR_START]
    for seek in [*seeks, None]:
        with open_container(path, limits, link) as container:
            stream = choose(container, path, limits)
            if damage is None:
                _refuse_chain(path, container)
            else:
                damage.clear(begin)
                damage.is_pcm = stream.codec_context.name.startswith("pcm_")
            grid = None if seek is None or damage is None else _block_grid(container, stream)
            frames = _decode(container, stream, kind, seek, damage, begin)
            if container.format.name in UNSURE_TIMES and isinstance(stream, VideoStream):
                frames = _rising(frames, _picture_length(stream))
            first = next(frames, None)
            if first is not None and (seek is None or first[0] <= time):
                yield (first[0] if grid is None else grid.nearest(first[0])), first[1]
                yield from frames
                return
    raise UnreadableMediaError(
        "Nothing in the file can be decoded.", "Check that it plays elsewhere.", path
    )


def _refuse_chain(path: Path, container: InputContainer) -> None:
    """Refuse a video of several Ogg streams one after another, of which the first is open."""
    links = len(ogg_links(path))
    if links > 1:
        end = float((declared_end(container) or 0) - clock_zero(container))
        raise UnreadableMediaError(
            f"The file holds {links} Ogg videos one after another; the second begins at {end:.2f} "
            "s.",
            "Take them apart, or convert the file to MP4.",
            path,
        )


@dataclass(frozen=True)
class _BlockGrid:
    """Start times of a sound's blocks, all as long as its second one, in seconds."""

    start: Fraction
    length: Fraction
    tick: Fraction

    def nearest(self, moment: Fraction) -> Fraction:
        """The block start that a rounded timestamp stands for; the timestamp if none is near."""
        exact = self.start + round((moment - self.start) / self.length) * self.length
        return exact if abs(exact - moment) <= self.tick else moment


def _block_grid(container: InputContainer, stream: AudioStream | VideoStream) -> _BlockGrid | None:
    """The grid of a sound's blocks; None where timestamps are exact or the first blocks differ.

    Matroska, WebM, FLV and ASF round times to milliseconds. Read from its start, a sound is put
    together block by block, to the sample; after a seek it is placed by one rounded time.
    """
    rate, tick = getattr(stream, "rate", None), stream.time_base
    if not rate or tick is None or tick * rate <= 1:
        return None
    with closing(_decode(container, stream, AudioFrame, None, Damage())) as frames:
        blocks = list(islice(frames, GRID_BLOCKS))
    sizes = {(frame.samples, frame.sample_rate) for _, frame in blocks[1:]}
    if len(blocks) < GRID_BLOCKS or len(sizes) > 1:
        return None
    moment, first = blocks[0]
    start = Fraction(round(moment * first.sample_rate) + first.samples, first.sample_rate)
    return _BlockGrid(start, Fraction(blocks[1][1].samples, first.sample_rate), tick)


def _decode(
    container: InputContainer,
    stream: AudioStream | VideoStream,
    kind: type[FrameT],
    seek: Fraction | None,
    damage: Damage | None,
    start: Fraction = Fraction(0),
) -> Generator[tuple[Fraction, FrameT], None, None]:
    """Decode a stream from its start, or after a seek; nothing if a seek is not possible.

    Parts that cannot be decoded go into ``damage``; without it, each is an error. ``start`` is
    where the container starts on the file's clock.
    """
    zero = clock_zero(container) - start
    counted = container.format.name in COUNTED_TIMES and kind is AudioFrame
    size, length, read, is_cut = 0, Fraction(0), 0, False
    if seek is not None and not _seek(container, stream, zero + seek):
        return
    following: Fraction | None = start if seek is None else None
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
        read += packet.size
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            if damage is None:
                raise
            begin, lasting = _packet_interval(packet, zero, following)
            # Between two blocks that it knows, a parser takes whatever there is for one.
            damage.note(begin, max(lasting, packet.size * length / size if size else lasting))
            following = begin + lasting
            is_block = int.from_bytes(bytes(packet)[:2], "big") >= 0xFFE0
            is_cut = container.format.name in SYNCHRONIZED and is_block
            continue
        size, is_cut = size + packet.size, is_cut and not packet.size
        for frame in decoded:
            if not isinstance(frame, kind):
                continue
            moment = following if counted else None
            if moment is None:
                moment = _moment(frame, container, zero, following)
            if moment is None:
                continue
            if damage is not None and _is_hole(container, moment, following):
                damage.note(following or moment, moment - (following or moment))
            following = moment + _length(frame, stream)
            length += _length(frame, stream)
            if seek is None or moment >= reliable - zero:
                yield moment, frame
    if is_cut:
        raise _broken_off(container, float(following or 0))
    if counted and damage is not None and damage.intervals and size:
        # FFmpeg skips bytes between two blocks silently; it counts as one with the damage.
        damage.note(damage.intervals[-1][0], (container.size - read) * length / size)
    if container.format.name in WITHOUT_HOLES and len(container.streams) == 1:
        reached = (following or start) - start
        ends = {stream.index: int(reached / (stream.time_base or 1))}
    if ends or seek is None:  # else the seek led nowhere
        _check_end(container, ends)


def _is_hole(container: InputContainer, moment: Fraction, following: Fraction | None) -> bool:
    """Tell whether sound is missing: of formats that store every moment FFmpeg skips damage."""
    if container.format.name not in WITHOUT_HOLES or following is None:
        return False
    return following > 0 and moment - following > LARGEST_HOLE


def _packet_interval(
    packet: Packet[Any], zero: Fraction, following: Fraction | None
) -> tuple[Fraction, Fraction]:
    """Time of a packet on the file's clock and its length, both in seconds, 0 if not known."""
    unit = packet.time_base or Fraction(0)
    begin = following or Fraction(0) if packet.pts is None else packet.pts * unit - zero
    return begin, (packet.duration or 0) * unit


def _check_end(container: InputContainer, ends: Mapping[int, int]) -> None:
    """Refuse a file whose streams end, each on its own clock, long before the headers say."""
    promised = declared_end(container)
    if container.format.name not in KNOWN_LENGTH or promised is None:
        return
    reached = max(
        (end * (container.streams[index].time_base or 0) for index, end in ends.items()),
        default=Fraction(0),
    )
    if promised - reached > LARGEST_SHORTFALL:
        raise _broken_off(container, float(reached), f" of {float(promised):.1f} s")


def _broken_off(container: InputContainer, end: float, of_all: str = "") -> UnreadableMediaError:
    """The error for a file that ends too early."""
    return UnreadableMediaError(
        f"The file is damaged: it breaks off at {end:.1f} s{of_all}.",
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
    frame: AudioFrame | VideoFrame,
    container: InputContainer,
    zero: Fraction,
    following: Fraction | None,
) -> Fraction | None:
    """Time of a frame on the file's clock; the end of the one before where it carries none."""
    if isinstance(frame, VideoFrame):
        stamp = picture_stamp(frame, container)
    else:
        stamp = frame.dts if frame.pts is None else frame.pts
    if stamp is None or frame.time_base is None:
        return following
    return stamp * frame.time_base - zero


def _length(frame: AudioFrame | VideoFrame, stream: AudioStream | VideoStream) -> Fraction:
    """Duration of a frame in seconds."""
    if isinstance(frame, AudioFrame):
        return Fraction(frame.samples, frame.sample_rate)
    return _picture_length(stream) if isinstance(stream, VideoStream) else Fraction(0)


def _picture_length(stream: VideoStream) -> Fraction:
    """Usual duration of a picture in seconds."""
    return 1 / (frame_rate(stream) or FALLBACK_RATE)


def _rising(
    pictures: Iterator[tuple[Fraction, FrameT]], step: Fraction
) -> Generator[tuple[Fraction, FrameT], None, None]:
    """Correct single times that do not rise; pictures come in display order.

    Of two times in the wrong order, the one further from the expected time (that of the picture
    before, plus a step) is replaced by it. If the next one falls again, times do jump and stay.
    """
    before: Fraction | None = None
    held: tuple[Fraction, FrameT] | None = None
    is_mended = False
    for time, picture in pictures:
        moment = time
        if held is not None:
            falls = moment <= held[0] and not is_mended
            is_mended = False
            if falls:
                expected = held[0] if before is None else before + step
                is_mended = abs(held[0] - expected) <= abs(moment - expected - step)
                if is_mended:
                    moment = held[0] + step
                else:
                    held = expected, held[1]
            yield held
            before = held[0]
        held = moment, picture
    if held is not None:
        yield held
