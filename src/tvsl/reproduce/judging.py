"""Statements on tables that come out or do not: on a difference, on who is first, on an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tvsl.metrics import LabelSource
from tvsl.reproduce.results import (
    MeasuredRow,
    MeasuredTable,
    Value,
    difference_text,
    ranked,
)
from tvsl.reproduce.specs import WITHOUT_HELP
from tvsl.reproduce.tables import (
    PAPER_METHODS,
    TVSL,
)

Tables = Mapping[str, MeasuredTable]
"""Measured tables by their names."""

OTHER_METHODS = tuple(row.title for row in PAPER_METHODS if row is not TVSL)
"""Titles of the paper's other methods."""

_OURS = TVSL.title
_WITHOUT_LABELS: tuple[LabelSource, ...] = (*WITHOUT_HELP, "assigned")


def best_other(table: MeasuredTable, column: int) -> tuple[MeasuredRow, Value] | None:
    """The best of the paper's other methods in a column, none of which is told labels.

    Args:
        table: A table.
        column: Number of the column.
    """
    lines = [
        line for line in table.lines if line.row in OTHER_METHODS and line.labels in _WITHOUT_LABELS
    ]
    return next(iter(ranked(lines, column, table.columns[column].low_is_good)), None)


@dataclass(frozen=True)
class Expectation:
    """An expectation, and whether it came out.

    Attributes:
        says: The expectation, in a sentence.
        holds: Whether it came out.
        numbers: The numbers that decide it.
    """

    says: str
    holds: bool
    numbers: str


@dataclass(frozen=True)
class ExpectationSet:
    """The expectations of one benchmark.

    Attributes:
        stated: When they were stated.
        judges: A function for each; None where its numbers are not in the tables.
    """

    stated: str
    judges: Sequence[Callable[[Tables], Expectation | None]]


@dataclass(frozen=True)
class JudgedExpectations:
    """The expectations of a benchmark that could be judged.

    Attributes:
        stated: When they were stated.
        items: The expectations.
    """

    stated: str = ""
    items: tuple[Expectation, ...] = field(default=())


def above_trivial(tables: Tables) -> Expectation | None:
    """That every learned method finds more than the baselines that look at nothing."""
    table = tables.get("table1")
    column = None if table is None else table.column("AP")
    if table is None or column is None:
        return None
    bars = [value.mean for line in table.lines if line.trivial and (value := line.values[column])]
    learned = (table.line(row, "assigned", "given", "none") for row in (*OTHER_METHODS, _OURS))
    lines = [line for line in learned if line is not None]
    measured = [(line, value) for line in lines if (value := line.values[column]) is not None]
    if not bars or not measured:
        return None
    lowest, value = min(measured, key=lambda pair: pair[1].mean)
    return Expectation(
        "Every learned method is above the trivial baselines on single sources, labels given where "
        "it asks for them (AP).",
        value.mean > max(bars),
        f"lowest: {lowest.row} {value.text()}; best trivial baseline {max(bars):.1f}",
    )


def is_ahead(
    tables: Tables, name: str, header: str, says: str, margin: Callable[[Value, Value], bool]
) -> Expectation | None:
    """T-VSL with detected labels against the best other method without given labels.

    Args:
        tables: The measured tables.
        name: Name of a table.
        header: Beginning of a column's title.
        says: The expectation, in a sentence.
        margin: Tells of our value and of the best other one whether it holds.
    """
    table = tables.get(name)
    column = None if table is None else table.column(header)
    if table is None or column is None:
        return None
    ours, best = table.value(_OURS, header, "detected"), best_other(table, column)
    if ours is None or best is None:
        return None
    line, value = best
    return Expectation(
        says,
        margin(ours, value),
        f"T-VSL {ours.text()}, {line.row} {value.text()}, difference "
        f"{difference_text(ours, value)}",
    )


def smallest_drop(tables: Tables) -> Expectation | None:
    """That T-VSL loses least from two sources to four."""
    table = tables.get("table5")
    column = None if table is None else table.column("drop")
    if table is None or column is None:
        return None
    ours, best = table.value(_OURS, "drop", "detected"), best_other(table, column)
    if ours is None or best is None:
        return None
    line, value = best
    return Expectation(
        "From two to four sources T-VSL with detected labels loses the smallest share of its "
        "success rate, of the methods that are told no labels.",
        ours.mean < value.mean,
        f"T-VSL {ours.text()} %, {line.row} {value.text()} %",
    )


def order_of_blocks(tables: Tables) -> Expectation | None:
    """That T-VSL's blocks are better together than alone."""
    table = tables.get("table3")
    if table is None:
        return None
    rows = ("audio, image, AVC", "audio, AVC", "image, AVC", "AVC")
    values = [table.value(row, "duet: CAP", "given") for row in rows]
    known = [value for value in values if value is not None]
    if len(known) < len(rows):
        return None
    full, audio, image, alone = (value.mean for value in known)
    return Expectation(
        "On duets all blocks together are above either conditioning block with the correspondence "
        "block, and these above the correspondence block alone (CAP).",
        full > max(audio, image) and min(audio, image) > alone,
        ", ".join(f"{row}: {value.text()}" for row, value in zip(rows, known, strict=True)),
    )


@dataclass(frozen=True)
class Row:
    """A line of a table: a row with one source of labels."""

    title: str
    labels: LabelSource = "given"


@dataclass(frozen=True)
class DifferenceExpectation:
    """The expectation that two lines of a column differ by so much.

    Attributes:
        says: The expectation, in a sentence.
        table: Name of the table.
        header: Beginning of the column's title.
        first: A line.
        second: The line that is subtracted.
        low: Least difference, in points.
        high: Largest difference.
    """

    says: str
    table: str
    header: str
    first: Row
    second: Row
    low: float = -100.0
    high: float = 100.0

    def __call__(self, tables: Tables) -> Expectation | None:
        """Judge it; None where its numbers are not in the tables."""
        table = tables.get(self.table)
        if table is None:
            return None
        rows = (self.first, self.second)
        first, second = (table.value(row.title, self.header, row.labels) for row in rows)
        if first is None or second is None:
            return None
        return Expectation(
            self.says,
            self.low <= first.mean - second.mean <= self.high,
            f"{self.first.title} {first.text()}, {self.second.title} {second.text()}, difference "
            f"{difference_text(first, second)}",
        )
