"""Lists of ids in all forms that people and public data sets use.

One clip has many names: VGGSound's list has a video and its start, its files are named by the
start in six digits (``VIDEO_000030``) or not (``VIDEO_30``), AudioSet adds the end
(``VIDEO_30_40``, ``VIDEO_30.000_40.000``), others count in milliseconds (``VIDEO_30000_40000``).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

from tvsl.errors import TvslError, shown
from tvsl.utils.files import LARGEST_LIST, read_small_text, unguarded

_REMEDY: Final = "Give a CSV, text or JSON file whose first column is the id."
_HEADERS: Final = frozenset(
    {"id", "ids", "video", "videos", "video_id", "videoid", "youtube_id", "ytid", "yt_id", "vid"}
    | {"file", "files", "filename", "file_name", "name", "clip", "clip_id", "segment_id", "key"}
    | {"audio", "frame", "image", "path", "sample"}
)
_TIMES: Final = (
    ("start", "start_seconds", "start_time", "start_time_seconds", "start_sec"),
    ("end", "end_seconds", "end_time", "end_time_seconds", "end_sec"),
)
VIDEO_SUFFIXES: Final = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".ts"}
    | {".m2ts", ".mts", ".3gp", ".ogv"}
)
_SUFFIXES: Final = VIDEO_SUFFIXES | {
    *(".jpg", ".jpeg", ".png", ".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac")
}
_SECONDS: Final = r"[0-9]{1,9}(?:\.[0-9]{1,6})?"
_NUMBER: Final = re.compile(_SECONDS)
_VIDEO: Final = re.compile(r"Y?([A-Za-z0-9_-]{11})")
# DCASE puts a Y before the ids of AudioSet.
_CLIP: Final = tuple(
    re.compile(rf"{before}([A-Za-z0-9_-]{{11}})_({_SECONDS})(?:_({_SECONDS}))?")
    for before in ("", "Y")
)
_WHOLE_CLIP: Final = re.compile(r"[A-Za-z0-9_-]{11}_[0-9]{6}")
# The pictures of MUSIC: second and number of a picture, not start and end.
_PICTURE: Final = re.compile(r".{11}_[0-9]{3}_[0-9]{5}")
_LONGEST_CLIP: Final = 60
"""Maximum seconds of a clip; a larger difference of two numbers means milliseconds."""


@dataclass(frozen=True)
class ListedId:
    """An id of a list.

    Attributes:
        text: The id, for messages.
        names: Its possible names, the most specific first.
        optional: Whether it may be a comment or a column name: then it is an id only if something
            has exactly this name.
    """

    text: str
    names: tuple[str, ...]
    optional: bool = False


class NameIndex:
    """Index of existing names, searched by any form that lists use.

    Args:
        names: The names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = dict.fromkeys(names)
        self._by_form: dict[str, list[str]] = {}
        for name in self._exact:
            self._by_form.setdefault(next(_forms(name)), []).append(name)

    def find(self, listed: ListedId) -> str | None:
        """Find the name of a listed id; None if there is none, or if several match equally."""
        exact = next((name for name in listed.names if name in self._exact), None)
        if exact is not None or listed.optional:
            return exact
        for name in listed.names:
            for form in _forms(name):
                found = self._by_form.get(form, [])
                if len(found) == 1:
                    return found[0]
        return None

    @property
    def example(self) -> str | None:
        """One of the names."""
        return next(iter(self._exact), None)


def read_id_list(path: Path, error: type[TvslError]) -> tuple[ListedId, ...]:
    """Read the ids of a list.

    Args:
        path: A JSON file (ids, rows, or objects with an id) where its name ends in ``.json``, else
            text in UTF-8 with any line ends: the first cell of each line, cells being separated by
            tabs, commas or semicolons, in quotes or not. Lines that begin with ``#`` are comments.
        error: Type of the errors.

    Returns:
        The ids in their order, each once; empty for an empty list.

    Raises:
        TvslError: Of the type ``error``: the file cannot be read, or is no such list.
    """
    text = read_small_text(path, LARGEST_LIST, error, _REMEDY)
    try:
        ids = _json_ids(text) if path.suffix.lower() == ".json" else _text_ids(text)
        found: dict[str, ListedId] = {}
        for one in ids:
            found.setdefault(one.text, one)
        return tuple(found.values())
    except (ValueError, TypeError, csv.Error, RecursionError) as reason:
        raise error(f"The list cannot be understood ({reason}).", _REMEDY, path) from reason


