"""The one door for files, and the limits that keep a hostile or broken file harmless.

Every picture, sound and video enters through here: only local regular files, only containers of
real media (a playlist could name other files or addresses), and nothing beyond the limits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import av
from av.container import InputContainer

from tvsl.errors import MediaLimitError, MissingFileError, UnreadableMediaError, UsageError
from tvsl.media.completeness import missing_bytes
from tvsl.media.ogg import Section, ogg_links
from tvsl.paths import address

RAISE_LIMIT = "Make the file smaller, or raise the limit if you trust the file."
SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+:")

# Demuxers that read one file of media and nothing else. Playlists and scripts (hls, dash, concat,
# image2, sdp, lavfi, imf, vobsub ...) stay out: they make FFmpeg open what their text names.
CONTAINERS = (
    "mov,matroska,webm,avi,asf,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,h263,vc1,mjpeg,ivf,av1,obu,"
    "nut,mxf,gxf,dv,rm,wtv,yuv4mpegpipe,smjpeg,wav,w64,aiff,caf,au,voc,flac,ogg,mp3,aac,loas,ac3,"
    "eac3,ac4,dts,dtshd,truehd,mlp,amr,amrnb,amrwb,ape,wv,tta,tak,mpc,mpc8,dsf,iff,sox,xwma,shn"
)
# How far FFmpeg reads at most to find out what the streams hold; of a still picture with a long
# sound in MPEG-TS it learns that when it meets the next picture, or the end of the file.
PROBED_SECONDS = 3600
PROBED_BYTES = 64 * 2**20
# Still pictures in the same kind of container as MP4, which FFmpeg would take for a video.
STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})

LATEST_MOMENT = 1e9
"""Seconds that any clock of a file can count: FFmpeg has 63 bits for parts of a billionth."""


@dataclass(frozen=True)
class MediaLimits:
    """What a file may demand at most; everything beyond is refused before it is decoded.

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
    """Let through only a local, regular, non-empty file of bearable size.

    A link to such a file is fine.

    Args:
        path: Where the file should be.
        limits: What is allowed.

    Returns:
        The path.

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


def check_whole(path: Path) -> None:
    """Refuse a file whose own headers promise more bytes than there are, and still pictures.

    Args:
        path: An existing file.

    Raises:
        UnreadableMediaError: The file is cut off, not readable, or a HEIC or AVIF picture.
    """
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
        link: Which one to open of the Ogg streams that follow one another in a file.

    Yields:
        The opened container.

    Raises:
        MissingFileError: No such file, or not a regular one.
        UnreadableMediaError: The file is broken, cut off or of no known format; playlists and
            scripts that name other files count as unknown.
        MediaLimitError: The file is larger or longer than allowed.
    """
    target = check_file(path, limits)
    check_whole(target)
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
            av.open(
                source, mode="r", container_options=options, metadata_errors="replace"
            ) as container,
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
