"""How errors and warnings reach the user: a line on stderr, and for errors an exit code."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

from tvsl.cli.output import print_error
from tvsl.errors import MediaWarning, TvslError, UsageError, VocabularyError

SOME_INPUT_FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended


def one_process(work: str) -> None:
    """Refuse work that several processes cannot share; only the first of them says so.

    Args:
        work: What is to be done, as the first word of a sentence.

    Raises:
        UsageError: In the first of several processes.
        typer.Exit: In the others.
    """
    from tvsl.evaluation.processes import alone

    try:
        alone(work)
    except UsageError:
        if not first_process():
            raise typer.Exit(WRONG_USAGE) from None
        raise


def first_process() -> bool:
    """Tell whether this is the only process of its kind, or the first that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def exit_code(error: TvslError) -> int:
    """2 for what the user asked wrongly, 1 for what a file could not give."""
    return WRONG_USAGE if isinstance(error, UsageError | VocabularyError) else SOME_INPUT_FAILED


def report(error: TvslError) -> None:
    """Print an error on stderr."""
    print_error(error)


@contextmanager
def media_warnings() -> Iterator[None]:
    """Print each ``MediaWarning`` as one line, the first of each file."""
    files: set[Path] = set()

    def tell(warning: MediaWarning) -> bool:
        if warning.path not in files:
            print_error(f"warning: {warning}")
        files.add(warning.path)
        return True

    with _shown_by(tell):
        yield


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Note each ``MediaWarning``; it is shown as without this.

    Yields:
        What was warned of, each text once, in the order of time.
    """
    noted: list[str] = []

    def note(warning: MediaWarning) -> bool:
        if str(warning) not in noted:
            noted.append(str(warning))
        return False

    with _shown_by(note):
        yield noted


@contextmanager
def _shown_by(take: Callable[[MediaWarning], bool]) -> Iterator[None]:
    """Give each ``MediaWarning`` to a function first, which tells whether that was enough."""
    show_other = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not (isinstance(message, MediaWarning) and take(message)):
            show_other(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", MediaWarning)
        warnings.showwarning = show
        yield
