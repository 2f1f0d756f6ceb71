"""Where results go: gathered beside the folder, and moved into it when they are whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tvsl.errors import OutputError

JSON_NAME = "localization.json"


def result_folders(inputs: Sequence[Path], output: Path, force: bool) -> list[tuple[Path, Path]]:
    """Decide where each input's results go, and refuse before any work is done.

    Args:
        inputs: The inputs.
        output: The folder that was named: the results' own for one input, else their parent.
        force: Whether earlier results may be replaced.

    Returns:
        Each input with its folder.

    Raises:
        OutputError: A folder is not empty and ``force`` is not set, or it is a file.
    """
    chosen: list[tuple[Path, Path]] = []
    taken: set[str] = set()
    for source in inputs:
        name = source.stem
        while name in taken:
            name += "_"
        taken.add(name)
        chosen.append((source, output if len(inputs) == 1 else output / name))
    for _, folder in chosen:
        _check(folder, force)
    return chosen


@contextmanager
def staging(folder: Path, force: bool) -> Iterator[Path]:
    """A folder to write into, whose files are moved to ``folder`` if the block ends well.

    With ``force`` the files of an earlier result there go; what the user put beside them stays.

    Args:
        folder: Where the results belong.
        force: Whether earlier results may be replaced.

    Yields:
        The folder to write into; gone afterwards, whatever happened.

    Raises:
        OutputError: A place cannot be written.
    """
    work = folder.with_name(folder.name + ".part")
    try:
        with _errors(folder):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        yield work
        _check(folder, force)
        with _errors(folder):
            _remove_earlier(folder)
            _move(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError("This is a file, not a folder.", "Choose another place.", folder)
    if folder.exists() and any(folder.iterdir()) and not force:
        raise OutputError(
            "This folder is not empty.", "Choose another, or add --force to replace.", folder
        )


def _remove_earlier(folder: Path) -> None:
    """Remove what an earlier run wrote here, by its own list."""
    record = folder / JSON_NAME
    if not record.is_file():
        return
    try:
        names = json.loads(record.read_text(encoding="utf-8")).get("files", [])
    except (ValueError, AttributeError):
        names = []  # not ours: it is only overwritten
    root = folder.resolve()
    for path in [folder / str(name) for name in names] + [record]:
        if root in path.resolve().parents:
            path.unlink(missing_ok=True)
            if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()


def _move(work: Path, folder: Path) -> None:
    """Move all files, the JSON file last: where it stands, the results are whole."""
    files = [path for path in work.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.name == JSON_NAME):
        target = folder / path.relative_to(work)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The folder cannot be written ({error.strerror}).", "Choose a writable place.", folder
        ) from error
