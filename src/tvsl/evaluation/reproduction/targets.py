"""The names of all tables and figures; nothing heavy is imported to know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tvsl.errors import UsageError, shown

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
