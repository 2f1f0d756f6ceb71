"""Run the command line, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch

from tests.localization_schema import check_files
from tvsl.cli.main import main

LONGEST = 600
"""Seconds that a command may take, also on a machine with much other work."""


@dataclass(frozen=True)
class Ran:
    """End of a command; ``seconds`` are those of the processor, and known of ``run_alone``."""

    code: int
    out: str
    err: str
    seconds: float = 0.0


def run(*arguments: str | Path) -> Ran:
    """Run ``tvsl`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    code, threads = 0, torch.get_num_threads()
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
        finally:  # `tvsl evaluate` takes all: what follows in this process would wait for them
            torch.set_num_threads(threads)
    return Ran(code, out.getvalue(), err.getvalue())


def run_alone(*arguments: str | Path, program: tuple[str, ...] = ()) -> Ran:
    """Run ``tvsl`` in a process of its own."""
    command = program or (str(Path(sys.executable).with_name("tvsl")),)
    before = _children_seconds()
    done = subprocess.run(
        [*command, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    texts = [str(argument) for argument in arguments]
    if "localize" in texts and "-o" in texts[:-1]:
        check_files(Path(texts[texts.index("-o") + 1]))
    return Ran(done.returncode, done.stdout, done.stderr, _children_seconds() - before)


def _children_seconds() -> float:
    """Processor time of all children that have ended: a busy machine does not add to it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written(folder: Path) -> set[str]:
    """Paths of all files under a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
