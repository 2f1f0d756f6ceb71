"""Picture files of any depth, written bit by bit: an oracle that shares nothing with Pillow."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.int64]
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}
_OFFSETS = 273


def packed(values: Values, bits: int, order: str = ">") -> list[bytes]:
    """The rows of values (h, w) or (h, w, channels) with a number of bits each."""
    rows = values.reshape(len(values), -1)
    if bits >= 8 and bits % 8 == 0:
        return [row.astype(f"{order}u{bits // 8}").tobytes() for row in rows]
    whole = []
    for row in rows:
        digits = "".join(f"{int(value):0{bits}b}" for value in row)
        digits += "0" * (-len(digits) % 8)
        whole.append(int(digits, 2).to_bytes(len(digits) // 8, "big"))
    return whole


def png(
    values: Values,
    bits: int,
    colour: int,
    clear: bytes | None = None,
    palette: bytes | None = None,
) -> bytes:
    """A PNG of values (h, w) or (h, w, channels); ``colour`` is its colour type."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width = values.shape[:2]
    content = b"\x89PNG\r\n\x1a\n"
    content += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    content += b"" if palette is None else chunk(b"PLTE", palette)
    content += b"" if clear is None else chunk(b"tRNS", clear)
    rows = b"".join(b"\0" + row for row in packed(values, bits))
    return content + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(
    values: Values,
    bits: int,
    meaning: int,
    order: str = "<",
    kind: int = 1,
    tags: dict[int, tuple[int, list[int]]] | None = None,
    data: bytes | None = None,
    deflate: bool = False,
) -> bytes:
    """A TIFF of one strip.

    Args:
        values: (h, w) or (h, w, channels).
        bits: Bits of each value.
        meaning: Photometric interpretation: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK, 6
            YCbCr.
        order: ``<`` or ``>``.
        kind: Sample format: 1 unsigned, 2 signed, 3 float.
        tags: Further tags, as type and values.
        data: The strip, where it is not the values.
        deflate: Whether the strip is compressed.
    """
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    strip = b"".join(packed(values, bits, order)) if data is None else data
    strip = zlib.compress(strip) if deflate else strip
    entries: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [8 if deflate else 1]),
        262: (3, [meaning]),
        _OFFSETS: (4, [0]),
        277: (3, [channels]),
        278: (4, [height]),
        279: (4, [len(strip)]),
        339: (3, [kind] * channels),
        **(tags or {}),
    }
    place = 8 + 2 + 12 * len(entries) + 4
    far = b""
    listed = []
    for tag, (form, numbers) in sorted(entries.items()):
        raw = struct.pack(order + _TIFF_TYPES[form] * len(numbers), *numbers)
        if len(raw) > 4:
            raw, far = struct.pack(order + "I", place + len(far)), far + raw
        listed.append((tag, form, len(numbers), raw.ljust(4, b"\0")))
    start = struct.pack(order + "I", place + len(far))
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    for tag, form, count, raw in listed:
        content += struct.pack(order + "HHI", tag, form, count)
        content += start if tag == _OFFSETS else raw
    return content + struct.pack(order + "I", 0) + far + strip


def gif(indices: Values, colours: Values, clear: int | None = None) -> bytes:
    """A GIF of numbers of colours (h, w); ``colours`` is (n, 3) with n a power of 2."""
    height, width = indices.shape
    bits = max(1, (len(colours) - 1).bit_length())
    content = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 | (bits - 1), 0, 0)
    content += colours.astype(np.uint8).tobytes()
    if clear is not None:
        content += b"\x21\xf9\x04\x01\0\0" + bytes([clear]) + b"\0"
    content += b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)
    least = max(2, bits)
    reset = 1 << least
    # The table of codes is emptied before every pixel: no compression, and codes of one length.
    codes = [code for index in indices.ravel() for code in (reset, int(index))] + [reset + 1]
    stream = sum(code << number * (least + 1) for number, code in enumerate(codes))
    data = stream.to_bytes((len(codes) * (least + 1) + 7) // 8, "little")
    blocks = (data[start : start + 255] for start in range(0, len(data), 255))
    return content + bytes([least]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0;"
