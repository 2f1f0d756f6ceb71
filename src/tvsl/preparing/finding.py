"""Find the videos of a folder and name their clips; what cannot be named is told, not skipped."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tvsl.errors import MediaError, MissingFileError, UnreadableMediaError
from tvsl.preparing.layouts import LAYOUTS, is_file_name
from tvsl.preparing.series import split_name

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".ts"}
    | {".m2ts", ".mts", ".3gp", ".ogv"}
)


@dataclass(frozen=True)
class Video:
    """A video that shall become a clip.

    Attributes:
        id: The clip's id.
        source: The video's path inside the folder, with slashes.
        size: Its size in bytes.
        pictures: Names of the pictures that a list asks for; empty for all.
    """

    id: str
    source: str
    size: int
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unnamed:
    """A video that can become no clip, because of its name.

    Attributes:
        id: The id that it would have; None where its name does not fit the layout.
        source: As for ``Video``.
        size: As for ``Video``.
        error: Why.
    """

    id: str | None
    source: str
    size: int
    error: MediaError


@dataclass(frozen=True)
class Found:
    """What is in a folder, as far as it is wanted.

    Attributes:
        videos: What can become clips, in the order of their paths.
        unnamed: What cannot.
        missing: Listed ids without a video, in the order of the list.
    """

    videos: tuple[Video, ...]
    unnamed: tuple[Unnamed, ...]
    missing: tuple[str, ...] = ()


def find_videos(folder: Path, layout: str, listed: Sequence[str] | None = None) -> Found:
    """Find the videos of a folder and of the folders in it; hidden files are left alone.

    Args:
        folder: The folder; links in it are followed.
        layout: A name of ``LAYOUTS``.
        listed: The ids that are wanted; all when None. For pictures of every second they are names
            of pictures, or of videos for all of their pictures.

    Returns:
        What was found.

    Raises:
        MissingFileError: There is no such folder, or nothing that is wanted in it.
        UnreadableMediaError: A folder cannot be read.
    """
    if not folder.is_dir():
        raise MissingFileError("There is no such folder.", "Give the folder of the videos.", folder)
    own = LAYOUTS[layout]
    wanted = None if listed is None else _wanted(listed, own.at is None)
    by_id: dict[str, list[str]] = defaultdict(list)
    unnamed: list[Unnamed] = []
    for source in sorted(_walk(folder)):
        name = own.identify(PurePosixPath(source))
        if name is not None and (wanted is None or name in wanted):
            by_id[name].append(source)
        elif name is None and wanted is None:
            unnamed.append(Unnamed(None, source, _size(folder / source), _misfit(own.pattern)))
    if not by_id and not unnamed:
        raise MissingFileError(
            f"{'No video' if listed is None else 'No listed video'} is in this folder.",
            f"Check folder, layout and list. Videos end in {' '.join(sorted(VIDEO_SUFFIXES))}.",
            folder,
        )
    return _sorted_out(folder, by_id, unnamed, wanted or {})


def _wanted(listed: Sequence[str], series: bool) -> dict[str, list[str]]:
    """The listed ids by their video; an id of a whole video stands for no picture of its own."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for name in listed:
        parts = split_name(name) if series else None
        wanted[name if parts is None else parts[0]] += [] if parts is None else [name]
    return wanted


def _walk(folder: Path) -> Iterator[str]:
    """Paths of all videos inside a folder; a link that leads back up is not followed again."""

    def refuse(error: OSError) -> None:
        raise UnreadableMediaError(
            f"A folder cannot be read ({error.strerror}).", "Check who may read it.", error.filename
        )

    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in files:
            path = Path(place, name)
            if path.suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                yield path.relative_to(folder).as_posix()


def _size(path: Path) -> int:
    """Bytes of a file; 0 where there is none, as reading it will tell."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sorted_out(
    folder: Path,
    by_id: dict[str, list[str]],
    unnamed: list[Unnamed],
    wanted: dict[str, list[str]],
) -> Found:
    videos = []
    for name, sources in by_id.items():
        for source in sources:
            size = _size(folder / source)
            error = _problem(name, [other for other in sources if other != source])
            if error is None:
                videos.append(Video(name, source, size, tuple(wanted.get(name, ()))))
            else:
                unnamed.append(Unnamed(name, source, size, error))
    missing = [
        name for video, names in wanted.items() if video not in by_id for name in names or [video]
    ]
    return Found(tuple(videos), tuple(unnamed), tuple(missing))


def _misfit(pattern: str) -> MediaError:
    return MediaError(f"The name is not {pattern}.", "Rename the file or choose another layout.")


def _problem(name: str, others: Sequence[str]) -> MediaError | None:
    """Why a video can become no clip of this name; None where it can."""
    if not is_file_name(name):
        return MediaError(
            "The name is too long or holds characters that file names should not have.",
            "Rename the file.",
        )
    if others:
        return MediaError(
            f"Another video has the same id {name}: {others[0]}.",
            "Keep one of them, or prepare them into folders of their own.",
        )
    return None
