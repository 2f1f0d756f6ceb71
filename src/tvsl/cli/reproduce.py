"""``tvsl reproduce``: the paper's tables and figures, on the synthetic world or on real data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tvsl.cli.options import (
    MOST_WORKERS,
    AsJson,
    Data,
    DataOption,
    Device,
    Lists,
    PrecisionOption,
    Root,
    data_options,
    name_values,
)
from tvsl.cli.output import print_json, print_lines, progress
from tvsl.cli.starting import start_processes
from tvsl.errors import UsageError
from tvsl.utils.processes import is_first
from tvsl.utils.processes import processes as joined

if TYPE_CHECKING:
    from tvsl.reproduce.experiment import ExperimentConfig
    from tvsl.reproduce.run import Reproduction
    from tvsl.utils.devices import PrecisionChoice
    from tvsl.utils.processes import Processes

_MOST_PROCESSES = 4
Scale = Literal["full", "quick"]


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE",
            help="table1 to table7, figure1, figure3, figure4, labels, readouts, improvements, "
            "projectors, tokens, twins, off-screen, negatives, or all.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the reproduction; it goes on where it was."),
    ],
    data: Data = "synthetic",
    root: Root = None,
    lists: Lists = None,
    option: DataOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The encoder: a name, a path or FILE.py:CLASS [mini for synthetic, mini-pooled "
            "for its new classes, everyday for real, audioclip otherwise]."
        ),
    ] = None,
    scale: Annotated[
        Scale, typer.Option(help="full, or quick: only to see that everything runs.")
    ] = "full",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Field of the recipe, NAME=VALUE. May be repeated."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_WORKERS,
            help="Processes, which share the cores [one per core, at most 4; 1 on a GPU].",
        ),
    ] = None,
    device: Device = "auto",
    precision: PrecisionOption = "float32",
    as_json: AsJson = False,
) -> None:
    """Train and measure the rows of the paper's tables.

    They are laid beside the paper's numbers. Everything that is done stays in the folder;
    interrupted and started again, it goes on where it was. Writes page.html, which needs no other
    file and no network, tables.md, tables.csv and results.json. The items of the data set must have
    one source each.
    """
    from tvsl.reproduce.targets import check_folder, check_targets
    from tvsl.utils.atomic import locked

    # Wrong usage ends here, before torch is imported.
    check_targets(targets)
    changes = name_values("--set", change) or {}
    options = data_options(root, lists, option) or {}
    with locked(output) if is_first() else nullcontext():
        if is_first():
            check_folder(output)
        _require_data(data, options)
        settings = _settings(output, data, options, model, scale, changes, device, precision)
        if is_first():
            _require_feasible(targets, settings)
    start_processes(processes or _usual_processes(device))
    with joined() as team, locked(output) if team.leads else nullcontext():
        found = _reproduce(targets, settings, team)
    if found is None:
        return
    if as_json:
        from tvsl.reproduce.report import json_content

        print_json(json_content(found))
    else:
        print_lines(*_summary(found, output))


def _usual_processes(device: str) -> int:
    """One process for each core, at most 4; one on a GPU."""
    from tvsl.utils.devices import choose_device
    from tvsl.utils.processes import usable_cores

    return 1 if choose_device(device).type != "cpu" else min(_MOST_PROCESSES, usable_cores())


def _require_data(data: str, options: Mapping[str, Any]) -> None:
    """Let through only a data set that there is, and one in files only with its folder."""
    from tvsl.data import DATA_SETS
    from tvsl.data.files import FileDataSet

    if issubclass(DATA_SETS.resolve(data), FileDataSet) and "root" not in options:
        raise UsageError(f"Where is '{data}'?", "Give --root, the folder of its files.")


def _settings(
    output: Path,
    data: str,
    options: Mapping[str, Any],
    model: str | None,
    scale: str,
    changes: Mapping[str, Any],
    device: str,
    precision: PrecisionChoice,
) -> ExperimentConfig:
    from tvsl.reproduce.benchmark import MODELS, kind_of
    from tvsl.reproduce.experiment import ExperimentConfig
    from tvsl.reproduce.specs import reproduce_config
    from tvsl.utils.processes import own_device

    kind = kind_of(data, options)
    return ExperimentConfig(
        reproduce_config(kind, scale, **changes),
        model or MODELS[kind],
        data,
        options,
        output,
        own_device(device),
        precision,
    )


def _require_feasible(targets: list[str], settings: ExperimentConfig) -> None:
    """Look at data and classes before processes are started and weights are fetched."""
    from tvsl.reproduce.experiment import Experiment
    from tvsl.reproduce.run import require_feasible, select

    require_feasible(Experiment(settings), select(targets))


def _reproduce(
    targets: list[str], settings: ExperimentConfig, team: Processes
) -> Reproduction | None:
    """The results, in the first process."""
    from tvsl.reproduce.experiment import Experiment, help_with_work
    from tvsl.reproduce.run import reproduce, select
    from tvsl.utils.processes import share_threads

    experiment = Experiment(settings)
    share_threads(team)
    if team.leads:
        _fetch(settings)
    team.meet()  # weights are there before all want them
    if not team.leads:
        help_with_work(experiment, team)
        return None
    found = reproduce(select(targets), experiment, progress, team)
    _write(found, settings.folder)
    return found


def _fetch(settings: ExperimentConfig) -> None:
    """Fetch weights once, before several processes want them."""
    from tvsl.models import PUBLIC_FILES, fetch

    if settings.model in PUBLIC_FILES:
        with progress("Fetching weights", is_bytes=True) as fetched:
            fetch(settings.model, fetched)


def _write(found: Reproduction, folder: Path) -> None:
    from tvsl.html.reproduction import reproduction_page
    from tvsl.reproduce.report import csv_text, json_content, markdown
    from tvsl.reproduce.targets import CSV, MARKDOWN, PAGE, RESULTS, earlier_outputs
    from tvsl.utils.atomic import staged, write_text
    from tvsl.utils.files import write_json

    texts = {MARKDOWN: markdown(found), CSV: csv_text(found), PAGE: reproduction_page(found)}
    with staged(folder, RESULTS, True, earlier_outputs) as work:
        for name, text in texts.items():
            write_text(work / name, text)
        write_json(json_content(found), work / RESULTS)


def _summary(found: Reproduction, folder: Path) -> list[str]:
    from tvsl.reproduce.report import expectation_text
    from tvsl.reproduce.targets import PAGE

    lines = [f"Warning: {text}" for text in found.provenance.warnings]
    lines += [expectation_text(expectation) for expectation in found.expectations.items]
    return [*lines, f"Open {folder / PAGE} in a browser."]
