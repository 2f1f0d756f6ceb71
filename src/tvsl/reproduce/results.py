"""Measured tables, from the scores of heads on disk, beside the paper's and what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from tvsl.evaluation.paper_numbers import BENCHMARKS, PAPER_NUMBERS
from tvsl.metrics import PAPER_THRESHOLDS, Figure, Interval, LabelSource
from tvsl.metrics.intervals import Draws, over_runs
from tvsl.reproduce.benchmark import Benchmark
from tvsl.reproduce.plan import Choice, Plan
from tvsl.reproduce.specs import (
    DROP,
    Candidates,
    Column,
    RowSpec,
    SceneSet,
    TableSpec,
    Task,
    Training,
)
from tvsl.reproduce.train import HeadStore

DETECTED_FIRST: tuple[LabelSource, ...] = ("detected", "assigned", "none", "given")
GIVEN_FIRST: tuple[LabelSource, ...] = ("given", "assigned", "none", "detected")


@dataclass(frozen=True)
class Value:
    """A measured value.

    Attributes:
        seeds: The value of each seed.
        draws: The value of each on resamples of the scenes, the same resamples for all rows; none
            where none were kept.
        trainings: The trained heads, seed by seed.
    """

    seeds: tuple[float, ...]
    draws: tuple[Draws, ...] = field(default=(), compare=False, repr=False)
    trainings: tuple[Training, ...] = field(default=(), compare=False, repr=False)

    @property
    def interval(self) -> Interval | None:
        """95 % interval over scenes and seeds; None without resamples."""
        return Interval.of(over_runs(np.stack(self.draws))) if self.draws else None

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.seeds))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds; None of a single one."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else None

    def text(self) -> str:
        """Mean, standard deviation over the seeds and interval, with one digit."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.1f}"
        interval = self.interval
        return f"{self.mean:.1f}{spread}" + ("" if interval is None else f" ({interval.text()})")


@dataclass(frozen=True)
class MeasuredRow:
    """A line of a measured table: a row with one source of labels.

    Attributes:
        row: Title of the row.
        labels: Source of its labels.
        values: Value of each column, or None.
        paper: The paper's number or None for each column, by benchmarks.
        trained: Training of the chosen head for each column; empty without training.
        trivial: Whether the method looks at nothing.
        notes: Reasons why values are missing.
    """

    row: str
    labels: LabelSource
    values: tuple[Value | None, ...]
    paper: Mapping[str, tuple[float | None, ...]]
    trained: tuple[str, ...]
    trivial: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasuredTable:
    """A measured table.

    Attributes:
        name: Name on the command line.
        title: Title on pages.
        says: The comparison, in a sentence.
        columns: Its columns that have scenes.
        headers: Their titles.
        lines: Its lines.
        beside: The paper's benchmarks whose numbers stand beside it, the nearest first.
        number: Number of the paper's table; None for one of our own.
        left_out: Columns that could not be measured, with the reason.
        reference: Title of the row that the others are compared with, if any.
    """

    name: str
    title: str
    says: str
    columns: tuple[Column, ...]
    headers: tuple[str, ...]
    lines: tuple[MeasuredRow, ...]
    beside: tuple[str, ...] = ()
    number: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None

    def line(self, row: str, *labels: LabelSource) -> MeasuredRow | None:
        """Find the line of a row.

        Args:
            row: Title of the row.
            labels: Sources of labels; the first that there is counts.
        """
        for source in labels:
            for line in self.lines:
                if (line.row, line.labels) == (row, source):
                    return line
        return None

    def column(self, header: str) -> int | None:
        """Number of the first column whose title begins so; None where there is none."""
        found = (number for number, one in enumerate(self.headers) if one.startswith(header))
        return next(found, None)

    def value(self, row: str, header: str, *labels: LabelSource) -> Value | None:
        """Find a cell.

        Args:
            row: Title of its row.
            header: Beginning of its column's title.
            labels: Sources of labels; the first that there is counts.
        """
        line, column = self.line(row, *labels), self.column(header)
        return None if line is None or column is None else line.values[column]


def one_each(
    lines: Sequence[MeasuredRow], preferred: Sequence[LabelSource] = DETECTED_FIRST
) -> list[MeasuredRow]:
    """One line for each row.

    Args:
        lines: Lines of a table.
        preferred: All sources of labels, the one first that is preferred.
    """
    chosen: dict[str, MeasuredRow] = {}
    for line in sorted(lines, key=lambda line: preferred.index(line.labels)):
        chosen.setdefault(line.row, line)
    return [line for line in lines if chosen[line.row] is line]


def ranked(
    lines: Sequence[MeasuredRow], column: int, low_is_good: bool
) -> list[tuple[MeasuredRow, Value]]:
    """Lines with a value in a column, best first.

    Args:
        lines: Lines of a table.
        column: Number of the column.
        low_is_good: Whether the lowest value is the best.
    """
    found = [(line, value) for line in lines if (value := line.values[column]) is not None]
    return sorted(found, key=lambda pair: pair[1].mean if low_is_good else -pair[1].mean)


