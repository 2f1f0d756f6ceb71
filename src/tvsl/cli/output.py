"""Output for the user: errors, warnings, tables, progress, folders of results."""

from __future__ import annotations

import io
import os
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from tvsl.errors import (
    FontWarning,
    MediaWarning,
    OutputError,
    TvslError,
    UsageError,
    VocabularyError,
    printable,
)
from tvsl.utils.atomic import check_free, foreign_record, is_inner_name, staged
from tvsl.utils.files import LARGEST_LIST
from tvsl.utils.processes import Progress
from tvsl.utils.run_folder import read_head, read_record

if TYPE_CHECKING:
    from tvsl.localizer import Localizer

SOME_INPUT_FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended


def exit_code(error: TvslError) -> int:
    """2 for what the user asked wrongly, 1 for what a file could not give."""
    return WRONG_USAGE if isinstance(error, UsageError | VocabularyError) else SOME_INPUT_FAILED


@contextmanager
def media_warnings() -> Iterator[None]:
    """Print each ``MediaWarning`` as one line, the first of each file."""
    files: set[Path] = set()

    def print_first(warning: MediaWarning) -> bool:
        if warning.path not in files:
            print_error(f"warning: {warning}")
        files.add(warning.path)
        return True

    with _shown_by(print_first):
        yield


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Note each ``MediaWarning``; it is shown as without this.

    Yields:
        What was warned of, each text once, in the order of time.
    """
    noted: list[str] = []

    def note(warning: MediaWarning) -> bool:
        if str(warning) not in noted:
            noted.append(str(warning))
        return False

    with _shown_by(note):
        yield noted


@contextmanager
def _shown_by(take: Callable[[MediaWarning], bool]) -> Iterator[None]:
    """Give each ``MediaWarning`` to a function first, which tells whether that was enough."""
    show_other = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if isinstance(message, FontWarning):
            print_error(f"warning: {message}")
        elif not (isinstance(message, MediaWarning) and take(message)):
            show_other(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", MediaWarning)
        warnings.simplefilter("always", FontWarning)
        warnings.showwarning = show
        yield


_LONGEST_LINE = 6000


def prepare_streams() -> None:
    """Let no character stop a run that the terminal's encoding lacks, nor a stream that is closed.

    A closed stream's number would go to the next file that is opened, and what libraries print
    would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_lines(*lines: object) -> None:
    """Print lines on stdout, control characters in them escaped.

    Raises:
        OutputError: They cannot be written.
    """
    _write("".join(f"{printable(str(line))}\n" for line in lines))


def print_json(content: Any) -> None:
    """Print JSON on stdout, in ASCII.

    Args:
        content: Plain JSON types.

    Raises:
        OutputError: It cannot be written.
    """
    from tvsl.utils.files import to_json

    _write(to_json(content) + "\n")


def print_error(text: object) -> None:
    """Print on stderr what is wrong, in one line."""
    print_note(f"tvsl: {text}")


def print_note(line: object) -> None:
    """Print a line on stderr, control characters escaped."""
    text = printable(str(line))
    if len(text) > _LONGEST_LINE:  # a name of a hundred thousand characters helps nobody
        text = f"{text[:_LONGEST_LINE]}…"
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:  # there is no other place to say it; the exit code tells
        forget(sys.stderr)


