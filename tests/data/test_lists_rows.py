from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.made_files import real_lists, write
from tvsl.data.lists import ClipAnnotation, read_annotations, read_by_id, read_rows
from tvsl.errors import DataError

cells = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Z"), exclude_characters='",'
    ),
    min_size=1,
    max_size=8,
)


class Thing(ClipAnnotation):
    size: float


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n", "\n\n", " \r\n"]),
    st.booleans(),
)
def test_lists_of_any_system_are_read(
    tmp_path: Path, lines: list[tuple[str, str]], end: str, mark: bool
) -> None:
    text = end.join(",".join(line) for line in lines)
    path = write(tmp_path / "list.csv", ("\ufeff" if mark else "") + text)
    if lines[0][0].startswith("\ufeff"):
        return
    rows = read_rows(path, {2})
    assert [row.cells for row in rows] == lines
    step = 2 if end == "\n\n" else 1
    assert [row.line for row in rows] == [1 + step * number for number in range(len(lines))]


def test_quotes_keep_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", '"bird chirping, tweeting",1050\r\n')
    assert read_rows(path, {2})[0].cells == ("bird chirping, tweeting", "1050")


def test_a_head_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", "video,audio\r\na,b\r\n")
    assert [row.cells for row in read_rows(path, {2}, {0: str})] == [("a", "b")]
    assert len(read_rows(path, {2})) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a,b\nc\n", "Line 2 has 1 columns, not 2 or 3"),
        ("", "empty"),
        ("\r\n \n", "empty"),
        (b"\xff\xfe\x00", "no text"),
        ('a,"b\n', "no list"),
        ('a,"b"c\n', "no list"),
    ],
)
def test_what_is_no_list(tmp_path: Path, content: str | bytes, problem: str) -> None:
    path = write(tmp_path / "list.csv", content)
    with pytest.raises(DataError, match=problem) as caught:
        read_rows(path, {2, 3})
    assert caught.value.path == path


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "none.csv", {1})


def test_ids_occur_once(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", "a,1\nb,2\n\na,3\n")
    with pytest.raises(DataError, match="Line 4 repeats 'a' of line 1"):
        read_by_id(path, {2}, str)
    assert list(read_by_id(write(path, "b,1\na,2\n"), {2}, str)) == ["b", "a"]


def test_entries_are_read_by_their_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '[{"file": "a", "size": 2, "more": 1}]')
    assert read_annotations(path, Thing) == {"a": Thing(file="a", size=2)}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "empty"),
        ("{}", "not what they should be"),
        ('[{"file": "a", "size": 1}, {"file": "b"}]', "entry 1: 'size' is missing"),
        ('[{"file": "a", "size": 1}, {"file": "a", "size": 1}]', "twice"),
        ('[{"file"', "not what they should be"),
    ],
)
def test_what_is_no_annotation(tmp_path: Path, content: str, problem: str) -> None:
    path = write(tmp_path / "a.json", content)
    with pytest.raises(DataError, match=problem) as caught:
        read_annotations(path, Thing)
    assert caught.value.path == path


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_rows_or_an_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "list.csv", content)
    for read in (lambda: read_rows(path, {1}), lambda: read_annotations(path, Thing)):
        with contextlib.suppress(DataError):
            assert read()


def test_the_real_lists_have_crlf_and_are_read() -> None:
    path = real_lists() / "vggsound_single_test.csv"
    assert b"\r\n" in path.read_bytes()
    rows = read_rows(path, {2})
    assert len(rows) == 5158
    assert rows[0].cells == ("zpWuikVorYg_000032", "elk_bugling")
    assert rows[-1].cells == ("GWTZtu3NOCc_000030", "singing_choir")
