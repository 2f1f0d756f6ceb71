"""The index of files: what is read, and what is refused with file and remedy."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.indexed_files import index_lines, real_data, write_index
from tests.data.made_files import write
from tvsl.data.checking import check_data
from tvsl.data.file_index import (
    COLUMNS,
    PERMISSIVE,
    IndexedFile,
    IndexFiles,
    development_split,
    has_licence,
    licence_family,
    read_index,
)
from tvsl.data.targets import Boxes, Nowhere
from tvsl.errors import DataError, MediaError, MissingFileError, TvslError, UnreadableMediaError

SPLITS = ("train", "validation")
PHOTO = {
    "file": "photos/dog/a.jpg",
    "kind": "photo",
    "class": "dog",
    "split": "train",
    "role": "sounding",
    "box": "0.1 0.2 0.5 0.9",
}
SOUND = {
    "file": "sounds/dog/a.ogg",
    "kind": "sound",
    "class": "dog",
    "split": "train",
    "role": "sounding",
}


def test_lines_are_read(tmp_path: Path) -> None:
    lines = [
        {**PHOTO, "split": "val", "licence": "CC-BY-4.0", "mask": "masks/a.png"},
        {**SOUND, "class": "Dog", "sha256": "0" * 64, "group": "one"},
        {**PHOTO, "file": "b.jpg", "class": "grand_piano", "role": "silent", "box": ""},
    ]
    first, second, third = read_index(write_index(tmp_path, lines), tmp_path)
    assert first.path == tmp_path / "photos/dog/a.jpg"
    assert first.mask == tmp_path / "masks/a.png"
    assert (first.split, first.label, first.licence) == ("validation", "dog", "CC-BY-4.0")
    assert first.box == (0.1, 0.2, 0.5, 0.9)
    assert (second.label, second.sha256, second.target) == ("dog", "0" * 64, Nowhere())
    assert (third.label, third.target) == ("grand piano", Nowhere())
    assert read_index(write_index(tmp_path, [PHOTO]), tmp_path)[0].target == Boxes(
        ((0.1, 0.2, 0.5, 0.9),)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "video"},
        {"split": "dev"},
        {"role": "loud"},
        {"role": "off-screen"},
        {"class": ""},
        {"class": "_"},
        {"file": ""},
        {"file": "../a.jpg"},
        {"file": "/etc/passwd"},
        {"file": "photos\\a.jpg"},
        {"box": "0.1 0.2 0.5"},
        {"box": "0.1 0.2 0.1 0.9"},
        {"box": "0.1 0.2 1.5 0.9"},
        {"box": "nan 0.2 0.5 0.9"},
        {"box": "a b c d"},
        {"mask": "../mask.png"},
        {"mask": "mask.png", "box": ""},
        {"sha256": "abc"},
    ],
)
def test_a_wrong_line_names_file_and_line(tmp_path: Path, change: dict[str, str]) -> None:
    path = write_index(tmp_path, [SOUND, {**PHOTO, **change}])
    with pytest.raises(DataError) as caught:
        read_index(path, tmp_path)
    assert caught.value.path == path
    assert "Line 3" in str(caught.value)


@pytest.mark.parametrize(
    "second",
    [
        PHOTO,
        {**PHOTO, "file": "b.jpg", "role": "silent"},
        {**SOUND, "box": "0 0 1 1"},
        {**SOUND, "mask": "m.png"},
        {**SOUND, "role": "silent"},
        {**PHOTO, "file": "b.jpg", "split": "val", "group": "one"},
    ],
)
def test_lines_that_contradict_each_other(tmp_path: Path, second: dict[str, str]) -> None:
    path = write_index(tmp_path, [{**PHOTO, "group": "one"}, second])
    with pytest.raises(DataError) as caught:
        read_index(path, tmp_path)
    assert "Line 3" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file,kind,class,split,role\n",
        "file,kind,class,split\na.jpg,photo,dog,train\n",
        "file,kind,class,split,role,boxs\na.jpg,photo,dog,train,sounding,\n",
        "file,file,kind,class,split,role\na,a.jpg,photo,dog,train,sounding\n",
        "file,kind,class,split,role\na.jpg,photo,dog\n",
        "\0",
    ],
)
def test_a_file_that_is_no_index(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "index.csv", text)
    with pytest.raises(DataError) as caught:
        read_index(path, tmp_path)
    assert caught.value.path == path


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=12), max_size=len(COLUMNS)),
        max_size=4,
    )
)
def test_any_table_is_read_or_refused(tmp_path: Path, lines: list[dict[str, str]]) -> None:
    path = write_index(tmp_path, [{**PHOTO, **line} for line in lines])
    try:
        files = read_index(path, tmp_path)
    except TvslError:
        return
    assert len(files) == len({file.name for file in files}) == len(lines)
    for file in files:
        assert file.path.is_relative_to(tmp_path)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "index.csv", b"file,kind,class,split,role\n" + content)
    with suppress(DataError):
        read_index(path, tmp_path)


@pytest.mark.parametrize(
    ("licence", "family", "permissive"),
    [
        ("CC-BY-4.0", "CC-BY", True),
        ("CC-BY-3.0", "CC-BY", True),
        ("CC-BY-SA-3.0", "CC-BY-SA", False),
        ("CC0-1.0", "CC0", True),
        ("MIT", "MIT", True),
        ("MIT (STK licence)", "MIT", True),
        ("BSD-3-Clause", "BSD-3-Clause", False),
        ("GPL-2.0+ with composition exception", "GPL", False),
        ("public-domain", "public-domain", True),
        ("", "", False),
    ],
)
def test_licences(tmp_path: Path, licence: str, family: str, permissive: bool) -> None:
    assert licence_family(licence) == family
    (file,) = read_index(write_index(tmp_path, [{**PHOTO, "licence": licence}]), tmp_path)
    assert has_licence(file, PERMISSIVE) == permissive


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_index(tmp_path, index_lines(tmp_path))
    return tmp_path


def files(root: Path, **options: object) -> IndexFiles:
    return IndexFiles.model_validate({"root": root, "split": "train", "window": 0.5, **options})


def test_all_files_are_checked(root: Path) -> None:
    found = check_data(files(root))
    assert (found.total.listed, found.total.missing, found.total.unreadable) == (19, 0, 0)
    assert found.classes["church bell"].listed == 3
    assert found.classes["rain"].listed == 1


def test_missing_and_damaged_files_are_told(root: Path) -> None:
    gone = root / "photos/dog/train0.png"
    gone.unlink()
    broken = write(root / "photos/dog/train1.png", b"no picture")
    cut = root / "sounds/drum/train.wav"
    write(cut, cut.read_bytes()[:20])
    Image.fromarray(np.zeros((48, 60), np.uint8)).save(root / "masks/cup/train.png")
    Image.fromarray(np.full((60, 48), 255, np.uint8)).save(root / "masks/chair/train.png")
    found = check_data(files(root))
    assert (found.total.missing, found.total.unreadable) == (1, 4)
    assert {fault.path for fault in found.faults} == {
        gone,
        broken,
        cut,
        root / "masks/cup/train.png",
        root / "masks/chair/train.png",
    }
    leave_out = write(root / "out.txt", found.ids_to_leave_out())
    assert check_data(files(root, leave_out=leave_out)).faults == ()
    # Scenes are made of the rest.
    data = real_data(root, split="train", leave_out=leave_out)
    assert len(data.used) == 14
    for item in data.items:
        data.read(item, 8000)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_files_that_are_left_out_of_one_split(root: Path, split: str) -> None:
    """Heads are trained on the training split and validated and tested on others."""
    leave_out = write(root / "out.txt", "sounds/dog/train.wav\n")
    data = real_data(root, split=split, leave_out=leave_out)
    assert data.used == real_data(root, split=split).used
    data = real_data(root, split="train", leave_out=leave_out)
    assert len(data.validation_items(1, 3).items) == 3


def test_hashes_are_compared_where_asked(root: Path) -> None:
    sound = root / "sounds/drum/train.wav"
    write(sound, (root / "sounds/dog/train.wav").read_bytes())
    assert check_data(files(root)).faults == ()
    (fault,) = check_data(files(root, hashes=True)).faults
    assert fault.path == sound
    data = real_data(root, split="train", hashes=True, classes=["drum"])
    with pytest.raises(UnreadableMediaError) as caught:
        data.read(data.items[0], 8000)
    assert caught.value.path == sound


def test_a_missing_file_ends_the_reading(root: Path) -> None:
    (root / "photos/drum/train0.png").unlink()
    (root / "photos/drum/train1.png").unlink()
    data = real_data(root, split="train", classes=["drum"])
    with pytest.raises(MediaError) as caught:
        data.read(data.items[0], 8000)
    assert caught.value.path is not None
    with pytest.raises(MissingFileError):
        data.clips(None, 0)


def test_no_index_no_split_no_licence(root: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(DataError):
        files(empty).items  # noqa: B018
    empty.mkdir()
    with pytest.raises(DataError) as caught:
        files(empty).items  # noqa: B018
    assert "tvsl data index" in str(caught.value)
    with pytest.raises(DataError) as caught:
        files(root, licences=["WTFPL"]).items  # noqa: B018
    assert "CC-BY-SA-3.0" in str(caught.value)
    write_index(root, [PHOTO])
    with pytest.raises(DataError):
        files(root, split="test").items  # noqa: B018


def test_licences_choose_files(root: Path) -> None:
    assert len(files(root, licences="permissive").items) == 13
    assert len(files(root, licences=["cc-by-sa"]).items) == 6
    assert len(files(root, licences="CC0-1.0").items) == 1


def indexed(split: str, label: str, kind: str, group: str, number: int) -> IndexedFile:
    """A file of an index."""
    name = f"{kind}s/{label}/{split}{group}{number}"
    return IndexedFile(name, Path(name), kind, label, split, "sounding", group=group)  # type: ignore[arg-type]


def test_development_leaves_the_final_test_files_alone() -> None:
    files = [
        indexed(split, label, kind, f"{split}{label}{kind}{group}", number)
        for split in ("train", "validation", "test")
        for label in ("dog", "drum")
        for kind in ("photo", "sound")
        for group in range(10)
        for number in range(1 + group % 2)
    ]
    found = {file.name: file.split for file in development_split(files)}
    assert {file.name for file in files if file.split != "test"} == found.keys()
    assert {file.name for file in files if file.split == "validation"} == {
        name for name, split in found.items() if split == "test"
    }
    held_back = {name for name, split in found.items() if split == "validation"}
    for label in ("dog", "drum"):
        for kind in ("photo", "sound"):
            mine = [file for file in files if (file.split, file.label) == ("train", label)]
            mine = [file for file in mine if file.kind == kind]
            assert sum(file.name in held_back for file in mine) == 3  # of 15, five files of one
    groups = [{file.group for file in files if found.get(file.name) == part} for part in SPLITS]
    assert not groups[0] & groups[1]
    again = development_split([file for file in reversed(files) if file.split != "test"])
    assert {file.name: file.split for file in again} == found


def test_development_takes_one_of_few_sources() -> None:
    """A class of two large sources keeps one to train on; that of one keeps it."""
    files = [indexed("train", "dog", "sound", group, n) for group in "ab" for n in range(9)]
    files += [indexed("train", "drum", "sound", "c", n) for n in range(9)]
    found = development_split(files)
    validated = [file for file in found if file.split == "validation"]
    assert len(validated) == 9
    assert {file.label for file in validated} == {"dog"}


def test_scenes_of_development(root: Path) -> None:
    data = real_data(root, development=True, split="test")
    final = real_data(root, split="validation")
    assert {file.name for file in data.used} == {file.name for file in final.used}
    train = {file.name for file in real_data(root, split="train").used}
    parts = [{f.name for f in data.changed(split=split).used} for split in ("train", "validation")]
    assert parts[0] | parts[1] == train
    assert parts[1]
    assert not parts[0] & parts[1]
