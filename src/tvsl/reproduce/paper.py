"""The paper's numbers, in the shape of our tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tvsl.evaluation.paper_numbers import BENCHMARKS, PAPER_NUMBERS
from tvsl.metrics import PAPER_THRESHOLDS, Figure
from tvsl.reproduce.specs import Column, Task

DROP = "drop"
_VARIED_IN_COLUMNS = (4, 5)


@dataclass(frozen=True)
class PaperSets:
    """Two of the paper's benchmarks that belong together.

    Attributes:
        single: The one of single sources, by its name in ``BENCHMARKS``.
        several: The one of several sources.
    """

    single: str
    several: str

    @property
    def title(self) -> str:
        """Title that the paper gives the two."""
        return f"{BENCHMARKS[self.single]} and {BENCHMARKS[self.several]}"

    def success(self, task: Task) -> Figure:
        """The success rate that the paper gives on them."""
        return PAPER_THRESHOLDS[self.single if task == "single" else self.several]

    def key(self, column: Column) -> str | None:
        """The column of ``paper_numbers`` that stands beside a column; None if none does."""
        if column.paper is None:
            return None
        success = self.success(column.task)
        return column.paper.format(single=self.single, several=self.several, success=success)


PAPER_SETS: Mapping[str, PaperSets] = MappingProxyType(
    {
        "VGGSound": PaperSets("vggsound-single", "vggsound-duet"),
        "VGGSound-Instruments": PaperSets("vgg-instruments-single", "vgg-instruments-multi"),
        "MUSIC": PaperSets("music-solo", "music-duet"),
    }
)
"""The benchmarks of the paper's Tables 1 and 2; the others are on the first."""


def paper_numbers(table: int) -> dict[str, dict[str, float]]:
    """A table of the paper.

    Args:
        table: Its number.

    Returns:
        Percent by row and column. Rows are methods, with what the table varies where it varies them
        (``T-VSL, prompt length 4``); columns are benchmark and metric (``music-solo: IoU@0.5``),
        in Table 5 the number of sources, with the drop from the first to the last.
    """
    rows: dict[str, dict[str, float]] = {}
    for number in PAPER_NUMBERS:
        if number.table != table:
            continue
        column, row = f"{number.benchmark}: {number.metric}", number.method
        if table == 5:
            column = number.variant
        elif number.variant and table not in _VARIED_IN_COLUMNS:
            row = f"{row}, {number.variant}"
        rows.setdefault(row, {})[column] = number.value
    if table == 5:
        for values in rows.values():
            few, *_, many = values.values()
            values[DROP] = 100 * (1 - many / few)
    return rows
