"""Cells of the CSV files that this package writes, so that no spreadsheet runs them.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, whatever
its quotes. An id of YouTube may begin with ``-``, and a label with anything.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final, TextIO

_FORMULA: Final = re.compile(r"['\s]*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001  (wide forms run as well)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf")


def guarded(cell: object) -> str:
    """A cell as it is written: an apostrophe stands before what could be a formula.

    Args:
        cell: A text or a number; None for an empty cell.

    Returns:
        The text; numbers stay as they are, also those in texts.
    """
    text = "" if cell is None else str(cell)
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
    for row in rows:
        line = io.StringIO(newline="")
        # Only characters of this ending are put in quotes, and a cell may hold either.
        csv.writer(line, lineterminator="\r\n").writerow([guarded(cell) for cell in row])
        file.write(line.getvalue().removesuffix("\r\n") + "\n")
