"""Lists of ids, as benchmarks publish them: CSV, plain text or JSON, the id first in each row."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tvsl.errors import MediaError, MissingFileError
from tvsl.small_files import LARGEST_LIST, read_small_text

# Heads of the first column, where a list has heads.
_HEADS = frozenset({"id", "video", "video_id", "file", "name", "ytid", "clip"})
_REMEDY = "Give a CSV, text or JSON file whose first column is the id."


def read_list(path: Path) -> tuple[str, ...]:
    """Read the ids of a list.

    Args:
        path: A JSON file (ids, rows, or objects whose first value is the id) where its name ends in
            ``.json``, else text: the first column of each line, in UTF-8, with any line ends.

    Returns:
        The ids in their order, each once.

    Raises:
        MissingFileError: There is no such file.
        MediaError: The file cannot be read, is too large, or holds no ids.
    """
    if not path.is_file():
        raise MissingFileError("There is no such list.", _REMEDY, path)
    text = read_small_text(path, LARGEST_LIST, MediaError, _REMEDY)
    try:
        cells = _json_cells(text) if path.suffix.lower() == ".json" else _text_cells(text)
    except (ValueError, TypeError, csv.Error, RecursionError) as error:  # no UTF-8, no JSON
        raise MediaError(f"The list cannot be understood ({error}).", _REMEDY, path) from error
    ids = tuple(dict.fromkeys(cell for cell in cells if cell))
    if not ids:
        raise MediaError("The list holds no ids.", _REMEDY, path)
    return ids


def _text_cells(text: str) -> list[str]:
    rows = csv.reader(text.splitlines())
    cells = [row[0].strip() for row in rows if row]
    return cells[1:] if cells and cells[0].lower() in _HEADS else cells


def _json_cells(text: str) -> list[str]:
    content = json.loads(text)
    if not isinstance(content, list):
        raise TypeError("no list of entries")
    return [_first(entry) for entry in content]


def _first(entry: Any) -> str:
    """An entry itself, or the first value of a row or an object."""
    if isinstance(entry, dict):
        entry = list(entry.values())
    value = entry[0] if isinstance(entry, list) and entry else entry
    if not isinstance(value, str):
        raise TypeError(f"an entry begins with {value!r}, not with an id")
    return value.strip()
