"""Inputs of ``tvsl localize``: files, folders of them, and the standard input."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tvsl.errors import MissingFileError, UsageError
from tvsl.utils.atomic import writable
from tvsl.utils.id_lists import VIDEO_SUFFIXES

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class GivenInput:
    """One file to localize.

    Attributes:
        path: The file that is read.
        name: Its name in results and messages.
        parent: Folder of its results inside the output folder, for a file of a folder.
    """

    path: Path
    name: str
    parent: Path | None = None


@contextmanager
def given_inputs(
    inputs: Sequence[Path], output: Path | None, pictures: bool
) -> Iterator[list[GivenInput]]:
    """Files of a command line; those of folders are found, and the standard input is stored.

    Args:
        inputs: Files, folders and ``-``.
        output: Folder of the results, in which nothing is searched.
        pictures: Whether folders are searched for pictures, in place of videos.

    Yields:
        The files, those of folders in the order of their names. Hidden ones are left alone.

    Raises:
        MissingFileError: A folder holds no file of this kind.
        UsageError: ``-`` is given twice, or the standard input is a terminal.
    """
    if inputs.count(STANDARD_INPUT) > 1:
        raise UsageError("The standard input is given twice.", "Give - once.")
    if STANDARD_INPUT in inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("The standard input is a terminal.", "Send a video into it: < clip.mp4")
    folders = [path for path in inputs if path.is_dir()]
    with TemporaryDirectory(prefix="tvsl-stdin-") as stored:
        found: list[GivenInput] = []
        for path in inputs:
            if path == STANDARD_INPUT:
                found.append(_standard_input(Path(stored)))
            elif path in folders:
                own = Path() if len(inputs) == 1 else Path(path.resolve().name)
                found += _files(path, own, output, pictures)
            else:
                found.append(GivenInput(path, str(path)))
        yield found


def _standard_input(folder: Path) -> GivenInput:
    path = folder / "stdin"
    with writable(path, "file"), path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return GivenInput(path, str(STANDARD_INPUT))


def _files(folder: Path, own: Path, output: Path | None, pictures: bool) -> list[GivenInput]:
    """Media in a folder and in the folders in it, with the folders for their results."""
    from tvsl.media.pillow import PICTURE_ENDINGS

    endings = frozenset(PICTURE_ENDINGS) if pictures else VIDEO_SUFFIXES
    kind = "picture" if pictures else "video"

    def broken(error: OSError) -> None:
        raise MissingFileError(
            f"The folder cannot be read ({error.strerror}).", "Check its permissions.", folder
        ) from error

    found = []
    left_out = None if output is None else output.resolve()
    for place, inner, names in os.walk(folder, onerror=broken):
        here = Path(place)
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith(".") and (here / name).resolve() != left_out
        )
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in endings:
                path = here / name
                found.append(GivenInput(path, str(path), own / here.relative_to(folder)))
    if not found:
        other = "" if pictures else " For pictures give their sound as --audio FILE."
        raise MissingFileError(
            f"The folder holds no {kind}.", f"Give a folder with a {kind} in it.{other}", folder
        )
    return found