def difference_interval(first: Value, second: Value) -> Interval | None:
    """95 % interval of the difference of two values of a column.

    Scenes are paired, since all rows are drawn on the same resamples; the seeds of both are drawn
    as well, together where both values are of the same heads, read out or asked in two ways.

    Args:
        first: A value.
        second: The one that is subtracted.

    Returns:
        The interval; None where either has no resamples.
    """
    if not first.draws or not second.draws:
        return None
    other = 0 if first.trainings and first.trainings == second.trainings else 1
    ours, theirs = over_runs(np.stack(first.draws)), over_runs(np.stack(second.draws), other)
    return Interval.of(ours - theirs)


def apart(first: Value, second: Value) -> bool:
    """Tell whether two values of a column differ beyond chance.

    The 95 % interval of their difference does not hold 0. Values without resamples are compared by
    their standard deviations, and are exact without these.

    Args:
        first: A value.
        second: Another one.
    """
    interval = difference_interval(first, second)
    return beyond_deviations(first, second) if interval is None else not interval.holds(0)


def beyond_deviations(first: Value, second: Value) -> bool:
    """Tell whether two values differ by more than the standard deviations over their seeds.

    Args:
        first: A value.
        second: Another one.
    """
    spread = math.hypot(first.deviation or 0.0, second.deviation or 0.0)
    return abs(first.mean - second.mean) > spread


def difference_text(first: Value, second: Value) -> str:
    """Difference of two values' means, in points, with its sign and 95 % interval.

    Args:
        first: A value.
        second: The one that is subtracted.
    """
    # Adding zero takes the sign off a zero that rounding left.
    text = f"{round(first.mean - second.mean, 1) + 0.0:+.1f}"
    interval = difference_interval(first, second)
    return text if interval is None else f"{text} ({interval.text()})"


_VARIED_IN_COLUMNS = (4, 5)


@dataclass(frozen=True)
class PaperSets:
    """Two of the paper's benchmarks that belong together.

    Attributes:
        single: The one of single sources, by its name in ``BENCHMARKS``.
        several: The one of several sources.
    """

    single: str
    several: str

    @property
    def title(self) -> str:
        """Title that the paper gives the two."""
        return f"{BENCHMARKS[self.single]} and {BENCHMARKS[self.several]}"

    def success(self, task: Task) -> Figure:
        """The success rate that the paper gives on them."""
        return PAPER_THRESHOLDS[self.single if task == "single" else self.several]

    def key(self, column: Column) -> str | None:
        """The column of ``paper_numbers`` that stands beside a column; None if none does."""
        if column.paper is None:
            return None
        success = self.success(column.task)
        return column.paper.format(single=self.single, several=self.several, success=success)


PAPER_SETS: Mapping[str, PaperSets] = MappingProxyType(
    {
        "VGGSound": PaperSets("vggsound-single", "vggsound-duet"),
        "VGGSound-Instruments": PaperSets("vgg-instruments-single", "vgg-instruments-multi"),
        "MUSIC": PaperSets("music-solo", "music-duet"),
    }
)
"""The benchmarks of the paper's Tables 1 and 2; the others are on the first."""


def paper_numbers(table: int) -> dict[str, dict[str, float]]:
    """A table of the paper.

    Returns:
        Percent by row and column. Rows are methods, with what the table varies where it varies them
        (``T-VSL, prompt length 4``); columns are benchmark and metric (``music-solo: IoU@0.5``),
        in Table 5 the number of sources, with the drop from the first to the last.
    """
    rows: dict[str, dict[str, float]] = {}
    for number in PAPER_NUMBERS:
        if number.table != table:
            continue
        column, row = f"{number.benchmark}: {number.metric}", number.method
        if table == 5:
            column = number.variant
        elif number.variant and table not in _VARIED_IN_COLUMNS:
            row = f"{row}, {number.variant}"
        rows.setdefault(row, {})[column] = number.value
    if table == 5:
        for values in rows.values():
            few, *_, many = values.values()
            values[DROP] = 100 * (1 - many / few)
    return rows


