"""The words of a command line, looked at before Typer takes them apart.

A shell puts the names of files in place of ``*.mp4``, and such a name may begin with a dash: it
must neither be taken for an option nor be lost without a word.
"""

from __future__ import annotations

import math
import os
import stat
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from typer.core import TyperCommand, TyperGroup

from tvsl.errors import OutputError, UsageError, first_problem, printable, shown
from tvsl.paths import address
from tvsl.staging import check_free_file, writable

if TYPE_CHECKING:
    from pydantic import ValidationError

TRACEBACK = "--traceback"
# Parameters that name what is written.
_FOLDERS = ("output", "folder", "tokens")
_FILES = ("file", "target")
LARGEST_NUMBER = 2**63 - 1  # what random generators, files and tensors count with


class Command(TyperCommand):
    """A command that refuses words which could mean two things."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the words, let Typer take them apart, check the values."""
        params = self.get_params(ctx)
        words = checked(args, params)
        with _escaped():
            rest = super().parse_args(ctx, words)
        check_values(ctx.params, params)
        return rest


class Group(TyperGroup):
    """Commands under one name; what stands before the command's name is checked likewise."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the words up to the command's name, and let Typer take them apart."""
        words = checked(args, self.get_params(ctx), has_commands=True)
        with _escaped():
            return super().parse_args(ctx, words)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a name."""
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
        if isinstance(value, Path) and param.name in (*_FOLDERS, *_FILES):
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
