"""Atomic output: locked folders, staged folders, single files.

A run locks the folder that it writes into (``locked``). Its files are written to a temporary folder
inside and moved to their places at the end (``staged``). If the move fails, even by a kill, a
journal restores the earlier files. A temporary folder has a mark file that its process locks, so
that no other folder is taken for one.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tvsl.errors import OutputError

try:
    import fcntl
except ImportError:  # on Windows folders are not locked
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".tvsl-"
_MADE = re.compile(re.escape(_PREFIX) + "[a-z0-9_]{8}")  # names that tempfile.mkdtemp draws
_MARK = "temporary.txt"
_MARK_TEXT = (
    "Files that tvsl is gathering (format 1).\n"
    "Where no run of tvsl is at work, the next one clears this folder up.\n"
)
_JOURNAL = "journal.json"
_NEW, _OLD = "new", "old"

RECORD_REMEDY: Final = (
    "It is damaged or was not written by tvsl, so that what may be replaced is unknown: move it "
    "elsewhere, or choose another folder."
)
"""Remedy for an invalid record of an earlier run."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_held: dict[tuple[int, int], int] = {}
"""Threads of this process that hold a lock, by device and inode of the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for a run that writes into it; the system releases it when the process ends.

    A missing folder is created, and removed again if it stays empty. Unfinished files of killed
    runs are removed. One thread may lock a folder several times.

    Raises:
        OutputError: Another run writes into it, or it cannot be created or written.
    """
    made: list[Path] = []
    lock = None
    try:
        with writable(folder):
            lock = _lock(folder, made)
            if lock is not None:
                recover(folder)
        yield
    finally:
        _remove_empty(made)  # while it is locked, so that no other run uses it yet
        if lock is not None:
            place, key = lock
            del _held[key]
            os.close(place)


@contextmanager
def staged(
    folder: Path,
    last: str,
    force: bool,
    earlier: Callable[[Path], Iterable[str]],
    new: Sequence[str] = (),
) -> Iterator[Path]:
    """A temporary folder whose files are moved to ``folder`` if the block succeeds.

    All files are moved, or everything stays as it is. Other files in ``folder`` stay.

    Args:
        folder: The target folder.
        last: Name of the file that is moved last: its existence means that all files are there.
        force: Whether files of an earlier run may be replaced.
        earlier: Gives the names of the files of an earlier run in ``folder``, relative to it;
            raises ``OutputError`` if tvsl did not write the files there.
        new: As for ``check_free``: what is known of the files before they are written.

    Yields:
        The folder to write into; it is removed afterwards in every case.

    Raises:
        OutputError: A path is taken or cannot be written, or another run writes into the folder.
    """
    with locked(folder):
        check_free(folder, force, earlier, new)
        with _temporary(folder) as work:
            with writable(folder):
                (work / _NEW).mkdir()
            with _named_by_target(work / _NEW, folder):
                yield work / _NEW
            check_free(folder, force)
            names = set(earlier(folder)) if force else set()
            with writable(folder):
                _move(work, folder, last, names)


@contextmanager
def _named_by_target(work: Path, folder: Path) -> Iterator[None]:
    """Name the target path in errors about the temporary path."""
    try:
        yield
    except OutputError as error:
        if error.path is None or not error.path.is_relative_to(work):
            raise
        place = folder / error.path.relative_to(work)
        raise OutputError(error.problem, error.remedy, place) from error
    except OSError as error:
        name = error.filename
        inside = isinstance(name, str | os.PathLike) and Path(name).is_relative_to(work)
        if not inside and error.errno not in _FULL:
            raise
        place = folder / Path(name).relative_to(work) if inside else folder
        with writable(place, "file" if inside else "folder"):
            raise


@contextmanager
def replacing(folder: Path, earlier: Iterable[str]) -> Iterator[Path]:
    """A temporary folder whose files replace others in ``folder`` if the block succeeds.

    Works as ``staged``, for a folder that the parent process has locked.

    Args:
        folder: The target folder, which exists.
        earlier: Names of the files to remove, if they exist.

    Yields:
        The folder to write into; it is removed afterwards in every case.

    Raises:
        OutputError: A file cannot be written; everything stays as it is.
    """
    with _temporary(folder) as work:
        with writable(folder):
            (work / _NEW).mkdir()
        with _named_by_target(work / _NEW, folder):
            yield work / _NEW
        with writable(folder):
            _move(work, folder, "", set(earlier))


