"""Find out whether a file was cut off, from the sizes that its own headers promise.

FFmpeg reads a cut-off file to where it ends and stays silent about the rest. The common containers
state their size, so that the cut can be seen before anything is decoded.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

# Writers to a pipe cannot know the size and put 0 or the largest one; from here on, by the number
# of bytes that hold it, it means nothing.
UNKNOWN_SIZES = {4: 0x7FFF_F000, 8: 1 << 62}
LONG_RIFF = frozenset({b"RF64", b"BW64"})
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
# So many chunks may stand before the samples; files in use have some ten.
MOST_CHUNKS = 1_000
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
    """How a family of containers writes chunks: a name, the size of the content, the content.

    Attributes:
        first: Where the first chunk begins.
        name: Bytes of a chunk's name.
        width: Bytes of a size.
        order: Order of these bytes.
        counted: What a size counts beside the content, in bytes.
        unit: Chunks begin at multiples of it.
        samples: Names of the chunk that holds the sound or the pictures; a list is called by its
            own name and its kind.
    """

    first: int
    name: int
    width: int
    order: Literal["little", "big"]
    counted: int
    unit: int
    samples: frozenset[bytes]

    def end(self, file: BinaryIO, size: int) -> int:
        """Where the file ends by the size that it begins with.

        Where the writer did not know that, or wrote it before any samples, their own size tells.

        Args:
            file: The file.
            size: Its bytes.

        Returns:
            A number of bytes; 0 where the writer knew neither size.
        """
        file.seek(self.name)
        whole = self._known(file.read(self.width))
        end = None if whole is None else self.name + self.width + whole
        found = self._find(file, size)
        if end is None or (found is not None and end <= found[0]):
            return 0 if found is None or found[1] is None else found[0] + found[1]
        # Some writers count the bytes that fill up a chunk, and do not write them.
        return end - (self.unit - 1)

    def samples_end(self, file: BinaryIO, size: int, otherwise: int | None = None) -> int:
        """Where the samples end by the size of their own chunk.

        Args:
            file: The file.
            size: Its bytes.
            otherwise: Their size where the chunk does not tell it.

        Returns:
            A number of bytes; 0 where nothing tells it.
        """
        found = self._find(file, size)
        length = otherwise if found is not None and found[1] is None else found and found[1]
        return 0 if found is None or length is None else found[0] + length

    def _find(self, file: BinaryIO, size: int) -> tuple[int, int | None] | None:
        """Where the content of the samples begins, and how long it is, if the writer knew it."""
        position = self.first
        for _ in range(MOST_CHUNKS):
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
