"""Names of raw videos, of the clips made of them, and of their files.

The names of the results are those that the benchmarks' lists use: VGGSound's clips are the 11
characters of the video and its start in six digits; MUSIC's videos are their 11 characters.

A name is the video's id, the second and the number of the picture in the video. Of each second
there are four: in a video of R pictures per second, R rounded, those numbered R s + k (R // 4)
for k from 0 to 3. The rule is read off the lists of AVGN: 353 of their 355 videos hold to it, and
two of few pictures per second count them without rounding R.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias
from unicodedata import category

from tvsl.errors import MediaError
from tvsl.utils.atomic import replacing, writable

Moment: TypeAlias = float | Literal["middle"]
Window: TypeAlias = float | Literal["whole"]

_YOUTUBE = "[A-Za-z0-9_-]{11}"
_VGGSOUND = re.compile(rf"({_YOUTUBE})_([0-9]{{1,6}})")
_ACAV = re.compile(rf"({_YOUTUBE})_([0-9]{{1,9}})_([0-9]{{1,9}})")
_MUSIC = re.compile(_YOUTUBE)
_FOLDERS_JOINED_BY = "__"
# With ".jpg" and what is added while a file is written, still a name for any file system.
_LONGEST_NAME = 200


@dataclass(frozen=True)
class VideoLayout:
    """A way to name the videos of a folder.

    Attributes:
        pattern: Form of the names, for messages.
        identify: Gives the id of a video's clip by the video's path inside the folder, or None
            where the name does not fit.
        at: Default moment of the picture; None where pictures of every second are taken.
        window: Default window of sound around it.
    """

    pattern: str
    identify: Callable[[PurePosixPath], str | None]
    at: Moment | None
    window: Window


def _vggsound(path: PurePosixPath) -> str | None:
    found = _VGGSOUND.fullmatch(path.stem)
    return None if found is None else f"{found[1]}_{int(found[2]):06d}"


def _acav(path: PurePosixPath) -> str | None:
    found = _ACAV.fullmatch(path.stem)
    if found is None:
        return None
    seconds, rest = divmod(int(found[2]), 1000)
    # A start between two seconds has no name in VGGSound's way; rounding it could join two clips.
    return path.stem if rest else f"{found[1]}_{seconds:06d}"


def _music(path: PurePosixPath) -> str | None:
    return path.stem if _MUSIC.fullmatch(path.stem) else None


def _folder(path: PurePosixPath) -> str:
    return _FOLDERS_JOINED_BY.join(path.with_suffix("").parts)


VIDEO_LAYOUTS: Mapping[str, VideoLayout] = {
    "vggsound": VideoLayout("<11 characters>_<start in seconds>.mp4", _vggsound, "middle", "whole"),
    "acav": VideoLayout("<11 characters>_<start in ms>_<end in ms>.mp4", _acav, "middle", "whole"),
    "music": VideoLayout("<11 characters>.mp4, in any folders", _music, None, "whole"),
    "folder": VideoLayout("any name, in any folders", _folder, "middle", 10.0),
}


def is_file_name(name: str) -> bool:
    """Tell whether a name is that of a file directly inside a folder.

    Empty and too long names, separators, control characters and half characters are not.
    """
    if any(mark in "/\\" or category(mark) in ("Cc", "Cs") for mark in name):
        return False
    return 0 < len(name.encode()) <= _LONGEST_NAME


FRAMES, AUDIO = "frames", "audio"


def clip_exists(root: Path, clip: str, pictures: Iterable[str]) -> bool:
    """Tell whether all files of a clip exist; each was complete when it was moved there.

    Args:
        root: The prepared folder.
        clip: Id of the clip.
        pictures: Names of its pictures.
    """
    return all(path.is_file() for path in _paths(root, clip, pictures))


def remove_clip(root: Path, clip: str, pictures: Iterable[str]) -> None:
    """Remove the existing files of a clip.

    Args:
        root: The prepared folder.
        clip: Id of the clip.
        pictures: Names of its pictures.

    Raises:
        OutputError: A file cannot be removed.
    """
    if not all(is_file_name(name) for name in (clip, *pictures)):
        return  # a record that tvsl did not write must not lead to files elsewhere
    with writable(root):
        for path in _paths(root, clip, pictures):
            path.unlink(missing_ok=True)


@contextmanager
def replacing_clip(root: Path, clip: str, pictures: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Folders to write a clip into; its files are moved to their places when all are complete.

    Pictures and sounds may lie on different disks. A kill between the two leaves the record of the
    earlier clip, so that it is made again.

    Args:
        root: The prepared folder, with ``frames`` and ``audio``.
        clip: The clip's id, already checked.
        pictures: Names of its new pictures and of its existing ones.

    Yields:
        Folders for the pictures and for the sound; they are removed afterwards in every case.

    Raises:
        OutputError: A file cannot be written; all is as it was.
    """
    # A record that tvsl did not write must not lead to files elsewhere.
    old = [f"{name}.jpg" for name in pictures if is_file_name(name)]
    with replacing(root / FRAMES, old) as frames, replacing(root / AUDIO, [f"{clip}.wav"]) as audio:
        yield frames, audio


