"""An index of a folder of one's own: roles, splits, boxes, and what is refused."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import run
from tests.data.indexed_files import BOX, HEIGHT, WIDTH, disc, photograph, real_data, tone
from tests.data.made_files import write
from tvsl.data.checking import check_data
from tvsl.data.file_index import IndexedFile, IndexFiles, read_index
from tvsl.data.indexing import make_index, write_index
from tvsl.errors import DataError, OutputError


def fill(root: Path, boxes: str = "masks") -> Path:
    """Photographs and sounds of three classes, a silent one and one that is off screen."""
    for number, label in enumerate(("Church Bell", "dog", "drum", "cup")):
        for copy in range(8):
            path = photograph(root / f"photos/{label}/{copy}.png", 20 + 40 * number + 3 * copy)
            if boxes == "masks":
                mask = root / f"masks/{label}/{path.name}"
                mask.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(disc().astype(np.uint8) * 255).save(mask)
    for number, label in enumerate(("church_bell", "dog", "drum", "rain")):
        for source in range(5):
            for part in range(2):
                name = f"sounds/{label}/{source}__{part}.wav"
                tone(root / name, 200 + 50 * number + 7 * source + 3 * part)
    return root


def made(root: Path, **options: object) -> tuple[IndexedFile, ...]:
    path = write_index(make_index(root, **options), root / "index.csv", force=True)  # type: ignore[arg-type]
    return read_index(path, root)


def test_roles_splits_and_boxes(tmp_path: Path) -> None:
    files = made(fill(tmp_path), licence="CC0-1.0")
    assert len(files) == 4 * 8 + 4 * 10
    roles = {file.label: file.role for file in files}
    assert roles == {
        "Church Bell": "sounding",
        "dog": "sounding",
        "drum": "sounding",
        "cup": "silent",
        "rain": "off-screen",
    }
    for label in roles:
        for kind in ("photo", "sound"):
            some = [file for file in files if (file.label, file.kind) == (label, kind)]
            sources: dict[str, set[str]] = {}
            for file in some:
                sources.setdefault(file.path.stem.partition("__")[0], set()).add(file.split)
            assert all(len(splits) == 1 for splits in sources.values())
            if some:
                assert {file.split for file in some} == {"train", "validation", "test"}
                assert sum(file.split == "train" for file in some) >= len(some) / 2
    for file in files:
        assert file.licence == "CC0-1.0"
        assert file.sha256 is not None
        if file.kind == "photo":
            assert file.mask is not None
            assert file.box == pytest.approx(
                np.array(BOX) / (WIDTH, HEIGHT, WIDTH, HEIGHT), abs=1e-5
            )


def test_what_it_makes_can_be_trained_on(tmp_path: Path) -> None:
    made(fill(tmp_path))
    for split in ("train", "validation", "test"):
        options = {"root": tmp_path, "split": split, "window": 0.5, "hashes": True}
        assert check_data(IndexFiles.model_validate(options)).faults == ()
    data = real_data(tmp_path, split="train", off_screen=1.0)
    assert data.names == ("Church Bell", "dog", "drum")
    batch = data.clips(6, 0).read(range(6), 8000)
    assert len(batch.pictures) == 6
    assert len(data.validation_items(3, 4).items) == 4


def test_the_seed_decides_the_splits(tmp_path: Path) -> None:
    fill(tmp_path)
    first = made(tmp_path)
    text = (tmp_path / "index.csv").read_bytes()
    assert made(tmp_path) == first
    assert (tmp_path / "index.csv").read_bytes() == text
    assert made(tmp_path, seed=1) != first


@pytest.mark.parametrize("pixels", [True, False])
def test_boxes_of_a_table(tmp_path: Path, pixels: bool) -> None:
    fill(tmp_path, boxes="none")
    box = np.array(BOX) / (1 if pixels else np.array((WIDTH, HEIGHT, WIDTH, HEIGHT)))
    corners = ",".join(str(edge) for edge in box)
    write(tmp_path / "boxes.csv", f"file,x0,y0,x1,y1\nphotos/dog/3.png,{corners}\n")
    boxed = [file for file in made(tmp_path) if file.box is not None]
    assert [file.name for file in boxed] == ["photos/dog/3.png"]
    assert boxed[0].box == pytest.approx(np.array(BOX) / (WIDTH, HEIGHT, WIDTH, HEIGHT), abs=1e-5)


@pytest.mark.parametrize(
    "line",
    [
        "photos/dog/99.png,0,0,1,1",
        "sounds/dog/0__0.wav,0,0,1,1",
        "photos/dog/3.png,0,0,1",
        "photos/dog/3.png,0,0,x,1",
        "photos/dog/3.png,0.5,0,0.2,1",
        "photos/dog/3.png,0,0,nan,1",
        "photos/dog/3.png,0,0,1,1\nphotos/dog/3.png,0,0,1,1",
    ],
)
def test_a_wrong_table_of_boxes(tmp_path: Path, line: str) -> None:
    fill(tmp_path, boxes="none")
    path = write(tmp_path / "boxes.csv", f"file,x0,y0,x1,y1\n{line}\n")
    with pytest.raises(DataError) as caught:
        make_index(tmp_path)
    assert caught.value.path == path


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    fill(tmp_path)
    write(tmp_path / "photos/dog/9.png", b"no picture")
    write(tmp_path / "sounds/dog/9.wav", b"no sound")
    tone(tmp_path / "sounds/dog/8.wav", 200, level=0)
    Image.new("L", (48, 60), 255).save(tmp_path / "masks/cup/0.png")
    write(tmp_path / "photos/dog/notes.txt", "a note")
    write(tmp_path / "photos/dog/.DS_Store", "a note")
    index = make_index(tmp_path)
    assert set(index.faults) == {
        "photos/dog/9.png",
        "sounds/dog/9.wav",
        "sounds/dog/8.wav",
        "photos/cup/0.png",
    }
    assert index.ignored == ("photos/dog/notes.txt",)
    assert [row[:2] for row in index.counts()][:2] == [
        ("Church Bell", "sounding"),
        ("cup", "silent"),
    ]
    assert len(index.lines) == 71


def test_one_file_in_two_classes(tmp_path: Path) -> None:
    fill(tmp_path)
    shutil.copy(tmp_path / "sounds/dog/0__0.wav", tmp_path / "sounds/drum/7.wav")
    with pytest.raises(DataError) as caught:
        make_index(tmp_path)
    assert caught.value.path == tmp_path / "sounds/drum/7.wav"


def test_copies_stay_in_one_split(tmp_path: Path) -> None:
    fill(tmp_path)
    for copy in range(8):
        shutil.copy(tmp_path / f"photos/dog/{copy}.png", tmp_path / f"photos/dog/a{copy}.png")
    splits: dict[str | None, set[str]] = {}
    for file in made(tmp_path):
        splits.setdefault(file.sha256, set()).add(file.split)
    assert all(len(some) == 1 for some in splits.values())


def test_sources_that_share_a_file_are_one(tmp_path: Path) -> None:
    for number in range(12):
        tone(tmp_path / f"sounds/dog/{number:02}__a.wav", 200 + 10 * number)
        tone(tmp_path / f"sounds/dog/{number:02}__b.wav", 205 + 10 * number)
    for number in range(0, 12, 2):  # a chain of two sources each
        shutil.copy(
            tmp_path / f"sounds/dog/{number:02}__a.wav",
            tmp_path / f"sounds/dog/{number + 1:02}__c.wav",
        )
    for seed in range(3):
        splits: dict[int, set[str]] = {}
        for file in made(tmp_path, seed=seed):
            splits.setdefault(int(file.path.stem[:2]) // 2, set()).add(file.split)
        assert len(splits) == 6
        assert all(len(some) == 1 for some in splits.values())


def test_a_class_is_one_with_composed_and_decomposed_letters(tmp_path: Path) -> None:
    name = "Hündchen bellt"
    for number in range(3):
        photograph(
            tmp_path / f"photos/{unicodedata.normalize('NFD', name)}/{number}.png", 20 + number
        )
        tone(tmp_path / f"sounds/{unicodedata.normalize('NFC', name)}/{number}.wav", 300 + number)
    files = made(tmp_path)
    assert {(file.label, file.role) for file in files} == {(name, "sounding")}


def test_class_folders_without_files_are_told(tmp_path: Path) -> None:
    fill(tmp_path, boxes="none")
    (tmp_path / "photos/tuba").mkdir()
    write(tmp_path / "sounds/tuba/notes.txt", "a note")
    (tmp_path / "sounds/.cache").mkdir()
    assert make_index(tmp_path).empty == ("photos/tuba", "sounds/tuba")
    done = run("data", "index", tmp_path)
    assert done.code == 0
    assert "photos/tuba" in done.err


def test_an_empty_folder_and_an_index_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        make_index(tmp_path / "gone")
    with pytest.raises(DataError):
        make_index(tmp_path)
    fill(tmp_path, boxes="none")
    path = write(tmp_path / "index.csv", "mine")
    with pytest.raises(OutputError):
        write_index(make_index(tmp_path), path)
    assert path.read_text() == "mine"


def test_the_commands(tmp_path: Path) -> None:
    fill(tmp_path)
    done = run("data", "index", tmp_path, "--licence", "CC0-1.0")
    assert done.code == 0
    assert "Church Bell" in done.out
    assert run("data", "index", tmp_path).code == 1
    sheet = tmp_path / "sheet.png"
    options = ("--option", "split=train", "--option", "window=0.5", "--option", "sources=2")
    shown = run("data", "preview", "real", "--root", tmp_path, *options, "--scenes", 2, "-o", sheet)
    assert shown.code == 0
    with Image.open(sheet) as image:
        assert image.width > 500
    checked = run("data", "check", "real", tmp_path, "--option", "split=train")
    assert checked.code == 0
    write(tmp_path / "photos/dog/9.png", b"no picture")
    broken = run("data", "index", tmp_path, "--force")
    assert broken.code == 2
    assert "photos/dog/9.png" in broken.err
    assert run("data", "index", tmp_path, "--force", "--skip-broken").code == 1
    fill(tmp_path / "bare", boxes="none")
    assert run("data", "index", tmp_path / "bare").code == 0
    bare = tmp_path / "bare.png"
    options = (*options, "--scenes", "2", "-o", bare)
    shown = run("data", "preview", "real", "--root", tmp_path / "bare", *options)
    assert shown.code == 0
    assert bare.is_file()
    assert run("data", "preview", "folder", "--root", tmp_path, "-o", tmp_path / "a.png").code == 2
