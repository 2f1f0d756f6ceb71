"""Measured tables whose numbers are made up."""

from __future__ import annotations

from collections.abc import Sequence

from tvsl.metrics import LabelSource
from tvsl.reproduce.results import MeasuredRow, MeasuredTable, Value
from tvsl.reproduce.specs import DUET, QUARTET, SINGLE, Column, Task, TestCondition


def column(title: str, condition: TestCondition = SINGLE, figure: str = "AP") -> Column:
    head: Task = "single" if condition.sources == 1 else "several"
    falls_from = DUET if title.startswith("drop") else None
    return Column(title, condition, figure, head, falls_from=falls_from)


def line(
    row: str,
    *values: float | tuple[float, ...] | None,
    labels: LabelSource = "none",
    paper: Sequence[float | None] = (),
    trivial: bool = False,
    notes: tuple[str, ...] = (),
) -> MeasuredRow:
    """A line; a single number is a value without seeds."""
    measured = tuple(
        None if one is None else Value(one if isinstance(one, tuple) else (one,)) for one in values
    )
    numbers = tuple(paper) or (None,) * len(values)
    trained = ("",) * len(values)
    return MeasuredRow(row, labels, measured, {"VGGSound": numbers}, trained, trivial, notes)


def table(
    name: str, headers: Sequence[str], lines: Sequence[MeasuredRow], number: int | None = 1
) -> MeasuredTable:
    """A table beside the paper's numbers on VGGSound."""
    conditions = {"drop": QUARTET, "duet": DUET, "CIoU": DUET}
    columns = tuple(
        column(
            header,
            next((condition for text, condition in conditions.items() if text in header), SINGLE),
        )
        for header in headers
    )
    beside = () if number is None else ("VGGSound",)
    return MeasuredTable(
        name, name.title(), "A table.", columns, tuple(headers), tuple(lines), beside, number
    )
