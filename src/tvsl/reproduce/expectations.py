"""What was expected of the synthetic world beforehand, and whether it came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tvsl.metrics import LabelSource
from tvsl.reproduce.results import MeasuredRow, Table, Value, apart
from tvsl.reproduce.specs import WITHOUT_HELP
from tvsl.reproduce.tables import PAPER_METHODS, TEXT_ONLY, TVSL

Tables = Mapping[str, Table]

_OURS = TVSL.title
_OTHERS = tuple(row.title for row in PAPER_METHODS if row.title != _OURS)
_UNTOLD: tuple[LabelSource, ...] = (*WITHOUT_HELP, "assigned")


@dataclass(frozen=True)
class Expectation:
    """Something expected.

    Attributes:
        says: What.
        holds: Whether it came out.
        numbers: What it is judged by.
    """

    says: str
    holds: bool
    numbers: str


def expectations(tables: Iterable[Table]) -> list[Expectation]:
    """Judge all that can be judged.

    Args:
        tables: The measured tables.

    Returns:
        The expectations whose numbers are there.
    """
    known = {table.name: table for table in tables}
    judged = (judge(known) for judge in _JUDGES)
    return [expectation for expectation in judged if expectation is not None]


def _above_trivial(tables: Tables) -> Expectation | None:
    table = tables.get("table1")
    if table is None or "AP" not in table.heads:
        return None
    column = table.heads.index("AP")
    bars = [value.mean for line in table.lines if line.trivial and (value := line.values[column])]
    learned = (table.line(row, "assigned", "given", "none") for row in (*_OTHERS, _OURS))
    lines = [line for line in learned if line is not None]
    measured = [(line, value) for line in lines if (value := line.values[column]) is not None]
    if not bars or not measured:
        return None
    lowest, value = min(measured, key=lambda pair: pair[1].mean)
    return Expectation(
        "Every learned method is above the trivial baselines on single sources, labels given where "
        "it asks for them (AP).",
        value.mean > max(bars),
        f"lowest: {lowest.row} {value.text()}; best trivial baseline {max(bars):.1f}",
    )


def _ahead(
    tables: Tables, name: str, head: str, says: str, margin: Callable[[Value, Value], bool]
) -> Expectation | None:
    """T-VSL with detected labels against the best other method that is told no labels."""
    table = tables.get(name)
    heads = [] if table is None else [one for one in table.heads if one.startswith(head)]
    if table is None or not heads:
        return None
    ours = table.value(_OURS, heads[0], "detected")
    best = _best(table, heads[0])
    if ours is None or best is None:
        return None
    line, value = best
    return Expectation(
        says,
        margin(ours, value),
        f"T-VSL {ours.text()}, {line.row} {value.text()}, difference {_difference(ours, value)}",
    )


def _difference(ours: Value, other: Value) -> str:
    # Adding zero takes the sign off a zero that rounding left.
    return f"{round(ours.mean - other.mean, 1) + 0.0:+.1f}"


def _best(table: Table, head: str) -> tuple[MeasuredRow, Value] | None:
    found = _untold(table, table.heads.index(head))
    return max(found, key=lambda pair: pair[1].mean) if found else None


def _untold(table: Table, column: int) -> list[tuple[MeasuredRow, Value]]:
    """The paper's other methods, where they are told no labels."""
    return [
        (line, value)
        for line in table.lines
        if line.row in _OTHERS
        and line.labels in _UNTOLD
        and (value := line.values[column]) is not None
    ]


def _first_in_table_2(tables: Tables) -> Expectation | None:
    return _ahead(
        tables,
        "table2",
        "CIoU",
        "With detected labels T-VSL is first on several sources, by at least 20 points of the "
        "success rate over the best other method that is told no labels.",
        lambda ours, best: ours.mean - best.mean >= 20,
    )


def _level_in_table_1(tables: Tables) -> Expectation | None:
    return _ahead(
        tables,
        "table1",
        "AP",
        "With detected labels T-VSL is at least level on single sources with the best other method "
        "that is told no labels (AP).",
        lambda ours, best: ours.mean >= best.mean or not apart(ours, best),
    )


def _ahead_off_screen(tables: Tables) -> Expectation | None:
    return _ahead(
        tables,
        "off-screen",
        "single: AP",
        "With sounds off screen T-VSL is clearly ahead on single sources: by more than the "
        "standard deviations (AP).",
        lambda ours, best: ours.mean > best.mean and apart(ours, best),
    )


def _smallest_drop(tables: Tables) -> Expectation | None:
    table = tables.get("table5")
    heads = [] if table is None else [one for one in table.heads if one.startswith("drop")]
    if table is None or not heads:
        return None
    column = table.heads.index(heads[0])
    drops = _untold(table, column)
    ours = table.value(_OURS, heads[0], "detected")
    if ours is None or not drops:
        return None
    line, value = min(drops, key=lambda pair: pair[1].mean)
    return Expectation(
        "From two to four sources T-VSL with detected labels loses the smallest share of its "
        "success rate, of the methods that are told no labels.",
        ours.mean < value.mean,
        f"T-VSL {ours.text()} %, {line.row} {value.text()} %",
    )


def _order_of_blocks(tables: Tables) -> Expectation | None:
    table = tables.get("table3")
    if table is None or "duet: CAP" not in table.heads:
        return None
    rows = ("audio, image, AVC", "audio, AVC", "image, AVC", "AVC")
    values = [table.value(row, "duet: CAP", "given") for row in rows]
    known = [value for value in values if value is not None]
    if len(known) < len(rows):
        return None
    full, audio, image, alone = (value.mean for value in known)
    return Expectation(
        "On duets all blocks together are above either conditioning block with the correspondence "
        "block, and these above the correspondence block alone (CAP).",
        full > max(audio, image) and min(audio, image) > alone,
        ", ".join(f"{row}: {value.text()}" for row, value in zip(rows, known, strict=True)),
    )


def _beats_text(tables: Tables, head: str, points: float, scenes: str) -> Expectation | None:
    table = tables.get("twins")
    if table is None:
        return None
    ours, text = (table.value(row, head, "given") for row in (_OURS, TEXT_ONLY.title))
    if ours is None or text is None:
        return None
    return Expectation(
        f"On {scenes} with twins T-VSL beats text only with the same labels by at least {points:g} "
        "points of AP.",
        ours.mean - text.mean >= points,
        f"T-VSL {ours.text()}, text only {text.text()}, difference {_difference(ours, text)}",
    )


_JUDGES: Sequence[Callable[[Tables], Expectation | None]] = (
    _above_trivial,
    _level_in_table_1,
    _ahead_off_screen,
    _first_in_table_2,
    _order_of_blocks,
    _smallest_drop,
    lambda tables: _beats_text(tables, "single: AP", 20, "single sources"),
    lambda tables: _beats_text(tables, "duet: CAP", 14, "duets"),
)
