from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.made_files import write
from tvsl.data.folder import ManifestEntry, parse_boxes, read_manifest
from tvsl.errors import DataError
from tvsl.vocabularies import same_name

LINE: dict[str, Any] = {"id": "a", "frame": "a.jpg", "audio": "a.wav"}

labels = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters=';:,"'),
    min_size=1,
    max_size=6,
)
numbers = st.floats(0, 1).map(lambda value: round(value, 3))
boxes = st.dictionaries(labels, st.lists(st.tuples(*[numbers] * 4), min_size=1, max_size=3)).filter(
    lambda found: len({same_name(label) for label in found}) == len(found)
)


def cell(found: dict[str, list[tuple[float, ...]]]) -> str:
    parts = [
        f"{label}:{' '.join(str(number) for number in box)}"
        for label, some in found.items()
        for box in some
    ]
    return "; ".join(parts)


@given(boxes)
def test_boxes_of_a_cell_come_back(found: dict[str, list[tuple[float, ...]]]) -> None:
    parsed = parse_boxes(cell(found))
    expected = {label: [list(box) for box in some] for label, some in found.items()}
    assert parsed == (expected or [])


def test_boxes_without_labels() -> None:
    assert parse_boxes("0 0 1 1; 0.5 0 1 1") == [[0, 0, 1, 1], [0.5, 0, 1, 1]]
    assert parse_boxes(" ; ") == []


@given(st.text(max_size=30))
def test_any_cell_is_boxes_or_an_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_boxes(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes)
def test_csv_and_json_say_the_same(
    tmp_path: Path, found: dict[str, list[tuple[float, ...]]]
) -> None:
    names = list(found)
    content = {**LINE, "labels": names, "boxes": found, "panels": 2, "split": "train"}
    one = write(tmp_path / "manifest.jsonl", json.dumps(content) + "\r\n\r\n")
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(["split", "id", "frame", "audio", "labels", "boxes", "panels"])
    table.writerow(["train", "a", "a.jpg", "a.wav", ";".join(names), cell(found), 2])
    other = write(tmp_path / "manifest.csv", stream.getvalue())
    ((_, left),), ((_, right),) = read_manifest(one), read_manifest(other)
    assert left.shares == ({} if not names else right.shares)
    assert (left.id, left.labels, left.panels, left.split) == (
        right.id, right.labels, right.panels, right.split,
    )  # fmt: skip


def test_what_others_note_in_a_line_is_passed_over(tmp_path: Path) -> None:
    content = {**LINE, "film": "x.mp4", "labels_by": "me", "": 1}
    path = write(tmp_path / "manifest.jsonl", json.dumps(content))
    assert read_manifest(path) == [(1, ManifestEntry(**LINE))]


def test_pixels_become_shares() -> None:
    line = ManifestEntry(
        **LINE, labels=("dog",), boxes={"dog": ((10, 5, 30, 20),)}, width=40, height=20
    )
    assert line.shares == {"dog": ((0.25, 0.25, 0.75, 1.0),)}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": ["dog", "dog"]}, "wrong labels.*twice: 'dog'"),
        ({"labels": ["dog"], "boxes": {"cat": [[0, 0, 1, 1]]}}, "boxes of 'cat'"),
        ({"boxes": {"cat": [[0, 0, 1, 1]]}}, "boxes of 'cat'"),
        ({"labels": ["dog"], "boxes": [[0, 0, 1, 1]]}, "boxes of no label"),
        ({"width": 30}, "both width and height"),
        ({"labels": ["dog"], "boxes": {"dog": [[0, 0, 30, 1]]}}, "boxes in pixels"),
        ({"labels": ["dog"], "boxes": {"dog": [[0, 0, 1]]}}, "boxes"),
        ({"panels": 0}, "panels"),
        ({"width": 10**400, "height": 10**400}, "width"),
        ({"width": -1, "height": 1}, "width"),
        ({"width": True, "height": 1}, "width.*true is no number"),
        ({"width": "wide", "height": 1}, "width"),
        ({"width": [[1]], "height": 1}, "width"),
        ({"width": float("nan"), "height": 1}, "width"),
        ({"width": "32", "height": 1}, "width.*'32' is no number"),
        ({"panels": "2"}, "panels.*'2' is no number"),
        ({"masks": "m.png", "objects": [{"value": 1, "label": "a", "sounds": 1}]}, "sounds"),
        ({"masks": "m.png", "objects": [{"value": 1, "label": "a", "sounds": "no"}]}, "sounds"),
        ({"rate": 0}, "rate"),
        ({"rate": 10**30}, "rate"),
        ({"duration": float("inf")}, "duration"),
        ({"duration": False}, "duration.*false is no number"),
        ({"boxes": [[0, 0, 1, True]]}, "boxes"),
        ({"boxes": [[0, 0, 1, float("nan")]]}, "boxes"),
        ({"boxes": [[0, 0, 1, 10**400]]}, "boxes"),
        ({"id": "a\nb"}, "id"),
        ({"id": "a\tb"}, "id"),
        ({"id": "x" * 10_000}, "id"),
        ({"frame": "C:\\data\\a.jpg"}, "drive of Windows"),
        ({"audio": "a\\b.wav"}, "slashes, 'a/b.wav'"),
        ({"masks": "/m.png"}, "leads out"),
        ({"objects": [{"value": 10**40, "label": "dog"}]}, "objects"),
        ({"objects": [{"value": True, "label": "dog"}]}, "objects"),
        ({"panels": 9}, "panels"),
        ({"split": "dev"}, "split"),
        ({"id": ""}, "id"),
        ({"frame": None}, "frame"),
        ({"labels": [""]}, "labels"),
        ({"objects": [{"value": 0, "label": "dog"}]}, "objects"),
        ({"label": ["dog"]}, "cannot be read: 'label' is called 'labels'"),
        ({"Box": [[0, 0, 1, 1]]}, "cannot be read: 'Box' is called 'boxes'"),
    ],
)
def test_lines_that_cannot_be_meant(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    text = json.dumps(LINE) + "\n" + json.dumps({**LINE, **changes}) + "\n"
    path = write(tmp_path / "manifest.jsonl", text)
    with pytest.raises(DataError, match=f"Line 2 .*{problem}") as caught:
        read_manifest(path)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,frame\na,b\n", "Line 1 must name columns"),
        ("id,frame,audio,lables\na,b,c,d\n", "Line 1 must name columns"),
        ("id,frame,audio,id\na,b,c,d\n", "Line 1 must name columns"),
        ("id,frame,audio\na,b\n", "Line 2 has 2 of 3 columns"),
        ("id,frame,audio,boxes\na,b,c,dog:1 2 3\n", "Line 2 cannot be read: 'dog:1 2 3'"),
        (
            "id,frame,audio,panels\na,b,c,two\n",
            "Line 2 cannot be read: 'panels' is 'two' but must be a whole number",
        ),
        (
            "id,frame,audio\n,b,c\n",
            "Line 2 cannot be read: 'id' is missing",
        ),
        ("id,frame,audio\n", "is empty"),
        ("", "empty"),
    ],
)
def test_tables_that_cannot_be_meant(tmp_path: Path, text: str, problem: str) -> None:
    path = write(tmp_path / "manifest.csv", text)
    with pytest.raises(DataError, match=problem):
        read_manifest(path)


@pytest.mark.parametrize("text", ["", "\n\n", "no json\n", "[]\n", '{"id": 1}\n', b"\xff"])
def test_what_is_no_json_lines(tmp_path: Path, text: str | bytes) -> None:
    path = write(tmp_path / "manifest.jsonl", text)
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert caught.value.path == path
