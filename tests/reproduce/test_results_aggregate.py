"""From runs that are made by hand, each number another, to the cells of every table."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from tests.reproduce.test_report_written import made
from tvsl.errors import OutputError
from tvsl.html.reproduction import reproduction_page
from tvsl.metrics import LabelSource
from tvsl.reproduce.report import csv_text, text_table
from tvsl.reproduce.results import Aggregator
from tvsl.reproduce.specs import (
    DUET,
    LABEL_TITLES,
    Hyperparameters,
    RowSpec,
    TestCondition,
    Training,
    reproduce_config,
)
from tvsl.reproduce.tables import TABLES
from tvsl.reproduce.train import Choice, Plan, RunRecord, Runs, ScoreRecord


class Cell(NamedTuple):
    """Under which head which figure of which scenes stands, and of which of a row's heads."""

    head: str
    condition: str
    figure: str
    task: str


FOUR = (
    Cell("single: AP", "single", "AP", "single"),
    Cell("single: IoU@0.5", "single", "IoU@0.5", "single"),
    Cell("duet: CAP", "duet", "CAP", "several"),
    Cell("duet: CIoU@0.3", "duet", "CIoU@0.3", "several"),
)
# Typed from the heads of docs/reproduction/tables.md and Sec. 4.1, not from the specifications.
CELLS: dict[str, tuple[Cell, ...]] = {
    "table1": (
        Cell("AP", "single", "AP", "single"),
        Cell("IoU@0.5", "single", "IoU@0.5", "single"),
        Cell("AUC", "single", "AUC", "single"),
    ),
    "table2": (
        Cell("CAP", "duet", "CAP", "several"),
        Cell("CIoU@0.3", "duet", "CIoU@0.3", "several"),
        Cell("AUC", "duet", "AUC", "several"),
    ),
    "table3": FOUR,
    "table4": (
        Cell("single: AP", "unseen-single", "AP", "single"),
        Cell("single: IoU@0.5", "unseen-single", "IoU@0.5", "single"),
        Cell("duet: CAP", "unseen-duet", "CAP", "several"),
        Cell("duet: CIoU@0.3", "unseen-duet", "CIoU@0.3", "several"),
    ),
    "table5": (
        Cell("2: CIoU@0.3", "duet", "CIoU@0.3", "single"),
        Cell("3: CIoU@0.3", "trio", "CIoU@0.3", "single"),
        Cell("4: CIoU@0.3", "quartet", "CIoU@0.3", "single"),
        Cell("drop from 2 to 4", "", "", "single"),
    ),
    "table6": FOUR,
    "table7": FOUR,
    "labels": (
        *FOUR,
        Cell("single: detection mAP", "single", "detection", "single"),
        Cell("duet: detection mAP", "duet", "detection", "several"),
    ),
    "readouts": (
        *FOUR,
        Cell("twin single: AP", "twin-single", "AP", "single"),
        Cell("twin duet: CAP", "twin-duet", "CAP", "several"),
    ),
    "improvements": (
        Cell("single: AP", "single", "AP", "single"),
        Cell("small: cIoU", "single", "small IoU", "single"),
        Cell("large: cIoU", "single", "large IoU", "single"),
        Cell("duet: CAP", "duet", "CAP", "several"),
        Cell("duet: CIoU@0.3", "duet", "CIoU@0.3", "several"),
        Cell("unseen duet: CIoU@0.3", "unseen-duet", "CIoU@0.3", "several"),
        Cell("twin duet: CAP", "twin-duet", "CAP", "several"),
    ),
    "tokens": FOUR,
    "twins": (
        Cell("single: AP", "twin-single", "AP", "single"),
        Cell("single: right", "twin-single", "right twin", "single"),
        Cell("duet: CAP", "twin-duet", "CAP", "several"),
        Cell("duet: right", "twin-duet", "right twin", "several"),
    ),
    "off-screen": (
        Cell("single: AP", "off-screen-single", "AP", "single"),
        Cell("single: IoU@0.5", "off-screen-single", "IoU@0.5", "single"),
        Cell("duet: CAP", "off-screen-duet", "CAP", "several"),
        Cell("duet: CIoU@0.3", "off-screen-duet", "CIoU@0.3", "several"),
    ),
    "negatives": (
        Cell("AP", "negatives", "confident AP", "single"),
        Cell("max-F1", "negatives", "max-F1", "single"),
        Cell("IoU@0.5 of those that are there", "negatives", "LocAcc", "single"),
    ),
}
SINGLE_FIGURES = ("AP", "IoU@0.1", "IoU@0.3", "IoU@0.5")
SEVERAL_FIGURES = ("CAP", "CIoU@0.1", "CIoU@0.3", "CIoU@0.5")
SOURCES: tuple[LabelSource, ...] = ("given", "detected")
SEEDS = 2


def made_up(
    training: Training, condition: str, overrides: Hyperparameters, source: str, name: str
) -> float:
    """A number between 1 and 99 that nothing else has."""
    text = repr((training.digest, condition, overrides, source, name))
    return 1 + 98 * int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def made_figures(
    training: Training, condition: TestCondition, overrides: Hyperparameters
) -> dict[str, dict[str, float]]:
    names: tuple[str, ...] = SINGLE_FIGURES if condition.sources == 1 else SEVERAL_FIGURES
    names += ("AUC", "small IoU", "large IoU", "right twin")
    if condition.perturbation == "negatives":
        names = ("confident AP", "max-F1", "LocAcc")
    detected = (*names, "detection")
    return {
        source: {
            name: made_up(training, condition.name, overrides, source, name)
            for name in (names if source == "given" else detected)
        }
        for source in SOURCES
    }