def check_free(
    folder: Path,
    force: bool,
    earlier: Callable[[Path], Iterable[str]] | None = None,
    new: Sequence[str] = (),
    remedy: str = "Choose another, or add --force to replace.",
) -> None:
    """Check that a folder is empty or may be replaced.

    Args:
        folder: The folder.
        force: Whether files of an earlier run may be replaced.
        earlier: With ``force``, gives the names of the files of an earlier run; raises
            ``OutputError`` if tvsl did not write the files there.
        new: Names of the files that will be written, or patterns of names that are not known yet
            (``moments/*.png``): with ``force`` no other file may have one of them.
        remedy: What to do about a folder that is not empty.

    Raises:
        OutputError: It is a file, or a folder that is not empty and ``force`` is not set, or a file
            that no earlier run wrote is in the way.
    """
    with writable(folder):
        if not os.path.lexists(folder):
            return
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise OutputError("This is a file, not a folder.", "Choose another place.", folder)
        taken = bool(entries(folder))
    if taken and not force:
        raise OutputError("This folder is not empty.", remedy, folder)
    if taken and earlier is not None:
        known = set(earlier(folder))
        with writable(folder):
            fitting = (path for name in new for path in folder.glob(name))
            found = {path.relative_to(folder).as_posix() for path in fitting}
            check_places(folder, sorted({*new, *found}), known)


def entries(folder: Path) -> list[Path]:
    """Content of a folder without temporary folders of tvsl; empty for a missing folder.

    Raises:
        OSError: It cannot be read, or is no folder.
    """
    if not os.path.lexists(folder):
        return []
    return sorted(path for path in folder.iterdir() if not _is_marked(path))


def check_free_file(path: Path, force: bool) -> None:
    """Check that a file does not exist or may be replaced.

    Args:
        path: The file.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: It is a folder, it exists and ``force`` is not set, or its folder is missing.
    """
    with writable(path, "file"):
        if not os.path.lexists(path):
            path.parent.stat()
        elif path.is_dir():
            raise OutputError("This is a folder.", "Name a file in it.", path)
        elif not force:
            raise OutputError(
                "This file exists already.", "Choose another name, or add --force.", path
            )


def write_whole(path: Path, write: Callable[[Path], object], durable: bool = False) -> None:
    """Write a file atomically, in place of an existing one.

    Args:
        path: The file; its folder must exist.
        write: Writes the content to the path that it is given, which has another name. It may be
            called a second time.
        durable: Whether the file must also survive a power cut.

    Raises:
        OSError: It cannot be written; an existing file stays as it is.
    """
    if _write_unnamed(path, write, durable):
        return
    recover(path.parent)
    with _temporary(path.parent) as work:
        part = work / path.name
        write(part)
        if durable:
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
        part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8 with unchanged line ends.

    Args:
        path: The file; its folder must exist.
        text: Its content.

    Raises:
        OutputError: It cannot be written; an existing file stays as it is.
    """
    content = text.encode()
    with writable(path, "file"):
        write_whole(path, lambda part: part.write_bytes(content))


@contextmanager
def writable(place: Path, kind: str = "folder") -> Iterator[None]:
    """Turn an ``OSError`` of the block into an ``OutputError``.

    Args:
        place: The folder or file that is written.
        kind: ``folder`` or ``file``, for the message.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The {kind} cannot be written ({error.strerror or error}).",
            "Choose a writable place with room for it.",
            place,
        ) from error


def foreign_record(path: Path) -> OutputError:
    """The error for an invalid record of an earlier run."""
    return OutputError("This is no record of an earlier run.", RECORD_REMEDY, path)


def recover(folder: Path) -> None:
    """Restore files that killed runs half moved in a folder, and remove their temporary folders.

    Raises:
        OSError: The folder cannot be read or written.
        OutputError: An earlier file cannot be restored because another one is in its place.
    """
    for path in list(folder.glob(f"{_PREFIX}*")):
        with suppress(FileNotFoundError):  # its run has removed it meanwhile
            if _is_marked(path) or _is_begun(path):
                _recover(path, folder)


def _recover(work: Path, folder: Path) -> None:
    """Clear the temporary folder of a run up, unless the run is at work."""
    if not os.path.lexists(work / _MARK):
        work.rmdir()
        return
    mark = os.open(work / _MARK, os.O_RDWR)
    try:
        if _flock(mark) is True:
            _put_back(work, folder)
            _clear(work)
    finally:
        os.close(mark)


