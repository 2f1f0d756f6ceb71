"""What came out: tables of measured values beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tvsl.metrics import LabelSource
from tvsl.reproduce.specs import Column

UNTOLD_FIRST: tuple[LabelSource, ...] = ("detected", "assigned", "none", "given")
TOLD_FIRST: tuple[LabelSource, ...] = ("given", "assigned", "none", "detected")


@dataclass(frozen=True)
class Value:
    """A measured value.

    Attributes:
        seeds: What each seed gave.
    """

    seeds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.seeds))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds; None of a single one."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else None

    def text(self) -> str:
        """Mean and standard deviation with one digit."""
        return f"{self.mean:.1f}" + ("" if self.deviation is None else f" ± {self.deviation:.1f}")


@dataclass(frozen=True)
class MeasuredRow:
    """A line of a measured table: a row with one source of labels.

    Attributes:
        row: What the table calls the method.
        labels: Where its labels come from.
        values: A value for each column; None where there is none.
        paper: The paper's number for each column, by the benchmarks that it is from; None where it
            has none.
        trained: For each column on what the head was trained and how fast; empty where it was not.
        trivial: Whether the method looks at nothing.
        notes: Why values are missing.
    """

    row: str
    labels: LabelSource
    values: tuple[Value | None, ...]
    paper: Mapping[str, tuple[float | None, ...]]
    trained: tuple[str, ...]
    trivial: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A measured table.

    Attributes:
        name: What the command line calls it.
        title: What pages call it.
        says: What it compares.
        columns: Its columns, of which scenes there are.
        heads: Their titles.
        lines: Its lines.
        beside: The benchmarks of the paper whose numbers stand beside it, the nearest first.
        number: Number of the paper's table; None for one of our own.
        left_out: Columns that could not be measured, with the reason.
    """

    name: str
    title: str
    says: str
    columns: tuple[Column, ...]
    heads: tuple[str, ...]
    lines: tuple[MeasuredRow, ...]
    beside: tuple[str, ...] = ()
    number: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def line(self, row: str, *labels: LabelSource) -> MeasuredRow | None:
        """The line of a row with the first of some sources of labels that there is."""
        for source in labels:
            for line in self.lines:
                if (line.row, line.labels) == (row, source):
                    return line
        return None

    def value(self, row: str, head: str, *labels: LabelSource) -> Value | None:
        """A cell, by the titles of its row and column."""
        line = self.line(row, *labels)
        if line is None or head not in self.heads:
            return None
        return line.values[self.heads.index(head)]


def one_each(
    lines: Sequence[MeasuredRow], preferred: Sequence[LabelSource] = UNTOLD_FIRST
) -> list[MeasuredRow]:
    """One line for each row.

    Args:
        lines: Lines of a table.
        preferred: All sources of labels, the one first that is preferred.

    Returns:
        The lines, in their order.
    """
    chosen: dict[str, MeasuredRow] = {}
    for line in sorted(lines, key=lambda line: preferred.index(line.labels)):
        chosen.setdefault(line.row, line)
    return [line for line in lines if chosen[line.row] is line]


def ranked(
    lines: Sequence[MeasuredRow], column: int, low_is_good: bool
) -> list[tuple[MeasuredRow, Value]]:
    """Lines with a value in a column, best first."""
    found = [(line, value) for line in lines if (value := line.values[column]) is not None]
    return sorted(found, key=lambda pair: pair[1].mean if low_is_good else -pair[1].mean)


def apart(first: Value, second: Value) -> bool:
    """Tell whether two values differ by more than their standard deviations together.

    Args:
        first: A value.
        second: Another one.

    Returns:
        Whether the difference of the means is larger than the root of the sum of squares of the two
        deviations; a value without a deviation counts as exact.
    """
    spread = math.hypot(first.deviation or 0.0, second.deviation or 0.0)
    return abs(first.mean - second.mean) > spread
