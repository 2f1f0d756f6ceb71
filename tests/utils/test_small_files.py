from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tvsl.errors import DataError, TvslError, VocabularyError
from tvsl.utils.files import read_small, read_small_json, read_small_text, write_npz

REMEDY = "Give another."


def test_a_file_is_read_whole_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(path)
    assert read_small(path, 5, DataError, REMEDY) == b"12345"
    assert read_small(tmp_path / "link", 5, DataError, REMEDY) == b"12345"
    with pytest.raises(DataError, match="too large: 4 bytes") as caught:
        read_small(path, 4, DataError, REMEDY)
    assert caught.value.path == path


def test_arrays_are_compressed_to_the_same_bytes(tmp_path: Path) -> None:
    arrays = {"file": np.ones((100, 250), np.float32), "a b": np.arange(3.0)}
    one, two = (write_npz(arrays, tmp_path / name) for name in ("a.npz", "b.npz"))
    assert one.stat().st_size < arrays["file"].nbytes / 100
    assert one.read_bytes() == two.read_bytes()
    with np.load(one, allow_pickle=False) as found:
        assert set(found.files) == set(arrays)
        for name, values in arrays.items():
            assert np.array_equal(found[name], values)


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def bound_socket(folder: Path) -> Path:
    socket.socket(socket.AF_UNIX).bind(str(folder / "socket"))
    return folder / "socket"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def locked(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "locked").write_text("a")
    (folder / "locked").chmod(0)
    return folder / "locked"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: Path("/dev/zero"),
        lambda folder: Path("/dev/urandom"),
        lambda folder: folder,
        lambda folder: folder / "none",
        lambda folder: folder / "a\0b",
        lambda folder: folder / ("a" * 300),
        lambda folder: folder / "\ud800",
        lambda folder: folder / "file" / "below",
        pipe,
        bound_socket,
        loop,
        locked,
    ],
)
def test_only_regular_files_are_read(tmp_path: Path, make: Any) -> None:
    (tmp_path / "file").write_text("x")
    path = make(tmp_path)
    for error in (DataError, VocabularyError):
        with pytest.raises(error) as caught:
            read_small(path, 10, error, REMEDY)
        assert caught.value.path == path
        assert caught.value.remedy == REMEDY


def test_a_file_of_no_known_size_is_bounded() -> None:
    path = Path("/proc/self/maps")  # its size is 0 and it is not empty
    if not path.is_file():
        pytest.skip("there is no /proc")
    with pytest.raises(DataError, match="too large"):
        read_small(path, 100, DataError, REMEDY)


def test_text_is_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + "ä\r\n".encode())
        assert read_small_text(path, 10, DataError, REMEDY) == "ä\r\n"
    path.write_bytes("ä".encode("utf-16"))
    with pytest.raises(DataError, match="no text"):
        read_small_text(path, 10, DataError, REMEDY)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 10_000, '"\ud800'])
def test_json_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(TvslError):
        read_small_json(path, 1 << 20, DataError, REMEDY)
    path.write_text('{"a": [1]}')
    assert read_small_json(path, 100, DataError, REMEDY) == {"a": [1]}
