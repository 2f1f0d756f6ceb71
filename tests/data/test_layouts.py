from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.made_files import folders, write
from tvsl.data.layouts import (
    FRAME_SUFFIXES,
    PLAIN,
    SOUND_SUFFIXES,
    Folders,
    MediaLayout,
    absent,
    digest_of,
    find_layout,
    inside,
)
from tvsl.errors import DataError, MissingFileError

OTHER = MediaLayout("pictures/ID", ("pictures",), lambda n: (n,), lambda n: (n,))


def test_the_first_layout_that_is_there(tmp_path: Path) -> None:
    folders(tmp_path, "pictures")
    assert find_layout(tmp_path, (PLAIN, OTHER)) is OTHER
    folders(tmp_path, "frames", "audio")
    assert find_layout(tmp_path, (PLAIN, OTHER)) is PLAIN


def test_no_layout_is_one_error_that_says_how_it_should_be(tmp_path: Path) -> None:
    folders(tmp_path, "frames")
    with pytest.raises(DataError, match=r"frames/ID\.jpg, audio/ID\.wav; or pictures/ID"):
        find_layout(tmp_path, (PLAIN, OTHER))
    with pytest.raises(DataError, match="no such folder"):
        find_layout(tmp_path / "none", (PLAIN,))


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jpeg", ".png"])
def test_pictures_of_any_kind_are_found(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / "frames" / f"a.b-c{ending}", b"x")
    assert Folders(tmp_path).find(["frames/a.b-c"], FRAME_SUFFIXES) == path


def test_of_several_files_the_usual_kind_is_meant(tmp_path: Path) -> None:
    for ending in (".mp3", ".flac", ".wav", ".txt"):
        write(tmp_path / f"a{ending}", b"x")
    assert Folders(tmp_path).find(["a"], SOUND_SUFFIXES).name == "a.wav"


def test_any_ending_will_do_where_none_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "anno" / "sample0001.whatever", b"x")
    assert Folders(tmp_path).find(["anno/sample0001"], ()).name == "sample0001.whatever"


def test_the_likelier_place_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "two" / "a.jpg", b"x")
    found = Folders(tmp_path)
    assert found.find(["one/a", "two/a"], FRAME_SUFFIXES) == tmp_path / "two" / "a.jpg"
    write(tmp_path / "one" / "a.jpg", b"x")
    assert Folders(tmp_path).find(["one/a", "two/a"], FRAME_SUFFIXES).parent.name == "one"


def test_a_missing_file_has_the_path_where_it_should_be(tmp_path: Path) -> None:
    found = Folders(tmp_path).find(["frames/a", "other/a"], FRAME_SUFFIXES)
    assert found == tmp_path / "frames" / "a.jpg"


OUTSIDE = ["../a", "/etc/passwd", "a/../../b", "..", "", ".", "a//b"]
STRANGE = {
    "a\\b": "on Windows: write it with slashes, 'a/b'",
    "C:\\data\\a.jpg": "a drive of Windows",
    "C:/x": "a drive of Windows",
    "C:x": "a drive of Windows",
    "a\0b": "no file's name",
    "\ud800": "no file's name",
    "./a": "write 'a'",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_leave_the_root_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="leads out"):
        inside(tmp_path, name)
    with pytest.raises(DataError, match="leads out"):
        Folders(tmp_path).find([name], ())


@pytest.mark.parametrize(("name", "problem"), STRANGE.items())
def test_names_of_other_systems_are_told_as_what_they_are(
    tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        inside(tmp_path, name)
    assert "malicious" not in str(caught.value)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "", "..", "a/../../../b"])
def test_ids_that_leave_the_root_are_refused_in_a_layout(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="leads out"):
        Folders(tmp_path).find(PLAIN.frame(name), FRAME_SUFFIXES)


@given(st.text(max_size=30))
def test_whatever_a_name_is_it_stays_inside(name: str) -> None:
    root = Path("/data/root")
    try:
        path = inside(root, name, ".jpg")
    except DataError:
        return
    assert root in Path(str(path)).parents
    assert ".." not in path.parts


def test_ordinary_names_are_let_through(tmp_path: Path) -> None:
    for name in ("-_-TDDxoaAc_000_00000", "sub/a..b", "clip 10:30", "…"):
        assert inside(tmp_path, name, ".wav") == tmp_path / f"{name}.wav"


def test_absent_lists_each_folder_once(tmp_path: Path) -> None:
    write(tmp_path / "one" / "a", b"x")
    paths = [tmp_path / "one" / "a", tmp_path / "one" / "b", tmp_path / "none" / "c"]
    assert absent(paths) == set(paths[1:])


def test_a_folder_is_listed_once_for_all_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"{number}.jpg").touch()
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))
    found = Folders(tmp_path)
    for number in range(60):
        assert found.find([str(number)], FRAME_SUFFIXES).name == f"{number}.jpg"
    assert listed == [tmp_path]


def test_the_digest_of_files_is_that_of_their_content(tmp_path: Path) -> None:
    """A file larger than what is read at once, and what cannot be read."""
    content = bytes(range(256)) * 5_000
    large, small = write(tmp_path / "large", content), write(tmp_path / "small", b"end")
    assert digest_of(large, small) == hashlib.sha256(content + b"end").hexdigest()
    with pytest.raises(MissingFileError) as caught:
        digest_of(small, tmp_path / "none")
    assert caught.value.path == tmp_path / "none"
