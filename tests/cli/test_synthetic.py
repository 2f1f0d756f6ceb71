from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run, run_alone, written


def test_preview_writes_a_sheet_and_sounds(tmp_path: Path) -> None:
    ran = run("synthetic", "preview", "-o", tmp_path / "out", "--scenes", "2", "--sources", "3")
    assert ran.code == 0
    assert ran.out == f"{tmp_path / 'out' / 'contact_sheet.png'}\n"
    assert "2 of 2" in ran.err
    names = [f"audio/test-seen-s0-k3-{index:06d}.wav" for index in range(2)]
    assert written(tmp_path) == {
        f"out/{n}" for n in (*names, "contact_sheet.png", "manifest.jsonl")
    }


def test_export_writes_the_layout(tmp_path: Path) -> None:
    options = ("--scenes", "2", "--classes", "unseen", "--split", "validation", "--seed", "7")
    ran = run("synthetic", "export", tmp_path / "out", *options, "--videos")
    assert ran.code == 0
    assert ran.out == f"{tmp_path / 'out' / 'manifest.jsonl'}\n"
    kinds = {"frames": "png", "audio": "wav", "masks": "png", "videos": "mp4"}
    ids = [f"validation-unseen-s7-k1-{index:06d}" for index in range(2)]
    files = {f"out/{folder}/{i}.{end}" for folder, end in kinds.items() for i in ids}
    assert written(tmp_path) == files | {"out/manifest.jsonl", "out/names.txt"}


def test_shares_reach_the_world(tmp_path: Path) -> None:
    ran = run("synthetic", "export", tmp_path / "out", "--scenes", "4", "--twins", "1",
              "--off-screen", "1")  # fmt: skip
    assert ran.code == 0
    for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines():
        scene = json.loads(line)
        assert scene["twins"] == scene["labels"]
        assert scene["off_screen"]


@pytest.mark.parametrize("command", [("preview", "-o"), ("export",)])
def test_a_folder_in_use_needs_force(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    arguments = ("synthetic", *command, tmp_path, "--scenes", "1")
    ran = run(*arguments)
    assert ran.code == 1
    assert ran.out == ""
    assert "--force" in ran.err
    assert written(tmp_path) == {"notes.txt"}
    assert run(*arguments, "--force").code == 0
    assert "notes.txt" in written(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        ("--scenes", "0"),
        ("--sources", "9"),
        ("--seed", "-1"),
        ("--twins", "1.5"),
        ("--classes", "known"),
        ("--split", "dev"),
    ],
)
@pytest.mark.parametrize("command", [("preview", "-o"), ("export",)])
def test_wrong_usage_exits_with_2(
    tmp_path: Path, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    ran = run("synthetic", *command, tmp_path / "out", *options)
    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert written(tmp_path) == set()


def test_help_names_the_options() -> None:
    for command in ("preview", "export"):
        ran = run_alone("synthetic", command, "--help")
        assert ran.code == 0
        for option in ("--scenes", "--sources", "--classes", "--split", "--seed", "--force"):
            assert option in ran.out
