"""How folders of raw videos are named, and what the clips are called that come of them.

The names of the results are those that the benchmarks' lists use: VGGSound's clips are the 11
characters of the video and its start in six digits; MUSIC's videos are their 11 characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias
from unicodedata import category

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
class Layout:
    """One way to name videos.

    Attributes:
        pattern: How they are named, for messages.
        identify: Gives the id of a video's clip by the video's path inside the folder, or None
            where the name does not fit.
        at: The moment of the picture unless told otherwise; None where pictures of every second
            are taken.
        window: The sound around it unless told otherwise.
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


LAYOUTS: Mapping[str, Layout] = {
    "vggsound": Layout("<11 characters>_<start in seconds>.mp4", _vggsound, "middle", "whole"),
    "acav": Layout("<11 characters>_<start in ms>_<end in ms>.mp4", _acav, "middle", "whole"),
    "music": Layout("<11 characters>.mp4, in any folders", _music, None, "whole"),
    "folder": Layout("any name, in any folders", _folder, "middle", 10.0),
}


def is_file_name(name: str) -> bool:
    """Whether a name can be that of a file in a folder, and of nothing outside of it.

    Args:
        name: An id, which comes from the name of a video or from a list.

    Returns:
        False for what is empty or too long, or holds separators, control characters or no text.
    """
    if any(mark in "/\\" or category(mark) in ("Cc", "Cs") for mark in name):
        return False
    return 0 < len(name.encode()) <= _LONGEST_NAME