def _lock(folder: Path, made: list[Path]) -> tuple[int, tuple[int, int]] | None:
    """Lock a folder unless this thread holds it; gives its descriptor and its key in ``_held``."""
    while True:
        _make(folder, made)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if fcntl is None:
            return None
        place = os.open(folder, os.O_RDONLY)
        try:
            found = os.fstat(place)
            key = (found.st_dev, found.st_ino)
            mine = _held.get(key) == threading.get_ident()
            if not mine and _flock(place) is False:
                made.clear()
                raise OutputError(
                    "Another run of tvsl writes into this folder.",
                    "Wait until it ends, or choose another folder.",
                    folder,
                )
            # Another run may have removed it meanwhile: then it is created again.
            same = os.path.lexists(folder) and os.path.samestat(found, folder.stat())
        except BaseException:  # also at Ctrl-C: nothing is swallowed, the descriptor is closed
            os.close(place)
            raise
        if mine or not same:
            os.close(place)
        if mine:
            return None
        if same:
            _held[key] = threading.get_ident()
            return place, key


def _flock(file: int) -> bool | None:
    """Lock an open file: False if it is locked already, None where locks are not supported."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN) else None
    return True


def _make(folder: Path, made: list[Path]) -> None:
    """Create a folder and its parents, and add the created ones to a list."""
    missing = []
    place = folder
    while not place.is_dir():
        if os.path.lexists(place):
            place.stat()  # a link to nowhere, or to itself
            raise OutputError("This is a file, not a folder.", "Choose another place.", place)
        missing.append(place)
        place = place.parent
    for place in reversed(missing):
        with suppress(FileExistsError):  # another run was faster
            place.mkdir()
            made.append(place)


def _remove_empty(folders: list[Path]) -> None:
    for path in reversed(folders):
        with suppress(OSError):
            path.rmdir()


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A marked temporary folder in another one; removed afterwards, after undoing a half move."""
    with writable(folder):
        made = None
        while made is None:
            made = _make_temporary(folder)
    work, mark = made
    try:
        text = _MARK_TEXT.encode()
        with writable(folder):
            if os.write(mark, text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield work
    finally:
        try:
            with writable(folder):
                _put_back(work, folder)
                _clear(work)
        finally:
            os.close(mark)


def _make_temporary(folder: Path) -> tuple[Path, int] | None:
    """A temporary folder and its mark, open and locked.

    Returns:
        Path and descriptor; None where another run took it for that of a killed run, and removed
        it, before its mark was locked.
    """
    work = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    try:
        mark = os.open(work / _MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileNotFoundError:
        folder.stat()  # raises where the folder itself is gone
        return None
    except BaseException:  # also at Ctrl-C: an unmarked folder would stay for ever
        work.rmdir()
        raise
    if _flock(mark) is not False and os.fstat(mark).st_nlink:
        return work, mark
    os.close(mark)
    return None


def _is_begun(path: Path) -> bool:
    """Tell whether this temporary folder is empty, or has the beginning of a mark alone.

    A run is about to mark it, or was killed before it had; or while it removed it.
    """
    if not _MADE.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        return False
    mark, found = path / _MARK, list(path.iterdir())
    if found != [mark]:
        return not found
    text = _MARK_TEXT.encode()
    return mark.is_file() and not mark.is_symlink() and text.startswith(mark.read_bytes())


def _is_marked(path: Path) -> bool:
    """Tell whether this is a temporary folder of tvsl."""
    mark = path / _MARK
    if not path.name.startswith(_PREFIX) or path.is_symlink() or mark.is_symlink():
        return False
    return mark.is_file() and mark.stat().st_size == len(_MARK_TEXT.encode())


def _clear(work: Path) -> None:
    """Remove a temporary folder, its mark last."""
    for path in work.iterdir():
        if path.name == _MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (work / _MARK).unlink()
    work.rmdir()


def _move(work: Path, folder: Path, last: str, earlier: set[str]) -> None:
    """Move new files to their places, and earlier ones out of the way.

    As long as the journal exists, ``_put_back`` undoes the move.
    """
    files = [path for path in (work / _NEW).rglob("*") if not path.is_dir()]
    names = [path.relative_to(work / _NEW).as_posix() for path in files]
    new = sorted(names, key=lambda name: (name == last, name))
    check_places(folder, new, earlier)
    # The file that marks the others as complete goes first.
    old = sorted(_replaced(folder, earlier | set(new)), key=lambda name: (name != last, name))
    parents = _parents(new)
    journal = {
        "old": old,
        "new": {name: (work / _NEW / name).lstat().st_ino for name in new},
        "made": sorted(str(parent) for parent in parents if not (folder / parent).is_dir()),
    }
    part = work / f"{_JOURNAL}.part"
    part.write_text(json.dumps(journal), encoding="utf-8")
    part.replace(work / _JOURNAL)
    for name in old:
        _rename(folder / name, work / _OLD / name)
    for name in new:
        _rename(work / _NEW / name, folder / name)
    (work / _JOURNAL).unlink()  # from here on the new files count
    for place in sorted({(folder / name).parent for name in old} - {folder}, reverse=True):
        with suppress(OSError):  # it holds other files, or new ones
            place.rmdir()


def _parents(names: Iterable[str]) -> set[PurePosixPath]:
    return {parent for name in names for parent in PurePosixPath(name).parents}


def check_places(folder: Path, new: Sequence[str], earlier: Set[str]) -> None:
    """Check that the paths of new files are free or hold files of an earlier run.

    Args:
        folder: The folder.
        new: Names of the new files, relative to it.
        earlier: Names of the files that may be replaced.

    Raises:
        OutputError: Something else is at the path of a file or of its folder.
    """
    for parent in _parents(new):
        place = folder / parent
        if os.path.lexists(place) and not place.is_dir() and str(parent) not in earlier:
            raise OutputError("This file is in the way.", "Move it elsewhere.", place)
        if not is_inside(folder, place):
            raise OutputError("This link leads out of the folder.", "Move it elsewhere.", place)
    for name in new:
        target = folder / name
        if target.is_dir() and not target.is_symlink():
            raise OutputError("This folder is in the way.", "Move it elsewhere.", target)
        if os.path.lexists(target) and name not in earlier:
            raise OutputError(
                "This file is in the way, and no earlier run wrote it.",
                "Move it elsewhere.",
                target,
            )


def _replaced(folder: Path, names: Iterable[str]) -> list[str]:
    """Names of existing files inside the folder."""
    inside: dict[Path, bool] = {}
    found = []
    for name in names:
        path = folder / name
        if is_inner_name(name) and os.path.lexists(path):
            parent = path.parent
            if parent not in inside:
                inside[parent] = is_inside(folder, parent)
            if inside[parent] and (path.is_symlink() or not path.is_dir()):
                found.append(name)
    return found


def is_inside(folder: Path, place: Path) -> bool:
    """Tell whether a path is a folder or inside it, with all links resolved.

    Args:
        folder: The folder; neither must exist.
        place: The path.
    """
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))


