"""Cells of the CSV files that this package writes, so that no spreadsheet runs them.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, whatever
its quotes. An id of YouTube may begin with ``-``, and a label with anything.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, TextIO

_FORMULA: Final = re.compile(r"['\s]*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001  (wide forms run as well)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf")


def guarded(cell: object) -> str:
    """A cell as it is written: an apostrophe stands before what could be a formula.

    Args:
        cell: A text or a number.

    Returns:
        The text; numbers stay as they are.
    """
    text = str(cell)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that ``guarded`` gave."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def write_rows(file: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV, one line each, with commas.

    Args:
        file: Where to; opened with ``newline=""``.
        rows: Their cells.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([guarded(cell) for cell in row] for row in rows)


def read_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read rows that were written so.

    Args:
        lines: The lines, the first of which names the columns.

    Yields:
        The text of each cell by the name of its column.
    """
    for row in csv.DictReader(lines):
        yield {unguarded(name): unguarded(cell or "") for name, cell in row.items()}
