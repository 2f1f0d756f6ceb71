"""Rows of list files, and entries of annotation files; what is wrong is named with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tvsl.csv_cells import unguarded
from tvsl.errors import DataError, first_problem, shown
from tvsl.id_lists import is_head
from tvsl.small_files import LARGEST_LIST, read_small_text

LARGEST_SIDE: Final = 10**6
"""Pixels of a picture's side; no list can mean more."""

_REMEDY: Final = "Check the path; correct the file, or get it again."


Naming = Callable[[str], str]
"""Brings an id into one form."""

_NO_IDS: Final[Mapping[int, Naming]] = MappingProxyType({})


class Row(NamedTuple):
    """A line of a list.

    Attributes:
        line: Its number, from 1.
        cells: Its cells, without spaces at their ends.
    """

    line: int
    cells: tuple[str, ...]


Share = Annotated[float, Field(strict=True)]
"""A number of an annotation: no text, no truth value."""


class Entry(BaseModel):
    """What every entry of an annotation file has.

    Attributes:
        file: The clip's id.
        width: Width of the picture in pixels, where it is told.
        height: Its height.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    file: str
    width: int | None = Field(None, gt=0, le=LARGEST_SIDE, strict=True)
    height: int | None = Field(None, gt=0, le=LARGEST_SIDE, strict=True)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of the picture, where both are told."""
        return None if self.width is None or self.height is None else (self.height, self.width)


EntryT = TypeVar("EntryT", bound=Entry)


def read_rows(
    path: Path, columns: Collection[int], ids: Mapping[int, Naming] = _NO_IDS
) -> list[Row]:
    """Read a list with commas; line ends of any system, empty lines are skipped.

    Args:
        path: The file, in UTF-8.
        columns: How many cells a line may have.
        ids: The columns that hold ids, and what brings these into one form. With any, a first
            line that only names the columns is skipped, and so are lines that begin with ``# ``.

    Returns:
        The lines; at least one.

    Raises:
        DataError: It cannot be read, is no text, holds no line, or a line has other columns.
    """
    try:
        rows = _rows(read_text(path))
    except csv.Error as error:
        raise DataError(f"The file is no list with commas ({error}).", _REMEDY, path) from error
    if ids:
        rows = [row for row in rows if not row.cells[0].startswith("# ")]
        rows = rows[1:] if rows and is_head(rows[0].cells[0]) else rows
    if not rows:
        raise DataError("The list is empty.", _REMEDY, path)
    for row in rows:
        if len(row.cells) not in columns:
            expected = " or ".join(str(count) for count in sorted(columns))
            raise wrong_line(path, row.line, f"has {len(row.cells)} columns, not {expected}")
    return [_named(row, ids) for row in rows] if ids else rows


def _named(row: Row, ids: Mapping[int, Naming]) -> Row:
    """A line with its ids in one form; a name with folders is left for ``inside`` to judge."""
    cells = [unguarded(cell) for cell in row.cells]
    for at, naming in ids.items():
        if at < len(cells) and not {"/", "\\"} & set(cells[at]):
            cells[at] = naming(cells[at])
    return Row(row.line, tuple(cells))


def read_by_id(
    path: Path, columns: Collection[int], naming: Naming, others: Collection[int] = ()
) -> dict[str, Row]:
    """Read a list whose first cells are ids.

    Args:
        path: As for ``read_rows``.
        columns: As for ``read_rows``.
        naming: Brings an id into one form.
        others: Further columns that hold ids.

    Returns:
        The lines by their ids, in their order.

    Raises:
        DataError: As for ``read_rows``, or an id stands there twice.
    """
    found: dict[str, Row] = {}
    for row in read_rows(path, columns, dict.fromkeys((0, *others), naming)):
        earlier = found.setdefault(row.cells[0], row)
        if earlier is not row:
            raise wrong_line(
                path, row.line, f"repeats {shown(row.cells[0])} of line {earlier.line}"
            )
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
        entries: list[EntryT] = TypeAdapter(list[kind]).validate_json(  # type: ignore[valid-type]
            read_text(path), strict=True
        )
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
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    stripped = ((reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader)
    return [Row(line, cells) for line, cells in stripped if any(cells)]
