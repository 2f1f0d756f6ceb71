"""Folders that remember what they were made with, and refuse another run; without torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any, Final

from tvsl.errors import OutputError, UsageError
from tvsl.utils.atomic import RECORD_REMEDY, entries, foreign_record, is_inner_name, writable
from tvsl.utils.files import LARGEST_CONFIG, LARGEST_LIST, read_small_json

_SPACES: Final = re.compile(r"[ \t\n\r]*")
CHECKPOINTS: Final = "checkpoints"
LAST: Final = "last.ckpt"
RECIPE_FILE: Final = "recipe.json"
HEAD_RECIPE_KEYS: Final = frozenset({"method", "encoder"})
"""Keys that only the recipe of a head's training has."""
MODEL_RECIPE_KEYS: Final = frozenset({"terms", "least_cells"})
"""Keys that only the recipe of a model's pre-training has."""


def changed_keys(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Keys whose values differ between two records of the options of a folder, sorted.

    Args:
        earlier: The stored record.
        now: The record of this run; a missing key counts as None.
    """
    keys = sorted(earlier.keys() | now.keys())
    return [key for key in keys if earlier.get(key) != now.get(key)]


def describe_changes(
    earlier: Mapping[str, Any], now: Mapping[str, Any], text: Callable[[Any], str] = repr
) -> str:
    """Differences between two records, such as ``seed was 1, steps was 5``; empty without any.

    Args:
        earlier: The stored record.
        now: The record of this run; a missing key counts as None.
        text: Gives the text of a stored value.
    """
    return ", ".join(f"{key} was {text(earlier.get(key))}" for key in changed_keys(earlier, now))


def read_record(path: Path, keys: Set[str], largest: int = LARGEST_LIST) -> dict[str, Any] | None:
    """Read the record of an earlier run; None where there is no such file.

    Args:
        path: Its file.
        keys: Keys that every record of this kind has.
        largest: Maximum number of bytes.

    Raises:
        OutputError: It is damaged, or lacks a key and is not a record of this kind.
    """
    if not os.path.lexists(path):
        return None
    content = read_small_json(path, largest, OutputError, RECORD_REMEDY)
    if not isinstance(content, dict) or not keys <= content.keys():
        raise foreign_record(path)
    return content


def read_head(path: Path, keys: Set[str], most: int = LARGEST_CONFIG) -> dict[str, Any] | None:
    """First values of a JSON object in a file of any size, up to the last of some keys.

    Args:
        path: The file.
        keys: The keys.
        most: Number of bytes within which they must stand.

    Returns:
        The values by their keys; None where there is no such file, object or key.
    """
    try:
        if not path.is_file():  # a device has no end
            return None
        with path.open("rb") as file:
            text = file.read(most).decode("utf-8", errors="replace")
        found: dict[str, Any] = {}
        place, read = 0, json.JSONDecoder().raw_decode
        while not keys <= found.keys():
            place = _behind(text, place, "," if found else "{")
            key, place = read(text, _after_spaces(text, place))
            place = _behind(text, place, ":")
            found[key], place = read(text, _after_spaces(text, place))
    except (OSError, ValueError, TypeError, RecursionError):  # TypeError: a list as a key
        return None
    return found


def _after_spaces(text: str, place: int) -> int:
    found = _SPACES.match(text, place)
    return place if found is None else found.end()


def _behind(text: str, place: int, mark: str) -> int:
    """Place behind a mark, which follows at a place of a text but for spaces."""
    place = _after_spaces(text, place)
    if not text.startswith(mark, place):
        raise ValueError(mark)
    return place + 1


def last_checkpoint(folder: Path, resume: bool) -> Path | None:
    """Find the checkpoint to resume from; None for a new run.

    Args:
        folder: Folder of the run.
        resume: Whether an interrupted run is resumed.

    Raises:
        OutputError: There is a run in the folder and ``resume`` is not set.
        UsageError: There is none and ``resume`` is set.
    """
    path = folder / CHECKPOINTS / LAST
    if path.is_file() and not resume:
        raise OutputError(
            "There is a run in this folder already.", "Resume it, or choose another folder.", folder
        )
    if resume and not path.is_file():
        raise UsageError(f"There is no run to resume in {folder}.", "Leave out --resume.")
    return path if resume else None


def check_run_folder(
    folder: Path, resume: bool, recipe: Set[str], tokens: Path | None = None
) -> None:
    """Check that a run may start or resume in a folder.

    A run may start in an empty folder, or where a run of its kind stopped before its first
    checkpoint; nothing is written beside other files.

    Args:
        folder: Folder of the run.
        resume: Whether an interrupted run is resumed.
        recipe: Keys of the recipes of its kind: ``HEAD_RECIPE_KEYS`` or ``MODEL_RECIPE_KEYS``.
        tokens: Separate folder of the token store, if any, which may be inside.

    Raises:
        OutputError: The folder holds a run already, or something else.
        UsageError: There is no run to resume.
    """
    last_checkpoint(folder, resume)
    if resume or read_record(folder / RECIPE_FILE, recipe, LARGEST_CONFIG) is not None:
        return
    with writable(folder):
        found = entries(folder)
        others = [
            path
            for path in found
            if tokens is None or not tokens.exists() or not path.samefile(tokens)
        ]
    if others:
        raise OutputError(
            "This folder is not empty, and no run of this kind was begun in it.",
            "Choose another folder.",
            folder,
        )


EXPORT_RECORD: Final = "export.json"
CLASSES_FILE: Final = "classes.npy"
GRAPH_ENDINGS: Final = {"onnx": "onnx", "torch": "pt2"}


def export_files(export_format: str) -> tuple[str, ...]:
    """Names of the files of an export in a format, the record's last."""
    ending = GRAPH_ENDINGS.get(export_format, "onnx")
    return *(f"{name}.{ending}" for name in ("image", "sound", "head")), CLASSES_FILE, EXPORT_RECORD


def exported_files(folder: Path) -> list[str]:
    """Names of the files of an earlier export in a folder.

    Raises:
        OutputError: Its record is none of an export.
    """
    record = folder / EXPORT_RECORD
    content = read_record(record, {"tvsl", "graphs", "files"})
    if content is None:
        return []
    names = content["files"]
    if not isinstance(names, list) or not all(is_inner_name(name) for name in names):
        raise foreign_record(record)
    return [*names, EXPORT_RECORD]
