"""``tvsl prepare``: raw videos to a folder of frames and waveforms."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tvsl.cli.options import MOST_WORKERS, AsJson, Force, ProcessCount
from tvsl.cli.output import (
    INTERRUPTED,
    SOME_INPUT_FAILED,
    print_error,
    print_json,
    print_lines,
    progress,
)
from tvsl.cli.starting import start_processes
from tvsl.errors import UsageError, first_few, shown
from tvsl.utils.processes import no_progress

if TYPE_CHECKING:
    from tvsl.preprocess.run import Prepared

_MOST_PRINTED = 20


LayoutName = Literal["vggsound", "acav", "music", "folder"]


def command(
    videos: Annotated[
        Path, typer.Argument(help="Folder of the videos, with folders in it or not.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for frames/ID.jpg and audio/ID.wav.")
    ],
    layout: Annotated[
        LayoutName,
        typer.Option(
            help="How the videos are named: ID_START, ID_STARTMS_ENDMS, MUSIC's ID, or anyhow."
        ),
    ] = "folder",
    at: Annotated[
        str | None, typer.Option(help="Moment of the picture: middle, or seconds [middle].")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(help="Sound around it: seconds, or whole [whole; layout folder: 10]."),
    ] = None,
    rate: Annotated[int, typer.Option(help="Samples per second of the sound.")] = 44_100,
    short_side: Annotated[
        int | None,
        typer.Option(min=1, help="Reduce larger pictures to so many pixels on the shorter side."),
    ] = None,
    list_file: Annotated[
        Path | None,
        typer.Option("--list", help="Only the ids of this CSV, text or JSON file (first column)."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_WORKERS, help="Workers that read videos, on each machine [its cores]."
        ),
    ] = None,
    processes: ProcessCount = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a picture and a sound file of each video of a folder.

    The same command goes on with an interrupted run and tries again what failed. What became of
    each video stands in prepared.jsonl, a summary in report.json.
    """
    from tvsl.preprocess.finding import read_list
    from tvsl.preprocess.options import make_options
    from tvsl.preprocess.run import prepare
    from tvsl.utils.processes import is_first

    options = make_options(
        layout,
        at="middle" if at == "middle" else _seconds("--at", at, "middle"),
        window="whole" if window == "whole" else _seconds("--window", window, "whole"),
        rate=rate,
        short_side=short_side,
    )
    listed = None if list_file is None else read_list(list_file)
    start_processes(processes)
    try:
        with progress("Preparing clips") if is_first() else nullcontext(no_progress) as report:
            made = prepare(
                videos,
                output,
                options,
                listed=listed,
                workers=workers,
                force=force,
                progress=report,
            )
    except KeyboardInterrupt:
        print_error("interrupted; the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    if not is_first():
        return
    _print_failures(made)
    if as_json:
        print_json(made.report(options))
    else:
        print_lines(*_summary(made))
    if made.failures:
        raise typer.Exit(SOME_INPUT_FAILED)


def _seconds(option: str, text: str | None, word: str) -> float | None:
    """The number of an option that may be a word instead."""
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise UsageError(
            f"{option} '{text}' is neither {word} nor a number.", "Give seconds, as in 2.5."
        ) from error


def _print_failures(made: Prepared) -> None:
    lines = [f"{failure.source}: {failure.error}" for failure in made.failures]
    for line in first_few(lines, _MOST_PRINTED, str(made.root / "report.json")):
        print_error(line)


def _summary(made: Prepared) -> list[str]:
    prepared = made.found - made.unchanged - len(made.failures)
    parts = [
        f"{prepared} prepared",
        f"{made.unchanged} there already",
        f"{len(made.failures)} failed",
    ]
    counts = [part for part in parts if not part.startswith("0 ")] or parts[:1]
    videos = "1 video" if made.found == 1 else f"{made.found} videos"
    lines = [f"{videos}: {', '.join(counts)} -> {made.root}"]
    if made.left:
        lines.append(
            f"Clips of an earlier run stay for {len(made.left)} of those that failed, such as "
            f"{shown(made.left[0])}; see prepared.jsonl"
        )
    if made.listed is not None:
        here = made.listed - len(made.missing)
        lines.append(f"{made.listed} ids listed: {here} found, {len(made.missing)} missing")
        if made.missing:
            beside = "" if made.example is None else f"; a video here: {shown(made.example)}"
            lines.append(f"Not here: {shown(made.missing[0])}{beside}")
    return lines
