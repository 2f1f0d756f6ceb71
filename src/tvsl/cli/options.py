"""Options and arguments that several commands have, and how they are read.

A shell puts the names of files in place of ``*.mp4``, and such a name may begin with a dash: it
must neither be taken for an option nor be lost without a word.
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from tvsl.encoder import FlipAverage
from tvsl.errors import OutputError, UsageError, first_problem, printable, shown
from tvsl.utils.atomic import check_free_file, writable
from tvsl.utils.devices import PrecisionChoice, check_device
from tvsl.utils.files import address

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

F = TypeVar("F", bound=Callable[..., Any])


def name_values(name: str, given: Sequence[str] | None) -> dict[str, Any] | None:
    """Take NAME=VALUE arguments apart.

    Args:
        name: Name of the option, for messages.
        given: The arguments.

    Returns:
        The values by their names, JSON where they can be, else words; None if there is none.

    Raises:
        UsageError: One is of another form, comes twice, or has a number without bounds.
    """
    pairs: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{name} {shown(text)} is no NAME=VALUE.", f"Write {name} name=value.")
        if key in pairs:
            raise UsageError(f"{name} {shown(key)} is given twice.", "Give it once.")
        try:
            pairs[key] = json.loads(value)
        except (ValueError, RecursionError):
            pairs[key] = value
        if not _is_bounded(pairs[key]):
            raise UsageError(
                f"{name} {shown(key)} has a number that is not finite or too large.",
                "Give a number of at most 64 bits.",
            )
    return pairs or None


def data_options(
    root: Path | None, lists: Path | None, option: Sequence[str] | None
) -> dict[str, Any] | None:
    """The options of a data set, from ``--root``, ``--lists`` and ``--option``.

    Args:
        root: Folder of its media.
        lists: Folder of its lists.
        option: NAME=VALUE arguments.

    Returns:
        The options by their names, folders as absolute paths; None if there is none.

    Raises:
        UsageError: As for ``name_values``, or a folder is given in two ways.
    """
    options = name_values("--option", option) or {}
    for name, path in (("root", root), ("lists", lists)):
        if path is not None and name in options:
            raise UsageError(f"--{name} and --option {name} are one thing.", "Give one of them.")
        if path is not None:
            options[name] = str(path.resolve())
    return options or None


def _is_bounded(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_bounded, value.values()))
    if isinstance(value, list):
        return all(map(_is_bounded, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= LARGEST_NUMBER


TRACEBACK = "--traceback"
STANDARD_STREAM = Path("-")
# Parameters that name what is written, one of them a folder or the standard output.
_FOLDERS = ("output", "folder", "tokens")
_OR_STREAM = ("results",)
_FILES = ("file", "target")
LARGEST_NUMBER = 2**63 - 1  # what random generators, files and tensors count with


_RANGE = re.compile(
    r"(?:(?P<low>[^<>=]+)(?P<above><=?))?x(?:(?P<least>>=?)(?P<from>.+)|(?P<below><=?)(?P<high>.+))?"
)
_BOUNDLESS = 1e6
"""Upper bounds from here on only keep out nonsense, and help does not state them."""


def range_in_words(text: str) -> str:
    """A range of numbers as people say it.

    Args:
        text: As Typer writes it, such as ``1<=x<=50`` or ``x>=1``.

    Returns:
        ``1 to 50``, ``1 or more``, ``more than 0`` or ``at most 9``; empty where no bound is worth
        a word. Any other text as it is.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        return text
    low, high = found["low"] or found["from"], found["high"]
    strict = "=" not in (found["above"] or found["least"] or "=")
    high = high if high and float(high) < _BOUNDLESS else None
    if low and high:
        return f"{'more than ' if strict else ''}{low} to {high}"
    if low:
        return f"more than {low}" if strict else f"{low} or more"
    return f"at most {high}" if high else ""


