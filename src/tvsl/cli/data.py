"""``tvsl data``: which data sets there are, their public lists, and what is there of one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvsl.cli.options import (
    MOST_WORKERS,
    AsJson,
    Command,
    DataOption,
    Force,
    Group,
    Lists,
    Root,
    Seed,
    data_options,
)
from tvsl.cli.output import (
    SOME_INPUT_FAILED,
    print_error,
    print_json,
    print_lines,
    print_note,
    print_table,
    progress,
)
from tvsl.errors import UsageError, first_few
from tvsl.utils.atomic import check_free_file, write_text

if TYPE_CHECKING:
    from tvsl.data.base import Split
    from tvsl.data.checking import Check, Tally
    from tvsl.data.file_index import Kind
    from tvsl.data.files import FileDataSet
    from tvsl.data.indexing import NewIndex

app = typer.Typer(
    cls=Group, help="List data sets, fetch their lists, check what is there.", no_args_is_help=True
)

_HEADERS = ("", "listed", "found", "missing", "unreadable", "without boxes")
_SHOWN_FAULTS = 5
_SHOWN_CLASSES = 20


@app.command("list", cls=Command)
def list_sets() -> None:
    """List the data sets, their files, and the lists they need."""
    from tvsl.data import DATA_SETS
    from tvsl.data.files import ListedData
    from tvsl.utils.files import lists_folder

    known, problems = DATA_SETS.load_all()

    print_lines(f"Fetched lists: {lists_folder()} (set TVSL_HOME to choose another)", "")
    for name, data in known.items():
        print_lines(f"{name:24}{data.title}")
        if issubclass(data, ListedData):
            for layout in data.layouts:
                print_lines(f"{'':24}files  {layout.title}")
            for file in (*data.files, *data.train_files):
                print_lines(f"{'':24}list   {file} ({_state(file)})")
    for problem in problems:
        print_error(problem)


@app.command("fetch-lists", cls=Command)
def fetch(
    name: Annotated[str | None, typer.Argument(help="A data set [all of them].")] = None,
) -> None:
    """Fetch public lists and annotations, of one data set or all."""
    from tvsl.data import DATA_SETS
    from tvsl.data.files import ListedData
    from tvsl.data.lists import PUBLIC_LISTS, fetch_lists

    known = DATA_SETS.load_all()[0].values() if name is None else [DATA_SETS.resolve(name)]
    sets = [data for data in known if issubclass(data, ListedData)]
    if not sets:
        raise UsageError(f"The data set '{name}' needs no lists.", "See `tvsl data list`.")
    files = dict.fromkeys(file for data in sets for file in (*data.files, *data.train_files))
    with progress("Fetching lists") as fetched:
        paths = fetch_lists([file for file in files if file in PUBLIC_LISTS], fetched)
    for path in paths:
        print_lines(path)
    for file in files:
        if file not in PUBLIC_LISTS:
            print_error(f"{file} is in no public repository, see docs/data-sets.md.")


@app.command(cls=Command)
def check(
    name: Annotated[str, typer.Argument(help="A data set in files: a name of `tvsl data list`.")],
    root: Annotated[Path, typer.Argument(help="Its folder.")],
    lists: Lists = None,
    option: DataOption = None,
    read: Annotated[
        bool, typer.Option("--read/--quick", help="Decode every file, or only look for it.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_WORKERS, help="Threads that read media [as many as cores]."),
    ] = None,
    classes: Annotated[
        bool, typer.Option("--all-classes", help="Show all classes, not only those with most gaps.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for what to leave out (option leave_out)."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Count what is found, missing and unreadable, by class.

    Exits with 1 if anything is missing or unreadable.
    """
    from tvsl.data.checking import check_data

    if file is not None:
        check_free_file(file, force)
    data = _in_files(name, data_options(root, lists, option) or {})
    started = time.monotonic()
    with progress("Reading items" if read else "Looking for items") as done:
        found = check_data(data, read, workers, done)
    _print_pace(found, time.monotonic() - started)
    if file is not None:
        write_text(file, found.ids_to_leave_out())
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found, classes)
    if found.faults:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command(cls=Command)
