"""Find the streams of an Ogg file that follow one another, and read one of them alone.

Ogg files may be put together end to end: each link of such a chain begins with pages that are
marked as the beginning of a stream, and may differ from the one before in codec, rate and channels.
FFmpeg reads the first link, and gives up or counts its times anew where the next begins.
"""

from __future__ import annotations

import io
import mmap
import re
from functools import lru_cache
from pathlib import Path

from tvsl.errors import MediaLimitError, UnreadableMediaError

MAGIC = b"OggS"
FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x06]")  # version 0, marked as the beginning of a stream
HEADER_SIZE = 27
CHECKSUM = slice(22, 26)
MOST_LINKS = 1000


def ogg_links(path: Path) -> tuple[range, ...]:
    """Byte ranges of the links of a chained Ogg file.

    Returns:
        The bytes of each link in the order of the file, none for a file that is no Ogg; the streams
        of a sound and a picture that play together are one link.

    Raises:
        UnreadableMediaError: The file cannot be read.
        MediaLimitError: There are more than 1000 links.
    """
    try:
        status = path.stat()
        links = _links(path, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableMediaError(
            f"The file cannot be read ({reason}).", "Check who may read it.", path
        ) from error
    if len(links) > MOST_LINKS:
        raise MediaLimitError(
            f"The file is made of more than {MOST_LINKS} Ogg streams one after another.",
            "Convert it to WAV or FLAC.",
            path,
        )
    return links


@lru_cache(maxsize=64)
def _links(path: Path, size: int, _changed: int) -> tuple[range, ...]:
    """The links of a file of a size, kept as long as the file is not changed."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return ()
        begins, follows = [0], 0
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as content:
            for found in FIRST_PAGE.finditer(content):
                begin = found.start()
                length = _page_size(content, begin)
                if not length or _checksum(content[begin : begin + length]):
                    continue
                if begin != follows:  # not beside the first page of a stream of the same link
                    begins.append(begin)
                follows = begin + length
                if len(begins) > MOST_LINKS:
                    break
    return tuple(range(begin, end) for begin, end in zip(begins, [*begins[1:], size], strict=True))


def _page_size(content: mmap.mmap, begin: int) -> int:
    """Length of a page in bytes; 0 where it does not fit."""
    table = begin + HEADER_SIZE
    if table > len(content):
        return 0
    segments = content[table - 1]
    length = HEADER_SIZE + segments + sum(content[table : table + segments])
    return length if begin + length <= len(content) else 0


def _checksum(page: bytes) -> int:
    """Ogg's checksum of a page, combined with the one that stands in it: 0 where they agree.

    CRC-32 with the polynomial 0x04C11DB7, highest bit first, from 0, not inverted (RFC 3533).
    """
    stated = int.from_bytes(page[CHECKSUM], "little")
    value = 0
    for byte in page[: CHECKSUM.start] + bytes(4) + page[CHECKSUM.stop :]:
        value = (value << 8 & 0xFFFF_FFFF) ^ _TABLE[value >> 24 ^ byte]
    return value ^ stated


def _table_entry(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = value << 1 ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)
    return value & 0xFFFF_FFFF


_TABLE = tuple(_table_entry(value) for value in range(256))


class Section(io.RawIOBase):
    """Some bytes of a file as a file of their own.

    Args:
        path: The file.
        part: Range of its bytes.
        name: Name of the section.
    """

    def __init__(self, path: Path, part: range, name: str) -> None:
        super().__init__()
        self.name = name
        self._file = path.open("rb")
        self._part = part
        self._file.seek(part.start)

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Always True."""
        return True

    def tell(self) -> int:
        """Position in bytes from the section's start."""
        return self._file.tell() - self._part.start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position.

        Args:
            offset: Bytes from ``whence``.
            whence: As for files in ``io``.

        Returns:
            The new position in bytes from the section's start.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self._part)}[whence]
        self._file.seek(self._part.start + max(0, base + offset))
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        """Read up to a number of bytes; all that follow when it is negative."""
        left = max(0, len(self._part) - self.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
