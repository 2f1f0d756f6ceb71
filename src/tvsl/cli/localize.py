"""``tvsl localize``: heat-maps for pictures with a sound, and for videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvsl.cli.options import (
    AsJson,
    Device,
    FlipAverageOption,
    Force,
    Model,
    PrecisionOption,
    Vocabulary,
)
from tvsl.cli.output import (
    exit_code,
    load_localizer,
    print_error,
    print_json,
    print_lines,
    result_folders,
)
from tvsl.errors import MediaLimitError, OutputError, TvslError, UsageError

if TYPE_CHECKING:
    from tvsl.cli.localized_files import LocalizeOptions
    from tvsl.localizer import Localizer
    from tvsl.media import MediaType


def command(
    inputs: Annotated[list[Path], typer.Argument(help="Videos, or pictures with --audio.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    audio: Annotated[Path | None, typer.Option(help="Sound of the pictures.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="What sounds, separated by commas (by semicolons where names hold commas); "
            "detected when not given. May be repeated."
        ),
    ] = None,
    vocabulary: Vocabulary = None,
    sources: Annotated[int | None, typer.Option(min=1, help="How many sources to detect.")] = None,
    at: Annotated[
        float | None, typer.Option(min=0, max=1e7, help="One moment of a video, seconds.")
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(min=0.01, max=1e7, help="Seconds between moments of a video [1]."),
    ] = None,
    panels: Annotated[
        int,
        typer.Option(min=1, help="Pictures that stand side by side in each; encoded one by one."),
    ] = 1,
    window: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=60,
            help="Seconds of sound heard at once [5; of a video twice --every, from 1 to 5].",
        ),
    ] = None,
    model: Model = "everyday",
    head: Annotated[
        Path | None, typer.Option(help="Folder of a trained head [the model's own].")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="An untrained head instead: tvsl, paper or released.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Method of the head, a name or FILE.py:CLASS; untrained without a head: tvsl, "
            "text-only, audioclip, centre, … [the head's]."
        ),
    ] = None,
    flip_average: FlipAverageOption = None,
    device: Device = "auto",
    precision: PrecisionOption = "float32",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Localize what sounds in videos, or in pictures with a sound.

    Writes a heat-map per source, a contact sheet, localization.json and, for a video, overlay.mp4.
    """
    if at is not None and every is not None:
        raise UsageError("--at and --every exclude each other.", "Give one of them.")
    from tvsl.utils.atomic import locked
    from tvsl.vocabularies import read_vocabulary

    # Wrong usage ends here, before torch is imported.
    result_folders(inputs, output, force, audio)
    classes = None if vocabulary is None else read_vocabulary(vocabulary)

    from tvsl.cli.localized_files import LocalizeOptions
    from tvsl.loading import check_request
    from tvsl.localization import Request
    from tvsl.utils.devices import choose_device

    recorded = {
        "head": None if head is None else str(head),
        "preset": preset,
        "method": method,
        "precision": precision,
        "flip_average": flip_average,
    }
    request = Request(_split(labels), classes, sources)
    options = LocalizeOptions(request, audio, at, every, force, recorded, panels, window)
    check_request(model, request, head, preset, method)
    choose_device(device)
    run = _Run(as_json)
    with locked(output):
        checked = run.check(result_folders(inputs, output, force, audio), options)
        if checked:
            localizer = load_localizer(model, device=device, window=window, **recorded)
            run.localize(checked, options, localizer)
    run.finish()


class _Run:
    """Inputs one after the other; a broken one is reported and does not stop the others.

    Args:
        as_json: Whether the results are printed as JSON, in place of a line each.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.code = 0
        self.is_stdout_broken = False
        self.results: list[dict[str, Any]] = []
        self.failures: list[dict[str, str]] = []

    def check(
        self, targets: list[tuple[Path, Path]], options: LocalizeOptions
    ) -> list[tuple[Path, MediaType, Path]]:
        """Look at every input before the expensive work begins."""
        from tvsl.cli.localized_files import check_input

        checked = []
        for source, folder in targets:
            with self._reporting(source):
                checked.append((source, check_input(source, options), folder))
        return checked

    def localize(
        self,
        checked: list[tuple[Path, MediaType, Path]],
        options: LocalizeOptions,
        localizer: Localizer,
    ) -> None:
        """Localize what can be localized."""
        from tvsl.cli.localized_files import localize_input, summary
        from tvsl.utils.devices import return_freed_memory

        for source, media_type, folder in checked:
            with self._reporting(source):
                content = localize_input(localizer, source, media_type, folder, options)
                if self.as_json:  # else nobody asks for them again, and many would fill the memory
                    self.results.append({**content, "folder": str(folder)})
                else:
                    self._print(summary(content, folder))
            return_freed_memory()

    def finish(self) -> None:
        """Print the JSON and set the exit code."""
        if self.as_json:
            print_json({"results": self.results, "failures": self.failures})
        if self.code:
            raise typer.Exit(self.code)

    def _print(self, line: str) -> None:
        """Print a line as long as it can be: the inputs are localized whether or not it is read."""
        if self.is_stdout_broken:
            return
        try:
            print_lines(line)
        except OutputError as error:
            print_error(error)
            self.is_stdout_broken = True
            self.code = max(self.code, exit_code(error))

    @contextmanager
    def _reporting(self, source: Path) -> Iterator[None]:
        try:
            with _enough_memory(source):
                yield
        except TvslError as error:
            print_error(error)
            self.failures.append({"input": str(source), "error": str(error)})
            self.code = max(self.code, exit_code(error))


@contextmanager
def _enough_memory(source: Path) -> Iterator[None]:
    """An input that is too large for the memory does not stop the others either."""
    try:
        yield
    except MemoryError as error:
        raise MediaLimitError(
            "The memory does not suffice for it.", "Make it smaller, or end other programs.", source
        ) from error


def _split(labels: list[str] | None) -> list[str] | None:
    if labels is None:
        return None
    names = [name.strip() for text in labels for name in text.split(";" if ";" in text else ",")]
    return [name for name in names if name]
