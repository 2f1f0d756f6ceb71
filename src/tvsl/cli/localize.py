"""``tvsl localize``: heat-maps for pictures with a sound, and for videos."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from tvsl.cli.inputs import GivenInput, given_inputs
from tvsl.cli.options import (
    STANDARD_STREAM,
    Device,
    FlipAverageOption,
    Force,
    Head,
    Model,
    Open,
    PrecisionOption,
    Preset,
    ProcessCount,
)
from tvsl.cli.output import (
    JSON_NAME,
    OutputKind,
    duration,
    exit_code,
    load_localizer,
    open_page,
    print_error,
    print_json,
    print_lines,
    print_note,
    result_files,
    result_folders,
)
from tvsl.cli.starting import start_processes
from tvsl.cli.text_formats import FORMATS, ResultFormat, as_csv, jsonl_line
from tvsl.errors import MediaLimitError, OutputError, TvslError, UsageError, shown
from tvsl.utils.lazy import importing
from tvsl.utils.processes import ALONE, Processes, is_first, started_count
from tvsl.utils.processes import processes as joined

if TYPE_CHECKING:
    from tvsl.cli.localized_files import CheckedInput, LocalizeOptions
    from tvsl.localizer import Localizer

_KINDS: tuple[str, ...] = get_args(OutputKind)
_ONE_INPUT: tuple[ResultFormat, ...] = ("vtt", "srt")


def command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Videos, folders of videos, or - for the standard input; pictures with --audio."
        ),
    ],
    results: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for the results; - prints them and writes no file."
        ),
    ],
    audio: Annotated[Path | None, typer.Option(help="Sound of the pictures.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="What sounds, separated by commas (by semicolons where names hold commas); "
            "detected when not given. May be repeated."
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="Text file of classes to detect among, one a line [the model's own]."),
    ] = None,
    sources: Annotated[int | None, typer.Option(min=1, help="How many sources to detect.")] = None,
    at: Annotated[
        float | None, typer.Option(min=0, max=1e7, help="One moment of a video, seconds.")
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(min=0.01, max=1e7, help="Seconds between moments of a video [1]."),
    ] = None,
    start: Annotated[
        float | None, typer.Option(min=0, max=1e7, help="First moment of a video, seconds [0].")
    ] = None,
    end: Annotated[
        float | None,
        typer.Option(min=0, max=1e7, help="Where a video's moments end, seconds [its end]."),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(min=0.01, max=1e4, help="Average a video's maps over so many seconds."),
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
    audio_stream: Annotated[
        bool,
        typer.Option(
            "--audio-stream",
            help="Encode the sound of a video once, where windows overlap: less work, other maps; "
            "not every model can.",
        ),
    ] = False,
    model: Model = "everyday",
    head: Head = None,
    preset: Preset = None,
    same_meaning: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Likeness from which on two names are told as one, where classes are detected; 1 "
            "tells all apart [the encoder's own].",
        ),
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
    outputs: Annotated[
        str | None,
        typer.Option(
            help="Files to write, separated by commas: page, video, sheet, moments, json [page, "
            "json; of a video also video]. localization.json is always written."
        ),
    ] = None,
    result_format: Annotated[
        ResultFormat,
        typer.Option(
            "--format",
            help="Form of the results: of a file beside localization.json, and of what is "
            "printed. Lines of jsonl are printed moment by moment; with several processes, at the "
            "end.",
        ),
    ] = "json",
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Draw also labels whose boxes are nearly the same.")
    ] = False,
    font: Annotated[
        Path | None,
        typer.Option(
            help="Font of the names in pictures and videos, a .ttf, .otf or .ttc; what it lacks is "
            "looked for in the fonts of the system [Pillow's own]."
        ),
    ] = None,
    processes: ProcessCount = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted run: leave out inputs whose result is there, made by "
            "the same options.",
        ),
    ] = False,
    force: Force = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results on stdout, in --format.")
    ] = False,
    opens: Open = False,
) -> None:
    """Localize what sounds in videos, or in pictures with a sound.

    Writes a page and localization.json, of a video also overlay.mp4; --outputs chooses others.
    """
    _check_times(at, every, start, end)
    if audio_stream and at is not None:
        raise UsageError("--audio-stream is for a series, --at is one moment.", "Leave one out.")
    kinds = _output_kinds(outputs)
    folder = None if results == STANDARD_STREAM else results
    if folder is None and outputs is not None:
        raise UsageError("With -o - no file is written.", "Leave --outputs out.")
    if opens and (folder is None or (kinds is not None and "page" not in kinds)):
        raise UsageError(
            "--open shows the page, and none would be written.",
            "Add page to --outputs, give -o a folder, or leave --open out.",
        )
    if resume and (force or folder is None):
        raise UsageError(
            "--resume keeps earlier results, --force replaces them and -o - has none.",
            "Leave one of them out.",
        )
    new = result_files(kinds, audio is not None, at is None, result_format)
    printed = result_format if as_json or folder is None else None
    if (processes or 1) * started_count() > 1 and STANDARD_STREAM in inputs:
        raise UsageError("Several processes cannot read one input.", "Name files and folders.")
    with given_inputs(inputs, folder, audio is not None) as found:
        given = found.files
        if printed in _ONE_INPUT and len(given) > 1:
            raise UsageError(
                f"Only one input can be printed as {printed}.",
                "Leave --json or -o - out, or give one input.",
            )
        from tvsl.utils.atomic import locked
        from tvsl.vocabularies import read_vocabulary, split_names

        # Wrong usage ends here, before torch is imported.
        if is_first() and not resume:
            _with_folders(given, folder, force, audio, new)
        classes = None if vocabulary is None else read_vocabulary(vocabulary)

        with importing():
            from tvsl.cli.localized_files import LocalizeOptions
            from tvsl.cli.resuming import EarlierResults
            from tvsl.loading import check_request
            from tvsl.localization import Request
            from tvsl.render.fonts import font_file
            from tvsl.utils.devices import choose_device
            from tvsl.utils.processes import own_device, share_threads

        recorded = {
            "head": None if head is None else str(head),
            "preset": preset,
            "method": method,
            "precision": precision,
            "flip_average": flip_average,
        }
        names = None if labels is None else split_names(labels)
        request = Request(names, classes, sources)
        options = LocalizeOptions(
            request,
            audio,
            at,
            every,
            force,
            recorded,
            panels,
            window,
            start,
            end,
            smooth,
            kinds,
            result_format,
            duplicates,
            shlex.join(["tvsl", *sys.argv[1:]]),
            audio_stream=audio_stream,
        )
        check_request(model, request, head, preset, method)
        choose_device(device)
        start_processes(processes)
        with ExitStack() as stack:
            stack.enter_context(font_file(font))
            team = stack.enter_context(joined())
            share_threads(team)
            run = _Run(printed, team)
            if team.leads and found.left_out:
                print_note(_left_out_line(found.left_out))
            if folder is not None and team.leads:
                stack.enter_context(locked(folder))
            load = cache(
                partial(
                    load_localizer,
                    model,
                    device=own_device(device),
                    window=window,
                    same_meaning=same_meaning,
                    audio_stream=audio_stream,
                    **recorded,
                )
            )
            targets = _NO_TARGETS
            if team.leads:
                have = EarlierResults(load(), options).have if resume else None
                targets = _with_folders(given, folder, force, audio, new, have)
                if len(targets) < len(given):
                    done = f"{len(given) - len(targets)} of {len(given)}"
                    print_note(f"tvsl: {done} inputs have their results already.")
            targets = team.broadcast(targets)
            checked = run.check(targets, options)
            run.localize(checked, options, load)
            run.gather()
        if opens and run.pages and is_first():
            open_page(run.pages[0][1], len(run.pages) - 1)
        run.finish()


def _check_times(
    at: float | None, every: float | None, start: float | None, end: float | None
) -> None:
    if at is not None and every is not None:
        raise UsageError("--at and --every exclude each other.", "Give one of them.")
    if at is not None and (start is not None or end is not None):
        raise UsageError("--at is one moment, without --start and --end.", "Leave it out, or them.")
    if end is not None and end <= (start or 0.0):
        raise UsageError(f"--end {end:g} is not behind --start {start or 0.0:g}.", "Swap them.")


def _output_kinds(text: str | None) -> frozenset[OutputKind] | None:
    """Outputs that ``--outputs`` names; None where it is not given."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in _KINDS]
    if unknown or not names:
        problem = f"--outputs {shown(unknown[0])} is unknown." if unknown else "--outputs is empty."
        raise UsageError(problem, f"Give some of {', '.join(_KINDS)}.")
    return frozenset(kind for kind in get_args(OutputKind) if kind in names)