def _rename(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def is_inner_name(name: object) -> bool:
    """Tell whether this is a relative path that stays inside its folder."""
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    path = PurePosixPath(name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts


def _put_back(work: Path, folder: Path) -> None:
    """Undo an unfinished move."""
    if not (work / _JOURNAL).exists():
        return
    journal = _read_journal(work / _JOURNAL)
    for name, inode in journal["new"].items():
        target = folder / name
        if os.path.lexists(target) and target.lstat().st_ino == inode:
            target.unlink()
    for name in reversed(journal["old"]):
        saved, target = work / _OLD / name, folder / name
        if not os.path.lexists(saved):
            continue
        if os.path.lexists(target):
            raise OutputError(
                f"This stands where an earlier file belongs, which is kept in {saved} now.",
                "Move one of the two elsewhere.",
                target,
            )
        _rename(saved, target)
    _remove_empty([folder / name for name in journal["made"]])
    (work / _JOURNAL).unlink()


def _read_journal(path: Path) -> dict[str, Any]:
    folder = path.parents[1]
    try:
        journal: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        names = [*journal["old"], *dict(journal["new"]), *journal["made"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        names = [None]
    if not all(is_inner_name(name) and is_inside(folder, (folder / name).parent) for name in names):
        raise OutputError(
            "This is no journal of a run that was broken off.", "Move its folder elsewhere.", path
        )
    return journal


def _write_unnamed(path: Path, write: Callable[[Path], object], durable: bool) -> bool:
    """Write a file without a name until it is complete; False if the system does not support it."""
    kind = getattr(os, "O_TMPFILE", None)
    if kind is None:
        return False
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        try:
            file = os.open(path.parent, kind | os.O_RDWR, 0o666)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                return False
            raise
        try:
            unnamed = Path(f"/proc/self/fd/{file}")
            if not unnamed.exists():
                return False
            write(unnamed)
            if durable:
                os.fsync(file)
            return _named(unnamed, folder, path)
        finally:
            os.close(file)
    finally:
        os.close(folder)


def _named(unnamed: Path, folder: int, path: Path) -> bool:
    """Name an unnamed file, in place of an existing one; False if the system cannot."""
    try:
        try:
            os.link(unnamed, path.name, dst_dir_fd=folder)
        except FileExistsError:
            with _temporary(path.parent) as work:  # cleared up after a kill
                part = f"{work.name}/{path.name}"
                os.link(unnamed, part, dst_dir_fd=folder)
                os.replace(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True
