"""T-VSL trained for longer than in the paper's tables: what more steps bring.

    python benchmarks/convergence.py --output FOLDER
    python benchmarks/convergence.py --output FOLDER --data ../shared/real

T-VSL, trained on single sources or duets and on mixtures of one to four (``tvsl``), the latter
without P_vc and P_ac, and every equation as printed (``paper``) see as many mixtures as in the
tables of `tvsl reproduce`, and ``--times`` as many, in steps of 8, mixed from as many clips or
``--clips`` times as many; validation chooses the learning rate for each, and the readout.
Measured on duets of development: of classes that the encoder `mini-pooled` has not met, or with
``--data`` of real mixtures (docs/reproducing.md). The folder goes on where it was; ``--quick`` only
shows that everything runs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tvsl.cli.output import progress
from tvsl.reproduce import tables
from tvsl.reproduce.benchmark import MODELS, kind_of
from tvsl.reproduce.experiment import Experiment, ExperimentConfig
from tvsl.reproduce.report import csv_text
from tvsl.reproduce.run import Reproduction, reproduce, select
from tvsl.reproduce.specs import DUET, Column, ReproduceConfig, RowSpec, TableSpec, reproduce_config

BATCH = 8
MIXED = tables.TVSL_MIXTURES.title
ON_MIXTURES = replace(
    tables.TVSL_MIXTURES.several,
    head=tables.learned("", "tvsl", class_projectors=False).several.head,
)
ROWS = {
    "tvsl": (tables.TVSL, tables.TVSL_MIXTURES),
    "no-class-projectors": (RowSpec(f"{MIXED}, without P_vc and P_ac", ON_MIXTURES, ON_MIXTURES),),
    "paper": (
        tables.TVSL_PRINTED,
        tables.learned("the same, readout chosen by validation", "tvsl", preset="paper"),
    ),
}
"""Rows by name."""
COLUMNS = (Column("CAP", DUET, "CAP", "several"), Column("CIoU@0.3", DUET, "success", "several"))
QUICK = {
    "clips": 48,
    "validation_scenes": 4,
    "test_scenes": 4,
    "steps": 2,
    "batches": (BATCH,),
    "seeds": 1,
}


def longer(config: ReproduceConfig, times: int, seeds: int, clips: int) -> ReproduceConfig:
    """A recipe whose heads see so many times the mixtures, of so many times the clips.

    Args:
        config: The recipe of the paper's tables.
        times: Times the mixtures, in steps of ``BATCH``.
        seeds: Heads of each row.
        clips: Times the clips.
    """
    changes = {
        "steps": times * config.steps_of(BATCH),
        "batches": (BATCH,),
        "seeds": seeds,
        "clips": None if config.clips is None else clips * config.clips,
    }
    return config.model_copy(update=changes)


def measure(experiment: Experiment, rows: tuple[RowSpec, ...]) -> Reproduction:
    """Train and measure rows on duets; all figures are also written, as a CSV file."""
    folder = experiment.settings.folder
    table = TableSpec(folder.name, "", "", rows, COLUMNS, labels=("given", "detected"))
    found = reproduce(replace(select(["table2"]), tables=(table,)), experiment, progress)
    folder.with_suffix(".csv").write_text(csv_text(found), encoding="utf-8")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, type=Path, help="folder of heads and tokens")
    parser.add_argument("--data", help="folder in the form of ../shared/real [the made-up world]")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4], help="times the mixtures")
    parser.add_argument("--clips", type=int, default=1, help="times the clips [1]")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3, help="heads of each row")
    parser.add_argument("--quick", action="store_true", help="only to see that everything runs")
    given = parser.parse_args()
    data = "synthetic" if given.data is None else "real"
    options = {"classes": "unseen"} if given.data is None else {"root": given.data}
    kind = kind_of(data, options)
    whole = reproduce_config(kind, "full", **(QUICK if given.quick else {}))
    rows = tuple(row for name in given.rows for row in ROWS[name])
    titles = (column.title for column in COLUMNS)
    shown = Table("mixtures", "clips", "row", "labels", *titles, "heads")
    for times in given.times:
        config = longer(whole, times, 1 if given.quick else given.seeds, given.clips)
        folder = given.output / f"{times}-times"
        settings = ExperimentConfig(
            config, MODELS[kind], data, {**options, "development": True}, folder, "cpu"
        )
        found = measure(Experiment(settings), (tables.TVSL_UNTRAINED, *rows))
        for line in found.tables[0].lines:
            values = ("" if value is None else value.text() for value in line.values)
            trained = "; ".join(dict.fromkeys(filter(None, line.trained)))
            seen = (f"{config.steps * BATCH:,}", f"{config.clips:,}")
            shown.add_row(*seen, line.row, line.labels, *values, trained)
    Console(width=160).print(shown)


if __name__ == "__main__":
    main()
