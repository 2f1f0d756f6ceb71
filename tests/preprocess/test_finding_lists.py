from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_files import shared
from tvsl.errors import MediaError, MissingFileError
from tvsl.preprocess.finding import read_list


def ids_of(path: Path) -> tuple[str, ...]:
    """The ids of a list, without what may be the name of a column."""
    return tuple(one.text for one in read_list(path) if not one.optional)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "a_1,dog\r\nb_2,cat\r\n", ("a_1", "b_2")),
        ("a.txt", "a_1\nb_2", ("a_1", "b_2")),
        ("a.csv", "\ufeffvideo,audio,label\na_1,b_2,dog\n\n", ("a_1",)),
        ("a.csv", '"a_1","dog, big"\n a_1 ,x\n', ("a_1",)),
        ("a.json", '["a_1", "b_2", "a_1"]', ("a_1", "b_2")),
        ("a.json", '[["a_1", "dog"], ["b_2"]]', ("a_1", "b_2")),
        ("a.json", '[{"file": "a_1", "class": "dog"}]', ("a_1",)),
    ],
)
def test_lists(tmp_path: Path, name: str, text: str, expected: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert ids_of(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"video\n"),
        ("a.txt", b"\xff\xfe\x00"),
        ("a.json", b"{"),
        ("a.json", b'{"a": 1}'),
        ("a.json", b"[1, 2]"),
        ("a.json", b"[[]]"),
        ("a.json", b"[" * 100_000),
        ("a.csv", b'"' + b"x" * 200_000),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match="first column"):
        read_list(tmp_path / name)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.csv"):
        with pytest.raises(MissingFileError):
            read_list(path)


@given(st.lists(st.text("abc019_-", min_size=1), min_size=1, unique=True))
def test_all_forms_of_one_list_agree(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    (folder / "a.json").write_text(json.dumps([{"id": one, "class": "x"} for one in ids]))
    (folder / "a.csv").write_bytes("".join(f"{one},x\r\n" for one in ids).encode())
    expected = tuple(ids)
    assert ids_of(folder / "a.json") == expected
    assert ids_of(folder / "a.csv") == expected


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("vggss.json", 5158),
        ("vggsound_single_test.csv", 5158),
        ("vggss_heard.txt", 59_468),
        ("music_duet_test.csv", 1020),
        ("vggss_test_plus_silent.csv", None),
    ],
)
def test_the_lists_of_the_field(name: str, count: int | None) -> None:
    ids = ids_of(shared("metadata", name))
    assert count is None or len(ids) == count
    assert "video" not in ids
