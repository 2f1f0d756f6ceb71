"""Messages that need no model come in a moment: before torch is even imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# All commands in one process: had one of them imported torch, the later ones would tell.
_PROGRAM = """
import contextlib, io, json, sys
from tvsl.cli.main import main
ended = []
for words in json.load(sys.stdin):
    sys.argv, out, err, code = ["tvsl", *words], io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    heavy = [name for name in ("torch", "lightning", "scipy") if name in sys.modules]
    ended.append([code, out.getvalue(), err.getvalue(), heavy])
json.dump(ended, sys.stdout)
"""

WRITING: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "--option", "count=2", "-o"),
    "train": ("train", "-o"),
    "pretrain": ("pretrain", "-o"),
    "reproduce": ("reproduce", "table1", "-o"),
    "prepare": ("prepare", "videos", "-o"),
    "localize": ("localize", "clip.mp4", "-o"),
    "demo": ("demo", "-o"),
    "export": ("synthetic", "export"),
    "preview": ("synthetic", "preview", "-o"),
}
"""Each command that writes a folder, the folder's name last."""
REFUSING = WRITING.keys() - {"prepare"}  # that looks for what is in the way of its clips
PLACES: dict[str, str] = {
    "file.txt": "file, not a folder",
    "file.txt/out": "no folder",
    "loop": "symbolic links",
    "nowhere": "No such file",
    "x" * 300: "too long",
}


class Case(NamedTuple):
    """A command, and what it shall say."""

    words: tuple[str, ...]
    says: str


CASES = [
    *(Case((*one, place), says) for one in WRITING.values() for place, says in PLACES.items()),
    *(Case((*WRITING[name], "foreign"), "not empty") for name in sorted(REFUSING)),
    *(Case((*WRITING[name], "others"), "others/recipe.json: ") for name in ("train", "pretrain")),
    Case((*WRITING["evaluate"], "results"), "results/results.json: "),
    Case((*WRITING["evaluate"], "results", "--force"), "results/results.json: "),
    Case((*WRITING["demo"], "results", "--force"), "results/results.json: "),
    Case(("prepare", "videos", "-o", "results"), "frames"),
    Case(("data", "check", "folder", "videos", "-o", "videos"), "folder"),
    Case(("data", "check", "folder", "videos", "-o", "file.txt"), "exists already"),
    Case(("weights", "convert", "missing.pt", "new.safetensors"), "missing.pt"),
    Case(("weights", "convert", "file.txt", "new.pt"), ".safetensors"),
    Case(("weights", "convert", "file.txt", "old.safetensors"), "exists already"),
    Case(("weights", "convert", "file.txt", "foreign", "--force"), "This is a folder"),
    Case(("compare", "missing", "videos"), "missing"),
    Case(("compare", "videos", "missing"), "videos/scores.npz"),
    Case(("train", "-o", "out", "--tokens", "file.txt"), "file, not a folder"),
    Case(("train", "-o", "out", "--tokens", "file.txt/tokens"), "no folder"),
    Case(("train", "-o", "out", "--resume"), "no run to resume"),
    Case(("train", "-o", "out", "--data", "nonsense"), "no data set"),
    Case(("pretrain", "-o", "out", "--resume"), "no run to resume"),
    Case(("pretrain", "-o", "out", "--without", "nonsense"), "nonsense"),
    Case(("pretrain", "-o", "out", "--clips", "9000000000000000"), "--clips"),
    Case(("pretrain", "-o", "out", "--batch", "9000000000000000"), "--batch"),
    Case(("reproduce", "table8", "-o", "out"), "no table or figure 'table8'"),
    Case(("reproduce", "table1", "table\x1b9", "-o", "out"), "\\x1b"),
    Case(("reproduce", "table1", "-o", "out", "--scale", "slow"), "slow"),
    Case(("reproduce", "table1", "-o", "out", "--set", "steps"), "NAME=VALUE"),
    Case(("reproduce", "table1", "-o", "out", "--data", "nonsense"), "no data set"),
    Case(("reproduce", "table1", "-o", "out", "--data", "folder"), "Give --root"),
    Case(("evaluate", "-o", "out", "--data", "nonsense"), "no data set"),
    Case(("evaluate", "-o", "out", "--data", "folder", "--root", "missing"), "missing"),
    Case(("evaluate", "-o", "out", "--data", "folder", "--root", "gaps"), "gaps/b.png"),
    Case(("evaluate", "-o", "out", "--option", "count=0"), "count"),
    Case(("evaluate", "-o", "out", "--vocabulary", "missing"), "missing"),
    Case(("localize", "clip.mp4", "-o", "out", "--vocabulary", "missing"), "missing"),
    *(
        Case((*WRITING[name], "out", "--device", device), "no device")
        for name in ("evaluate", "train", "reproduce", "localize")
        for device in ("nonsense", "meta", "cuda:x", "cpu:-1")
    ),
    *(
        Case((*WRITING[name], "out", "--seed", seed), "--seed")
        for name in ("train", "pretrain", "demo", "export", "preview")
        for seed in ("-1", "one", "9" * 30)
    ),
]


LIGHT: list[tuple[str, ...]] = [
    ("--help",),
    ("--version",),
    ("models",),
    ("weights", "list"),
    ("weights", "verify"),
    ("data", "list"),
    *(
        (name, "--help")
        for name in ("localize", "train", "evaluate", "compare", "serve", "methods")
    ),
]
"""Commands that answer without torch; `methods` itself asks the class of each method."""


class Ended(NamedTuple):
    """End of a command."""

    code: int
    out: str
    err: str
    heavy: list[str]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, ...], Ended], Path]:
    folder = tmp_path_factory.mktemp("unloaded")
    (folder / "file.txt").write_text("mine")
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("missing/place")
    (folder / "old.safetensors").write_text("mine")
    for name in ("foreign", "others", "results", "videos", "gaps"):
        (folder / name).mkdir()
    (folder / "foreign" / "thesis.txt").write_text("mine")
    (folder / "others" / "recipe.json").write_text('{"flour": 300}')
    (folder / "results" / "results.json").write_text('{"mine": 1}')
    (folder / "results" / "frames").mkdir()
    (folder / "gaps" / "a.png").write_text("a picture")
    (folder / "gaps" / "a.wav").write_text("a sound")
    line = '{{"id": "{0}", "frame": "{0}.png", "audio": "{0}.wav", "boxes": [[0, 0, 1, 1]]}}\n'
    (folder / "gaps" / "manifest.jsonl").write_text(line.format("a") + line.format("b"))
    before = everything(folder)
    found = run_all([*LIGHT, *(case.words for case in CASES)], folder)
    assert everything(folder) == before
    return found, folder


def run_all(commands: list[tuple[str, ...]], folder: Path) -> dict[tuple[str, ...], Ended]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told: list[Any] = json.loads(done.stdout)
    return {words: Ended(*one) for words, one in zip(commands, told, strict=True)}


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case.words)[:70])
def test_a_wrong_option_is_told_before_anything_is_loaded(
    case: Case, ended: tuple[dict[tuple[str, ...], Ended], Path]
) -> None:
    one = ended[0][case.words]
    assert one.code in (1, 2), one
    assert case.says in one.err
    assert "did not foresee" not in one.err
    assert "Traceback" not in one.err
    assert one.heavy == []


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_what_needs_no_torch_imports_none(
    words: tuple[str, ...], ended: tuple[dict[tuple[str, ...], Ended], Path]
) -> None:
    one = ended[0][words]
    assert one.code == 0, one
    assert one.out
    assert one.heavy == []