@dataclass(frozen=True, eq=False)
class Aggregator:
    """Fills tables with the scores of trained heads.

    Attributes:
        heads: The heads that were measured.
        plan: Their plan.
        choices: Choice of validation for all candidates.
        benchmark: The benchmark.
    """

    heads: HeadStore
    plan: Plan
    choices: Mapping[Candidates, Choice]
    benchmark: Benchmark

    @property
    def sets(self) -> PaperSets:
        """The paper's benchmarks that stand beside."""
        return PAPER_SETS[self.benchmark.paper]

    def table(self, spec: TableSpec) -> MeasuredTable:
        """A measured table; columns without scenes are left out."""
        missing = {column: self._missing(column) for column in spec.columns}
        columns = tuple(column for column in spec.columns if missing[column] is None)
        rows = spec.rows if columns else ()
        lines = [line for row in rows for line in self._lines(spec, row, columns)]
        return MeasuredTable(
            spec.name,
            spec.title,
            spec.says,
            columns,
            tuple(self._head(column) for column in columns),
            tuple(lines),
            self._beside(spec),
            spec.paper,
            {self._head(column): reason for column, reason in missing.items() if reason},
            spec.reference,
        )

    def _missing(self, column: Column) -> str | None:
        sets = (SceneSet(condition, "test") for condition in column.conditions)
        reasons = (self.benchmark.lacks(one) for one in sets)
        return next((reason for reason in reasons if reason is not None), None)

    def _head(self, column: Column) -> str:
        return column.title.format(success=self.sets.success(column.task))

    def _beside(self, spec: TableSpec) -> tuple[str, ...]:
        if spec.paper is None:
            return ()
        others = [name for name in PAPER_SETS if name != self.benchmark.paper]
        # The paper's other tables are on VGGSound, or name their benchmarks themselves.
        return (self.benchmark.paper, *others) if spec.paper <= 2 else ("VGGSound",)

    def _lines(
        self, spec: TableSpec, row: RowSpec, columns: tuple[Column, ...]
    ) -> list[MeasuredRow]:
        cells = [self._cell(row, column) for column in columns]
        found = {source for values, _ in cells for source in values}
        wanted: list[LabelSource] = [source for source in spec.labels if source in found]
        notes = tuple(dict.fromkeys(reason for _, reason in cells if reason))
        paper = {name: self._paper(spec, row, columns, name) for name in self._beside(spec)}
        trained = tuple(self._trained(row, column) for column in columns)
        return [
            MeasuredRow(
                row.title,
                source,
                tuple(values.get(source) for values, _ in cells),
                paper,
                trained,
                row.trivial,
                notes,
            )
            for source in wanted or spec.labels[:1]
        ]

    def _cell(self, row: RowSpec, column: Column) -> tuple[dict[LabelSource, Value], str | None]:
        """Values by the source of labels, and why there are none."""
        choice = self.choices[self.plan.canonical(row.candidates(column.head))]
        if choice.chosen is None:
            return {}, choice.reason
        seeds: dict[LabelSource, list[float]] = {}
        draws: dict[LabelSource, list[Draws]] = {}
        trainings: dict[LabelSource, list[Training]] = {}
        reason = None
        for training in self.plan.repeats(choice.chosen):
            figures, missing = self._figures(training, row, column)
            reason = reason or missing
            drawn = self._draws(training, row, column)
            for source, value in figures.items():
                seeds.setdefault(source, []).append(value)
                trainings.setdefault(source, []).append(training)
                if source in drawn:
                    draws.setdefault(source, []).append(drawn[source])
        found = {}
        for source, values in seeds.items():
            known = draws.get(source, [])
            drawn_each = tuple(known) if len(known) == len(values) else ()
            found[source] = Value(tuple(values), drawn_each, tuple(trainings[source]))
        return found, reason

    def _draws(self, training: Training, row: RowSpec, column: Column) -> dict[LabelSource, Draws]:
        """The figure of a cell on resamples of the scenes."""
        name = self.sets.success(column.task) if column.figure == "success" else column.figure
        drawn = self.heads.draws(training, (column.condition, row.overrides), name)
        if column.falls_from is None:
            return drawn
        whole = self.heads.draws(training, (column.falls_from, row.overrides), name)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                source: 100 * (1 - drawn[source] / np.where(draws > 0, draws, np.nan))
                for source, draws in whole.items()
                if source in drawn
            }

    def _figures(
        self, training: Training, row: RowSpec, column: Column
    ) -> tuple[dict[LabelSource, float], str | None]:
        name = self.sets.success(column.task) if column.figure == "success" else column.figure
        record = self.heads.record(training)
        if record is None or record.outcome != "done":
            return {}, None if record is None else record.reason
        first, reason = self.heads.figure(training, (column.condition, row.overrides), name)
        if column.falls_from is None or reason is not None:
            return first, reason
        whole, reason = self.heads.figure(training, (column.falls_from, row.overrides), name)
        fallen = {
            source: 100 * (1 - first[source] / value)
            for source, value in whole.items()
            if value > 0
        }
        return fallen, reason

    def _paper(
        self, spec: TableSpec, row: RowSpec, columns: tuple[Column, ...], name: str
    ) -> tuple[float | None, ...]:
        if spec.paper is None or row.paper is None:
            return (None,) * len(columns)
        numbers = paper_numbers(spec.paper).get(row.paper, {})
        keys = (PAPER_SETS[name].key(column) for column in columns)
        return tuple(None if key is None else numbers.get(key) for key in keys)

    def _trained(self, row: RowSpec, column: Column) -> str:
        choice = self.choices[self.plan.canonical(row.candidates(column.head))]
        return "" if choice.chosen is None else choice.chosen.title
