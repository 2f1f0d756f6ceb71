"""Cells of every table, of records that are made by hand, each number another."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from pydantic import BaseModel

from tests.reproduce.test_report_written import made
from tvsl.errors import OutputError
from tvsl.html.reproduction import reproduction_page
from tvsl.metrics import LabelSource
from tvsl.reproduce.plan import Choice, Plan
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
from tvsl.reproduce.train import HeadStore, ScoreRecord, TrainingRecord


class Cell(NamedTuple):
    """Under which header which figure of which scenes stands, and of which of a row's heads."""

    header: str
    condition: str
    figure: str
    task: str


def cells(task: str, condition: str, *figures: str, header: str = "") -> tuple[Cell, ...]:
    """The cells of one condition; ``HEADER=FIGURE`` where the header is not the figure's name."""
    pairs = (one.rpartition("=") for one in figures)
    return tuple(Cell(header + (own or name), condition, name, task) for own, _, name in pairs)


def single(scenes: str, *figures: str, header: str = "single: ") -> tuple[Cell, ...]:
    """Cells of scenes of one source, from the head for these."""
    return cells("single", f"{scenes}single", *figures, header=header)


def duet(scenes: str, *figures: str, header: str = "duet: ") -> tuple[Cell, ...]:
    """Cells of scenes of two sources, from the head for several."""
    return cells("several", f"{scenes}duet", *figures, header=header)


def four(scenes: str = "") -> tuple[Cell, ...]:
    """The figures of Table 3."""
    return (*single(scenes, "AP", "IoU@0.5"), *duet(scenes, "CAP", "CIoU@0.3"))


