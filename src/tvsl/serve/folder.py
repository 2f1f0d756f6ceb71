"""The temporary folder of a service: it goes with the service, at the latest with the next one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tvsl.utils.atomic import writable

try:
    import fcntl
except ImportError:  # elsewhere what a killed service left goes with the system's own cleaning
    fcntl = None  # type: ignore[assignment]

PREFIX: Final = "tvsl-serve-"
_MARK = "tvsl-serve.lock"


@contextmanager
def service_folder() -> Iterator[Path]:
    """A temporary folder that only this user can read, removed at the end.

    What services left that were killed goes, too; a lock tells whether one is still running.

    Yields:
        The folder.

    Raises:
        OutputError: It cannot be made.
    """
    parent = Path(tempfile.gettempdir())
    with writable(parent):
        remove_leftovers(parent)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # of mode 0700
        lock = os.open(folder / "starting", os.O_CREAT | os.O_WRONLY, 0o600)
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / "starting").rename(folder / _MARK)  # what has no mark is nobody's leftover
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def is_service_folder(folder: Path) -> bool:
    """Tell whether a folder is one of a service, made by this user."""
    if not folder.name.startswith(PREFIX) or folder.is_symlink():
        return False
    try:
        own = os.name != "posix" or folder.stat().st_uid == os.getuid()
        return own and (folder / _MARK).is_file()
    except OSError:
        return False


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of services that no longer run."""
    if fcntl is None:
        return
    for folder in parent.glob(f"{PREFIX}*"):
        if is_service_folder(folder):
            _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    try:
        lock = os.open(folder / _MARK, os.O_WRONLY)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # its service is running
        pass
    finally:
        os.close(lock)
