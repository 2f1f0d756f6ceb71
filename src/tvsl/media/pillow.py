"""Calls of Pillow: errors become our own, pictures are turned upright.

A display matrix ((a, b), (c, d)) moves a stored point (x, y) to (a x + c y, b x + d y), with x to
the right and y down. Phones write quarter turns; front cameras may mirror as well.
"""

from __future__ import annotations

import ctypes
import logging
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, _imaging
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from tvsl.errors import MediaLimitError, UnreadableMediaError
from tvsl.media.limits import RAISE_LIMIT, MediaLimits, check_pixels

# Formats with a signature of their own; none that Pillow hands to another program (EPS).
FORMATS: Final[tuple[str, ...]] = (
    "JPEG",
    "PNG",
    "WEBP",
    "BMP",
    "DIB",
    "GIF",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
    "ICO",
    "MPO",
)
# First bytes that no sound or video has.
_SIGNATURES: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
    b"BM",
)
_SIGNATURE_BYTES: Final = 12
_AVIF_BRANDS: Final = (b"avif", b"avis")
PICTURE_ENDINGS: Final = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".jp2", ".j2k", ".ico", ".mpo", ".apng"),
)
# A marker of JPEG that begins a segment: not those amid the pixels, nor a byte that fills.
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_JPEG_START, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
# Scans that a JPEG of the most pixels may have; a smaller one may have more.
_MOST_SCANS: Final = 32
_CHUNK: Final = 2**14
# Pillow logs and libtiff reports what they do not raise. A logger that has any handler prints
# nothing by itself; handlers of the caller's own still get everything.
_NO_PRINTING: Final = logging.NullHandler()
_LIBTIFF: Final = threading.Lock()
_ErrorHandler: Final = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

IDENTITY = (1, 0, 0, 1)
# By quarter turns against the clock, which is how PyAV counts.
QUARTER_TURNS = (IDENTITY, (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))


def has_picture_signature(path: Path) -> bool:
    """Tell whether a file has the signature of a picture format; it may still be broken.

    Raises:
        UnreadableMediaError: The file cannot be read.
    """
    with _reading(path), path.open("rb") as file:
        head = file.read(_SIGNATURE_BYTES)
    return (
        head.startswith(_SIGNATURES)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS)
    )


@contextmanager
def open_image(path: Path, limits: MediaLimits) -> Iterator[Image.Image]:
    """Open a picture file without decoding it.

    Args:
        path: A file that exists.
        limits: What is allowed.

    Yields:
        The opened picture: its size is known and allowed, its pixels are not read yet.

    Raises:
        UnreadableMediaError: The file is broken or of no known format.
        MediaLimitError: The picture exceeds a limit.
    """
    size = path.stat().st_size
    if size > limits.max_picture_size and has_picture_signature(path):
        # Some decoders read a file whole before they know anything of it.
        raise MediaLimitError(
            f"The picture's file has {size} bytes, {limits.max_picture_size} are allowed.",
            RAISE_LIMIT,
            path,
        )
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    with _reading(path):
        file = path.open("rb")
    with file:
        with pillow_calls(path):
            # Pillow would map a file given by its name into memory: cut off meanwhile, it kills.
            image = Image.open(file, formats=formats)
        check_pixels(path, image.width, image.height, limits)
        if isinstance(image, JpegImageFile):
            _check_scans(file, image.width * image.height, path, limits)
        yield image


def decode(image: Image.Image, path: Path | None) -> None:
    """Decode an opened picture in place.

    Args:
        image: The picture; nothing happens where it is decoded already.
        path: Its file, if it has one.

    Raises:
        UnreadableMediaError: It is broken or cut off.
        MediaLimitError: There is not enough memory for it.
    """
    if not isinstance(image, TiffImageFile):
        with pillow_calls(path):
            image.load()
        return
    # Pillow would map an uncompressed file into memory, and takes its sides for swapped then.
    name, image.filename = image.filename, ""
    try:
        with pillow_calls(path), _libtiff_errors() as reported:
            image.load()
    finally:
        image.filename = name
    if reported:
        # Of some codecs, such as that of faxes, Pillow gives wrong pixels without an error.
        raise UnreadableMediaError(
            f"The picture is damaged (libtiff: {reported[0]}).",
            "Copy it again, or save it anew with a program that shows it rightly.",
            path,
        )


@contextmanager
def pillow_calls(path: Path | None) -> Iterator[None]:
    """Turn whatever calls of Pillow raise into errors of this package.

    Pillow's decoders have no error in common: beside OSError and SyntaxError, what is raised is
    what the broken bytes happen to cause, such as RuntimeError (AVIF), ValueError, KeyError,
    IndexError, TypeError, ZeroDivisionError, OverflowError, struct.error or zlib.error. So each
    exception means a broken picture here, and nothing but calls of Pillow belongs into the block.

    Args:
        path: The file that is concerned, if there is one.

    Raises:
        UnreadableMediaError: The picture is broken, cut off or of no known format.
        MediaLimitError: It is larger than Pillow reads, or than memory.
    """
    logging.getLogger("PIL").addHandler(_NO_PRINTING)
    try:
        with warnings.catch_warnings():
            # They tell of marks that are left out and of sizes, which are limited here anyway.
            warnings.simplefilter("ignore")
            yield
    except Image.DecompressionBombError as error:
        raise MediaLimitError(
            f"The picture has more pixels than Pillow reads ({error}).", RAISE_LIMIT, path
        ) from error
    except MemoryError as error:
        raise MediaLimitError(
            "There is not enough memory for the picture.", "Make it smaller.", path
        ) from error
    except Exception as error:
        # Pillow's reason would be the path once more.
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise UnreadableMediaError(
            f"The picture is broken, cut off or of no known format{why}.",
            "Convert it to JPEG or PNG, or copy it again.",
            path,
        ) from error


