"""Limits of media files, and the check for files that are cut off.

Every picture, sound and video is opened through this module: only local regular files, only
containers of real media (a playlist could name other files or addresses), and nothing beyond the
limits.

FFmpeg reads a cut-off file to its end and reports nothing. The common containers state their size,
so that the cut is found before anything is decoded.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, BinaryIO, Literal

import av
from av.container import InputContainer

from tvsl.errors import MediaLimitError, MissingFileError, UnreadableMediaError, UsageError
from tvsl.media.ogg import Section, ogg_links
from tvsl.utils.files import address

# Writers to a pipe cannot know the size and put 0 or the largest one; from here on, by the number
# of bytes that hold it, it means nothing.
UNKNOWN_SIZES = {4: 0x7FFF_F000, 8: 1 << 62}
LONG_RIFF = frozenset({b"RF64", b"BW64"})
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
# Largest number of chunks before the samples; real files have about ten.
_MOST_CHUNKS = 1_000
MEDIA_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid"})
OTHER_BOXES = frozenset({b"styp", b"sidx", b"mfra", b"meta", b"udta", b"pdin", b"emsg", b"prft"})
EBML_MAGIC = b"\x1a\x45\xdf\xa3"
SEGMENT_ID = b"\x18\x53\x80\x67"
_OGG_LARGEST_PAGE = 27 + 255 + 255 * 255
_MP3_SEARCH = 4096

RAISE_LIMIT = "Make the file smaller, or raise the limit if you trust the file."
SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+:")

# Demuxers that read one file of media and nothing else. Playlists and scripts (hls, dash, concat,
# image2, sdp, lavfi, imf, vobsub ...) stay out: they make FFmpeg open what their text names.
CONTAINERS = (
    "mov,matroska,webm,avi,asf,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,h263,vc1,mjpeg,ivf,av1,obu,"
    "nut,mxf,gxf,dv,rm,wtv,yuv4mpegpipe,smjpeg,wav,w64,aiff,caf,au,voc,flac,ogg,mp3,aac,loas,ac3,"
    "eac3,ac4,dts,dtshd,truehd,mlp,amr,amrnb,amrwb,ape,wv,tta,tak,mpc,mpc8,dsf,iff,sox,xwma,shn"
)
# Limits of FFmpeg's search to find out what the streams hold; of a still picture with a long
# sound in MPEG-TS it learns that when it meets the next picture, or the end of the file.
PROBED_SECONDS = 3600
PROBED_BYTES = 64 * 2**20
# Still pictures in the same kind of container as MP4, which FFmpeg would take for a video.
STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})

# Up to version 18 PyAV refuses files with names that are not in UTF-8, unless it is told; from 19
# on it knows no such option.
_METADATA: Mapping[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
LATEST_MOMENT = 1e9
"""Seconds that any clock of a file can count: FFmpeg has 63 bits for parts of a billionth."""


def missing_bytes(path: Path) -> int:
    """Number of bytes that a file's headers promise and the file does not have.

    Returns:
        At least that many bytes are missing; 0 where the file is whole or where its format does
        not tell (MPEG streams, FLV, NUT, VOC, raw streams) or its writer did not know.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            promised = _RIFF.end(file, size)
        elif head[:4] == b"FORM":
            promised = _IFF.end(file, size)
        elif head[:4] in LONG_RIFF:
            promised = _long_riff_size(file, size)
        elif head == W64_RIFF[:12]:
            promised = _W64.end(file, size)
        elif head[:4] == b"caff":
            promised = _CAF.samples_end(file, size)
        elif head[:4] == b".snd":
            promised = _au_size(head)
        elif head[4:8] in MEDIA_BOXES:
            promised = _boxes_size(file, size)
        elif head[:4] == EBML_MAGIC:
            promised = _matroska_size(file)
        elif head[:4] == b"OggS":
            promised = _ogg_size(file, size)
        else:
            promised = _mp3_size(file)
    return max(0, promised - size)


