"""Arrays of TensorFlow's two file formats, read without TensorFlow.

A frozen graph is a ``GraphDef`` message; its ``Const`` nodes hold the weights. The variables of a
SavedModel lie in a tensor bundle: an index (a sorted table of LevelDB's form) and one file of raw
bytes. Both are protocol buffers, of whose wire format a page is enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

TABLE_MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
NUMBER_TYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    9: np.int64,
    10: np.bool_,
}
"""Number types by their number in TensorFlow's ``DataType``."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length.

    Args:
        data: The bytes.
        at: Where it begins.

    Returns:
        The number, and where the next thing begins.
    """
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer message: their number and their number or bytes."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        value: int | bytes
        match key & 7:
            case 0:
                value, at = read_varint(message, at)
            case 1:
                value, at = message[at : at + 8], at + 8
            case 2:
                size, at = read_varint(message, at)
                value, at = message[at : at + size], at + size
            case 5:
                value, at = message[at : at + 4], at + 4
            case wire:
                raise ValueError(f"wire type {wire} at byte {at}: not a protocol buffer")
        yield key >> 3, value


def fields_of(message: bytes, number: int) -> list[bytes]:
    """Return every field of one number that holds bytes."""
    return [value for key, value in fields(message) if key == number and isinstance(value, bytes)]


def numbers_of(message: bytes) -> dict[int, int]:
    """Return the fields that hold numbers, the last of each."""
    return {key: value for key, value in fields(message) if isinstance(value, int)}


def read_shape(message: bytes) -> list[int]:
    """Return the sizes of a ``TensorShapeProto``."""
    return [numbers_of(size).get(1, 0) for size in fields_of(message, 2)]


def frozen_constants(path: Path) -> dict[str, Array]:
    """Read the constants of a frozen graph.

    Args:
        path: ``frozen_inference_graph.pb``.

    Returns:
        Arrays by the name of their node, of those constants that are stored as raw bytes.
    """
    arrays: dict[str, Array] = {}
    for node in fields_of(path.read_bytes(), 1):
        if fields_of(node, 2) != [b"Const"]:
            continue
        for entry in fields_of(node, 5):
            if fields_of(entry, 1) != [b"value"]:
                continue
            tensor = fields_of(fields_of(entry, 2)[0], 8)[0]
            content = fields_of(tensor, 4)
            kind = NUMBER_TYPES.get(numbers_of(tensor).get(1, 0))
            if kind is not None and content:
                shape = read_shape(b"".join(fields_of(tensor, 2)))
                name = fields_of(node, 1)[0].decode()
                arrays[name] = np.frombuffer(content[0], kind).reshape(shape)
    return arrays


def _block_entries(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a block of a table; keys share a prefix with the one before."""
    if data[offset + size] != 0:
        raise ValueError("a compressed block: written by another version of TensorFlow")
    block = data[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end, at, key = size - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        unshared, at = read_varint(block, at)
        length, at = read_varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def bundle_variables(prefix: Path) -> dict[str, Array]:
    """Read the variables of a SavedModel.

    Args:
        prefix: ``variables/variables``, without the endings of its two files.

    Returns:
        Arrays by their key in the checkpoint.
    """
    index = prefix.with_suffix(".index").read_bytes()
    raw = prefix.with_suffix(".data-00000-of-00001").read_bytes()
    if int.from_bytes(index[-8:], "little") != TABLE_MAGIC:
        raise ValueError(f"{prefix}.index is not a table of TensorFlow's")
    at = len(index) - FOOTER_BYTES
    for _ in range(2):  # the handle of the block of metadata, which is empty
        _, at = read_varint(index, at)
    offset, at = read_varint(index, at)
    size, at = read_varint(index, at)
    arrays: dict[str, Array] = {}
    for _, handle in _block_entries(index, offset, size):
        begin, after = read_varint(handle, 0)
        length, _ = read_varint(handle, after)
        for key, entry in _block_entries(index, begin, length):
            numbers = numbers_of(entry)
            kind = NUMBER_TYPES.get(numbers.get(1, 0))
            if not key or kind is None:
                continue
            shape = read_shape(b"".join(fields_of(entry, 2)))
            start = numbers.get(4, 0)
            stop = start + math.prod(shape) * np.dtype(kind).itemsize
            arrays[key.decode()] = np.frombuffer(raw[start:stop], kind).reshape(shape)
    return arrays
