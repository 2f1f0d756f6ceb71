"""Names of all tables and figures, and the folder of a reproduction; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tvsl.errors import OutputError, UsageError, shown
from tvsl.utils.atomic import check_places, entries, writable
from tvsl.utils.run_folder import read_record

TABLE_NAMES: Final = (
    *(f"table{number}" for number in range(1, 8)),
    "labels",
    "readouts",
    "improvements",
    "projectors",
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
RECORD_KEYS: Final = frozenset({"tvsl", "encoder", "learning_rates"})
"""Keys that every record of a reproduction has."""
PAGE, MARKDOWN, CSV, RESULTS = "page.html", "tables.md", "tables.csv", "results.json"
OUTPUTS = (PAGE, MARKDOWN, CSV, RESULTS)


def check_targets(names: Sequence[str]) -> None:
    """Let through only names of tables and figures.

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

    Raises:
        OutputError: It holds something else, or files of others where results belong.
    """
    path = folder / RECORD_FILE
    with writable(folder):
        if not path.is_file() and entries(folder):
            raise OutputError(
                "The folder is not empty, and holds no reproduction.", "Choose another one.", folder
            )
    read_record(path, RECORD_KEYS)
    check_places(folder, OUTPUTS, set(earlier_outputs(folder)))


def earlier_outputs(folder: Path) -> tuple[str, ...]:
    """Files that an earlier run of a reproduction wrote, by its own results.

    Raises:
        OutputError: The results are none of ours.
    """
    results = read_record(folder / RESULTS, {"conditions", "expectations", "tables"})
    return () if results is None else OUTPUTS