def _paths(root: Path, clip: str, pictures: Iterable[str]) -> list[Path]:
    frames = (root / FRAMES / f"{name}.jpg" for name in pictures)
    return [root / AUDIO / f"{clip}.wav", *frames]


_PER_SECOND = 4
# The names have room for three and five digits.
_MOST_SECONDS = 1000
_MOST_PICTURES = 100_000
_SHORT_NAME = re.compile(r"(.{11,})_([0-9]{1,3})_([0-9]{1,5})")
_NAME = re.compile(r"(.+)_([0-9]{3})_([0-9]{5})")


def full_name(name: str) -> str | None:
    """A picture's name with all its digits; None where it is not the name of a picture."""
    found = _SHORT_NAME.fullmatch(name)
    return None if found is None else f"{found[1]}_{int(found[2]):03d}_{int(found[3]):05d}"


def split_name(name: str) -> tuple[str, int, int] | None:
    """A picture's video, second and number; None where it is not the name of a picture."""
    found = _NAME.fullmatch(name)
    return None if found is None else (found[1], int(found[2]), int(found[3]))


def every_second(video: str, duration: float, rate: float) -> dict[str, float]:
    """Pictures of every second of a video, as they are taken without a list.

    Args:
        video: The video's id.
        duration: Its length in seconds.
        rate: Its pictures per second.

    Returns:
        The moment of each picture in seconds by its name, in their order; names have room for the
        first 1000 seconds.
    """
    whole = max(1, round(rate))
    step = max(1, whole // _PER_SECOND)
    moments: dict[str, float] = {}
    for second in range(_MOST_SECONDS):
        for number in range(second * whole, (second + 1) * whole, step)[:_PER_SECOND]:
            if number / rate >= duration or number >= _MOST_PICTURES:
                return moments
            moments[f"{video}_{second:03d}_{number:05d}"] = number / rate
    return moments


def listed_pictures(names: Iterable[str], rate: float) -> dict[str, float]:
    """The moments of pictures that a list names.

    Args:
        names: Names of pictures of one video.
        rate: The video's pictures per second.

    Raises:
        MediaError: Numbers and seconds do not agree at this rate: the list is for another version
            of the video.
    """
    whole = max(1, round(rate))
    moments: dict[str, float] = {}
    for name in names:
        parts = split_name(name)
        if parts is None or parts[1] not in (parts[2] // whole, int(parts[2] / rate)):
            raise MediaError(
                f"The list's '{name}' cannot be found at {rate:.2f} pictures per second.",
                "Get the version of the video that the list was made for.",
            )
        moments[name] = parts[2] / rate
    return dict(sorted(moments.items(), key=lambda item: item[1]))
