"""Rows of list files, and entries of annotation files; what is wrong is named with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from tvsl.errors import DataError, first_problem
from tvsl.small_files import LARGEST_LIST, read_small_text

_REMEDY: Final = "Check the path; correct the file, or get it again."


class Row(NamedTuple):
    """A line of a list.

    Attributes:
        line: Its number, from 1.
        cells: Its cells, without spaces at their ends.
    """

    line: int
    cells: tuple[str, ...]


class Entry(BaseModel):
    """What every entry of an annotation file has.

    Attributes:
        file: The clip's id.
    """

    file: str


EntryT = TypeVar("EntryT", bound=Entry)


def read_rows(path: Path, columns: Collection[int], head: Collection[str] = ()) -> list[Row]:
    """Read a list with commas; line ends of any system, empty lines are skipped.

    Args:
        path: The file, in UTF-8.
        columns: How many cells a line may have.
        head: The cells of a first line that only names the columns.

    Returns:
        The lines; at least one.

    Raises:
        DataError: It cannot be read, is no text, holds no line, or a line has other columns.
    """
    try:
        rows = _rows(read_text(path))
    except csv.Error as error:
        raise DataError(f"The file is no list with commas ({error}).", _REMEDY, path) from error
    if rows and head and rows[0].cells == tuple(head):
        rows = rows[1:]
    if not rows:
        raise DataError("The list is empty.", _REMEDY, path)
    for row in rows:
        if len(row.cells) not in columns:
            expected = " or ".join(str(count) for count in sorted(columns))
            raise wrong_line(path, row.line, f"has {len(row.cells)} columns, not {expected}")
    return rows


def read_by_id(path: Path, columns: Collection[int]) -> dict[str, Row]:
    """Read a list whose first cells are ids.

    Args:
        path: As for ``read_rows``.
        columns: As for ``read_rows``.

    Returns:
        The lines by their ids, in their order.

    Raises:
        DataError: As for ``read_rows``, or an id stands there twice.
    """
    found: dict[str, Row] = {}
    for row in read_rows(path, columns):
        earlier = found.setdefault(row.cells[0], row)
        if earlier is not row:
            raise wrong_line(path, row.line, f"repeats {row.cells[0]!r} of line {earlier.line}")
    return found


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without the mark that some editors put first.

    Raises:
        DataError: It cannot be read, is no regular file, is too large or is no text.
    """
    return read_small_text(path, LARGEST_LIST, DataError, _REMEDY)


def read_entries(path: Path, kind: type[EntryT]) -> dict[str, EntryT]:
    """Read a JSON list of objects of one kind.

    Args:
        path: The file.
        kind: What each of its entries is.

    Returns:
        The entries by their clips' ids; at least one.

    Raises:
        DataError: It cannot be read, is no such JSON, holds no entry, or a clip twice.
    """
    try:
        entries: list[EntryT] = TypeAdapter(list[kind]).validate_json(read_text(path))  # type: ignore[valid-type]
    except ValidationError as error:
        raise DataError(
            f"The annotations are not what they should be: {first_problem(error)}.", _REMEDY, path
        ) from error
    found = {entry.file: entry for entry in entries}
    if not found or len(found) < len(entries):
        problem = "hold a clip twice" if found else "are empty"
        raise DataError(f"The annotations {problem}.", _REMEDY, path)
    return found


def wrong_line(path: Path, line: int | str, problem: str) -> DataError:
    """An error about a line of a list.

    Args:
        path: The file.
        line: Its number, from 1, or how the place is called in a file without lines.
        problem: What the line does, to follow "Line 3 …".

    Returns:
        The error, to be raised.
    """
    place = f"Line {line}" if isinstance(line, int) else line
    return DataError(f"{place} {problem}.", _REMEDY, path)


def _rows(text: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    stripped = ((reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader)
    return [Row(line, cells) for line, cells in stripped if any(cells)]
