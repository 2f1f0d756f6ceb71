"""``tvsl reproduce``: the paper's tables and figures, on the synthetic world or on real data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvsl.cli.failure import one_process
from tvsl.cli.name_values import data_options, name_values
from tvsl.cli.options import (
    MOST_WORKERS,
    AsJson,
    Data,
    DataOption,
    Device,
    Lists,
    Precision,
    PrecisionOption,
    Root,
)
from tvsl.cli.output import print_json, print_lines
from tvsl.cli.progress import Report, progress
from tvsl.errors import UsageError

if TYPE_CHECKING:
    from tvsl.evaluation.reproduction.bench import Setup
    from tvsl.evaluation.reproduction.run import Reproduction

_MOST_WORKERS = 4


class Scale(str, Enum):
    """How much is done: what gives numbers that mean something, or only shows that all runs."""

    full = "full"
    quick = "quick"


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE...",
            help="table1 to table7, figure1, figure3, figure4, labels, readouts, improvements, "
            "tokens, twins, off-screen, negatives, or all.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the reproduction; it goes on where it was.",
        ),
    ],
    data: Data = "synthetic",
    root: Root = None,
    lists: Lists = None,
    option: DataOption = None,
    model: Annotated[
        str | None,
        typer.Option(help="The encoder [mini for synthetic, audioclip otherwise]."),
    ] = None,
    scale: Annotated[
        Scale, typer.Option(help="full, or quick: only to see that everything runs.")
    ] = Scale.full,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Field of the recipe, NAME=VALUE. May be repeated."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_WORKERS,
            help="Processes, one thread each [one per core, at most 4; 1 on a GPU].",
        ),
    ] = None,
    device: Device = "auto",
    precision: PrecisionOption = Precision.float32,
    as_json: AsJson = False,
) -> None:
    """Train and measure all rows of the paper's tables, and lay them beside the paper's numbers.

    Everything that is done stays in the folder; interrupted and started again, it goes on where
    it was. Writes page.html, which needs no other file and no network, tables.md, tables.csv and
    results.json. The items of the data set must have one source each.
    """
    one_process("A reproduction")
    from tvsl.evaluation.reproduction.record import check_folder
    from tvsl.evaluation.reproduction.targets import check_targets
    from tvsl.staging import locked

    # What is wrong is said before anything is loaded, the program's heavy parts among it.
    check_targets(targets)
    changes = name_values("--set", change) or {}
    options = data_options(root, lists, option) or {}
    with locked(output):
        check_folder(output)
        _require_data(data, options)
        found = _reproduce(
            targets, output, data, options, model, scale.value, changes, workers, device, precision
        )
    if as_json:
        from tvsl.evaluation.reproduction.written import json_content

        print_json(json_content(found))
    else:
        print_lines(*_summary(found, output))


def _require_data(data: str, options: Mapping[str, Any]) -> None:
    """Let through only a data set that there is, and one in files only with its folder."""
    from tvsl.data import find_kind
    from tvsl.data.files import FileDataSet

    if issubclass(find_kind(data), FileDataSet) and "root" not in options:
        raise UsageError(f"Where is '{data}'?", "Give --root, the folder of its files.")


def _reproduce(
    targets: list[str],
    output: Path,
    data: str,
    options: Mapping[str, Any],
    model: str | None,
    scale: str,
    changes: Mapping[str, Any],
    workers: int | None,
    device: str,
    precision: Precision,
) -> Reproduction:
    from tvsl.devices import choose_device
    from tvsl.evaluation.reproduction.beds import is_real
    from tvsl.evaluation.reproduction.bench import Bench, Setup
    from tvsl.evaluation.reproduction.config import reproduce_config
    from tvsl.evaluation.reproduction.run import reproduce, require_feasible, wanted

    asked = wanted(targets)
    setup = Setup(
        reproduce_config(is_real(data), scale, **changes),
        model or ("audioclip" if is_real(data) else "mini"),
        data,
        options,
        output,
        device,
        precision.value,
    )
    bench = Bench(setup)
    on_gpu = choose_device(device).type != "cpu"
    require_feasible(bench, asked)
    count = workers or (1 if on_gpu else min(_MOST_WORKERS, _cores()))
    _fetch(setup)
    found = reproduce(asked, bench, count, _stage)
    _write(found, output)
    return found


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fetch(setup: Setup) -> None:
    """Fetch weights once, before several processes want them."""
    from tvsl.audioclip.weights import PUBLIC_FILES, fetch
    from tvsl.memory import keep_freed_memory

    keep_freed_memory()
    if setup.model in PUBLIC_FILES:
        with progress("Fetching weights", is_bytes=True) as fetched:
            fetch(setup.model, fetched)


@contextmanager
def _stage(title: str, counted: str) -> Iterator[Report]:
    with progress(title, counted=counted) as report:
        yield report


def _write(found: Reproduction, folder: Path) -> None:
    from tvsl.evaluation.reproduction.record import CSV, MARKDOWN, PAGE, RESULTS, earlier_outputs
    from tvsl.evaluation.reproduction.written import csv_text, json_content, markdown
    from tvsl.localization import write_json
    from tvsl.render.reproduction_page import reproduction_page
    from tvsl.staging import staged, write_text

    texts = {MARKDOWN: markdown(found), CSV: csv_text(found), PAGE: reproduction_page(found)}
    with staged(folder, RESULTS, True, earlier_outputs) as work:
        for name, text in texts.items():
            write_text(work / name, text)
        write_json(json_content(found), work / RESULTS)


def _summary(found: Reproduction, folder: Path) -> list[str]:
    from tvsl.evaluation.reproduction.record import PAGE
    from tvsl.evaluation.reproduction.written import claim_text

    lines = [f"Warning: {text}" for text in found.conditions.warnings]
    lines += [claim_text(claim) for claim in found.claims]
    return [*lines, f"Open {folder / PAGE} in a browser."]
