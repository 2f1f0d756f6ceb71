"""What a table is: rows of methods, columns of figures, and what each cell is measured with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tvsl.evaluation.reproduction.kinds import Kind
from tvsl.evaluation.reproduction.trainings import Switches, Task, Unit
from tvsl.evaluation.scoring import SceneFigure

LabelSource = Literal["given", "detected", "none", "assigned"]
"""Where the class names that maps are asked by come from. ``none``: the method asks for none.
``assigned``: it finds sources without names, which are assigned to the true ones where they fit
best, as its paper evaluates it."""

LABEL_TITLES: dict[LabelSource, str] = {
    "given": "labels given",
    "detected": "labels detected",
    "none": "no labels",
    "assigned": "no labels, assigned by the truth",
}
WITHOUT_HELP: tuple[LabelSource, ...] = ("none", "detected")
"""Those with which a method is told nothing at test but how many sources there are."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        title: What the table calls it.
        single: The head of columns for single sources.
        several: The head of columns for mixtures.
        paper: Row of ``paper_numbers``; None for a row of our own.
        otherwise: Switches that are set otherwise than validation decided, with what it decided
            beside them.
        trivial: Whether it looks at nothing.
    """

    title: str
    single: Unit
    several: Unit
    paper: str | None = None
    otherwise: Switches = ()
    trivial: bool = False

    def unit(self, task: Task) -> Unit:
        """The head of columns for a task."""
        return self.single if task == "single" else self.several


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What the table calls it; ``{success}`` stands for the data's success rate.
        kind: The scenes that it is measured on.
        figure: The figure; ``success`` for the data's success rate.
        head: Which of a row's heads is measured.
        paper: Column of ``paper_numbers``, with ``{single}``, ``{several}`` and ``{success}`` for
            the benchmarks that stand beside ours; None for a column of our own.
        falls_from: The column shows by how much of its value on these scenes the figure is lower.
    """

    title: str
    kind: Kind
    figure: SceneFigure | Literal["success"]
    head: Task
    paper: str | None = None
    falls_from: Kind | None = None

    @property
    def task(self) -> Task:
        """What it measures, which decides the success rate that is meant."""
        return "single" if self.kind.sources == 1 else "several"

    @property
    def low_is_good(self) -> bool:
        """Whether lower is better."""
        return self.falls_from is not None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All scenes that it needs."""
        return (self.kind,) if self.falls_from is None else (self.kind, self.falls_from)


@dataclass(frozen=True)
class TableSpec:
    """A table.

    Attributes:
        name: What the command line calls it.
        title: What pages call it.
        says: What it compares, in a sentence.
        rows: Its rows.
        columns: Its columns.
        labels: The label sources that it shows, where a method has several.
        paper: Number of the paper's table; None for one of our own.
    """

    name: str
    title: str
    says: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    labels: tuple[LabelSource, ...] = ("detected", "given", "assigned", "none")
    paper: int | None = None

    def needs(self) -> Iterator[tuple[Unit, Kind, Switches]]:
        """Every head with the scenes that it is measured on, and the switches set otherwise."""
        for row in self.rows:
            for column in self.columns:
                for kind in column.kinds:
                    yield row.unit(column.head), kind, row.otherwise