@dataclass(frozen=True)
class _Chunks:
    """Form of a family of containers made of chunks: a name, a size, and the content.

    Attributes:
        first: Position of the first chunk in bytes.
        name: Bytes of a chunk's name.
        width: Bytes of a size.
        order: Order of these bytes.
        counted: Bytes that a size counts beside the content.
        unit: Chunks begin at multiples of it.
        samples: Names of the chunk that holds the sound or the pictures; a list has its own name
            followed by its type.
    """

    first: int
    name: int
    width: int
    order: Literal["little", "big"]
    counted: int
    unit: int
    samples: frozenset[bytes]

    def end(self, file: BinaryIO, size: int) -> int:
        """End of the file by the size in its header, in bytes; 0 where the writer did not know it.

        If it was written before any samples, the samples' own size is taken.
        """
        file.seek(self.name)
        whole = self._known(file.read(self.width))
        end = None if whole is None else self.name + self.width + whole
        found = self._find(file, size)
        if end is None or (found is not None and end <= found[0]):
            return 0 if found is None or found[1] is None else found[0] + found[1]
        # Some writers count the bytes that fill up a chunk, and do not write them.
        return end - (self.unit - 1)

    def samples_end(self, file: BinaryIO, size: int, fallback: int | None = None) -> int:
        """End of the samples by the size of their own chunk, or by a fallback; 0 if not known."""
        found = self._find(file, size)
        length = fallback if found is not None and found[1] is None else found and found[1]
        return 0 if found is None or length is None else found[0] + length

    def _find(self, file: BinaryIO, size: int) -> tuple[int, int | None] | None:
        """Start and length of the samples' content; the length is None if it is not stated."""
        position = self.first
        for _ in range(_MOST_CHUNKS):
            file.seek(position)
            head = file.read(self.name + self.width + 4)
            begin = position + self.name + self.width
            if begin > size or len(head) < self.name + self.width:
                return None
            length = self._known(head[self.name : self.name + self.width])
            if {head[: self.name], head[: self.name] + head[-4:]} & self.samples:
                return begin, length
            position = begin + -(-(length or 0) // self.unit) * self.unit
        return None

    def _known(self, number: bytes) -> int | None:
        """The size of a content; None where the writer did not know it."""
        size = int.from_bytes(number, self.order)
        if len(number) < self.width or not 0 < size < UNKNOWN_SIZES[self.width]:
            return None
        return max(0, size - self.counted)


_RIFF = _Chunks(12, 4, 4, "little", 0, 2, frozenset({b"data", b"LISTmovi"}))
_IFF = _Chunks(12, 4, 4, "big", 0, 2, frozenset({b"SSND", b"BODY"}))
_W64 = _Chunks(40, 16, 8, "little", 24, 8, frozenset({W64_DATA}))
_CAF = _Chunks(8, 4, 8, "big", 0, 1, frozenset({b"data"}))


def _long_riff_size(file: BinaryIO, size: int) -> int:
    """End of the first chunk of an RF64 file in bytes; 0 where the writer did not know it."""
    begin = file.read(24)
    if len(begin) < 24 or begin[:4] != b"ds64":
        return 0
    whole, samples = struct.unpack("<QQ", begin[8:])
    return int(whole) + 8 - 1 if whole else _RIFF.samples_end(file, size, int(samples) or None)


def _au_size(head: bytes) -> int:
    """End of the samples of an AU file in bytes; 0 where the writer did not know it."""
    if len(head) < 12:
        return 0
    begin, length = struct.unpack(">II", head[4:])
    return int(begin + length) if length < UNKNOWN_SIZES[4] else 0


def _boxes_size(file: BinaryIO, size: int) -> int:
    """End of the last box (MP4, MOV) in bytes; stops at anything that is no known box."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length, kind = struct.unpack(">I4s", head[:8])
        if kind not in MEDIA_BOXES | OTHER_BOXES or length == 0:
            return 0
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8:
            return 0
        position += int(length)
    return position


def _matroska_size(file: BinaryIO) -> int:
    """End of the segment (MKV, WebM) in bytes; 0 where the writer did not know it."""
    file.seek(4)
    header, width = _ebml_number(file)
    position = 4 + width + header
    file.seek(position)
    if file.read(4) != SEGMENT_ID:
        return 0
    length, width = _ebml_number(file)
    unknown = (1 << (7 * width)) - 1
    return 0 if width == 0 or length == unknown else position + 4 + width + length


def _ebml_number(file: BinaryIO) -> tuple[int, int]:
    """Read one number of variable width: its value and its width in bytes (0, 0 if broken)."""
    first = file.read(1)
    if not first or first[0] == 0:
        return 0, 0
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    value = first[0] & ((1 << (8 - width)) - 1)
    return (value << (8 * len(rest))) | int.from_bytes(rest, "big"), width


def _ogg_size(file: BinaryIO, size: int) -> int:
    """End of the last page (Ogg) in bytes, as its table of segments tells."""
    begin = max(0, size - _OGG_LARGEST_PAGE)
    file.seek(begin)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return 0
    if page + 27 > len(tail):
        return begin + page + 27
    segments = tail[page + 26]
    table = tail[page + 27 : page + 27 + segments]
    return begin + page + 27 + segments + sum(table)


def _mp3_size(file: BinaryIO) -> int:
    """End of the stream in bytes by the Xing header (MP3); 0 where there is none."""
    file.seek(0, io.SEEK_SET)
    head = file.read(10)
    begin = 0
    if head[:3] == b"ID3" and len(head) == 10:
        begin = 10 + sum((byte & 0x7F) << (7 * (3 - place)) for place, byte in enumerate(head[6:]))
    file.seek(begin)
    block = file.read(_MP3_SEARCH)
    if len(block) < 2 or block[0] != 0xFF or block[1] & 0xE0 != 0xE0:
        return 0
    tag = max(block.find(b"Xing", 0, 64), block.find(b"Info", 0, 64))
    if tag < 0 or len(block) < tag + 16:
        return 0
    flags, _, count = struct.unpack(">III", block[tag + 4 : tag + 16])
    return begin + int(count) if flags & 3 == 3 else 0


@dataclass(frozen=True)
class MediaLimits:
    """Upper bounds for media files; anything beyond is refused before it is decoded.

    Attributes:
        max_pixels: Width times height of one picture.
        max_side: Width or height of one picture.
        max_picture_size: Size of a picture's file in bytes.
        max_duration: Length of a sound or video in seconds.
        max_sample_rate: Samples per second of one channel.
        min_sample_rate: Samples per second of one channel.
        max_channels: Channels of a sound.
        max_frame_rate: Pictures per second of a video.
        max_file_size: Size of the file in bytes.

    Raises:
        UsageError: A limit that is not a positive number.
    """

    max_pixels: int = 100_000_000
    max_side: int = 65_535
    max_picture_size: int = 2**30
    max_duration: float = 6 * 3600.0
    max_sample_rate: int = 384_000
    min_sample_rate: int = 1_000
    max_channels: int = 64
    max_frame_rate: float = 1_000.0
    max_file_size: int = 64 * 2**30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"The limit {field.name} is {value}.", "Give a positive number.")


DEFAULT_LIMITS = MediaLimits()


def check_pixels(path: str | Path | None, width: int, height: int, limits: MediaLimits) -> None:
    """Refuse a picture of too many pixels, in all or along a side.

    Args:
        path: The file that is concerned, if there is one.
        width: Columns.
        height: Rows.
        limits: What is allowed.

    Raises:
        MediaLimitError: The picture is larger than allowed.
    """
    if width * height > limits.max_pixels:
        raise MediaLimitError(
            f"The picture has {width} x {height} pixels, {limits.max_pixels} are allowed.",
            RAISE_LIMIT,
            path,
        )
    if max(width, height) > limits.max_side:
        raise MediaLimitError(
            f"The picture has {width} x {height} pixels, {limits.max_side} are allowed along a "
            "side.",
            RAISE_LIMIT,
            path,
        )


def check_duration(path: str | Path | None, seconds: float, limits: MediaLimits) -> None:
    """Refuse a sound or video that is too long.

    Args:
        path: The file that is concerned, if there is one.
        seconds: Its length.
        limits: What is allowed.

    Raises:
        MediaLimitError: It is longer than allowed.
    """
    if seconds > limits.max_duration:
        raise MediaLimitError(
            f"It lasts {seconds:.1f} seconds, {limits.max_duration:g} are allowed.",
            RAISE_LIMIT,
            path,
        )


def check_sound_format(
    path: str | Path | None, rate: int, channels: int, limits: MediaLimits
) -> None:
    """Refuse a sound of an impossible sample rate or too many channels.

    Args:
        path: The file that is concerned, if there is one.
        rate: Samples per second.
        channels: Number of channels.
        limits: What is allowed.

    Raises:
        MediaLimitError: The rate or the number of channels lies outside the limits.
    """
    if not limits.min_sample_rate <= rate <= limits.max_sample_rate:
        raise MediaLimitError(
            f"The sample rate is {rate} Hz, {limits.min_sample_rate} to "
            f"{limits.max_sample_rate} Hz are allowed.",
            "Convert the sound to 44100 Hz, or change the limit if you trust the file.",
            path,
        )
    if channels > limits.max_channels:
        raise MediaLimitError(
            f"The sound has {channels} channels, {limits.max_channels} are allowed.",
            "Mix the sound down to mono, or raise the limit if you trust the file.",
            path,
        )


def check_frame_rate(path: str | Path | None, rate: float, limits: MediaLimits) -> None:
    """Refuse a video of too many pictures per second.

    Args:
        path: The file that is concerned, if there is one.
        rate: Pictures per second, on average.
        limits: What is allowed.

    Raises:
        MediaLimitError: The rate is higher than allowed.
    """
    if rate > limits.max_frame_rate:
        raise MediaLimitError(
            f"The video has {rate:g} pictures per second, {limits.max_frame_rate:g} are allowed.",
            RAISE_LIMIT,
            path,
        )


def check_file(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> Path:
    """Refuse anything but a local, regular, non-empty file within the size limit.

    A link to such a file is fine.

    Args:
        path: The file.
        limits: What is allowed.

    Raises:
        MissingFileError: No such file, not a regular file, an address instead of a path, or empty.
        MediaLimitError: The file is larger than allowed.
    """
    target = Path(path)
    try:
        status = target.stat()
    except (OSError, ValueError) as error:
        if SCHEME.match(str(path)):
            raise MissingFileError(
                "This is an address; only local files are read.",
                "Download the file and give its path.",
                address(path) or path,
            ) from error
        reason = getattr(error, "strerror", None) or str(error)
        why = "" if isinstance(error, FileNotFoundError) else f" ({reason})"
        raise MissingFileError(
            f"There is no such file{why}.", "Check the path for a typing error.", path
        ) from error
    if not S_ISREG(status.st_mode):
        found = "a directory" if S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise MissingFileError(f"This is {found}, not a file.", "Give the path of a file.", path)
    if status.st_size == 0:
        raise MissingFileError("The file is empty (0 bytes).", "Copy or download it again.", path)
    if status.st_size > limits.max_file_size:
        raise MediaLimitError(
            f"The file has {status.st_size} bytes, {limits.max_file_size} are allowed.",
            RAISE_LIMIT,
            path,
        )
    return target


def _check_whole(path: Path) -> None:
    """Refuse a file whose own headers promise more bytes than there are, and still pictures."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
        missing = missing_bytes(path)
    except OSError as error:
        raise UnreadableMediaError(
            f"The file cannot be read ({error.strerror}).", "Check who may read it.", path
        ) from error
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        raise UnreadableMediaError(
            "This is a still picture (HEIC or AVIF), not a sound or video.",
            "Convert it to JPEG or PNG and give it as a picture.",
            path,
        )
    if missing > 0:
        raise UnreadableMediaError(
            f"The file is cut off: at least {missing} bytes are missing at its end.",
            "Copy or download it again.",
            path,
        )


@contextmanager
def open_container(
    path: str | Path, limits: MediaLimits = DEFAULT_LIMITS, link: int = 0
) -> Iterator[InputContainer]:
    """Open a sound or video file; it is closed when the ``with`` block ends.

    Errors of FFmpeg inside the block become errors of this package.

    Args:
        path: The file.
        limits: What is allowed.
        link: Number of the link to open in a chained Ogg file.

    Raises:
        MissingFileError: No such file, or not a regular one.
        UnreadableMediaError: The file is broken, cut off or of no known format; playlists and
            scripts that name other files count as unknown.
        MediaLimitError: The file is larger or longer than allowed.
    """
    target = check_file(path, limits)
    _check_whole(target)
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": CONTAINERS,
        "analyzeduration": str(PROBED_SECONDS * 1_000_000),
        "probesize": str(PROBED_BYTES),
    }
    links = ogg_links(target)
    # The prefix keeps FFmpeg from reading a name such as "concat:a.mp4" as a protocol.
    name = f"file:{target.absolute()}"
    try:
        # Options for the streams as well would overrun PyAV 14's memory in formats that find their
        # streams late (MPEG-PS), so they go to the container alone.
        with (
            Section(target, links[link], name) if links[1:] else nullcontext(name) as source,
            av.open(source, mode="r", container_options=options, **_METADATA) as container,
        ):
            if container.duration is not None:
                check_duration(target, container.duration / 1_000_000, limits)
            yield container
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableMediaError(
            f"The file is broken or of no known sound or video format ({reason}).",
            "Check that it plays elsewhere; converting it to MP4 or WAV often helps.",
            target,
        ) from error
