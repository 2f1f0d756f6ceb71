"""Names of all tables and figures, and the folder of a reproduction; nothing heavy is imported."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tvsl.errors import OutputError, UsageError, shown
from tvsl.utils.atomic import RECORD_REMEDY, check_places, entries, foreign_record, writable
from tvsl.utils.files import LARGEST_CONFIG, LARGEST_LIST, read_small_json
from tvsl.utils.run_folder import changed_keys

TABLE_NAMES: Final = (
    *(f"table{number}" for number in range(1, 8)),
    "labels",
    "readouts",
    "improvements",
    "tokens",
    "twins",
    "off-screen",
    "negatives",
)
BARS: Final = "figure1"
SHEET_NAMES: Final = ("figure3", "figure4")
ALL: Final = "all"
TARGETS: Final = (*TABLE_NAMES, BARS, *SHEET_NAMES)

RECORD_FILE = "reproduction.json"
PAGE, MARKDOWN, CSV, RESULTS = "page.html", "tables.md", "tables.csv", "results.json"
OUTPUTS = (PAGE, MARKDOWN, CSV, RESULTS)
_REMEDY = "Start anew in another folder."


def check_targets(names: Sequence[str]) -> None:
    """Let through only names of tables and figures.

    Args:
        names: Of ``TARGETS``, or ``all``.

    Raises:
        UsageError: There is no such table or figure, or no name at all.
    """
    unknown = [name for name in names if name not in (*TARGETS, ALL)]
    if unknown or not names:
        raise UsageError(
            f"There is no table or figure {', '.join(map(shown, unknown)) or 'to make'}.",
            f"Choose from {ALL}, {', '.join(TARGETS)}.",
        )


def check_folder(folder: Path) -> None:
    """Let through only a folder that a reproduction may begin in or go on in.

    Args:
        folder: The folder.

    Raises:
        OutputError: It holds something else, or files of others where results belong.
    """
    path = folder / RECORD_FILE
    with writable(folder):
        if not path.is_file() and entries(folder):
            raise OutputError(
                "The folder is not empty, and holds no reproduction.", "Choose another one.", folder
            )
    if path.is_file() and not {"tvsl", "encoder", "learning_rates"} <= read_record(path).keys():
        raise foreign_record(path)
    check_places(folder, OUTPUTS, set(earlier_outputs(folder)))


def earlier_outputs(folder: Path) -> tuple[str, ...]:
    """Files that an earlier run of a reproduction wrote, by its own results.

    Raises:
        OutputError: The results are none of ours.
    """
    path = folder / RESULTS
    if not os.path.lexists(path):
        return ()
    content = read_small_json(path, LARGEST_LIST, OutputError, RECORD_REMEDY)
    if (
        not isinstance(content, dict)
        or not {"conditions", "expectations", "tables"} <= content.keys()
    ):
        raise foreign_record(path)
    return OUTPUTS


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a reproduction.

    Raises:
        OutputError: It is damaged.
    """
    record = read_small_json(path, LARGEST_CONFIG, OutputError, _REMEDY)
    if not isinstance(record, dict):
        raise OutputError("The record of the reproduction is damaged.", _REMEDY, path)
    return record


def check_same(kept: dict[str, Any], record: dict[str, Any], folder: Path) -> None:
    """Check that a folder holds the very reproduction that goes on.

    Args:
        kept: Its record.
        record: What goes on.
        folder: The folder.

    Raises:
        UsageError: They differ.
    """
    others = changed_keys(kept, record)
    if others:
        told = ", ".join(f"{name} was {_short(kept.get(name))}" for name in others)
        raise UsageError(
            f"{folder} holds another reproduction: {told}.",
            "Go on with it as it was started, or choose another folder.",
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
