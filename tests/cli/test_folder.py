from __future__ import annotations

import json
from pathlib import Path

import pytest

from tvsl.cli.folder import JSON_NAME, result_folders, staging
from tvsl.errors import OutputError


def write(folder: Path, *names: str) -> None:
    """A result as the command leaves it."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    (folder / JSON_NAME).write_text(json.dumps({"files": names}))


def content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_results_appear_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with staging(target, force=False) as work:
        write(work, "a.png", "moments/b.png")
        assert not target.exists()
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


@pytest.mark.parametrize("record", ["no json", "[]", '{"files": ["../precious", "/etc/hostname"]}'])
def test_a_record_that_is_not_ours_removes_nothing_outside(record: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (tmp_path / "precious").write_text("mine")
    (target / JSON_NAME).write_text(record)
    with staging(target, force=True) as work:
        write(work, "a.png")
    assert (tmp_path / "precious").read_text() == "mine"
    assert Path("/etc/hostname").exists()
    assert content(target) == {"a.png", JSON_NAME}


def test_left_overs_of_a_killed_run_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "out.part" / "moments").mkdir(parents=True)
    (tmp_path / "out.part" / "old.png").write_text("half")
    with staging(tmp_path / "out", force=False) as work:
        write(work, "a.png")
    assert content(tmp_path) == {"out", "out/a.png", f"out/{JSON_NAME}"}


def test_a_folder_that_is_not_empty_is_refused_without_force(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        result_folders([Path("a.mp4")], tmp_path, force=False)
    result_folders([Path("a.mp4")], tmp_path, force=True)


def test_inputs_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    inputs = [Path("x/a.mp4"), Path("y/a.mov"), Path("b.png")]
    folders = [folder.name for _, folder in result_folders(inputs, tmp_path, force=False)]
    assert folders == ["a", "a_", "b"]
