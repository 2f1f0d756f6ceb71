"""Random and hostile command lines: 60 seeded cases, run in this process through ``main``.

Each is wrong somewhere, so that no long work begins: what is written goes below a regular file, and
models are missing. The options, their order and their values are drawn.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.cli.test_options_arguments import COMMANDS
from tvsl.errors import printable

CASES = 60
PLACE = "file.txt/inner"
"""Nothing can be written here."""

VALUES = (
    *("", " ", "-", "--", "-1", "0", "1", "2.5", "1e18", "nan", "inf", "-inf", "1e999", "0x10"),
    *("1" * 30, "1" * 5000, "\uff11", "[" * 100_000, "{}", "null", "a" * 300, "a" * 100_000),
    *("\x1b[31m", "a\nb", "a\rb", "\udcff", "\ud800", "\0", "\u202ex", "%s%n", "$(id)", "[/]"),
    *("/dev/zero", "/dev/full", "/dev/null", "file.txt", PLACE, "folder", "missing", "loop"),
    *("pipe", "https://host/x", "https:/host/x", "file:///x", "C:\\x", "~", "~nobody/x", "."),
    *("meta", "cuda:9", "cpu:7", "tvsl", "paper", "mini", "auto", "all", "seen", "middle"),
    *("a=b", "a=1", "window=inf", "split=test", "root=/dev/zero", "manifest=/dev/zero", "="),
    *("-oX", "-o", "--force", "--output=x", "--json", "-ABC.mp4", "-oB.mp4", "--none", "--help"),
    *("synthetic", "folder", "vggsound-single", "text-only", "dog,dog", ";;", ",", "red square"),
)
# What would begin long work if all else were right.
BUSY = {
    "demo": ("-o", PLACE),
    "pretrain": ("-o", PLACE),
    "train": ("-o", PLACE, "--model", "missing"),
    "evaluate": ("-o", PLACE, "--model", "missing"),
    "reproduce": ("-o", PLACE, "--model", "missing"),
    "prepare": ("-o", PLACE),
    "synthetic preview": ("-o", PLACE),
    "synthetic export": (PLACE,),
    "localize": ("-o", PLACE),
    "serve": ("--host", "0.0.0.0"),  # without a token it does not start
}


def command_line(seed: int) -> list[str]:
    """A command line, drawn."""
    draw = random.Random(seed)
    name = draw.choice(sorted(COMMANDS.keys() - {"doctor"}))  # it asks PyTorch for seconds
    words: list[list[str]] = []
    for param in COMMANDS[name].params:
        value = draw.choice(VALUES)
        if param.param_type_name == "argument":
            if (param.required or draw.random() < 0.5) and name != "synthetic export":
                count = draw.randint(1, 3) if param.nargs == -1 else 1
                words += [[draw.choice(VALUES)] for _ in range(count)]
        elif draw.random() < 0.25 and not (name in BUSY and "-o" in param.opts):
            option = draw.choice([*param.opts, *param.secondary_opts])
            glued = draw.random() < 0.3
            words.append(
                [option] if param.is_flag else [f"{option}={value}"] if glued else [option, value]
            )
    if draw.random() < 0.2:
        words.append([draw.choice(VALUES)])
    draw.shuffle(words)
    flat = [word for group in words for word in group]
    before = ["--traceback"] if draw.random() < 0.05 else []
    return [*before, *name.split(), *BUSY.get(name, ()), *flat]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, a folder, a pipe, a link to itself and files named like options."""
    folder = tmp_path / "here"
    (folder / "folder").mkdir(parents=True)
    (folder / "file.txt").write_text("dog\ncat\n")
    (folder / "loop").symlink_to("loop")
    (folder / "-oB.mp4").write_bytes(b"precious")
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TVSL_TRACEBACK", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return folder


def content(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(CASES))
def test_any_command_line_ends_well(seed: int, here: Path) -> None:
    before = content(here)
    words = command_line(seed)
    ran = run(*words)
    told = f"{words}\n{ran.err[-2000:]}"
    assert ran.code in (0, 1, 2), told
    assert "did not foresee" not in ran.err, told
    assert "--traceback" in words or "Traceback" not in ran.err, told
    for wording in ("pydantic", "Input should", "Value error"):
        assert wording not in ran.err, told
    assert ran.code == 0 or ran.err, told
    for line in (ran.out + ran.err).split("\n"):
        assert printable(line) == line, told
    if ran.err.startswith("tvsl: ") and ran.code == 2:
        assert ran.err.count("\n") == 1, told
    assert content(here) == before, told
    assert len(ran.err) < 20_000, told
