"""``tvsl evaluate``: methods on the items of a data set, by named protocols."""

from __future__ import annotations

from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvsl.cli.failure import first_process
from tvsl.cli.name_values import data_options
from tvsl.cli.options import (
    MOST_WORKERS,
    AsJson,
    Data,
    DataOption,
    Device,
    FlipAverageOption,
    Force,
    Lists,
    Precision,
    PrecisionOption,
    Root,
    Vocabulary,
)
from tvsl.cli.output import print_json, print_lines
from tvsl.cli.progress import progress
from tvsl.errors import UsageError

if TYPE_CHECKING:
    from tvsl.evaluation.entries import Entries
    from tvsl.evaluation.results import Evaluation
    from tvsl.evaluation.run import Run
    from tvsl.evaluation.tables import Table

SOME_LEFT_OUT = 1
_SHOWN_SKIPPED = 10
_EVERY = "all"


class Labels(str, Enum):
    """Where class names come from."""

    given = "given"
    detected = "detected"
    both = "both"


class Counting(str, Enum):
    """How many classes are detected."""

    true = "true"
    threshold = "threshold"


class OnError(str, Enum):
    """What becomes of items that cannot be read."""

    stop = "stop"
    skip = "skip"


_LABELS = {
    Labels.given: ("given",),
    Labels.detected: ("detected",),
    Labels.both: ("given", "detected"),
}


def command(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for results; evaluation goes on there.",
        ),
    ],
    data: Data = "synthetic",
    root: Root = None,
    lists: Lists = None,
    option: DataOption = None,
    model: Annotated[
        str, typer.Option(help="mini, audioclip, or a checkpoint's file or folder: the encoder.")
    ] = "mini",
    head: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a trained head [the model's own]. May be repeated."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method that needs no training, beside the heads: tvsl, text-only, audioclip, "
            "…. May be repeated."
        ),
    ] = None,
    label_source: Annotated[
        Labels | None, typer.Option(help="Where class names come from [both, as far as can be].")
    ] = None,
    labels: Annotated[
        Labels | None, typer.Option(hidden=True, help="What --label-source was called before.")
    ] = None,
    count: Annotated[
        Counting,
        typer.Option(help="Classes to detect: as many as an item has, or by the head's threshold."),
    ] = Counting.true,
    vocabulary: Vocabulary = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="paper, median, adaptive, fixed, negatives, or all [paper]. May be repeated."
        ),
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="A missing or broken item ends all, or is left out and listed.")
    ] = OnError.stop,
    batch: Annotated[int, typer.Option(min=1, help="Items encoded together.")] = 32,
    workers: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="Threads that read media.")
    ] = 4,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the arithmetic on CPUs [all].")
    ] = None,
    flip_average: FlipAverageOption = None,
    device: Device = "auto",
    precision: PrecisionOption = Precision.float32,
    cases: Annotated[
        int, typer.Option(min=1, max=50, help="Best, median and worst items on the page, of each.")
    ] = 4,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate methods on a data set; the trivial baselines come with every table.

    Writes results.json, samples.csv and page.html. Run again, it goes on where it was interrupted.
    Several processes share the work: torchrun --nproc-per-node 2 -m tvsl evaluate ...
    """
    if label_source is not None and labels is not None:
        raise UsageError("--labels and --label-source are one thing.", "Give --label-source.")
    label_source = label_source or labels
    from tvsl.data import find_data
    from tvsl.evaluation.listing import require_files, require_items
    from tvsl.evaluation.parts import PartFiles
    from tvsl.vocabularies import read_vocabulary

    # What is wrong is said before anything is loaded, the program's heavy parts among it.
    source = find_data(data, **(data_options(root, lists, option) or {}))
    require_items(source)
    classes = None if vocabulary is None else read_vocabulary(vocabulary)
    files = PartFiles(output)
    if first_process():
        files.check({}, force)
        if on_error is OnError.stop:
            measured = set() if force else files.measured()
            require_files(item for place, item in enumerate(source.items) if place not in measured)

    from tvsl.evaluation.conditions import conditions
    from tvsl.evaluation.entries import chosen_methods
    from tvsl.evaluation.processes import processes
    from tvsl.evaluation.run import Run, check_classes_of, check_methods, known_record
    from tvsl.staging import locked

    chosen = conditions(
        protocols=_protocols(protocol),
        labels=None if label_source is None else _LABELS[label_source],
        counting=count.value,
        vocabulary=classes,
        batch=batch,
    )
    check_classes_of(source, chosen, model)
    with processes() as team, locked(output) if team.leads else nullcontext():
        flip: Any = None if flip_average is None else flip_average.value
        if team.leads:
            files.check(known_record(source, chosen), force)
        check_methods(source, chosen, chosen_methods(model, head or (), method or (), flip))
        entries = _load(model, head, method, device, precision.value, flip, threads)
        run = Run(entries, source, chosen, output, workers, on_error is OnError.skip)
        title = "Evaluating" if team.count == 1 else f"Evaluating (process 1 of {team.count})"
        if team.leads:
            with progress(title, counted="items") as report:
                run.measure(team, force, report)
        else:
            run.measure(team)
        if team.leads:
            _finish(run, cases, output, as_json)


def _protocols(given: list[str] | None) -> list[str]:
    from tvsl.metrics import PAPER, PROTOCOLS

    names = given or [PAPER.name]
    return list(PROTOCOLS) if _EVERY in names else names


def _load(
    model: str,
    heads: list[Path] | None,
    methods: list[str] | None,
    device: str,
    precision: Any,
    flip_average: Any,
    threads: int | None,
) -> Entries:
    from tvsl.evaluation.entries import load_entries
    from tvsl.evaluation.processes import own_device, steady_threads
    from tvsl.memory import keep_freed_memory

    keep_freed_memory()
    with progress("Fetching weights", is_bytes=True) as fetched:
        entries = load_entries(
            model, heads or (), methods or (), own_device(device), precision, flip_average, fetched
        )
    if entries.encoder.device.type == "cpu" or threads is not None:
        steady_threads(threads)
    return entries


def _finish(run: Run, cases: int, output: Path, as_json: bool) -> None:
    """Sum up, write and print; exit code 1 if items were left out."""
    from tvsl.render.evaluation_report import write_report

    evaluation = run.sum_up()
    write_report(run, evaluation, cases, output)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        _print(evaluation, output)
    if evaluation.failures:
        raise typer.Exit(SOME_LEFT_OUT)


def _print(evaluation: Evaluation, folder: Path) -> None:
    from tvsl.errors import first_few
    from tvsl.evaluation.parts import PAGE, RESULTS
    from tvsl.evaluation.tables import detection_table, notes, result_tables

    detection = detection_table(evaluation)
    for table in (*result_tables(evaluation), *([] if detection is None else [detection])):
        _print_table(table)
    for name, text in notes(evaluation):
        print_lines(f"{name}: {text}")
    skipped = [f"Left out: {name}: {reason}" for name, reason in evaluation.skipped]
    print_lines(*first_few(skipped, _SHOWN_SKIPPED, str(folder / RESULTS)))
    print_lines("", f"Open {folder / PAGE} in a browser.")


def _print_table(table: Table) -> None:
    from tvsl.cli.table import print_table

    print_lines(f"{table.title}, percent", "")
    print_table(table.heads, table.rows, table.numbers)
    print_lines("")
