from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[np.generic]
MAGIC = bytes.fromhex("57fb808b247547db")
TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10}


@pytest.fixture(name="files")
def _files() -> ModuleType:
    return import_module("tensorflow_files")


def varint(value: int) -> bytes:
    """Seven bits at a time, the lowest first."""
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def held(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def shape_of(sizes: tuple[int, ...]) -> bytes:
    return b"".join(held(2, number(1, size)) for size in sizes)


@given(values=st.lists(st.integers(0, 2**64 - 1), max_size=5), junk=st.binary(max_size=3))
def test_varints(values: list[int], junk: bytes) -> None:
    read = import_module("tensorflow_files").read_varint
    data, at = junk + b"".join(map(varint, values)), len(junk)
    for value in values:
        found, at = read(data, at)
        assert found == value
    assert at == len(data)


@pytest.mark.parametrize(
    ("data", "value"), [(b"\x00", 0), (b"\x01", 1), (b"\x7f", 127), (b"\xac\x02", 300)]
)
def test_varints_by_hand(files: ModuleType, data: bytes, value: int) -> None:
    assert files.read_varint(data, 0) == (value, len(data))


def test_a_varint_without_end(files: ModuleType) -> None:
    with pytest.raises(IndexError):
        files.read_varint(b"\x80\x80", 0)


def test_fields_of_every_wire_type(files: ModuleType) -> None:
    message = number(1, 150) + held(2, b"dog") + number(3, 7)
    message += varint(4 << 3 | 1) + bytes(range(8)) + varint(5 << 3 | 5) + bytes(range(4))
    message += held(2, b"") + number(300, 2) + number(3, 8)
    assert list(files.fields(message)) == [
        (1, 150),
        (2, b"dog"),
        (3, 7),
        (4, bytes(range(8))),
        (5, bytes(range(4))),
        (2, b""),
        (300, 2),
        (3, 8),
    ]
    assert files.fields_of(message, 2) == [b"dog", b""]
    assert files.fields_of(message, 1) == []
    assert files.numbers_of(message) == {1: 150, 3: 8, 300: 2}


@pytest.mark.parametrize("wire", [3, 4, 6, 7])
def test_an_unknown_wire_type(files: ModuleType, wire: int) -> None:
    with pytest.raises(ValueError, match=str(wire)):
        list(files.fields(bytes([1 << 3 | wire, 0])))


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (3, 300, 1, 2)])
def test_shapes(files: ModuleType, sizes: tuple[int, ...]) -> None:
    assert files.read_shape(shape_of(sizes)) == list(sizes)


def array_of(kind: str, sizes: tuple[int, ...]) -> Array:
    generator = np.random.default_rng(len(sizes))
    return np.asarray(generator.integers(0, 2, sizes)).astype(kind)


def node(name: str, operation: str, tensor: bytes) -> bytes:
    kind = held(5, held(1, b"dtype") + held(2, number(6, 1)))
    value = held(5, held(1, b"value") + held(2, held(8, tensor)))
    return held(1, held(1, name.encode()) + held(2, operation.encode()) + kind + value)


def tensor_of(array: Array) -> bytes:
    sizes = held(2, shape_of(array.shape))
    return number(1, TYPES[array.dtype.name]) + sizes + held(4, array.tobytes())


@pytest.mark.parametrize("kind", list(TYPES))
def test_frozen_graphs(files: ModuleType, tmp_path: Path, kind: str) -> None:
    first, second = array_of(kind, (2, 3, 4)), array_of(kind, ())
    graph = node("a/weights", "Const", tensor_of(first)) + node("b", "Const", tensor_of(second))
    graph += node("not a constant", "Relu", tensor_of(first))
    graph += node("as a list", "Const", number(1, 1) + held(2, b"") + held(5, bytes(4)))
    graph += node("a text", "Const", number(1, 7) + held(2, b"") + held(4, b"dog"))
    graph += held(4, number(1, 24))  # the versions of the graph
    path = tmp_path / "graph.pb"
    path.write_bytes(graph)
    found = files.frozen_constants(path)
    assert set(found) == {"a/weights", "b"}
    for name, array in (("a/weights", first), ("b", second)):
        assert found[name].dtype == kind
        np.testing.assert_array_equal(found[name], array)


def block(entries: list[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """A block of a table: keys share their beginning with the one before; one restart."""
    data, before = b"", b""
    for key, value in entries:
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        data += varint(shared) + varint(len(key) - shared) + varint(len(value))
        data += key[shared:] + value
        before = key
    data += (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    return data + bytes([compression]) + b"\xde\xad\xbe\xef"


def handle(offset: int, data: bytes) -> bytes:
    return varint(offset) + varint(len(data) - 5)


def write_bundle(
    prefix: Path, blocks: list[dict[str, Array]], compression: int = 0, magic: bytes = MAGIC
) -> None:
    """Write variables, those of one dict in one block."""
    raw, index = b"", b""
    handles = []
    for number_of_block, arrays in enumerate(blocks):
        entries = [] if number_of_block else [(b"", number(1, 1))]  # the header has no key
        for name, array in sorted(arrays.items()):
            entry = number(1, TYPES.get(array.dtype.name, 7)) + held(2, shape_of(array.shape))
            entry += number(4, len(raw)) if raw else b""  # a zero is not written
            entries.append((name.encode(), entry + number(5, array.nbytes)))
            raw += array.tobytes()
        data = block(entries, compression)
        handles.append((entries[-1][0], handle(len(index), data)))
        index += data
    metadata, top = block([]), block(handles)
    places = handle(len(index), metadata) + handle(len(index) + len(metadata), top)
    index += metadata + top + places.ljust(40, b"\0") + magic
    prefix.with_suffix(".index").write_bytes(index)
    prefix.with_suffix(".data-00000-of-00001").write_bytes(raw)


@pytest.mark.parametrize("kind", list(TYPES))
def test_bundles(files: ModuleType, tmp_path: Path, kind: str) -> None:
    blocks: list[dict[str, Array]] = [
        {"layer-0/bias": array_of(kind, (7,)), "layer-0/kernel": array_of(kind, (3, 3, 2, 5))},
        {"step": array_of(kind, ())},
    ]
    write_bundle(tmp_path / "variables", blocks)
    found = files.bundle_variables(tmp_path / "variables")
    expected = blocks[0] | blocks[1]
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == kind
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_variables_that_are_no_numbers_are_left_out(files: ModuleType, tmp_path: Path) -> None:
    arrays: dict[str, Array] = {"text": np.frombuffer(b"dog", "S3"), "w": np.ones(2, np.float32)}
    write_bundle(tmp_path / "variables", [arrays])
    assert set(files.bundle_variables(tmp_path / "variables")) == {"w"}


def test_compressed_blocks_and_other_files_are_refused(files: ModuleType, tmp_path: Path) -> None:
    arrays: dict[str, Array] = {"w": np.ones(2, np.float32)}
    write_bundle(tmp_path / "variables", [arrays], compression=1)
    with pytest.raises(ValueError, match="compressed"):
        files.bundle_variables(tmp_path / "variables")
    write_bundle(tmp_path / "variables", [arrays], magic=bytes(8))
    with pytest.raises(ValueError, match="index"):
        files.bundle_variables(tmp_path / "variables")
