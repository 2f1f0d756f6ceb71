"""The folder of a training run: whether one may begin there, or go on; known without torch."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path
from typing import Final

from tvsl.errors import OutputError, UsageError
from tvsl.small_files import LARGEST_CONFIG, read_small_json
from tvsl.staging import RECORD_REMEDY, entries, foreign_record, writable

CHECKPOINTS: Final = "checkpoints"
LAST: Final = "last.ckpt"
RECIPE_FILE: Final = "recipe.json"
OF_HEADS: Final = frozenset({"method", "encoder"})
"""What the recipe of a head's training names, and no other recipe does."""
OF_MODELS: Final = frozenset({"terms", "least_cells"})
"""What the recipe of a model's pre-training names, and no other recipe does."""


def last_checkpoint(folder: Path, resume: bool) -> Path | None:
    """The checkpoint to go on from.

    Args:
        folder: Folder of the run.
        resume: Whether an interrupted run is to go on.

    Returns:
        The file, or None for a new run.

    Raises:
        OutputError: There is a run in the folder and ``resume`` is not set.
        UsageError: There is none, and it is.
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
    """Let through only a folder that a run may begin in or go on in.

    A run may begin in an empty folder, or where one of its kind was broken off before its first
    checkpoint; nothing is written beside files of others.

    Args:
        folder: Folder of the run.
        resume: Whether an interrupted run is to go on.
        recipe: What the recipes of its kind name: ``OF_HEADS`` or ``OF_MODELS``.
        tokens: Folder of the token store, if it has a place of its own, which may be in there.

    Raises:
        OutputError: The folder holds a run already, or something else.
        UsageError: There is no run to resume.
    """
    last_checkpoint(folder, resume)
    record = folder / RECIPE_FILE
    if resume:
        return
    if os.path.lexists(record):
        kept = read_small_json(record, LARGEST_CONFIG, OutputError, RECORD_REMEDY)
        if not isinstance(kept, dict) or not recipe <= kept.keys():
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