@pytest.fixture(scope="module")
def aggregator(tmp_path_factory: pytest.TempPathFactory) -> Aggregator:
    """Everything done by hand; of candidates the second training is chosen where there are two."""
    runs = Runs(tmp_path_factory.mktemp("made"))
    config = reproduce_config(False, "quick", learning_rates=(1e-3, 1e-2), seeds=SEEDS)
    plan = Plan.of(TABLES.values(), config, lambda _: True, False)
    choices = {}
    for candidates, needs in plan.needs.items():
        chosen = plan.trainings(candidates)[-1]
        choices[candidates] = Choice(candidates, (), chosen)
        for training in plan.repeats(chosen):
            record = RunRecord(training={}, outcome="done", seconds=1.0)
            path = runs.head(training).with_suffix(".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(record.model_dump_json(), encoding="utf-8")
            for condition, overrides in needs:
                figures = cast(Any, made_figures(training, condition, overrides))
                path = runs._scores(training, condition, overrides)
                path.parent.mkdir(parents=True, exist_ok=True)
                made = ScoreRecord(figures=figures)
                path.write_text(made.model_dump_json(), encoding="utf-8")
    benchmark = cast(Any, SimpleNamespace(paper="VGGSound", lacks=lambda *_: None))
    return Aggregator(runs, plan, choices, benchmark)


def expected(aggregator: Aggregator, row: RowSpec, cell: Cell, source: str) -> float:
    """The mean over the seeds of what was made up for a cell."""
    candidates = row.single if cell.task == "single" else row.several
    chosen = aggregator.choices[aggregator.plan.known(candidates)].chosen
    assert chosen is not None
    seeds = aggregator.plan.repeats(chosen)
    assert len(seeds) == (SEEDS if candidates.curricula else 1)

    def number(training: Training, condition: str, figure: str) -> float:
        return made_up(training, condition, row.overrides, source, figure)

    if cell.head.startswith("drop"):
        rate = "CIoU@0.3"
        each = [100 * (1 - number(t, "quartet", rate) / number(t, "duet", rate)) for t in seeds]
    else:
        each = [number(training, cell.condition, cell.figure) for training in seeds]
    return sum(each) / len(each)


def on_the_page(markup: str) -> list[tuple[str, ...]]:
    """The texts of a table of a page, row by row."""
    rows = re.findall(r"<tr.*?</tr>", markup, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [tuple(html.unescape(re.sub(r"<[^>]*>", "", one)) for one in row) for row in cells]


def test_every_table_is_here() -> None:
    assert CELLS.keys() == TABLES.keys()


@pytest.mark.parametrize("name", TABLES)
def test_each_cell_holds_the_figure_of_its_head(name: str, aggregator: Aggregator) -> None:
    spec, cells = TABLES[name], CELLS[name]
    table = aggregator.table(spec)
    assert table.heads == tuple(cell.head for cell in cells)
    sources = [one for one in SOURCES[::-1] if one in spec.labels]
    assert len(table.lines) == len(spec.rows) * len(sources)
    words = text_table(table)
    on_page = on_the_page(reproduction_page(replace(made(), tables=(table,))))
    assert on_page[: 1 + len(words.rows)] == [words.heads, *words.rows]
    found = cast(Any, SimpleNamespace(tables=[table]))
    written = {
        (one["row"], one["labels"], one["column"]): float(one["mean"])
        for one in csv.DictReader(io.StringIO(csv_text(found)))
    }
    for row in spec.rows:
        for source in sources:
            line = table.line(row.title, source)
            assert line is not None
            (shown,) = (
                dict(zip(words.heads, one, strict=True))
                for one in words.rows
                if one[:2] == (row.title, LABEL_TITLES[source])
            )
            for cell, value in zip(cells, line.values, strict=True):
                if cell.figure == "detection" and source == "given":
                    assert value is None
                    assert shown[cell.head] == ""
                    continue
                number = expected(aggregator, row, cell, source)
                assert value is not None
                assert value.mean == pytest.approx(number)
                assert shown[cell.head].split(" ")[0] == f"{number:.1f}"
                assert written[row.title, source, cell.head] == pytest.approx(number)


def test_a_record_with_other_names_is_refused(aggregator: Aggregator) -> None:
    spec = TABLES["table2"]
    candidates = aggregator.plan.known(spec.rows[0].several)
    training = aggregator.choices[candidates].chosen
    assert training is not None
    path = aggregator.runs._scores(training, DUET, ())
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("CIoU@", "IoU@"), encoding="utf-8")
    with pytest.raises(OutputError, match=r"no figure 'CIoU@0\.3'") as raised:
        aggregator.table(spec)
    assert raised.value.path == path
    path.write_text(before, encoding="utf-8")
    with pytest.raises(OutputError, match=r"no figure 'IoU@0\.5'"):
        aggregator.runs.figure(training, DUET, (), "IoU@0.5")
