"""Folders that appear whole or not at all: gathered beside their place, and moved when they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tvsl.errors import OutputError


@contextmanager
def staged(
    folder: Path, last: str, force: bool, remove_earlier: Callable[[Path], None]
) -> Iterator[Path]:
    """A folder to write into, whose files are moved to ``folder`` if the block ends well.

    What others put into ``folder`` stays there.

    Args:
        folder: Where the files belong.
        last: Name of the file that is moved last: where it stands, the files are whole.
        force: Whether files may be replaced.
        remove_earlier: Removes what an earlier run wrote into ``folder``, its ``last`` first.

    Yields:
        The folder to write into; gone afterwards, whatever happened.

    Raises:
        OutputError: A place is taken or cannot be written.
    """
    place = folder.resolve()  # a folder may be given as "."
    work = place.with_name(place.name + ".part")
    try:
        with writable(folder):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        yield work
        check_free(folder, force)
        with writable(folder):
            remove_earlier(folder)
            _move(work, folder, last)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_free(folder: Path, force: bool) -> None:
    """Let through only a place that is free, or that may be written over.

    Raises:
        OutputError: It is a file, or a folder that is not empty and ``force`` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("This is a file, not a folder.", "Choose another place.", folder)
    if folder.exists() and any(folder.iterdir()) and not force:
        raise OutputError(
            "This folder is not empty.", "Choose another, or add --force to replace.", folder
        )


def _move(work: Path, folder: Path, last: str) -> None:
    files = [path for path in work.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.name == last):
        target = folder / path.relative_to(work)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn what the system says while a folder is written into an error of ours.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The folder cannot be written ({error.strerror}).", "Choose a writable place.", folder
        ) from error
