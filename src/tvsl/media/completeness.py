"""Find out whether a file was cut off, from the sizes that its own headers promise.

FFmpeg reads a cut-off file to where it ends and stays silent about the rest. The common containers
state their size, so that the cut can be seen before anything is decoded.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO

# Writers to a pipe cannot know the size and put the largest one; from here on it means nothing.
RIFF_UNKNOWN_SIZE = 0x7FFF_F000
LONG_RIFF = frozenset({b"RF64", b"BW64"})
MEDIA_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid"})
OTHER_BOXES = frozenset({b"styp", b"sidx", b"mfra", b"meta", b"udta", b"pdin", b"emsg", b"prft"})
EBML_MAGIC = b"\x1a\x45\xdf\xa3"
SEGMENT_ID = b"\x18\x53\x80\x67"
OGG_LARGEST_PAGE = 27 + 255 + 255 * 255
MP3_SEARCH = 4096


def missing_bytes(path: Path) -> int:
    """Number of bytes that a file's headers promise and the file does not have.

    Args:
        path: An existing file.

    Returns:
        At least that many bytes are missing; 0 where the file is whole or where its format does
        not tell (MPEG streams, FLV, raw streams).

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            promised = _riff_size(head)
        elif head[:4] in LONG_RIFF:
            promised = _long_riff_size(file)
        elif head[4:8] in MEDIA_BOXES:
            promised = _boxes_size(file, size)
        elif head[:4] == EBML_MAGIC:
            promised = _matroska_size(file)
        elif head[:4] == b"OggS":
            promised = _ogg_size(file, size)
        else:
            promised = _mp3_size(file)
    return max(0, promised - size)


def _riff_size(head: bytes) -> int:
    """End of the first RIFF chunk (WAV, AVI) in bytes; 0 where the writer did not know it."""
    if len(head) < 8:
        return 0
    size = int(struct.unpack("<I", head[4:8])[0])
    # Some writers count the byte that pads an odd chunk, and do not write it.
    return 0 if size >= RIFF_UNKNOWN_SIZE else size + 8 - 1


def _long_riff_size(file: BinaryIO) -> int:
    """End of the first chunk of an RF64 file in bytes; 0 where the writer did not know it."""
    begin = file.read(16)
    if len(begin) < 16 or begin[:4] != b"ds64":
        return 0
    size = int(struct.unpack("<Q", begin[8:])[0])
    return size + 8 - 1 if size else 0


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
    begin = max(0, size - OGG_LARGEST_PAGE)
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
    block = file.read(MP3_SEARCH)
    if len(block) < 2 or block[0] != 0xFF or block[1] & 0xE0 != 0xE0:
        return 0
    tag = max(block.find(b"Xing", 0, 64), block.find(b"Info", 0, 64))
    if tag < 0 or len(block) < tag + 16:
        return 0
    flags, _, count = struct.unpack(">III", block[tag + 4 : tag + 16])
    return begin + int(count) if flags & 3 == 3 else 0
