"""Run the command line, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tvsl.cli.main import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def run(*arguments: str | Path) -> Ran:
    """Run ``tvsl`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    argv = ["tvsl", *(str(argument) for argument in arguments)]
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Ran(code, out.getvalue(), err.getvalue())


def run_alone(*arguments: str | Path, program: tuple[str, ...] = ()) -> Ran:
    """Run ``tvsl`` in a process of its own."""
    command = program or (str(Path(sys.executable).with_name("tvsl")),)
    done = subprocess.run(
        [*command, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def written(folder: Path) -> set[str]:
    """Paths of all files under a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
