"""Places of output: every command locks its folder, and refuses at once one that cannot be."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.running import run, written
from tvsl.api import score
from tvsl.errors import OutputError

NOTHING = "no-such-model"  # whatever is said before a model is loaded is said before the work

COMMANDS = {
    "localize": ("localize", "PHOTO", "--audio", "SOUND", "--model", NOTHING, "-o", "OUT"),
    "localize two": ("localize", "PHOTO", "PHOTO", "--audio", "SOUND", "-o", "OUT"),
    "demo": ("demo", "--model", NOTHING, "-o", "OUT"),
    "evaluate": ("evaluate", "--model", NOTHING, "-o", "OUT"),
    "reproduce": ("reproduce", "table1", "--model", NOTHING, "-o", "OUT"),
    "train": ("train", "--model", NOTHING, "-o", "OUT"),
    "pretrain": ("pretrain", "-o", "OUT"),
    "prepare": ("prepare", "VIDEOS", "-o", "OUT"),
    "preview": ("synthetic", "preview", "-o", "OUT"),
    "export": ("synthetic", "export", "OUT"),
    "convert": ("weights", "convert", "PHOTO", "OUT/x.safetensors"),
}

GRAPHS = {"graphs": ("export", NOTHING, "-o", "OUT")}


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """A folder that another run writes into."""
    folder.mkdir()
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def filled_in(name: str, media: Path, out: Path) -> list[str]:
    places = {"PHOTO": media / "photo.png", "SOUND": media / "bark.wav", "VIDEOS": media}
    given = [str(places.get(word, word)) for word in (COMMANDS | GRAPHS)[name]]
    return [word.replace("OUT", str(out)) for word in given]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_run_is_told_at_once(name: str, media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with taken(out):
        ran = run(*filled_in(name, media, out))
    assert ran.code == 1
    assert "Another run of tvsl" in ran.err
    assert ran.out == ""
    assert not any(out.iterdir())


@pytest.mark.parametrize("place", ["loop", "file", "file/out", "a" * 300, "nowhere"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_place_that_cannot_be_is_said_at_once(
    name: str, place: str, media: Path, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    (tmp_path / "file").write_text("mine")
    ran = run(*filled_in(name, media, tmp_path / place))
    assert ran.code in (1, 2)
    assert str(tmp_path / place) in ran.err or str(tmp_path / "file") in ran.err
    assert NOTHING not in ran.err
    assert written(tmp_path) == {"file"}


@pytest.mark.parametrize(
    ("name", "taken_name", "options"),
    [
        ("localize", "index.html", ()),
        ("localize", "clip.mp4", ()),
        ("localize", "contact_sheet.jpg", ("--outputs", "sheet")),
        ("localize", "02_cat.png", ("--outputs", "moments")),
        ("localize", "localization.csv", ("--format", "csv")),
        ("localize two", "photo_/index.html", ()),
        ("demo", "index.html", ()),
        ("evaluate", "results.csv", ()),
        ("preview", "contact_sheet.png", ()),
        ("preview", "audio/test-seen-s0-k1-000003.wav", ()),
        ("export", "names.txt", ()),
        ("export", "masks/test-seen-s0-k1-000003.png", ()),
        ("graphs", "head.onnx", ()),
        ("graphs", "classes.npy", ("--format", "torch")),
    ],
)
def test_a_file_of_the_user_in_the_way_is_told_before_the_work(
    name: str, taken_name: str, options: tuple[str, ...], media: Path, tmp_path: Path
) -> None:
    own = tmp_path / "out" / taken_name
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    ran = run(*filled_in(name, media, tmp_path / "out"), *options, "--force")
    assert ran.code == 1
    assert "in the way" in ran.err
    assert str(own) in ran.err
    assert " of " not in ran.err  # no progress
    assert own.read_text() == "mine"
    assert written(tmp_path / "out") == {taken_name}


def test_scores_are_not_computed_for_a_folder_with_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("mine")
    with pytest.raises(OutputError, match="in the way"):
        score(tmp_path / "no-maps", "synthetic", output=tmp_path, force=True)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "convert"])
def test_a_place_without_a_name(
    name: str, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word if word != "OUT" else "" for word in COMMANDS[name]]
    given = filled_in(name, media, tmp_path)
    ran = run(*(word if word == "" else full for word, full in zip(words, given, strict=True)))
    assert ran.code == 2
    assert "is empty" in ran.err
    assert not any(tmp_path.iterdir())
