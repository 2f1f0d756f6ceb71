"""NAME=VALUE arguments."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tvsl.cli.arguments import LARGEST_NUMBER
from tvsl.errors import UsageError, shown


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