def plain_name(name: str) -> str:
    """Strip folders and a media suffix from an id, in composed Unicode."""
    return _without_ending(name).rpartition("/")[2]


def clip_name(name: str) -> str:
    """Convert a clip's name to the form of VGGSound's benchmarks: ``VIDEO_000030``.

    Returns:
        The name. Clips that do not start at a whole second, and names of other forms, only lose
        their suffix; a name with folders stays unchanged.
    """
    if "/" in name or "\\" in name:
        return name
    plain = plain_name(name)
    found = _clip(plain)
    if found is None or found[1] % 1000:
        return plain
    return f"{found[0]}_{found[1] // 1000:06d}"


def video_of(name: str) -> str | None:
    """The video of a clip in the form of ``clip_name``; None for other names."""
    return name[:11] if _WHOLE_CLIP.fullmatch(name) else None


def is_column_name(cell: str) -> bool:
    """Tell whether the first cell of a list is a column name."""
    return re.sub(r"\W+", "_", cell.strip().lower()).strip("_") in _HEADERS


def _forms(name: str) -> Iterator[str]:
    """The normal form of a name, then further possible forms."""
    plain = plain_name(name)
    clip = _clip(plain)
    if clip is not None:
        video, start = clip
        yield f"{video} {start}"
        if start % 1_000_000 == 0 and "_" not in plain[12:]:  # one number: perhaps milliseconds
            yield f"{video} {start // 1000}"
    if "/" in name:
        yield _without_ending(name).replace("/", "__")  # as `tvsl prepare` names clips in folders
    yield plain


def _without_ending(name: str) -> str:
    text = normalize("NFC", name.strip()).replace("\\", "/")
    stem, dot, ending = text.rpartition(".")
    return stem if stem and dot + ending.lower() in _SUFFIXES else text


def _clip(plain: str) -> tuple[str, int] | None:
    """Video and start in milliseconds of a YouTube clip; None for other names."""
    if _PICTURE.fullmatch(plain):
        return None
    found = next((match for one in _CLIP if (match := one.fullmatch(plain))), None)
    if found is None:
        return None
    start = Decimal(found[2])
    end = None if found[3] is None else Decimal(found[3])
    in_seconds = end is None or end - start <= _LONGEST_CLIP
    return found[1], int(start * 1000 if in_seconds else start)


def _text_ids(text: str) -> Iterator[ListedId]:
    begun = False
    for line in re.split(r"\r\n|\r|\n", text):
        whole = line.split("\t")[0].strip()
        if line.lstrip().startswith("#"):
            yield ListedId(whole, (whole,), optional=True)
            continue
        cells = _cells(line)
        if cells and cells[0]:
            yield _listed(cells, whole, optional=not begun and is_column_name(cells[0]))
            begun = True


def _cells(line: str) -> list[str]:
    delimiter = next((mark for mark in "\t,;" if mark in line), ",")
    rows = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    return [unguarded(cell.strip()) for row in rows for cell in row]


def _listed(cells: Sequence[str], whole: str = "", optional: bool = False) -> ListedId:
    first, *others = cells
    names = [first, whole or first]
    if _VIDEO.fullmatch(first) and others and _NUMBER.fullmatch(others[0]):
        numbers = others[: 2 if len(others) > 1 and _NUMBER.fullmatch(others[1]) else 1]
        names.insert(0, "_".join([first, *numbers]))
    return ListedId(first if optional else names[0], tuple(dict.fromkeys(names)), optional)


def _json_ids(text: str) -> Iterator[ListedId]:
    content = json.loads(text)
    if not isinstance(content, list):
        raise TypeError("no list of entries")
    for entry in content:
        cells = [cell.strip() for cell in _json_cells(entry)]
        if cells[0]:
            yield _listed(cells)


def _json_cells(entry: Any) -> list[str]:
    """The id of an entry, then its start and end if given."""
    if isinstance(entry, dict):
        named = {str(key).strip().lower(): value for key, value in entry.items()}
        first = next((value for key, value in named.items() if is_column_name(key)), None)
        times = (next((named[key] for key in keys if key in named), None) for keys in _TIMES)
        entry = [next(iter(named.values()), None) if first is None else first, *times]
    cells = entry if isinstance(entry, list) and entry else [entry]
    if not isinstance(cells[0], str):
        raise TypeError(f"an entry begins with {shown(cells[0])}, not with an id")
    plain = (cell for cell in cells[1:] if isinstance(cell, str | int | float))
    return [cells[0], *(str(cell) for cell in plain)]
