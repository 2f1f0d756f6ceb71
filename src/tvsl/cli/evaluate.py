"""``tvsl evaluate``: methods on the items of a data set, by named protocols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tvsl.cli.options import (
    AsJson,
    Data,
    DataOption,
    Device,
    FlipAverageOption,
    Force,
    Lists,
    Model,
    PrecisionOption,
    ProcessCount,
    Protocols,
    ReadingThreads,
    Root,
    Vocabulary,
    data_options,
)
from tvsl.cli.output import print_error, print_json, print_lines, print_table, progress
from tvsl.cli.starting import start_processes
from tvsl.errors import UsageError

if TYPE_CHECKING:
    from tvsl.evaluation.predict import LabelChoice
    from tvsl.evaluation.results import Evaluation

SOME_LEFT_OUT = 1
_SHOWN_SKIPPED = 10
EVERY = "all"


Labels = Literal["given", "detected", "both"]


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for results; evaluation goes on there.")
    ],
    data: Data = "synthetic",
    root: Root = None,
    lists: Lists = None,
    option: DataOption = None,
    model: Model = "mini",
    head: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a trained head [the model's own]. May be repeated."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method that needs no training, beside the heads: tvsl, text-only, audioclip, "
            "…, or FILE.py:CLASS. May be repeated."
        ),
    ] = None,
    label_source: Annotated[
        Labels | None, typer.Option(help="Where class names come from [both, as far as can be].")
    ] = None,
    labels: Annotated[
        Labels | None, typer.Option(hidden=True, help="What --label-source was called before.")
    ] = None,
    count: Annotated[
        Literal["oracle", "threshold"],
        typer.Option(help="Classes to detect: as many as an item has, or by the head's threshold."),
    ] = "oracle",
    vocabulary: Vocabulary = None,
    protocol: Protocols = None,
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option(help="A missing or broken item ends all, or is left out and listed."),
    ] = "stop",
    batch: Annotated[int, typer.Option(min=1, help="Items encoded together.")] = 32,
    workers: ReadingThreads = 4,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads of the arithmetic on CPUs [all; several processes share them]."
        ),
    ] = None,
    flip_average: FlipAverageOption = None,
    device: Device = "auto",
    precision: PrecisionOption = "float32",
    cases: Annotated[
        int,
        typer.Option(min=1, max=50, help="How many best, median and worst items the page shows."),
    ] = 4,
    processes: ProcessCount = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate methods on a data set, beside trivial baselines.

    Every figure has its 95 % interval; several heads of one method have their mean beside them.
    Writes results.json, results.csv, samples.csv, scores.npz and page.html. Run again, it goes on
    where it was interrupted.
    Several processes share the work: --processes, torchrun or SLURM.
    """
    if label_source is not None and labels is not None:
        raise UsageError("--labels and --label-source are one thing.", "Give --label-source.")
    label_source = label_source or labels
    sources: Sequence[LabelChoice] | None = (
        ("given", "detected") if label_source == "both" else label_source and (label_source,)
    )
    from tvsl.data import DATA_SETS, make_data
    from tvsl.data.base import MISSING_OR_SKIP, require_files, require_items
    from tvsl.evaluation.result_cache import PAGE, ResultCache
    from tvsl.utils.processes import is_first
    from tvsl.vocabularies import read_vocabulary

    # Wrong usage ends here, before torch is imported.
    source = make_data(DATA_SETS.resolve(data), data_options(root, lists, option) or {})
    require_items(source)
    classes = None if vocabulary is None else read_vocabulary(vocabulary)
    cache = ResultCache(output)
    if is_first():
        cache.check({}, force)
        if on_error == "stop":
            done = set() if force else cache.measured()
            rest = (item for place, item in enumerate(source.items) if place not in done)
            require_files(rest, MISSING_OR_SKIP)

    start_processes(processes)

    from tvsl.api import evaluate
    from tvsl.metrics import PAPER, PROTOCOLS
    from tvsl.utils.devices import choose_device
    from tvsl.utils.processes import own_device, steady_threads
    from tvsl.utils.processes import processes as joined

    names = protocol or [PAPER.name]
    with joined() as team:
        if threads is not None or choose_device(own_device(device)).type == "cpu":
            steady_threads(team, threads)
        found = evaluate(
            model,
            source,
            protocols=list(PROTOCOLS) if EVERY in names else names,
            heads=head or (),
            methods=method or (),
            label_sources=sources,
            counting=count,
            vocabulary=classes,
            output=output,
            force=force,
            cases=cases,
            batch=batch,
            workers=workers,
            skip_broken=on_error == "skip",
            device=device,
            precision=precision,
            flip_average=flip_average,
            stages=progress,
        ).evaluation
    if is_first():
        if as_json:
            print_json(found.to_dict())
        else:
            print_evaluation(found, output)
            print_lines("", f"Open {output / PAGE} in a browser.")
        if found.failures:
            raise typer.Exit(SOME_LEFT_OUT)


def print_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Print tables, notes and what was left out.

    Args:
        evaluation: The evaluation.
        folder: Folder of its results.
    """
    from tvsl.errors import first_few
    from tvsl.evaluation.result_cache import RESULTS
    from tvsl.evaluation.results import detection_table, notes, result_tables

    detection = detection_table(evaluation)
    for table in (*result_tables(evaluation), *([] if detection is None else [detection])):
        print_lines(f"{table.title}, percent", "")
        print_table(table.headers, table.rows, table.numbers)
        print_lines("")
    for name, text in notes(evaluation):
        print_lines(f"{name}: {text}")
    skipped = [f"Left out: {name}: {reason}" for name, reason in evaluation.skipped]
    print_lines(*first_few(skipped, _SHOWN_SKIPPED, str(folder / RESULTS)))
    for warning in evaluation.warnings:
        print_error(f"warning: {warning}")