def help_record(name: str, text: str) -> tuple[str, str]:
    """An option's name and help for people: ranges in words, no types of Python.

    Args:
        name: Its name with its type.
        text: Its help, which may end with defaults and a range in brackets.
    """
    name = re.sub(r"<list\[(\w+)\]>", lambda one: f"<{one[1].lower()}>", name).replace(
        " range>", ">"
    )
    told, bracket, rest = text.rpartition("  [")
    if not bracket or not rest.endswith("]"):
        return name, text
    parts = [part for part in map(range_in_words, rest[:-1].split("; ")) if part]
    return name, f"{told}  [{'; '.join(parts)}]" if parts else told


class Command(TyperCommand):
    """A command that refuses words which could mean two things."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, for people; see Typer."""
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for one in self.get_params(ctx):
            record = one.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if one.param_type_name == "argument" else "Options"
                rows[kind].append(help_record(*record))
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def get_params(self, ctx: Any) -> list[Any]:
        """All options and arguments; those of a config are made when they are first wanted."""
        place = vars(self.callback).get(_CONFIG)
        if place is not None:
            whole = _with_config(inspect.unwrap(cast("Any", self.callback)), place)
            self.params, self.callback = whole.params, whole.callback
        return super().get_params(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the words, take them apart, check the values; see Typer."""
        params = self.get_params(ctx)
        words = checked(args, params)
        with _escaped():
            rest = super().parse_args(ctx, words)
        check_values(ctx.params, params)
        return rest


class Group(TyperGroup):
    """Commands under one name; what stands before the command's name is checked likewise."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the words up to the command's name, and take them apart; see Typer."""
        words = checked(args, self.get_params(ctx), has_commands=True)
        with _escaped():
            return super().parse_args(ctx, words)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a name; see Typer."""
        with _escaped():
            return super().resolve_command(ctx, args)


@contextmanager
def _escaped() -> Iterator[None]:
    """Say in our words what Typer says of a word, control characters escaped."""
    try:
        yield
    except Exception as error:
        message = getattr(error, "message", None)
        if type(error.__cause__).__name__ == "ValidationError":
            message = first_problem(cast("ValidationError", error.__cause__))
            message = message.replace("the whole is", "it is")
        if isinstance(message, str):  # line breaks are Typer's own
            lines = message.split("\n")
            error.message = "\n".join(map(printable, lines))  # type: ignore[attr-defined]
        raise


def checked(args: Sequence[str], params: Sequence[Any], *, has_commands: bool = False) -> list[str]:
    """The words of a command line, if each means one thing.

    Args:
        args: The words after the command's name.
        params: The options and arguments of the command.
        has_commands: Whether a command's name ends the words to look at.

    Returns:
        The words without ``--traceback``, which any command may be given.

    Raises:
        UsageError: A word is both an option and a file, an option comes twice though it has one
            value, or its value is missing or empty.
    """
    options = {
        spelling: param
        for param in params
        if param.param_type_name == "option"
        for spelling in (*param.opts, *param.secondary_opts)
    }
    given: Counter[str] = Counter()
    kept: list[str] = []
    rest = deque(args)
    while rest:
        word = rest.popleft()
        if word == TRACEBACK and word not in options:
            continue
        kept.append(word)
        if word == "--" or (has_commands and not word.startswith("-")):
            break
        if not word:
            raise UsageError("An argument is empty.", "Give a name in its place, or leave it out.")
        if not word.startswith("-") or word == "-":
            continue
        _require_no_file(word)
        for spelling, glued in _spellings(word, options):
            option = options[spelling]
            given[option.name] += 1
            if given[option.name] > 1 and not option.multiple:
                raise UsageError(
                    f"The option {spelling} is given twice.",
                    "Give it once; a file of such a name is given as ./NAME.",
                )
            if option.is_flag:
                continue
            value = glued
            if value is None and rest:
                value = rest.popleft()
                kept.append(value)
                _require_no_option(spelling, value, options)
            if value == "":
                raise UsageError(
                    f"The option {spelling} has an empty value.", "Give one, or leave it out."
                )
    if any(word == "" for word in rest):
        raise UsageError("An argument is empty.", "Give a name in its place, or leave it out.")
    return [*kept, *rest]


def _spellings(word: str, options: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The options in a word, each with the value that is glued to it, if there is one."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        return [(name, value if equals else None)] if name in options else []
    found: list[tuple[str, str | None]] = []
    for place, letter in enumerate(word[1:], start=2):
        option = options.get(f"-{letter}")
        if option is None:
            break  # Typer says that there is no such option
        glued = word[place:]
        if option.is_flag:
            found.append((f"-{letter}", None))
            continue
        if glued.startswith("="):
            raise UsageError(
                f"A value follows the option -{letter} without '='.",
                f"Write -{letter} {glued[1:] or 'VALUE'}.",
            )
        return [*found, (f"-{letter}", glued or None)]
    return found


def _require_no_file(word: str) -> None:
    if os.path.lexists(word):
        raise UsageError(
            f"{shown(word)} begins as an option does, and is the name of a file here.",
            "Write ./NAME for the file, or put -- before all files; for the option, put a space "
            "before its value, or work in another folder.",
        )


def _require_no_option(spelling: str, value: str, options: dict[str, Any]) -> None:
    name = value.partition("=")[0] if value.startswith("--") else value[:2]
    if value == "--" or (value.startswith("-") and name in options):
        meant = f"{spelling}={value}" if spelling.startswith("--") else f"{spelling} ./{value}"
        raise UsageError(
            f"The value of {spelling} is missing: what follows is the option {shown(value)}.",
            f"Give one; if this is the value, write {meant}.",
        )


def check_values(values: dict[str, Any], params: Sequence[Any]) -> None:
    """Let through only values that can be counted with, and paths on this computer.

    Args:
        values: The values by their parameters' names.
        params: The options and arguments.

    Raises:
        UsageError: A number is not finite or has more than 64 bits, or a path is an address.
        OutputError: Nothing can be written at the place for the results.
    """
    for param in params:
        value = values.get(param.name)
        is_option = param.param_type_name == "option"
        name = param.opts[0] if is_option else param.name.upper()
        # Files in a list of arguments are looked at one by one: the others shall be done.
        for one in value if isinstance(value, list | tuple) and is_option else [value]:
            if isinstance(one, float) and not math.isfinite(one):
                raise UsageError(f"{name} is {one}.", "Give a finite number.")
            if isinstance(one, int) and not -LARGEST_NUMBER <= one <= LARGEST_NUMBER:
                raise UsageError(
                    f"{name} is {shown(one)}.", f"Give a number of at most {LARGEST_NUMBER}."
                )
            if isinstance(one, Path) or (isinstance(one, str) and param.name == "model"):
                found = address(one)
                if found is not None:
                    raise UsageError(
                        f"{name} is an address ({found}), not a place on this computer.",
                        "Download it first, and give the path of the file or folder.",
                    )
        if param.name in _OR_STREAM and value == STANDARD_STREAM:
            continue
        if isinstance(value, Path) and param.name in (*_FOLDERS, *_OR_STREAM, *_FILES):
            _require_place(value, param.name)


def _require_place(path: Path, name: str) -> None:
    """Let through only a path that can be written; the command knows what it may replace."""
    if os.path.lexists(path):
        if name in _FILES:
            check_free_file(path, force=True)
            return
        with writable(path):
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        if not is_folder:
            raise OutputError("This is a file, not a folder.", "Choose another place.", path)
        # Tokens that are whole are only read.
        if name != "tokens" and not os.access(path, os.W_OK | os.X_OK):
            raise OutputError("This folder cannot be written in.", "Choose another place.", path)
        return
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise OutputError(f"{above} is no folder.", "Choose another place.", path)
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"{above} cannot be written in.", "Choose another place.", path)
    with writable(path, "file" if name in _FILES else "folder"), suppress(FileNotFoundError):
        path.lstat()  # a name that is too long


_CONFIG = "config"
_BOUNDS = (("ge", "min", 0), ("gt", "min", 1), ("le", "max", 0), ("lt", "max", -1))


def takes_config(place: str) -> Callable[[F], F]:
    """Give a command an option for each field of a config that has a description.

    Args:
        place: ``module:name`` of the config, which is imported when the command is called.

    Returns:
        A decorator of a function that takes the fields as ``**fields``, None where not given.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        vars(function).update(__signature__=signature.replace(parameters=own), **{_CONFIG: place})
        return function

    return decorate


def _with_config(function: Callable[..., Any], place: str) -> Any:
    """The command of a function with all its options."""

    def command(**values: Any) -> None:
        function(**values)

    module, _, name = place.partition(":")
    fields = getattr(importlib.import_module(module), name).model_fields
    own = inspect.signature(function).parameters.values()
    described = [_parameter(name, field) for name, field in fields.items() if field.description]
    parameters = [*own, *described]
    vars(command)["__signature__"] = inspect.Signature(parameters)
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return typer.main.get_command(app)


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    kind: Any = field.annotation
    if get_origin(kind) is not Literal:
        (kind,) = {kind, *get_args(kind)} & {int, float, str}
    limits = {
        bound: getattr(rule, limit) + step
        for rule in field.metadata
        for limit, bound, step in _BOUNDS
        if hasattr(rule, limit) and (kind is int or step == 0)  # no float is next to another
    }
    text, default = field.description or "", field.default
    if default is not None:
        text = f"{text[:-1]} [{default:g}]." if kind is float else f"{text[:-1]} [{default}]."
    annotation = Annotated[kind | None, typer.Option(help=text, **limits)]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


MOST_WORKERS = 256

ProcessCount = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_WORKERS,
        help="Processes that share the work on this machine; torchrun and SLURM do on many.",
    ),
]

Model = Annotated[
    str,
    typer.Option(
        help="The encoder: a name of `tvsl models`, a checkpoint's file or folder, USER/MODEL or "
        "USER/MODEL@REVISION on the Hugging Face hub, or FILE.py:CLASS."
    ),
]
Data = Annotated[
    str, typer.Option(help="Data set: a name of `tvsl data list`, or FILE.py:CLASS of one's own.")
]
Root = Annotated[Path | None, typer.Option(help="Folder of the data set's media.")]
Lists = Annotated[Path | None, typer.Option(help="Folder of the data set's lists, if elsewhere.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the data set, NAME=VALUE. May be repeated."),
]
Head = Annotated[Path | None, typer.Option(help="Folder of a trained head [the model's own].")]
Preset = Annotated[
    str | None, typer.Option(help="An untrained head instead: tvsl, paper or released.")
]
HeadMethod = Annotated[
    str | None, typer.Option(help="Method of the head, a name or FILE.py:CLASS [the head's].")
]
Protocols = Annotated[
    list[str] | None,
    typer.Option(
        help="paper, median, adaptive, fixed, negatives, all, or FILE.py:NAME [paper]. May be "
        "repeated."
    ),
]
ReadingThreads = Annotated[
    int, typer.Option(min=1, max=MOST_WORKERS, help="Threads that read media.")
]
Vocabulary = Annotated[
    Path | None,
    typer.Option(
        help="Text file of classes to detect among, one a line [the data's or the model's own]."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …", callback=check_device)]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(help="Arithmetic of the encoder; auto takes bfloat16 where it pays."),
]
FlipAverageOption = Annotated[
    FlipAverage | None,
    typer.Option(help="Average with the flipped picture; twice the time [as suits the head]."),
]
RunFolder = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run, as it was started.")
]
Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_NUMBER, help="Decides everything that is drawn.")
]
Open = Annotated[
    bool, typer.Option("--open", help="Show the page in a browser, where there is one.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON on stdout.")]