@contextmanager
def printing() -> Iterator[None]:
    """Turn what the system says while stdout is written into an error of ours.

    Raises:
        OutputError: It cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("The standard output is closed.", "Open it, or send it to a file.")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        forget(sys.stdout)
        raise OutputError(
            f"The standard output cannot be written ({error.strerror}).",
            "Send it to another place; the files that were written are whole.",
        ) from error


def forget(stream: TextIO) -> None:
    """Send what a broken stream still holds to nowhere, or Python fails once more at its end."""
    with suppress(OSError, ValueError):  # no file behind it
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _write(text: str) -> None:
    with printing():
        sys.stdout.write(text)


_GAP = "  "


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """Print a table.

    Args:
        headers: Names of the columns.
        rows: Texts of the cells; control characters are escaped.
        right: The columns whose cells are set to the right: numbers.
    """
    rows = [[printable(text) for text in row] for row in rows]
    if sys.stdout is not None and sys.stdout.isatty():
        with printing():
            _print_rich(headers, rows, right)
    else:
        print_lines(*plain_table(headers, rows, right))


def plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
) -> list[str]:
    """The lines of a table in plain text.

    Args:
        headers: Names of the columns.
        rows: Texts of the cells.
        right: The columns whose cells are set to the right.

    Returns:
        A line for the headers and one for each row, without spaces at their ends.
    """
    columns = list(zip(headers, *rows, strict=True))
    widths = [max(len(text) for text in column) for column in columns]
    return [
        _GAP.join(
            text.rjust(width) if header in right else text.ljust(width)
            for header, text, width in zip(headers, line, widths, strict=True)
        ).rstrip()
        for line in (headers, *rows)
    ]


def _print_rich(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(Text(header), justify="right" if header in right else "left")
    for row in rows:
        table.add_row(*(Text(text) for text in row))  # not as markup: a name may hold brackets
    Console().print(table)


_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(title: str, *, is_bytes: bool = False, counted: str = "") -> Iterator[Progress]:
    """Show how far a piece of work is, how fast it goes, and how long it will take.

    Args:
        title: What is being done.
        is_bytes: Whether the numbers are bytes.
        counted: What is counted, to be named with the rate.

    Yields:
        A function that takes what is done and what there is in all (None: unknown). What was done
        before its first call, by a run that goes on, does not count for the rate.
    """
    pace = _Pace(is_bytes, counted)
    title = printable(title)
    if sys.stderr.isatty():
        with _bar(title, is_bytes, pace) as bar:
            yield bar
    else:
        yield _lines(title, pace)


class _Pace:
    """Amounts, rates and lengths of time in words.

    Args:
        is_bytes: Whether bytes are counted.
        counted: What is counted otherwise.
    """

    def __init__(self, is_bytes: bool, counted: str) -> None:
        self.is_bytes = is_bytes
        self.counted = counted
        self.began: tuple[float, int] | None = None

    def amount(self, value: float) -> str:
        """A number of pieces, or of bytes."""
        return f"{value / 1e6:.1f} MB" if self.is_bytes else f"{value:.10g}"

    def rate(self, done: int, total: int | None) -> str:
        """Rate and time left; empty until something is done, and at the end of the nameless."""
        now = time.monotonic()
        if self.began is None:
            self.began = now, done
        start, before = self.began
        if done <= before or now <= start:
            return ""
        speed = (done - before) / (now - start)
        name = f" {self.counted}" if self.counted else ""
        rate = f"{self.amount(round(speed, 1 if speed >= 1 else 3))}{name}/s"
        if total is None:
            return rate
        if done >= total:
            return rate if self.counted else ""
        return f"{rate}, {duration((total - done) / speed)} left"


def duration(seconds: float) -> str:
    """A length of time in its two largest units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min" if hours == 0 else f"{hours} h {minutes % 60} min"


@contextmanager
def _bar(title: str, is_bytes: bool, pace: _Pace) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

    amount = DownloadColumn() if is_bytes else MofNCompleteColumn()
    rate = TextColumn("{task.fields[pace]}", markup=False)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), amount, rate]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, pace="")

        def report(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, pace=pace.rate(done, total))

        yield report


def _lines(title: str, pace: _Pace) -> Progress:
    last, ended = time.monotonic(), False

    def report(done: int, total: int | None) -> None:
        nonlocal last, ended
        now, rate = time.monotonic(), pace.rate(done, total)
        finished = total is not None and done >= total
        if ended or (not finished and now - last < _SECONDS_BETWEEN_LINES):
            return
        ended, last = finished, now
        amounts = " of ".join(pace.amount(value) for value in (done, total) if value is not None)
        line = ", ".join(part for part in (f"{title}: {amounts}", rate) if part)
        print_note(line)

    return report


def load_localizer(model: str, **options: Any) -> Localizer:
    """Load a localizer, with a progress bar while weights are fetched.

    Args:
        model: As for ``Localizer.from_pretrained``.
        options: Its other arguments.
    """
    from tvsl.localizer import Localizer

    with progress("Fetching weights", is_bytes=True) as fetched:
        return Localizer.from_pretrained(model, progress=fetched, **options)


def open_page(page: Path | str, others: int = 0) -> None:
    """Show a page in the user's browser, and say so where there is none.

    Args:
        page: Its file or address.
        others: Number of further pages, which are not opened.
    """
    address = page if isinstance(page, str) else page.resolve().as_uri()
    if not _open(address):
        print_note(f"tvsl: no browser was found here; open {page} in one.")
    elif others:
        print_note(f"tvsl: this is one page of {others + 1}; the others are opened by hand.")


