"""The door for lists of ids, classes and annotations: 14 hostile files, 120 mutated or random ones.

Every one ends in a list or in one error of this package that names the file, at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bounds import bounded_reading
from tvsl.data.lists import read_rows
from tvsl.data.vggsound import read_vggss
from tvsl.errors import DataError, MediaError, TvslError
from tvsl.preprocess.finding import read_list
from tvsl.utils.id_lists import NameIndex, clip_name, read_id_list
from tvsl.vocabularies import read_vocabulary

READERS: dict[str, Callable[[Path], object]] = {
    "ids": lambda path: [NameIndex(["a"]).find(one) for one in read_id_list(path, DataError)],
    "listed": read_list,
    "rows": lambda path: read_rows(path, {1, 2, 4}, dict.fromkeys((0, 2), clip_name)),
    "vggss": read_vggss,
    "vocabulary": read_vocabulary,
}
PLAIN = [
    b'---g-f_I2yQ,30,people marching,test\r\nAAAAAAAAAAA,0,"a, b",train\r\n',
    b"\xef\xbb\xbf# Segments csv\n# YTID, start\n---g-f_I2yQ, 30.000, 40.000, '/m/0'\n",
    b"video,audio,label\nAAAAAAAAAAA_000030,BBBBBBBBBBB_000030,non-sounding\n",
    b"HnUOaSfTA6c_175_05257,cello\nHnUOaSfTA6c_175_05264,violin\n",
    json.dumps([{"file": "AAAAAAAAAAA_000030", "class": "dog", "bbox": [[0, 0, 1, 1]]}]).encode(),
    "dog\ncaf\u00e9\n# a comment\n".encode(),
]
HOSTILE = {
    "empty": b"",
    "one quote": b'"' + b"x" * 200_000,
    "quotes": b'"' * 100_001,
    "nul": b"a\0b,c\n" * 100,
    "no text": bytes(range(256)),
    "utf-16": "a,b\n".encode("utf-16"),
    "nested": b"[" * 200_000,
    "nested objects": b'{"a":' * 100_000,
    "one long line": b"a" * 1_000_000,
    "many commas": b"," * 100_000,
    "many lines": b"\n" * 100_000,
    "long numbers": b"AAAAAAAAAAA_" + b"9" * 100_000 + b"_" + b"9" * 100_000,
    "huge number": b"[" + b"9" * 10_000 + b"]",
    "huge float": b'[{"file": "a", "class": "b", "bbox": [[1e999, NaN, -Infinity, true]]}]',
}


def read(reader: str, path: Path) -> None:
    with bounded_reading(path):
        READERS[reader](path)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(tmp_path: Path, content: bytes) -> None:
    for reader in READERS:
        for name in ("list.csv", "list.json"):
            (tmp_path / name).write_bytes(content)
            read(reader, tmp_path / name)


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file(tmp_path: Path, reader: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path / "loop", tmp_path):
        with pytest.raises((DataError, MediaError, TvslError), match=r"file|list"):
            READERS[reader](path)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PLAIN), st.sampled_from(list(READERS)), st.data())
def test_mutated_files(tmp_path: Path, plain: bytes, reader: str, data: st.DataObject) -> None:
    content = bytearray(plain)
    pieces = st.sampled_from(
        [b'"', b",", b"\n", b"\r", b"\0", b"\t", b";", b"#", b"[", b"}", b"\xff"]
    )
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(pieces | st.binary(max_size=3))
    path = tmp_path / data.draw(st.sampled_from(["list.csv", "list.json"]))
    path.write_bytes(content)
    read(reader, path)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=80) | st.text("AB_-03 .,;\t\"'#\r\n[]{}:", max_size=80))
def test_random_files(tmp_path: Path, text: str) -> None:
    for reader in READERS:
        path = tmp_path / "list.csv"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        read(reader, path)
