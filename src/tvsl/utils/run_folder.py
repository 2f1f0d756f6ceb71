"""The folder of a training run, checked without torch before a run starts or resumes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Final

from tvsl.errors import OutputError, UsageError
from tvsl.utils.atomic import RECORD_REMEDY, entries, foreign_record, writable
from tvsl.utils.files import LARGEST_CONFIG, read_small_json

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


def last_checkpoint(folder: Path, resume: bool) -> Path | None:
    """Find the checkpoint to resume from.

    Args:
        folder: Folder of the run.
        resume: Whether an interrupted run is resumed.

    Returns:
        The file, or None for a new run.

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
    record = folder / RECIPE_FILE
    if resume:
        return
    if os.path.lexists(record):
        content = read_small_json(record, LARGEST_CONFIG, OutputError, RECORD_REMEDY)
        if not isinstance(content, dict) or not recipe <= content.keys():
            raise foreign_record(record)
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
