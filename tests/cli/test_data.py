from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.running import run, run_alone, written
from tests.data.made_files import clip, media, rows, vggss, write
from tvsl.data import DATA_SETS, lists
from tvsl.data.files import ListedData

LABELS = ("elk bugling", "dog bow-wow")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    entries = {clip(n): (LABELS[n % 2], [[0.0, 0.0, 1.0, 0.5]]) for n in range(4)}
    vggss(folder / "metadata", entries)
    lines = [f"{name},{label.replace(' ', '_')}" for name, (label, _) in entries.items()]
    rows(folder / "metadata" / "vggsound_single_test.csv", lines)
    media(folder, entries)
    return folder


@pytest.fixture
def server(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a local server, from which small stand-ins of the public lists come."""
    folder, address = served
    entries = {}
    for file, entry in lists.PUBLIC_LISTS.items():
        content = f"stand-in of {file}".encode()
        (folder / file).write_bytes(content)
        entries[file] = dataclasses.replace(
            entry,
            url=address + file,
            sha256=hashlib.sha256(content).hexdigest(),
        )
    monkeypatch.setattr(lists, "PUBLIC_LISTS", entries)
    return folder


def test_list_names_sets_layouts_and_lists(home: Path) -> None:
    write(home / "lists" / "vggss.json", "[]")
    ran = run("data", "list")
    assert ran.code == 0
    for name, data in DATA_SETS.items():
        assert f"\n{name} " in ran.out
        if issubclass(data, ListedData):
            for part in (*data.files, *(layout.title for layout in data.layouts)):
                assert part in ran.out
    for state in ("vggss.json (here)", "music_duet.json (not here)",
                  "vggsound_single_train.txt (not public)"):  # fmt: skip
        assert state in ran.out


def test_fetch_lists_of_one_set(server: Path, home: Path) -> None:
    ran = run("data", "fetch-lists", "vggsound-duet")
    assert ran.code == 0
    files = ["vggsound_duet_test.csv", "vggss.json"]
    assert ran.out.splitlines() == [str(home / "lists" / file) for file in files]
    assert written(home / "lists") == set(files)
    assert "vggsound_single_train.txt is in no public repository" in ran.err


def test_fetch_all_lists(server: Path, home: Path) -> None:
    assert run("data", "fetch-lists").code == 0
    assert written(home / "lists") == set(lists.PUBLIC_LISTS)


def test_a_wrong_list_is_refused(server: Path, home: Path) -> None:
    (server / "vggss.json").write_bytes(b"something else")
    ran = run("data", "fetch-lists", "vggsound-duet")
    assert ran.code == 1
    assert "checksum" in ran.err
    assert "vggss.json" not in written(home / "lists")


def test_offline_it_says_what_to_put_where(home: Path) -> None:
    ran = run("data", "fetch-lists", "music-solo")
    entry = lists.PUBLIC_LISTS["music_solo_test.csv"]
    assert ran.code == 1
    assert ran.out == ""
    assert entry.url in ran.err
    assert str(home / "lists" / "music_solo_test.csv") in ran.err


@pytest.mark.parametrize("name", ["folder", "synthetic", "vggsond"])
def test_sets_without_lists_are_wrong_usage(name: str) -> None:
    assert run("data", "fetch-lists", name).code == 2


def test_check_of_a_whole_set(root: Path) -> None:
    before = written(root)
    ran = run("data", "check", "vggsound-single", root)
    assert ran.code == 0
    assert "vggsound-single, split test: frames/ID.jpg, audio/ID.wav" in ran.out
    assert ran.out.splitlines()[3].split() == ["all", "4", "4", "0", "0", "0"]
    assert "2 of 2 classes are whole." in ran.out
    assert "Reading items: 4 of 4" in ran.err
    assert "items/s" in ran.err
    assert written(root) == before
    shown = run("data", "check", "vggsound-single", root, "--all-classes").out
    assert "elk bugling" in shown


def test_check_of_a_set_with_gaps(root: Path, tmp_path: Path) -> None:
    (root / "frames" / f"{clip(0)}.jpg").unlink()
    write(root / "audio" / f"{clip(2)}.wav", b"no sound")
    out = tmp_path / "out.txt"
    ran = run("data", "check", "vggsound-single", root, "-o", out)
    assert ran.code == 1
    table = [line.rsplit(maxsplit=5) for line in ran.out.splitlines()[3:5]]
    assert table == [["all", *"43110"], ["elk bugling", *"21110"]]
    assert "dog bow-wow" not in ran.out
    assert "1 of 2 classes are whole." in ran.out
    assert f"{clip(0)}.jpg" in ran.err
    assert f"{clip(2)}.wav" in ran.err
    assert [line.split("\t")[0] for line in out.read_text().splitlines()] == [clip(0), clip(2)]
    again = run("data", "check", "vggsound-single", root, "--option", f"leave_out={out}")
    assert again.code == 0


def test_many_classes_with_gaps_are_cut_short(tmp_path: Path) -> None:
    names = [f"class {first}{second}" for first in "abc" for second in "abcdefghij"]
    lines = [
        {"id": n, "frame": f"frames/{n}.jpg", "audio": f"audio/{n}.wav", "labels": [name]}
        for n, name in zip(map(str, range(31)), [*names, "no box"], strict=True)
    ]
    write(tmp_path / "manifest.jsonl", "\n".join(map(json.dumps, lines)))
    media(tmp_path, ["30"])
    for options, shown in (((), 20), (("--all-classes",), 30)):
        ran = run("data", "check", "folder", tmp_path, *options)
        assert ran.code == 1
        assert sum(name in ran.out for name in names) == shown
        assert ran.err.count("There is no such file") == 5
        assert ("11 more classes" in ran.out) == (shown == 20)


def test_an_existing_file_needs_force(root: Path, tmp_path: Path) -> None:
    out = write(tmp_path / "out.txt", "mine")
    arguments = ("data", "check", "vggsound-single", root, "-o", out)
    ran = run(*arguments)
    assert ran.code == 1
    assert "--force" in ran.err
    assert out.read_text() == "mine"
    assert run(*arguments, "--force").code == 0
    assert out.read_text() == ""
    missing = run(*arguments[:-1], tmp_path / "none" / "out.txt")
    assert missing.code == 1
    assert "cannot be written" in missing.err
    assert "items" not in missing.err  # it is said before anything is read


def test_json_holds_everything(root: Path) -> None:
    (root / "frames" / f"{clip(0)}.jpg").unlink()
    ran = run("data", "check", "vggsound-single", root, "--quick", "--json")
    assert ran.code == 1
    content = json.loads(ran.out)
    assert content["read"] is False
    assert content["total"]["missing"] == 1
    assert content["classes"]["elk bugling"]["missing"] == 1
    assert [fault["id"] for fault in content["faults"]] == [clip(0)]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("vggsound-single", "none"), 1, "no such folder"),
        (("vggsound-single", "."), 1, "fetch-lists"),
        (("vggsond", "none"), 2, "vggsound-single"),
        (("synthetic", "none"), 2, "no files"),
        (("folder", "none"), 1, "no such folder"),
        (("folder", "."), 1, "manifest.jsonl"),
        (("folder", "none", "--option", "roof=1"), 2, "roof"),
        (("folder", "none", "--option", "roof"), 2, "NAME=VALUE"),
        (("folder", "none", "--workers", "0"), 2, "workers"),
    ],
)
def test_a_wrong_request_is_one_error(
    tmp_path: Path, arguments: tuple[str, ...], code: int, problem: str
) -> None:
    name, root, *rest = arguments
    ran = run("data", "check", name, tmp_path / root, *rest)
    assert ran.code == code
    assert problem in ran.err
    assert "Traceback" not in ran.err


def test_a_root_without_anything_is_one_line(root: Path) -> None:
    for path in [*(root / "frames").iterdir(), *(root / "audio").iterdir()]:
        path.unlink()
    ran = run("data", "check", "vggsound-single", root)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "None of the 4 listed items" in ran.err


def test_a_folder_that_was_exported_is_whole(tmp_path: Path) -> None:
    assert run("synthetic", "export", tmp_path / "out", "--scenes", "2", "--sources", "2").code == 0
    ran = run("data", "check", "folder", tmp_path / "out", "--option", "truth=masks")
    assert ran.code == 0
    assert "split test: manifest.jsonl" in ran.out


def test_help_names_the_options() -> None:
    ran = run_alone("data", "check", "--help")
    assert ran.code == 0
    for option in ("--lists", "--option", "--quick", "--output", "--json", "--force"):
        assert option in ran.out
