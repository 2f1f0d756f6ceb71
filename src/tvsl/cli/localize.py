"""``tvsl localize``: heat-maps for pictures with a sound, and for videos."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvsl.cli.failure import SOME_INPUT_FAILED, report
from tvsl.cli.progress import progress
from tvsl.errors import OutputError, TvslError, UsageError

if TYPE_CHECKING:
    from tvsl.cli.results import Request
    from tvsl.localizer import Localizer


class Precision(str, Enum):
    """Arithmetic of the convolutions."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class FlipAverage(str, Enum):
    """Averaging with the flipped picture."""

    none = "none"
    mirror = "mirror"
    turn = "turn"


def command(
    inputs: Annotated[list[Path], typer.Argument(help="Videos, or pictures with --audio.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    audio: Annotated[
        Path | None, typer.Option(help="Sound of the pictures, or in place of a video's own.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="What sounds, separated by commas (by semicolons where names hold commas); "
            "detected when not given. May be repeated."
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="Text file of classes to detect among, one a line.")
    ] = None,
    sources: Annotated[int | None, typer.Option(min=1, help="How many sources to detect.")] = None,
    at: Annotated[float | None, typer.Option(min=0, help="One moment of a video, seconds.")] = None,
    every: Annotated[
        float | None, typer.Option(min=0.01, help="Seconds between moments of a video [1].")
    ] = None,
    window: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds of sound heard at once.")
    ] = 5.0,
    model: Annotated[
        str, typer.Option(help="audioclip, audioclip-partial, or a checkpoint file.")
    ] = "audioclip",
    preset: Annotated[str, typer.Option(help="tvsl, paper or released.")] = "tvsl",
    flip_average: Annotated[
        FlipAverage, typer.Option(help="Average with the flipped picture; twice the time.")
    ] = FlipAverage.none,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …")] = "auto",
    precision: Annotated[Precision, typer.Option()] = Precision.float32,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results on stdout.")] = False,
) -> None:
    """Localize what sounds in videos, or in pictures with a sound.

    Writes a heat-map per source, a contact sheet, localization.json and, for a video, overlay.mp4.
    """
    if at is not None and every is not None:
        raise UsageError("--at and --every exclude each other.", "Give one of them.")
    from tvsl.cli.results import Request, folders
    from tvsl.localizer import Localizer
    from tvsl.vocabularies import read_vocabulary

    request = Request(
        labels=_split(labels),
        vocabulary=None if vocabulary is None else read_vocabulary(vocabulary),
        sources=sources,
        audio=audio,
        at=at,
        every=1.0 if every is None else every,
        force=force,
    )
    Localizer.check_request(request.labels, request.vocabulary, sources)
    targets = folders(inputs, output, force)
    with progress("Fetching weights", is_bytes=True) as fetched:
        localizer = Localizer.from_pretrained(
            model,
            preset_name=preset,
            device=device,
            precision=precision.value,
            flip_average=flip_average.value,
            window=window,
            progress=fetched,
        )
    _run(localizer, targets, request, as_json)


def _run(
    localizer: Localizer, targets: list[tuple[Path, Path]], request: Request, as_json: bool
) -> None:
    """Localize each input; a broken one is reported and does not stop the others."""
    from tvsl.cli.results import localize_input
    from tvsl.localization import to_json

    results: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    for source, folder in targets:
        try:
            results.append(localize_input(localizer, source, folder, request))
        except (UsageError, OutputError):
            raise
        except TvslError as error:
            report(error)
            failures.append({"input": str(source), "error": str(error)})
    if as_json:
        typer.echo(to_json({"results": results, "failures": failures}))
    if failures:
        raise typer.Exit(SOME_INPUT_FAILED)


def _split(labels: list[str] | None) -> list[str] | None:
    if labels is None:
        return None
    names = [name.strip() for text in labels for name in text.split(";" if ";" in text else ",")]
    return [name for name in names if name]
