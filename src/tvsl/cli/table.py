"""Tables on stdout: drawn by rich on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tvsl.cli.output import print_lines, printing
from tvsl.errors import printable

_GAP = "  "


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """Print a table.

    Args:
        heads: Names of the columns.
        rows: Texts of the cells; control characters are escaped.
        right: The columns whose cells are set to the right: numbers.
    """
    rows = [[printable(text) for text in row] for row in rows]
    if sys.stdout is not None and sys.stdout.isatty():
        with printing():
            _print_rich(heads, rows, right)
    else:
        print_lines(*plain_table(heads, rows, right))


def plain_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
) -> list[str]:
    """The lines of a table in plain text.

    Args:
        heads: As for ``print_table``.
        rows: As for ``print_table``.
        right: As for ``print_table``.

    Returns:
        A line for the heads and one for each row, without spaces at their ends.
    """
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(len(text) for text in column) for column in columns]
    return [
        _GAP.join(
            text.rjust(width) if head in right else text.ljust(width)
            for head, text, width in zip(heads, line, widths, strict=True)
        ).rstrip()
        for line in (heads, *rows)
    ]


def _print_rich(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(Text(head), justify="right" if head in right else "left")
    for row in rows:
        table.add_row(*(Text(text) for text in row))  # not as markup: a name may hold brackets
    Console().print(table)