def _check_scans(file: BinaryIO, pixels: int, path: Path, limits: MediaLimits) -> None:
    """Refuse a JPEG that is refined so often that decoding takes minutes.

    Each scan goes over all pixels, and one of a hundred bytes is enough for that. Progressive
    pictures have about ten.
    """
    allowed = _MOST_SCANS * limits.max_pixels // pixels
    place, scans = 0, 0
    while scans <= allowed:
        marker, place = _next_marker(file, place)
        if marker in (None, _JPEG_END):
            return
        if marker != _JPEG_START:
            file.seek(place)
            place += int.from_bytes(file.read(2), "big")
        scans += marker == _JPEG_SCAN
    raise MediaLimitError(
        f"The picture is made of more than {allowed} scans, each of {pixels} pixels.",
        RAISE_LIMIT,
        path,
    )


def _next_marker(file: BinaryIO, place: int) -> tuple[int | None, int]:
    """The next marker of a JPEG and the place behind it; None where none follows."""
    file.seek(place)
    while len(content := file.read(_CHUNK)) > 1:
        if found := _JPEG_MARKER.search(content):
            return content[found.end() - 1], place + found.end()
        # The last byte may be the first one of a marker.
        place += len(content) - 1
        file.seek(place)
    return None, place


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one of this package."""
    try:
        yield
    except OSError as error:
        raise UnreadableMediaError(
            f"The file cannot be read ({error.strerror or error}).", "Check who may read it.", path
        ) from error


@contextmanager
def _libtiff_errors() -> Iterator[list[str]]:
    """Collect the parts of libtiff that report an error, which it prints otherwise."""
    reported: list[str] = []
    set_handler = _libtiff_setter()
    if set_handler is None:
        yield reported
        return

    def report(module: bytes | None, _format: bytes | None, _values: int | None) -> None:
        reported.append((module or b"error").decode(errors="replace"))

    handler = _ErrorHandler(report)
    # The handler is one for the whole process.
    with _LIBTIFF:
        before = set_handler(ctypes.cast(handler, ctypes.c_void_p))
        try:
            yield reported
        finally:
            set_handler(before)


@lru_cache(maxsize=1)
def _libtiff_setter() -> Callable[[Any], Any] | None:
    """``TIFFSetErrorHandler`` of the libtiff that Pillow uses, where a library offers it."""
    try:
        setter = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        return None  # built into Pillow without its names: errors are printed, none is missed
    setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return setter


def turned_degrees(frame: VideoFrame) -> int:
    """Clockwise rotation of a stored picture for display: 0, 90, 180 or 270 degrees.

    Of a mirrored picture it is the turn without the mirroring.
    """
    a, b, _, d = _display_matrix(frame)
    if abs(a) >= abs(b):
        return 180 if d < 0 else 0
    return 90 if b > 0 else 270


def is_upright(frame: VideoFrame) -> bool:
    """Tell whether a picture is stored as it is shown."""
    a, b, _, d = _display_matrix(frame)
    return a >= abs(b) and d >= 0


def turn_upright(frame: VideoFrame, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn and mirror a stored picture as its display matrix says.

    Args:
        frame: The decoded picture.
        pixels: Its pixels as stored, (h, w) or (h, w, 3).

    Returns:
        The pixels as shown, (H, W) or (H, W, 3), with memory of their own.
    """
    a, b, c, d = _display_matrix(frame)
    if abs(a) >= abs(b):
        turned, mirrored, upside_down = pixels, a < 0, d < 0
    else:
        turned, mirrored, upside_down = pixels.swapaxes(0, 1), c < 0, b < 0
    turned = turned[:, ::-1] if mirrored else turned
    turned = turned[::-1] if upside_down else turned
    return np.ascontiguousarray(turned)


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The four numbers a, b, c, d of a picture's display matrix; the identity where it has none."""
    try:
        # A frame keeps its own ``side_data``, which keeps the frame: only a collection of garbage
        # would free the two, and pictures are large.
        data = cast("Any", SideDataContainer)(frame).get("DISPLAYMATRIX")
    except ValueError:
        # PyAV gives no side data at all where FFmpeg attaches a kind that it does not know yet.
        return QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if data is None:
        return IDENTITY
    values: tuple[int, ...] = struct.unpack("=5i", bytes(cast("Buffer", data))[:20])
    a, b, _, c, d = values
    return a, b, c, d
