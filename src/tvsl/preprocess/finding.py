"""Search a folder for videos and name their clips; videos that get no name are reported."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tvsl.errors import MediaError, MissingFileError, UnreadableMediaError, shown
from tvsl.preprocess.layouts import VIDEO_LAYOUTS, full_name, is_file_name, split_name
from tvsl.preprocess.options import Failure, describe_error
from tvsl.utils.id_lists import VIDEO_SUFFIXES, ListedId, NameIndex, plain_name, read_id_list

_REMEDY = "Give a CSV, text or JSON file whose first column is the id."


def read_list(path: Path) -> tuple[ListedId, ...]:
    """Read the ids of a list.

    Returns:
        The ids in their order, each once; at least one.

    Raises:
        MissingFileError: There is no such list.
        MediaError: The file cannot be read, is too large, or holds no ids.
    """
    if not path.is_file():
        raise MissingFileError("There is no such list.", _REMEDY, path)
    ids = read_id_list(path, MediaError)
    if all(one.optional for one in ids):
        raise MediaError("The list holds no ids.", _REMEDY, path)
    return ids


@dataclass(frozen=True)
class Video:
    """A video to make a clip of.

    Attributes:
        id: The clip's id.
        source: The video's path inside the folder, with slashes.
        size: Its size in bytes.
        pictures: Names of the pictures that a list asks for; empty for all.
        earlier: Names of the pictures that an earlier run made for the clip, if there is one.
    """

    id: str
    source: str
    size: int
    pictures: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundVideos:
    """The wanted videos of a folder.

    Attributes:
        videos: Videos that can become clips, in the order of their paths.
        unnamed: Videos whose names allow no clip.
        listed: Number of ids in the list; 0 without a list.
        missing: Listed ids without a video, in the order of the list.
        example: Id of a video of the folder, to show beside a missing one.
    """

    videos: tuple[Video, ...]
    unnamed: tuple[Failure, ...]
    listed: int = 0
    missing: tuple[str, ...] = ()
    example: str | None = None


def find_videos(
    folder: Path, layout: str, listed: Sequence[ListedId | str] | None = None
) -> FoundVideos:
    """Find the videos of a folder and of the folders in it; hidden files are left alone.

    Args:
        folder: The folder; links in it are followed.
        layout: A name of ``VIDEO_LAYOUTS``.
        listed: The ids that are wanted, in any form in which lists write them; all when None. For
            pictures of every second they are names of pictures, or of videos for all of their
            pictures.

    Raises:
        MissingFileError: There is no such folder, or no wanted video in it.
        UnreadableMediaError: A folder cannot be read.
    """
    if not folder.is_dir():
        raise MissingFileError("There is no such folder.", "Give the folder of the videos.", folder)
    own = VIDEO_LAYOUTS[layout]
    by_id: dict[str, list[str]] = defaultdict(list)
    unnamed: list[Failure] = []
    for source in sorted(_walk(folder)):
        name = own.identify(PurePosixPath(source))
        if name is not None:
            by_id[name].append(source)
        elif listed is None:
            misfit = MediaError(
                f"The name is not {own.pattern}.", "Rename the file or choose another layout."
            )
            unnamed.append(_failure(None, folder, source, misfit))
    example = next(iter(by_id), None)
    wanted: dict[str, tuple[str, ...]] = {}
    count, missing = 0, tuple[str, ...]()
    if listed is not None:
        wanted, count, missing = _wanted(listed, by_id, own.at is None)
        by_id = {name: sources for name, sources in by_id.items() if name in wanted}
    if not by_id and not unnamed:
        raise _no_video_error(folder, missing, example)
    videos, wrong = _split_by_name(folder, by_id, wanted)
    return FoundVideos(videos, (*unnamed, *wrong), count, missing, example)


def _wanted(
    listed: Sequence[ListedId | str], here: Iterable[str], series: bool
) -> tuple[dict[str, tuple[str, ...]], int, tuple[str, ...]]:
    """The listed videos with their pictures, the number of ids, and the missing ids.

    An id of a whole video adds no picture.
    """
    names = NameIndex(here)
    wanted: dict[str, tuple[str, ...]] = {}
    missing: list[str] = []
    count = 0
    for one in (ListedId(one, (one,)) if isinstance(one, str) else one for one in listed):
        picture = full_name(plain_name(one.text)) if series else None
        parts = None if picture is None else split_name(picture)
        found = names.find(one if parts is None else ListedId(parts[0], (parts[0],)))
        count += found is not None or not one.optional
        if found is not None:
            wanted[found] = (*wanted.get(found, ()), *([] if picture is None else [picture]))
        elif not one.optional:
            missing.append(one.text)
    return wanted, count, tuple(missing)


def _no_video_error(folder: Path, missing: Sequence[str], example: str | None) -> MissingFileError:
    problem, remedy = "No video is in this folder.", "Check folder and layout."
    if missing:
        beside = "" if example is None else f", a video here {shown(example)}"
        problem = f"No listed video is in this folder: the list has {shown(missing[0])}{beside}."
        remedy = "Check folder, layout and list."
    return MissingFileError(
        problem, f"{remedy} Videos end in {' '.join(sorted(VIDEO_SUFFIXES))}.", folder
    )


def _walk(folder: Path) -> Iterator[str]:
    """Paths of all videos inside a folder; a folder is visited once, whatever links there are."""

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
    """Bytes of a file; 0 where there is none: reading it reports that later."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _split_by_name(
    folder: Path, by_id: Mapping[str, Sequence[str]], wanted: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Video, ...], tuple[Failure, ...]]:
    """Videos that can become clips, and those whose names do not allow it."""
    videos, wrong = [], []
    for name, sources in by_id.items():
        for source in sources:
            error = _name_error(name, [other for other in sources if other != source])
            if error is None:
                size = _size(folder / source)
                videos.append(Video(name, source, size, wanted.get(name, ())))
            else:
                wrong.append(_failure(name, folder, source, error))
    return tuple(videos), tuple(wrong)


def _failure(name: str | None, folder: Path, source: str, error: MediaError) -> Failure:
    return Failure(name, source, _size(folder / source), *describe_error(error))


def _name_error(name: str, others: Sequence[str]) -> MediaError | None:
    """The error of a name that no clip can have; None for a usable name."""
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