def _open(address: str) -> bool:
    import webbrowser

    has_screen = os.name != "posix" or sys.platform == "darwin"
    if not (has_screen or {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()):
        return False  # what would be found is a browser for terminals, which draws no pictures
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


JSON_NAME = "localization.json"
OutputKind = Literal["page", "video", "sheet", "moments", "json"]
"""Files that ``tvsl localize`` may write for an input."""
_UNNAMED = "input"
# A page's video stays beside it where it is large.
_NAMES: dict[OutputKind, tuple[str, ...]] = {
    "page": ("index.html", "clip.mp4"),
    "video": ("overlay.mp4",),
    "sheet": ("contact_sheet.jpg",),
    "moments": ("[0-9][0-9]*_*.png", "moments/*.png"),
    "json": (),
}


def result_files(
    kinds: Set[OutputKind] | None, pictures: bool, series: bool, result_format: str
) -> tuple[str, ...]:
    """Names of the files that may be written for an input, before it was looked at.

    Args:
        kinds: The chosen files; None for the usual ones.
        pictures: Whether the inputs are pictures.
        series: Whether several moments of a video are localized.
        result_format: Form of the results.

    Returns:
        Names, and patterns of those that depend on what is found, relative to the folder.
    """
    if kinds is None:
        kinds = {"page", "video"} if series and not pictures else {"page"}
    names = [name for kind in sorted(kinds) for name in _NAMES[kind]]
    if result_format != "json":
        names.append(f"{Path(JSON_NAME).stem}.{result_format}")
    return (*names, JSON_NAME)


PICTURES = "*.png"


def needed_files(kinds: Set[OutputKind], result_format: str) -> tuple[str, ...]:
    """Names or patterns of the files without which a result is not whole, but for its JSON.

    Args:
        kinds: The files that are written.
        result_format: Form of the results.
    """
    names = [PICTURES if kind == "moments" else _NAMES[kind][0] for kind in kinds - {"json"}]
    if result_format != "json":
        names.append(f"{Path(JSON_NAME).stem}.{result_format}")
    return tuple(names)


def result_folders(
    inputs: Sequence[Path],
    output: Path,
    force: bool,
    audio: Path | None = None,
    parents: Sequence[Path | None] | None = None,
    new: Sequence[str] = (),
    is_done: Callable[[int, Path], bool] | None = None,
) -> list[tuple[int, Path]]:
    """Decide where each input's results go, and refuse before any work is done.

    Args:
        inputs: The inputs.
        output: The folder that was named: the results' own for one input, else their parent.
        force: Whether earlier results may be replaced.
        audio: The sound of the inputs, if it is a file of its own.
        parents: For each input, the folder of its results inside ``output``, if it comes from a
            folder; such an input has a folder of its own also where it is the only one.
        new: Names of the files that may be written for an input, from ``result_files``.
        is_done: Tells by its place and its folder whether the result of an input is there, which
            is then left out.

    Returns:
        Place among the inputs and folder, of each input that is to be localized.

    Raises:
        OutputError: A folder is not empty and ``force`` is not set, it is a file, what is there
            is no earlier result or has the name of a new file, or an input is a file of the result
            that would be replaced.
    """
    chosen: list[tuple[int, Path]] = []
    parents = parents or [None] * len(inputs)
    # Folders that hold those of results are none themselves: no result is inside another.
    taken = {_key(str(one)) for parent in parents if parent for one in (parent, *parent.parents)}
    for place, (source, parent) in enumerate(zip(inputs, parents, strict=True)):
        name = source.stem if source.stem.strip(".") else _UNNAMED
        within = parent or Path()
        while _key(str(within / name)) in taken:
            name += "_"
        taken.add(_key(str(within / name)))
        is_only = len(inputs) == 1 and parent is None
        folder = output if is_only else output / within / name
        if is_done is None or not is_done(place, folder):
            chosen.append((place, folder))
    for _, folder in chosen:
        check_free(folder, force, earlier_files, new, _REMEDY)
    if force:
        read = {path.resolve() for path in (*inputs, audio) if path is not None}
        for path in (folder / name for _, folder in chosen for name in earlier_files(folder)):
            if os.path.lexists(path) and path.resolve() in read:
                raise OutputError(
                    "This input is part of the earlier result, which would be replaced.",
                    "Copy it elsewhere first, or choose another folder for the results.",
                    path,
                )
    return chosen


_REMEDY = "Choose another, add --resume to keep what is there and go on, or --force to replace it."
_LARGEST_BEGINNING = 1 << 16  # holds two of the longest paths, every character escaped


def is_result(folder: Path) -> bool:
    """Tell by its record whether a folder holds a result of ``tvsl localize``."""
    return read_head(folder / JSON_NAME, {"tvsl"}, _LARGEST_BEGINNING) is not None


def staging(folder: Path, force: bool) -> AbstractContextManager[Path]:
    """A folder to write into, whose files are moved to ``folder`` if the block ends well.

    With ``force`` the files of an earlier result there go; what the user put beside them stays.

    Args:
        folder: Where the results belong.
        force: Whether earlier results may be replaced.

    Returns:
        A context with the folder to write into; gone afterwards, whatever happened. It raises
        ``OutputError`` where a place cannot be written.
    """
    return staged(folder, JSON_NAME, force, earlier_files)


def _key(name: str) -> str:
    """Common form of two names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def earlier_record(folder: Path) -> dict[str, Any] | None:
    """Record of an earlier run in a folder; of one that is very large without its moments.

    Returns:
        The record, whose ``files`` are names inside the folder; None where there is none.

    Raises:
        OutputError: It is damaged or none of ours.
    """
    record = folder / JSON_NAME
    is_large = record.is_file() and record.stat().st_size > LARGEST_LIST
    head = (read_head(record, {"tvsl", "files"}) or {}) if is_large else None
    content = read_record(record, {"tvsl", "moments"}) if head is None else head
    if content is None:
        return None
    names = content.get("files")
    if not isinstance(names, list) or not all(is_inner_name(name) for name in names):
        raise foreign_record(record)
    return content


def earlier_files(folder: Path) -> list[str]:
    """Files that an earlier run wrote here, by its own list."""
    record = earlier_record(folder)
    return [] if record is None else [*record["files"], JSON_NAME]
