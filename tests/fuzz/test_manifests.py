"""The door for manifests: 41 hostile lines, 160 mutated or made ones.

Every one ends in lines or in one error of this package that names the file and the line.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tvsl.data import find_data
from tvsl.data.folder import COLUMNS, read_manifest
from tvsl.errors import DataError, TvslError

LONGEST = 2.0
LINE: dict[str, Any] = {
    "id": "park", "frame": "frames/park.jpg", "audio": "audio/park.wav", "labels": ["dog", "cat"],
    "width": 128, "height": 72, "boxes": {"dog": [[10, 32, 40, 70]], "cat": [[70, 9, 98, 71]]},
    "rate": 16000, "duration": 5.0, "panels": 2, "split": "test", "masks": "m.png",
    "objects": [{"value": 1, "label": "dog", "sounds": True}],
}  # fmt: skip
NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "true", "null", '"x"', "[]", "{}", "1" + "0" * 400,
           "-5", "0", "0.5", '"1e400"', "1e-400", "[[[[1]]]]"]  # fmt: skip
HOSTILE = {
    **{
        f"{key} {number[:12]}": json.dumps({**LINE, key: "?"}).replace('"?"', number)
        for key in ("width", "rate")
        for number in NUMBERS
    },
    "nested": "[" * 100_000,
    "nested in a line": '{"id": ' + '{"a": ' * 50_000,
    "nested beside": json.dumps(LINE)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "half a character": '{"id": "\\ud800", "frame": "a", "audio": "b"}',
    "no object": "5",
    "long label": json.dumps({**LINE, "labels": ["x" * 1_000_000]}),
    "many boxes": json.dumps({**LINE, "boxes": {"dog": [[0, 0, 1, 1]] * 5_000}}),
    "nul": json.dumps({**LINE, "frame": "a\0b"}),
    "long name": json.dumps({**LINE, "frame": "a/" * 100_000}),
}


def read(path: Path) -> None:
    started = time.process_time()
    try:
        assert read_manifest(path)
    except DataError as error:
        assert error.path == path  # noqa: PT017
        text = str(error)
        assert len(text) < 1500
        assert "\n" not in text
        assert re.search(r"Line \d+|empty|no text|no list", text)
    assert time.process_time() - started < LONGEST


def test_there_are_enough_lines() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_lines(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + text + "\n")
    read(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from([*LINE, "label", "x"]), values, max_size=3))
def test_lines_of_any_values(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(json.dumps({**LINE, **changes}).encode())
    read(path)
    try:
        data = find_data("folder", root=tmp_path)
        _ = data.items
    except TvslError as error:
        assert "\n" not in str(error)  # noqa: PT017


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_lines(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray((json.dumps(LINE) + "\n").encode() * 2)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=4))
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(content)
    read(path)


cells = st.text("dogcat:; .,0123456789-\"'eE\\/", max_size=12) | st.sampled_from(
    ["dog:0 0 1 1", "1e999", "nan", "10" * 200, "true", "../a", "a\\b", "C:\\a", "=1"]
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(cells, min_size=len(COLUMNS), max_size=len(COLUMNS)), st.sampled_from(["\n", "\r\n"])
)
def test_tables_of_any_cells(tmp_path: Path, row: list[str], end: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(end.join([",".join(COLUMNS), ",".join(row)]).encode())
    read(path)
