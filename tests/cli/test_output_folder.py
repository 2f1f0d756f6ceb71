from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.leftovers import leave_half
from tvsl.cli.output import JSON_NAME, result_folders, staging
from tvsl.errors import OutputError


def write(folder: Path, *names: str) -> None:
    """A result as the command leaves it."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    (folder / JSON_NAME).write_text(json.dumps({"tvsl": "1", "files": names, "moments": []}))


def content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_results_appear_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with staging(target, force=False) as work:
        write(work, "a.png", "moments/b.png")
        assert not content(target) & {"a.png", JSON_NAME}
    assert content(target) == {"a.png", "moments", "moments/b.png", JSON_NAME}
    assert content(tmp_path / "deep") == {"out", *(f"out/{name}" for name in content(target))}


def test_a_failure_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with staging(target, force=False) as work:
        write(work, "a.png")

    def fail() -> None:
        with staging(target, force=True) as work:
            write(work, "b.png")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert content(tmp_path) == {"out", "out/a.png", f"out/{JSON_NAME}"}


def test_force_removes_the_earlier_result_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with staging(target, force=False) as work:
        write(work, "01_dog.png", "moments/x.png")
    (target / "notes.txt").write_text("mine")
    with staging(target, force=True) as work:
        write(work, "01_cow.png")
    assert content(target) == {"01_cow.png", "notes.txt", JSON_NAME}


@pytest.mark.parametrize("has_more", [False, True])
@pytest.mark.parametrize("way", ["plain", "link", "audio"])
def test_an_input_is_not_lost_to_its_own_result(tmp_path: Path, way: str, has_more: bool) -> None:
    result = tmp_path / "overlay" if has_more else tmp_path
    with staging(result, force=False) as work:
        write(work, "overlay.mp4")
    source, audio = result / "overlay.mp4", None
    if way == "link":
        source = tmp_path / "link" / "overlay.mp4"
        source.parent.mkdir()
        source.symlink_to(result / "overlay.mp4")
    if way == "audio":
        source, audio = tmp_path / "overlay.png", source
    inputs = [source, tmp_path / "other.mp4"][: 1 + has_more]
    with pytest.raises(OutputError, match="part of the earlier result"):
        result_folders(inputs, tmp_path, force=True, audio=audio)
    elsewhere = tmp_path / "elsewhere"
    assert len(result_folders(inputs, elsewhere, force=True, audio=audio)) == len(inputs)


RECORDS = [
    "",
    "no json",
    "[]",
    "5",
    "[" * 100_000,
    '{"tvsl": "1", "moments": [], "files": 5}',
    '{"tvsl": "1", "moments": [], "files": null}',
    '{"tvsl": "1", "moments": []}',
    '{"tvsl": "1", "moments": [], "files": [5]}',
    '{"tvsl": "1", "moments": [], "files": ["a\\u0000b"]}',
    '{"tvsl": "1", "moments": [], "files": [""]}',
    '{"tvsl": "1", "moments": [], "files": ["."]}',
    '{"tvsl": "1", "moments": [], "files": ["../precious"]}',
    '{"tvsl": "1", "moments": [], "files": ["moments/../../precious"]}',
    '{"tvsl": "1", "moments": [], "files": ["/etc/hostname"]}',
    '{"files": ["mine.png"]}',
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_that_is_not_ours_is_an_error_before_the_work(record: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (tmp_path / "precious").write_text("mine")
    (target / "mine.png").write_text("mine")
    (target / JSON_NAME).write_text(record)
    with pytest.raises(OutputError, match="not written by tvsl") as caught:
        result_folders([Path("a.mp4")], target, force=True)
    assert caught.value.path == target / JSON_NAME
    with pytest.raises(OutputError, match="not written by tvsl"), staging(target, force=True):
        pytest.fail("the work began")
    assert (target / JSON_NAME).read_text() == record
    assert content(tmp_path) == {"precious", "out", "out/mine.png", f"out/{JSON_NAME}"}


@pytest.mark.parametrize(
    ("beginning", "is_ours"),
    [
        ('{"version": 1, "tvsl": "1", "files": ["a.png"], "moments": ["', True),
        ('{"version": 1, "tvsl": "1", "files": ["../a.png"], "moments": ["', False),
        ('{"version": 1, "files": ["a.png"], "moments": ["', False),
        ("", False),
    ],
)
def test_of_a_very_large_record_the_beginning_is_enough(
    beginning: str, is_ours: bool, tmp_path: Path
) -> None:
    (tmp_path / JSON_NAME).write_text(beginning)
    (tmp_path / "a.png").write_text("earlier")
    os.truncate(tmp_path / JSON_NAME, 1 << 40)
    if is_ours:
        with staging(tmp_path, force=True) as work:
            write(work, "b.png")
        assert content(tmp_path) == {"b.png", JSON_NAME}
    else:
        with pytest.raises(OutputError, match="not written by tvsl"):
            result_folders([Path("a.mp4")], tmp_path, force=True)


def test_a_record_of_bytes_or_of_no_file_is_an_error(tmp_path: Path) -> None:
    record = tmp_path / JSON_NAME
    for make in (
        lambda: record.write_bytes(b"\xff\xfe\xfa"),
        lambda: record.mkdir(),
        lambda: record.symlink_to("/dev/zero"),
        lambda: record.symlink_to(tmp_path / "nowhere"),
        lambda: os.mkfifo(record),
        lambda: os.truncate(os.open(record, os.O_CREAT | os.O_RDWR), 1 << 40),
    ):
        make()
        with pytest.raises(OutputError, match="not written by tvsl"):
            result_folders([Path("a.mp4")], tmp_path, force=True)
        if record.is_dir():
            record.rmdir()
        else:
            record.unlink()


def test_files_beside_a_result_that_are_in_the_way_stay(tmp_path: Path) -> None:
    with staging(tmp_path, force=False) as work:
        write(work, "01_dog.png")
    before = content(tmp_path)
    (tmp_path / "02_cat.png").write_text("mine")
    with (
        pytest.raises(OutputError, match="no earlier run wrote it"),
        staging(tmp_path, True) as work,
    ):
        write(work, "01_dog.png", "02_cat.png")
    assert (tmp_path / "02_cat.png").read_text() == "mine"
    assert content(tmp_path) == before | {"02_cat.png"}


def test_left_overs_of_a_killed_run_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "precious.txt").write_text("mine")
    leave_half(tmp_path / "out")
    result_folders([Path("a.mp4")], tmp_path / "out", force=False)
    with staging(tmp_path / "out", force=False) as work:
        write(work, "a.png")
    assert content(tmp_path / "out") == {"a.png", JSON_NAME}
    assert (tmp_path / "out.part" / "precious.txt").read_text() == "mine"


def test_a_folder_that_is_not_empty_is_refused_without_force(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty") as caught:
        result_folders([Path("a.mp4")], tmp_path, force=False)
    assert {"--resume", "--force"} <= set(caught.value.remedy.replace(",", "").split())
    result_folders([Path("a.mp4")], tmp_path, force=True)


@pytest.mark.parametrize(
    ("inputs", "folders"),
    [
        ({"takes/x.mp4": "takes", "takes.mp4": None}, ["takes/x", "takes_"]),
        ({"takes.mp4": None, "takes/x.mp4": "takes"}, ["takes_", "takes/x"]),
        ({"x.mp4": "", "x/y.mp4": "x"}, ["x_", "x/y"]),
        ({"X.mp4": "", "x_.mp4": "", "x/y/z.mp4": "x/y"}, ["X_", "x__", "x/y/z"]),
        ({"y.mp4": "x", "x/y/z/a.mp4": "x/y/z"}, ["x/y_", "x/y/z/a"]),
    ],
)
def test_no_result_is_inside_another(
    inputs: dict[str, str | None], folders: list[str], tmp_path: Path
) -> None:
    parents = [None if parent is None else Path(parent) for parent in inputs.values()]
    found = result_folders(list(map(Path, inputs)), tmp_path, force=False, parents=parents)
    assert [folder for _, folder in found] == [tmp_path / name for name in folders]


@pytest.mark.parametrize(
    ("inputs", "folders"),
    [
        (["x/a.mp4", "y/a.mov", "b.png"], ["a", "a_", "b"]),
        (["a.part.png", "a.png"], ["a.part", "a"]),
        (["a.png", "a.mp4", "a_.png", "a_.mp4"], ["a", "a_", "a__", "a___"]),
        (["a_.png", "a.png", "a.mp4"], ["a_", "a", "a__"]),
        (["A.png", "a.png", "a_.png"], ["A", "a_", "a__"]),
        (["\u00e9.png", "e\u0301.png", "E\u0301.png"], ["\u00e9", "e\u0301_", "E\u0301__"]),
        (["stra\u00dfe.png", "STRASSE.png"], ["stra\u00dfe", "STRASSE_"]),
        (["..", "", "."], ["input", "input_", "input__"]),
        (["a.png", "a.png"], ["a", "a_"]),
    ],
)
def test_inputs_of_one_name_get_folders_of_their_own(
    inputs: list[str], folders: list[str], tmp_path: Path
) -> None:
    found = result_folders([Path(name) for name in inputs], tmp_path, force=False)
    assert [folder for _, folder in found] == [tmp_path / name for name in folders]