def _with_folders(
    given: Sequence[GivenInput],
    output: Path | None,
    force: bool,
    audio: Path | None,
    new: Sequence[str],
    have: Callable[[GivenInput, Path], bool] | None = None,
) -> list[tuple[GivenInput, Path | None]]:
    """Each input with the folder of its results; those that are in the way are an error.

    Inputs whose results ``have`` finds are left out.
    """
    if output is None:
        return [(one, None) for one in given]
    paths, parents = [one.path for one in given], [one.parent for one in given]

    def is_done(place: int, folder: Path) -> bool:
        return have is not None and have(given[place], folder)

    folders = result_folders(paths, output, force, audio, parents, new, is_done)
    return [(given[place], folder) for place, folder in folders]


_NO_TARGETS: list[tuple[GivenInput, Path | None]] = []


class _Run:
    """Inputs one after the other; a broken one is reported and does not stop the others.

    Several processes share the inputs. What is printed of them is then printed at the end, by the
    first process, in the order of the inputs.

    Args:
        printed: Form in which the results are printed; a line for each input when None.
        team: The processes.
    """

    def __init__(self, printed: ResultFormat | None, team: Processes = ALONE) -> None:
        self.printed = printed
        self.team = team
        self.place = 0
        self.kept: list[tuple[int, str]] = []
        self.code = 0
        self.fatal: TvslError | None = None
        self.is_stdout_broken = False
        self.results: list[tuple[int, dict[str, Any]]] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.count = 0
        self.pages: list[tuple[int, Path]] = []

    def check(
        self, targets: Sequence[tuple[GivenInput, Path | None]], options: LocalizeOptions
    ) -> list[tuple[int, CheckedInput]]:
        """Look at every input before the expensive work begins."""
        from tvsl.cli.localized_files import CheckedInput, check_input

        checked: list[tuple[int, CheckedInput]] = []
        for place, (source, folder) in self.team.share(list(enumerate(targets))):
            self.place = place
            with self._reporting(source):
                media_type = check_input(source.path, options, folder is not None)
                checked.append((place, CheckedInput(source, media_type, folder)))
        every = [one for some in self.team.gather(checked) for one in some]
        return sorted(every, key=itemgetter(0))

    def localize(
        self,
        targets: Sequence[tuple[int, CheckedInput]],
        options: LocalizeOptions,
        load: Callable[[], Localizer],
    ) -> None:
        """Localize what can be localized; without a localizer, nothing."""
        from tvsl.cli.localized_files import localize_input
        from tvsl.utils.devices import return_freed_memory

        @cache
        def loaded() -> Localizer:
            try:
                return load()
            except TvslError as error:
                self.fatal = error
                raise

        began = time.monotonic()
        for done, (place, target) in self._taken(targets):
            self.place = place
            if len(targets) > 1:
                print_note(_file_line(target.source.name, done, len(targets), began))
            with self._reporting(target.source):
                emit = None
                if self.printed == "jsonl":

                    def emit(moment: dict[str, Any], name: str = target.source.name) -> None:
                        self._print(jsonl_line(name, moment))

                self._show(localize_input(loaded, target, options, emit), target.folder)
            return_freed_memory()

    def _taken(
        self, targets: Sequence[tuple[int, CheckedInput]]
    ) -> Iterator[tuple[int, tuple[int, CheckedInput]]]:
        """The inputs of this process, each with its number.

        One alone is the first process's: its folder may be the one that this process has locked.
        """
        numbered = list(enumerate(targets))
        if len(numbered) > 1:
            return self.team.taken(numbered)
        return iter(numbered if self.team.leads else ())

    def _show(self, content: dict[str, Any], folder: Path | None) -> None:
        """Print a result, or keep it where all are printed at the end."""
        from tvsl.cli.localized_files import summary
        from tvsl.cli.page_writer import PAGE_NAME
        from tvsl.localization_format import LARGE_REMEDY, LARGEST_FILE

        if folder is not None:
            self.pages.append((self.place, folder / PAGE_NAME))
            if (folder / JSON_NAME).stat().st_size > LARGEST_FILE:
                size = f"more than {LARGEST_FILE / 1e9:.1f} GB, which Localization.load refuses"
                print_note(f"tvsl: {folder / JSON_NAME} has {size}. {LARGE_REMEDY}")
        line = None
        if self.printed is None and folder is not None:
            line = summary(content, folder)
        for notice in content["notices"]:
            if line is None or notice not in line:
                print_note(f"tvsl: {content['input']}: {notice}")
        if line is not None:
            self._print(line)
        elif self.printed == "json":
            place = {} if folder is None else {"folder": str(folder)}
            self.results.append((self.place, {**content, **place}))
        elif self.printed == "csv":
            self._print(as_csv(content, with_head=self.count == 0 or self.team.count > 1))
        elif self.printed in _ONE_INPUT:
            self._print(FORMATS[self.printed](content))
        self.count += 1

    def gather(self) -> None:
        """Bring the results of several processes together in the first one, and print them."""
        if self.team.count == 1:
            return
        every = self.team.gather((self.kept, self.results, self.failures, self.pages, self.code))
        if not self.team.leads:
            self.printed = None
            return
        kept, results, failures, pages, codes = zip(*every, strict=True)
        self.results, self.failures, self.pages = (
            sorted((one for some in each for one in some), key=itemgetter(0))
            for each in (results, failures, pages)
        )
        self.team, self.code = ALONE, max(codes)
        ordered = sorted((one for some in kept for one in some), key=itemgetter(0))
        for number, (_, text) in enumerate(ordered):
            has_head = self.printed == "csv" and number > 0
            if rest := text.partition("\n")[2] if has_head else text:
                self._print(rest)

    def finish(self) -> None:
        """Print the JSON and set the exit code."""
        if self.printed == "json":
            results, failures = ([one for _, one in each] for each in (self.results, self.failures))
            print_json({"results": results, "failures": failures})
        if self.code:
            raise typer.Exit(self.code)

    def _print(self, text: str) -> None:
        """Print lines as long as it can be: the inputs are localized whether or not it is read."""
        if self.team.count > 1:
            self.kept.append((self.place, text))
            return
        if self.is_stdout_broken:
            return
        try:
            print_lines(*text.removesuffix("\n").split("\n"))
        except OutputError as error:
            print_error(error)
            self.is_stdout_broken = True
            self.code = max(self.code, exit_code(error))

    @contextmanager
    def _reporting(self, source: GivenInput) -> Iterator[None]:
        try:
            with _enough_memory(source.path):
                yield
        except TvslError as error:
            if error is self.fatal:
                raise
            print_error(error)
            self.failures.append((self.place, {"input": source.name, "error": str(error)}))
            self.code = max(self.code, exit_code(error))


def _left_out_line(folders: Sequence[Path]) -> str:
    """Number of the folders with earlier results, which are no inputs."""
    many = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
    return f"tvsl: {many} with earlier results left out, such as {shown(str(folders[0]))}."


def _file_line(name: str, done: int, total: int, began: float) -> str:
    """The number of a file among all, and the time that is left."""
    line = f"File {done + 1} of {total}: {name}"
    if done == 0:
        return line
    left = (time.monotonic() - began) / done * (total - done)
    return f"{line}, about {duration(left)} left for all"


@contextmanager
def _enough_memory(source: Path) -> Iterator[None]:
    """An input that is too large for the memory does not stop the others either."""
    try:
        yield
    except MemoryError as error:
        raise MediaLimitError(
            "There is not enough memory for it.", "Make it smaller, or end other programs.", source
        ) from error
