"""Aggregation of the runs on disk to measured tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tvsl.metrics import LabelSource
from tvsl.reproduce.benchmark import Benchmark
from tvsl.reproduce.paper import PAPER_SETS, PaperSets, paper_numbers
from tvsl.reproduce.plan import Choice, Plan
from tvsl.reproduce.results import MeasuredRow, Table, Value
from tvsl.reproduce.specs import Candidates, Column, Row, TableSpec, Training
from tvsl.reproduce.train import Runs


@dataclass(frozen=True, eq=False)
class Aggregator:
    """Puts together what was measured.

    Attributes:
        runs: The runs.
        plan: What was done.
        choices: Choice of validation for all candidates.
        benchmark: What it was measured on.
    """

    runs: Runs
    plan: Plan
    choices: Mapping[Candidates, Choice]
    benchmark: Benchmark

    @property
    def sets(self) -> PaperSets:
        """The paper's benchmarks that stand beside."""
        return PAPER_SETS[self.benchmark.paper]

    def table(self, spec: TableSpec) -> Table:
        """A measured table; columns without scenes are left out."""
        missing = {column: self._missing(column) for column in spec.columns}
        columns = tuple(column for column in spec.columns if missing[column] is None)
        rows = spec.rows if columns else ()
        lines = [line for row in rows for line in self._lines(spec, row, columns)]
        return Table(
            spec.name,
            spec.title,
            spec.says,
            columns,
            tuple(self._head(column) for column in columns),
            tuple(lines),
            self._beside(spec),
            spec.paper,
            {self._head(column): reason for column, reason in missing.items() if reason},
        )

    def _missing(self, column: Column) -> str | None:
        reasons = (self.benchmark.lacks(condition, "test") for condition in column.conditions)
        return next((reason for reason in reasons if reason is not None), None)

    def _head(self, column: Column) -> str:
        return column.title.format(success=self.sets.success(column.task))

    def _beside(self, spec: TableSpec) -> tuple[str, ...]:
        if spec.paper is None:
            return ()
        others = [name for name in PAPER_SETS if name != self.benchmark.paper]
        # The paper's other tables are on VGGSound, or name their benchmarks themselves.
        return (self.benchmark.paper, *others) if spec.paper <= 2 else ("VGGSound",)

    def _lines(self, spec: TableSpec, row: Row, columns: tuple[Column, ...]) -> list[MeasuredRow]:
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

    def _cell(self, row: Row, column: Column) -> tuple[dict[LabelSource, Value], str | None]:
        """Values by the source of labels, and why there are none."""
        choice = self.choices[self.plan.known(row.candidates(column.head))]
        if choice.chosen is None:
            return {}, choice.reason
        seeds: dict[LabelSource, list[float]] = {}
        reason = None
        for training in self.plan.repeats(choice.chosen):
            figures, told = self._figures(training, row, column)
            reason = reason or told
            for source, value in figures.items():
                seeds.setdefault(source, []).append(value)
        return {source: Value(tuple(values)) for source, values in seeds.items()}, reason

    def _figures(
        self, training: Training, row: Row, column: Column
    ) -> tuple[dict[LabelSource, float], str | None]:
        name = self.sets.success(column.task) if column.figure == "success" else column.figure
        record = self.runs.record(training)
        if record is None or record.outcome != "done":
            return {}, None if record is None else record.reason
        first, reason = self.runs.figure(training, column.condition, row.overrides, name)
        if column.falls_from is None or reason is not None:
            return first, reason
        whole, reason = self.runs.figure(training, column.falls_from, row.overrides, name)
        fallen = {
            source: 100 * (1 - first[source] / value)
            for source, value in whole.items()
            if value > 0
        }
        return fallen, reason

    def _paper(
        self, spec: TableSpec, row: Row, columns: tuple[Column, ...], name: str
    ) -> tuple[float | None, ...]:
        if spec.paper is None or row.paper is None:
            return (None,) * len(columns)
        numbers = paper_numbers(spec.paper).get(row.paper, {})
        keys = (PAPER_SETS[name].key(column) for column in columns)
        return tuple(None if key is None else numbers.get(key) for key in keys)

    def _trained(self, row: Row, column: Column) -> str:
        choice = self.choices[self.plan.known(row.candidates(column.head))]
        chosen = choice.chosen
        if chosen is None or chosen.curriculum is None:
            return ""
        return f"{chosen.curriculum.name}, {chosen.learning_rate:g}"