# Typed from the headers of docs/reproduction/mini/tables.md and Sec. 4.1, not from the code.
CELLS: dict[str, tuple[Cell, ...]] = {
    "table1": single("", "AP", "IoU@0.5", "AUC", header=""),
    "table2": duet("", "CAP", "CIoU@0.3", "AUC", header=""),
    "table3": four(),
    "table4": four("unseen-"),
    "table5": (
        *cells("single", "duet", "CIoU@0.3", header="2: "),
        *cells("single", "trio", "CIoU@0.3", header="3: "),
        *cells("single", "quartet", "CIoU@0.3", header="4: "),
        Cell("drop from 2 to 4", "", "", "single"),
    ),
    "table6": four(),
    "table7": four(),
    "labels": (
        *four(),
        *single("", "detection mAP=detection"),
        *duet("", "detection mAP=detection"),
    ),
    "readouts": (
        *four(),
        *single("twin-", "AP", header="twin single: "),
        *duet("twin-", "CAP", header="twin duet: "),
    ),
    "improvements": (
        *single("", "AP"),
        *single("", "small: cIoU=small IoU", "large: cIoU=large IoU", header=""),
        *duet("", "CAP", "CIoU@0.3"),
        *duet("unseen-", "CIoU@0.3", header="unseen duet: "),
        *duet("twin-", "CAP", header="twin duet: "),
    ),
    "projectors": (*four(), *duet("", "detection mAP=detection")),
    "tokens": four(),
    "twins": (
        *single("twin-", "AP", "right=right twin"),
        *duet("twin-", "CAP", "right=right twin"),
    ),
    "off-screen": four("off-screen-"),
    "negatives": cells(
        "single",
        "negatives",
        "AP=confident AP",
        "max-F1",
        "IoU@0.5 of those that are there=LocAcc",
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


def write(path: Path, record: BaseModel) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json(), encoding="utf-8")


@pytest.fixture(scope="module")
def aggregator(tmp_path_factory: pytest.TempPathFactory) -> Aggregator:
    """Everything done by hand; of candidates the second training is chosen where there are two."""
    heads = HeadStore(tmp_path_factory.mktemp("made"))
    config = reproduce_config("synthetic", "quick", learning_rates=(1e-3, 1e-2), seeds=SEEDS)
    plan = Plan.of(TABLES.values(), config, lambda _: True, False)
    choices = {}
    for candidates, needs in plan.needs.items():
        chosen = plan.trainings(candidates, config.batches, config.learning_rates)[-1]
        choices[candidates] = Choice(candidates, (), chosen)
        for training in plan.repeats(chosen):
            done = TrainingRecord(training={}, outcome="done", seconds=1.0)
            write(heads.head(training).with_suffix(".json"), done)
            for condition, overrides in needs:
                figures = cast(Any, made_figures(training, condition, overrides))
                path = heads._scores(training, (condition, overrides))
                write(path, ScoreRecord(figures=figures))
    benchmark = cast(Any, SimpleNamespace(paper="VGGSound", lacks=lambda *_: None))
    return Aggregator(heads, plan, choices, benchmark)


def expected(aggregator: Aggregator, row: RowSpec, cell: Cell, source: str) -> float:
    """The mean over the seeds of what was made up for a cell."""
    candidates = row.single if cell.task == "single" else row.several
    chosen = aggregator.choices[aggregator.plan.canonical(candidates)].chosen
    assert chosen is not None
    seeds = aggregator.plan.repeats(chosen)
    assert len(seeds) == (SEEDS if candidates.curricula else 1)

    def number(training: Training, condition: str, figure: str) -> float:
        return made_up(training, condition, row.overrides, source, figure)

    if cell.header.startswith("drop"):
        rate = "CIoU@0.3"
        each = [100 * (1 - number(t, "quartet", rate) / number(t, "duet", rate)) for t in seeds]
    else:
        each = [number(training, cell.condition, cell.figure) for training in seeds]
    return sum(each) / len(each)


def on_the_page(markup: str) -> list[tuple[str, ...]]:
    """The texts of a table of a page, row by row."""
    rows = re.findall(r"<tr.*?</tr>", markup, re.DOTALL)
    texts = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [tuple(html.unescape(re.sub(r"<[^>]*>", "", one)) for one in row) for row in texts]


def test_every_table_is_here() -> None:
    assert CELLS.keys() == TABLES.keys()


@pytest.mark.parametrize("name", TABLES)
def test_each_cell_holds_the_figure_of_its_head(name: str, aggregator: Aggregator) -> None:
    spec, wanted = TABLES[name], CELLS[name]
    table = aggregator.table(spec)
    assert table.headers == tuple(cell.header for cell in wanted)
    sources = [one for one in SOURCES[::-1] if one in spec.labels]
    assert len(table.lines) == len(spec.rows) * len(sources)
    words = text_table(table)
    on_page = on_the_page(reproduction_page(replace(made(), tables=(table,), claims=())))
    assert on_page[: 1 + len(words.rows)] == [words.headers, *words.rows]
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
                dict(zip(words.headers, one, strict=True))
                for one in words.rows
                if one[:2] == (row.title, LABEL_TITLES[source])
            )
            for cell, value in zip(wanted, line.values, strict=True):
                if cell.figure == "detection" and source == "given":
                    assert value is None
                    assert shown[cell.header] == ""
                    continue
                number = expected(aggregator, row, cell, source)
                assert value is not None
                assert value.mean == pytest.approx(number)
                assert shown[cell.header].split(" ")[0] == f"{number:.1f}"
                assert written[row.title, source, cell.header] == pytest.approx(number)


def test_a_record_with_other_names_is_refused(aggregator: Aggregator) -> None:
    spec = TABLES["table2"]
    candidates = aggregator.plan.canonical(spec.rows[0].several)
    training = aggregator.choices[candidates].chosen
    assert training is not None
    path = aggregator.heads._scores(training, (DUET, ()))
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("CIoU@", "IoU@"), encoding="utf-8")
    with pytest.raises(OutputError, match=r"no figure 'CIoU@0\.3'") as raised:
        aggregator.table(spec)
    assert raised.value.path == path
    path.write_text(before, encoding="utf-8")
    with pytest.raises(OutputError, match=r"no figure 'IoU@0\.5'"):
        aggregator.heads.figure(training, (DUET, ()), "IoU@0.5")
