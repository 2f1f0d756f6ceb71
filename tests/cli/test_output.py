"""Streams that cannot be written or lack characters, and errors that nobody foresaw."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.media.media_makers import make_sound
from tests.small_model import RATE, tone, write_picture
from tvsl.cli import doctor
from tvsl.cli.output import print_error, print_json, print_lines
from tvsl.errors import OutputError

TVSL = [sys.executable, "-m", "tvsl"]
FULL = Path("/dev/full")


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line of bash, in which ``tvsl`` is this one."""
    return subprocess.run(
        ["bash", "-c", f'tvsl() {{ "{sys.executable}" -m tvsl "$@"; }}; {command}'],
        capture_output=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_lines_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines("a\x1b[2Jb\nc", "\udcff")
    print_error("x\ry")
    out, err = capsys.readouterr()
    assert out == "a\\x1b[2Jb\\nc\n\\xff\n"
    assert err == "tvsl: x\\ry\n"


def test_json_is_whole_in_any_encoding(capsys: pytest.CaptureFixture[str]) -> None:
    content = {"input": "caf\udce9\x1b\u202e犬.mp4"}
    print_json(content)
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out) == content


class _Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_stdout_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Full())
    with pytest.raises(OutputError, match="No space left"):
        print_lines("a")
    with pytest.raises(OutputError, match="No space left"):
        print_json({})
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="closed"):
        print_lines("a")


def test_a_full_stderr_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Full())
    print_error("a")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "command", ["weights list", "data list", "doctor", "--help", "localize --help", "--version"]
)
def test_nothing_that_prints_breaks_on_a_full_device(command: str) -> None:
    done = shell(f"tvsl {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"tvsl: ")
    assert b"No space left on device" in done.stderr
    assert b"report" not in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("redirect", [">&-", "| true"])
def test_a_closed_stdout_is_told_in_one_line(redirect: str) -> None:
    done = shell(f"set -o pipefail; for _ in 1; do sleep 0.1; tvsl data list; done {redirect}")
    assert done.returncode == 1
    assert done.stderr.startswith(b"tvsl: The standard output ")
    assert done.stderr.count(b"\n") == 1


def test_closed_streams_do_not_end_in_files(tmp_path: Path) -> None:
    done = shell(f"cd {tmp_path}; tvsl synthetic export out --scenes 1 <&- 2>&-")
    assert done.returncode == 0
    assert json.loads((tmp_path / "out" / "manifest.jsonl").read_text())


OPTIONS = ("--audio", "s.wav", "--labels", "red square", "--model", "mini")
NAME = b"caf\xe9\x1b[31m\n\xe7.png"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "utf-8:strict"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["ascii", "strict", "locale C"],
)
def test_a_name_that_cannot_be_printed_stops_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = os.fsencode(tmp_path)
    write_picture(tmp_path / "b.png")
    (tmp_path / "b.png").rename(os.fsdecode(folder + b"/" + NAME))
    write_picture(tmp_path / "b.png")
    make_sound(tmp_path / "s.wav", tone(), RATE)
    done = subprocess.run(
        [*TVSL, "localize", NAME, "b.png", b"missing\xff\x1b.png", "-o", "out\udce9", *OPTIONS],
        capture_output=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    assert done.returncode == 1, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(rb"caf\xe9\x1b[31m\n\xe7.png: red square")
    assert second.startswith(b"b.png: red square")
    assert rb"out\xe9" in second
    assert done.stderr.splitlines()[-1].startswith(rb"tvsl: missing\xff\x1b.png: ")
    written = list(tmp_path.rglob("localization.json"))
    assert sorted(json.loads(path.read_text())["input"] for path in written) == sorted(
        ["b.png", os.fsdecode(NAME)]
    )


def _fail(message: str) -> None:
    raise RuntimeError(message)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TVSL_TRACEBACK", raising=False)
    monkeypatch.setattr(doctor, "_devices", lambda: _fail("first\nsecond \x1b[31m"))


@pytest.mark.usefixtures("broken")
def test_what_nobody_foresaw_ends_in_one_line() -> None:
    ran = run("doctor")
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith("tvsl: ")
    for part in ("RuntimeError", "first", "report", "--traceback"):
        assert part in line
    assert "\x1b" not in line


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    "words", [("--traceback", "doctor"), ("doctor", "--traceback"), ("doctor",)]
)
def test_the_rest_is_shown_when_it_is_asked_for(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--traceback" not in words:
        monkeypatch.setenv("TVSL_TRACEBACK", "1")
    ran = run(*words)
    assert ran.code == 1
    assert ran.err.startswith("Traceback")
    assert "_fail" in ran.err
    assert ran.err.splitlines()[-1].startswith("tvsl: ")


@pytest.mark.usefixtures("broken")
def test_a_traceback_is_not_shown_when_the_variable_says_no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TVSL_TRACEBACK", "0")
    assert "Traceback" not in run("doctor").err


def test_too_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted() -> None:
        raise MemoryError

    monkeypatch.setattr(doctor, "_devices", exhausted)
    ran = run("doctor")
    assert ran.code == 1
    assert "memory" in ran.err
    assert ran.err.count("\n") == 1
