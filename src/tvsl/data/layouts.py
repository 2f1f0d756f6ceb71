"""Layouts of data sets: the paths of the picture and the sound of each id."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tvsl.errors import DataError, MissingFileError, shown
from tvsl.media.limits import check_file

FRAME_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
SOUND_SUFFIXES: Final = (
    ".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".mkv", ".webm",
)  # fmt: skip

# An absolute path begins with an empty part.
_OUTSIDE: Final = frozenset({"", ".", ".."})
_AT_ONCE: Final = 1 << 20

CandidatePaths = Callable[[str], Sequence[str]]
"""Gives the possible paths of an id's file under the root, without suffix, the likeliest first."""


@dataclass(frozen=True)
class MediaLayout:
    """Layout of pictures and sounds in folders.

    Attributes:
        title: Its description, for messages.
        folders: Folders that must exist.
        frame: Possible paths of an id's picture.
        sound: Possible paths of an id's sound.
    """

    title: str
    folders: tuple[str, ...]
    frame: CandidatePaths
    sound: CandidatePaths


PLAIN: Final = MediaLayout(
    "frames/ID.jpg, audio/ID.wav",
    ("frames", "audio"),
    lambda name: (f"frames/{name}",),
    lambda name: (f"audio/{name}",),
)
"""LVS, EZ-VSL, SLAVC, AVGN, T-VSL."""


def find_layout(root: Path, layouts: Sequence[MediaLayout]) -> MediaLayout:
    """Find the first layout whose folders exist.

    Args:
        root: The data set's folder.
        layouts: Possible layouts.

    Raises:
        DataError: There is no such folder, or none of the layouts in it.
    """
    require_root(root)
    for layout in layouts:
        if all((root / folder).is_dir() for folder in layout.folders):
            return layout
    known = "; or ".join(layout.title for layout in layouts)
    raise DataError(
        "The folder holds this data set in no layout that is known.",
        f"Lay its files out so: {known}.",
        root,
    )


def require_root(root: Path) -> None:
    """Check that the folder of a data set exists.

    Raises:
        DataError: There is no such folder.
    """
    if not root.is_dir():
        raise DataError("There is no such folder.", "Check the root of the data set.", root)


class Folders:
    """Finder of files by names without suffix; each folder is listed once.

    Args:
        root: Folder that the names are relative to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[tuple[str, tuple[str, ...]], tuple[Path, dict[str, str]]] = {}

    def find(self, names: Sequence[str], suffixes: tuple[str, ...]) -> Path:
        """Find the first of some files that exists.

        Args:
            names: Paths without suffix.
            suffixes: Allowed suffixes in lower case, the preferred one first; any suffix when
                empty.

        Returns:
            Its path; if none exists, the expected path of the first.

        Raises:
            DataError: A name leads out of the root.
        """
        for name in names:
            folder, _, stem = name.rpartition("/")
            place, files = self._list(folder, suffixes)
            if stem in files:
                return place / files[stem]
        return inside(self._root, names[0], suffixes[0] if suffixes else "")

    def _list(self, folder: str, suffixes: tuple[str, ...]) -> tuple[Path, dict[str, str]]:
        key = (folder, suffixes)
        if key not in self._listed:
            place = inside(self._root, folder) if folder else self._root
            self._listed[key] = place, _files_by_stem(place, suffixes)
        return self._listed[key]


def inside(root: Path, name: str, suffix: str = "") -> Path:
    """Path of a file under a root, by a name from a list.

    Args:
        root: The folder.
        name: The name, perhaps with folders.
        suffix: Suffix to add.

    Returns:
        ``root/name`` with the suffix.

    Raises:
        DataError: The name leads out of the root.
    """
    fault = name_fault(name)
    if fault is not None:
        raise DataError(f"The name {shown(name)} in a list {fault}.", "Correct the list.", root)
    return root / f"{name}{suffix}"


def name_fault(name: str) -> str | None:
    """Fault of a name of a file in the data set's folder, as a clause; None without."""
    if name[1:2] == ":":
        return "begins with a drive of Windows: write it relative to the data set's folder"
    if "\\" in name:
        better = shown(name.replace("\\", "/"))
        return f"has backslashes, as on Windows: write it with slashes, {better}"
    if any(mark == "\0" or "\ud800" <= mark <= "\udfff" for mark in name):
        return "has characters that no file's name has"
    if name.startswith("./"):
        return f"begins with './': write {shown(name[2:])}"
    if not _OUTSIDE.isdisjoint(name.split("/")):
        return "leads out of the data set's folder: names are relative to it, without '..' and '//'"
    return None


def require_present(paths: Iterable[Path], files: str, name: str) -> None:
    """Check that the files to train on exist.

    Args:
        paths: The files.
        files: Number and kind of the files among which some may be missing, for the message.
        name: Name of the data set.

    Raises:
        MissingFileError: Some are missing; it names the first.
    """
    missing = absent(paths)
    if missing:
        raise MissingFileError(
            f"{len(missing)} files of {files} are missing.",
            f"Run `tvsl data check {name} ROOT --option split=train -o FILE` and "
            "give --option leave_out=FILE.",
            min(missing),
        )


def digest_of(*paths: Path) -> str:
    """SHA-256 of the content of files, one after the other, in hexadecimal.

    Raises:
        MediaError: A file is missing or too large, or it cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with check_file(path).open("rb") as stream:
                while part := stream.read(_AT_ONCE):
                    digest.update(part)
        except OSError as error:
            raise MissingFileError(
                f"The file cannot be read ({error.strerror}).", "Check the data set's root.", path
            ) from error
    return digest.hexdigest()


def absent(paths: Iterable[Path]) -> set[Path]:
    """Find the missing ones among some files; each folder is listed once."""
    wanted: dict[Path, set[str]] = {}
    for path in paths:
        wanted.setdefault(path.parent, set()).add(path.name)
    return {
        folder / name for folder, names in wanted.items() for name in names - _file_names(folder)
    }


def _file_names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise DataError(
            f"The folder cannot be listed ({error.strerror}).", "Check who may read it.", folder
        ) from error


def _files_by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Names of files by their stems; of several files, the one with the preferred suffix."""
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found: dict[str, tuple[int, str]] = {}
    for name in _file_names(folder):
        stem, dot, suffix = name.rpartition(".")
        rank = ranks.get(dot + suffix.lower()) if suffixes else 0
        if stem and rank is not None:
            found[stem] = min((rank, name), found.get(stem, (rank, name)))
    return {stem: name for stem, (_, name) in found.items()}