def index(
    folder: Annotated[Path, typer.Argument(help="Folder with photos/CLASS/* and sounds/CLASS/*.")],
    boxes: Annotated[
        Path | None,
        typer.Option(help="Table of boxes: file,x0,y0,x1,y1 [boxes.csv of the folder]."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the files, such as CC-BY-4.0.")] = "",
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The index [index.csv of the folder].")
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out files that cannot be used.")
    ] = False,
    force: Force = False,
) -> None:
    """Index photographs and sounds by class.

    Every file is read; the index says its split, role and box. Train with `tvsl train --data real
    --root FOLDER`.
    """
    from tvsl.data.indexing import default_index, make_index, write_index

    path = output or default_index(folder)
    if folder.is_dir():
        check_free_file(path, force)
    with progress("Reading files") as done:
        made = make_index(folder, seed, licence, boxes, done)
    for line in first_few(list(made.faults.values()), _SHOWN_FAULTS):
        print_error(line)
    if made.faults and not skip:
        raise UsageError(
            f"{len(made.faults)} files cannot be used.",
            "Mend or remove them, or give --skip-broken.",
            folder,
        )
    write_index(made, path, force)
    _print_index(made)
    print_lines(path)
    if made.faults:
        raise typer.Exit(SOME_INPUT_FAILED)


def _print_index(made: NewIndex) -> None:
    from tvsl.data.indexing import SHARES

    def numbers(counts: Mapping[tuple[Kind, Split], int], kind: Kind) -> str:
        return "/".join(str(counts.get((kind, split), 0)) for split in SHARES)

    headers = ("class", "role", "photos", "with box", "sounds")
    rows = [
        (label, role, numbers(counts, "photo"), str(boxed), numbers(counts, "sound"))
        for label, role, counts, boxed in made.counts()
    ]
    print_table(headers, rows, headers[2:])
    print_lines("", "Photos and sounds: train/validation/test.")
    if made.ignored:
        print_note(f"{len(made.ignored)} files of other kinds, such as {made.ignored[0]}")
    if made.empty:
        print_note(f"without a photograph or sound: {', '.join(first_few(made.empty, 5))}")


@app.command(cls=Command)
def preview(
    name: Annotated[str, typer.Argument(help="A data set that makes its scenes: real, synthetic.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of the sheet, a PNG.")],
    root: Root = None,
    option: DataOption = None,
    scenes: Annotated[int, typer.Option(min=1, max=200, help="Number of scenes.")] = 12,
    force: Force = False,
) -> None:
    """Draw a sheet of scenes with boxes and spectrograms."""
    from tvsl.data import DATA_SETS, make_data

    check_free_file(output, force)
    data = make_data(DATA_SETS.resolve(name), data_options(root, None, option) or {})
    maker, sources = getattr(data, "maker", None), getattr(data, "sources", 1)
    if maker is None:
        raise UsageError(
            f"The data set '{name}' makes no scenes.",
            "Preview real or synthetic, or open its files.",
        )

    from tvsl.render import save_png
    from tvsl.render.preview import preview_sheet

    with progress("Making scenes") as done:
        made = []
        for number in range(scenes):
            made.append(maker.scene(number, sources))
            done(number + 1, scenes)
    title = f"{data.title}: split {data.split}, seed {data.seed}, scenes 0 to {scenes - 1}"
    sheet = preview_sheet(made, title)
    print_lines(save_png(sheet, output, force))


def _in_files(name: str, options: dict[str, Any]) -> FileDataSet:
    from tvsl.data import DATA_SETS, make_data
    from tvsl.data.files import FileDataSet

    kind = DATA_SETS.resolve(name)
    if not issubclass(kind, FileDataSet):
        raise UsageError(f"The data set '{name}' has no files.", "There is nothing to check.")
    return make_data(kind, options).for_check()


def _state(file: str) -> str:
    from tvsl.data.lists import PUBLIC_LISTS
    from tvsl.utils.files import lists_folder

    if (lists_folder() / file).is_file():
        return "here"
    return "not here" if file in PUBLIC_LISTS else "not public"


def _print_pace(found: Check, seconds: float) -> None:
    rate = found.total.listed / max(seconds, 1e-9)
    print_note(f"{found.total.listed} items in {seconds:.1f} s, {rate:.0f} items/s")


def _print(found: Check, all_classes: bool) -> None:
    print_lines(f"{found.data}, split {found.split}: {found.layout}", "")
    gaps = {name: tally for name, tally in found.classes.items() if _gaps(tally)}
    if all_classes:
        shown = list(found.classes.items())
    else:
        shown = sorted(gaps.items(), key=lambda one: -_gaps(one[1]))[:_SHOWN_CLASSES]
    rows = [("all", found.total), *shown]
    # Nothing is left out but by a file of the user's: the column is there when one is given.
    headers = _HEADERS if found.left_out is None else (*_HEADERS, "left out")
    print_table(
        headers, [(name, *_numbers(tally))[: len(headers)] for name, tally in rows], headers[1:]
    )
    if found.classes and not all_classes:
        if len(gaps) > len(shown):
            more = len(gaps) - len(shown)
            print_lines("", f"{more} more classes have gaps; see --all-classes or --json.")
        whole = len(found.classes) - len(gaps)
        print_lines("", f"{whole} of {len(found.classes)} classes are whole.")
    print_lines(*(f"{name}: {text}" for name, text in found.notes))
    faults = [f"{fault.path}: {fault.problem}" for fault in found.faults]
    for line in first_few(faults, _SHOWN_FAULTS, "--json or --output"):
        print_error(line)


def _gaps(tally: Tally) -> int:
    """Number of items of a class that are of no use."""
    return tally.missing + tally.unreadable + tally.without_boxes + tally.left_out


def _numbers(tally: Tally) -> tuple[str, ...]:
    counts = (tally.listed, tally.found, tally.missing, tally.unreadable, tally.without_boxes)
    return tuple(str(count) for count in (*counts, tally.left_out))
