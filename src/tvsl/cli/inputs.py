"""Inputs of ``tvsl localize``: files, folders of them, and the standard input."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tvsl.cli.options import STANDARD_STREAM
from tvsl.cli.output import earlier_files, is_result
from tvsl.errors import MissingFileError, OutputError, UsageError
from tvsl.utils.atomic import writable
from tvsl.utils.id_lists import VIDEO_SUFFIXES


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


@dataclass(frozen=True)
class GivenInputs:
    """All files to localize.

    Attributes:
        files: The files, those of folders in the order of their names.
        left_out: Folders with earlier results, which are no inputs.
    """

    files: list[GivenInput]
    left_out: list[Path]


@contextmanager
def given_inputs(
    inputs: Sequence[Path], output: Path | None, pictures: bool
) -> Iterator[GivenInputs]:
    """Files of a command line; those of folders are found, and the standard input is stored.

    Args:
        inputs: Files, folders and ``-``.
        output: Folder of the results, in which nothing is searched.
        pictures: Whether folders are searched for pictures, in place of videos.

    Yields:
        The files. Hidden ones and those of earlier results are left alone.

    Raises:
        MissingFileError: A folder holds no file of this kind.
        OutputError: The standard input cannot be stored.
        UsageError: ``-`` is given twice, or the standard input is a terminal.
    """
    if inputs.count(STANDARD_STREAM) > 1:
        raise UsageError("The standard input is given twice.", "Give - once.")
    if STANDARD_STREAM in inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("The standard input is a terminal.", "Send a video into it: < clip.mp4")
    folders = [path for path in inputs if path.is_dir()]
    with ExitStack() as stack:
        found = GivenInputs([], [])
        for path in inputs:
            if path == STANDARD_STREAM:
                found.files.append(_standard_input(stack))
            elif path in folders:
                own = Path() if len(inputs) == 1 else Path(path.resolve().name)
                _find(path, own, output, pictures, found)
            else:
                found.files.append(GivenInput(path, str(path)))
        if not found.files:
            raise MissingFileError(
                "All that is here are earlier results.", "Name their files.", inputs[0]
            )
        yield found


def _standard_input(stack: ExitStack) -> GivenInput:
    try:
        stored = stack.enter_context(TemporaryDirectory(prefix="tvsl-stdin-"))
    except OSError as error:
        raise OutputError(
            f"The standard input cannot be stored ({error.strerror or error}).",
            "Name a folder with room for it in TMPDIR.",
        ) from error
    path = Path(stored) / "stdin"
    with writable(path, "file"), path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return GivenInput(path, str(STANDARD_STREAM))


def _find(folder: Path, own: Path, output: Path | None, pictures: bool, found: GivenInputs) -> None:
    """Find media in a folder and in the folders in it, with the folders for their results."""
    from tvsl.media.pillow import PICTURE_ENDINGS

    endings = frozenset(PICTURE_ENDINGS) if pictures else VIDEO_SUFFIXES
    kind = "picture" if pictures else "video"

    def broken(error: OSError) -> None:
        raise MissingFileError(
            f"The folder cannot be read ({error.strerror}).", "Check its permissions.", folder
        ) from error

    before = len(found.files), len(found.left_out)
    place_of_results = None if output is None else output.resolve()
    # What the user put beside the files of a result is found where its folder is named.
    written = _written(folder)
    if written:
        found.left_out.append(folder)
    for place, inner, names in os.walk(folder, onerror=broken):
        here = Path(place)
        shown = [here / name for name in sorted(inner) if not name.startswith(".")]
        results = [path for path in shown if is_result(path)]
        found.left_out.extend(results)
        inner[:] = [
            path.name
            for path in shown
            if path not in results and path.resolve() != place_of_results
        ]
        for name in sorted(names):
            path = here / name
            is_medium = not name.startswith(".") and path.suffix.lower() in endings
            if is_medium and path not in written:
                found.files.append(GivenInput(path, str(path), own / here.relative_to(folder)))
    if before == (len(found.files), len(found.left_out)):
        other = "" if pictures else " For pictures give their sound as --audio FILE."
        raise MissingFileError(
            f"The folder holds no {kind}.", f"Give a folder with a {kind} in it.{other}", folder
        )


def _written(folder: Path) -> set[Path]:
    """Files of a folder that an earlier run wrote there."""
    try:
        return {folder / name for name in earlier_files(folder)}
    except OutputError:  # the record is none of ours
        return set()
