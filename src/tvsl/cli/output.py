"""What is printed: every line safe for a terminal, and a stream that breaks told once."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from tvsl.errors import OutputError, printable

_LONGEST_LINE = 6000


def prepare_streams() -> None:
    """Let no character stop a run that the terminal's encoding lacks, nor a stream that is closed.

    A closed stream's number would go to the next file that is opened, and what libraries print
    would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_lines(*lines: object) -> None:
    """Print lines on stdout, control characters in them escaped.

    Raises:
        OutputError: They cannot be written.
    """
    _write("".join(f"{printable(str(line))}\n" for line in lines))


def print_json(content: Any) -> None:
    """Print JSON on stdout, in ASCII.

    Args:
        content: Plain JSON types.

    Raises:
        OutputError: It cannot be written.
    """
    from tvsl.localization import to_json

    _write(to_json(content) + "\n")


def print_error(text: object) -> None:
    """Print on stderr what is wrong, in one line."""
    print_note(f"tvsl: {text}")


def print_note(line: object) -> None:
    """Print a line on stderr, control characters escaped."""
    text = printable(str(line))
    if len(text) > _LONGEST_LINE:  # a name of a hundred thousand characters helps nobody
        text = f"{text[:_LONGEST_LINE]}…"
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:  # there is no other place to say it; the exit code tells
        forget(sys.stderr)


@contextmanager
def printing() -> Iterator[None]:
    """Turn what the system says while stdout is written into an error of ours.

    Raises:
        OutputError: It cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("The standard output is closed.", "Open it, or send it to a file.")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        forget(sys.stdout)
        raise OutputError(
            f"The standard output cannot be written ({error.strerror}).",
            "Send it to another place; the files that were written are whole.",
        ) from error


def forget(stream: TextIO) -> None:
    """Send what a broken stream still holds to nowhere, or Python fails once more at its end."""
    with suppress(OSError, ValueError):  # no file behind it
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _write(text: str) -> None:
    with printing():
        sys.stdout.write(text)
