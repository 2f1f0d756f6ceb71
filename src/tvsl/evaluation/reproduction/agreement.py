"""How far our order agrees with the paper's, said in sentences that are made from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from scipy.stats import kendalltau

from tvsl.evaluation.reproduction.results import (
    TOLD_FIRST,
    UNTOLD_FIRST,
    Line,
    Table,
    Value,
    apart,
    one_each,
    ranked,
)
from tvsl.evaluation.reproduction.specs import LABEL_TITLES, LabelSource

_PREFERRED = (UNTOLD_FIRST, TOLD_FIRST)


@dataclass(frozen=True)
class Agreement:
    """The order of a column, ours against the paper's.

    Attributes:
        head: Title of the column.
        benchmarks: Which of the paper's.
        labels: Which source of labels is meant for methods that have several; None where none has.
        rows: The rows that both have.
        tau: Kendall's tau-b of the two orders; None where it is not defined.
        chance: How likely a tau so far from 0 is among random orders.
        agreed: Pairs of rows, better one first in both.
        reversed: Pairs of rows that the paper has the other way round; ours first.
        unclear: Pairs whose difference is not larger than their standard deviations.
    """

    head: str
    benchmarks: str
    labels: LabelSource | None
    rows: tuple[str, ...]
    tau: float | None
    chance: float | None
    agreed: tuple[tuple[str, str], ...]
    reversed: tuple[tuple[str, str], ...]
    unclear: tuple[tuple[str, str], ...]


def agreements(table: Table) -> list[Agreement]:
    """Compare the order of every column that the paper has.

    Args:
        table: The table.

    Returns:
        One for each column, for each of the paper's benchmarks beside it, and for detected and
        given labels, where a method has both.
    """
    found = []
    for benchmarks, column in product(table.beside, range(len(table.heads))):
        orders: dict[tuple[_Compared, ...], LabelSource] = {}
        for preferred in _PREFERRED:
            lines = one_each(table.lines, preferred)
            compared = [_Compared.of(line, benchmarks, column) for line in lines]
            orders.setdefault(tuple(one for one in compared if one is not None), preferred[0])
        head, low = table.heads[column], table.columns[column].low_is_good
        found += [
            _compare(head, benchmarks, labels if len(orders) > 1 else None, both, low)
            for both, labels in orders.items()
            if len(both) > 1
        ]
    return found


def tau_of(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float | None, float | None]:
    """Kendall's tau-b of two orders of the same things.

    Args:
        ours: A number for each of them.
        theirs: Another one.

    Returns:
        Tau, and how likely one so far from 0 is by chance; None where all numbers of a side are
        equal.
    """
    result = kendalltau(ours, theirs)
    tau, chance = float(result.statistic), float(result.pvalue)
    return (None, None) if math.isnan(tau) else (tau, chance)


@dataclass(frozen=True)
class _Compared:
    """A row of a column that both have."""

    row: str
    ours: Value
    theirs: float

    @classmethod
    def of(cls, line: Line, benchmarks: str, column: int) -> _Compared | None:
        ours, theirs = line.values[column], line.paper[benchmarks][column]
        return None if ours is None or theirs is None else cls(line.row, ours, theirs)


def _compare(
    head: str,
    benchmarks: str,
    labels: LabelSource | None,
    compared: Sequence[_Compared],
    low_is_good: bool,
) -> Agreement:
    sign = -1 if low_is_good else 1
    tau, chance = tau_of([one.ours.mean for one in compared], [one.theirs for one in compared])
    pairs: dict[str, list[tuple[str, str]]] = {"agreed": [], "reversed": [], "unclear": []}
    for first, second in combinations(compared, 2):
        leads = sign * (first.ours.mean - second.ours.mean) >= 0
        better, worse = (first, second) if leads else (second, first)
        if not apart(better.ours, worse.ours):
            kind = "unclear"
        else:
            kind = "agreed" if sign * (better.theirs - worse.theirs) >= 0 else "reversed"
        pairs[kind].append((better.row, worse.row))
    return Agreement(
        head,
        benchmarks,
        labels,
        tuple(one.row for one in compared),
        tau,
        chance,
        tuple(pairs["agreed"]),
        tuple(pairs["reversed"]),
        tuple(pairs["unclear"]),
    )


def sentences(table: Table) -> list[str]:
    """What a table says.

    Args:
        table: The table.

    Returns:
        Who is first in each column, who is not above the trivial baselines, and what the paper has
        the other way round.
    """
    columns = range(len(table.heads))
    told = [text for column in columns if (text := _first(table, column))]
    told += [text for column in columns if (text := _trivial(table, column))]
    seen = set()
    for one in agreements(table):
        if one.benchmarks == table.beside[0] and one.head not in seen:
            seen.add(one.head)
            told.append(_against(one))
    return told


def _first(table: Table, column: int) -> str | None:
    """The best and the next row; of a method that may be told labels, the line where it is not."""
    rows = [line for line in one_each(table.lines) if not line.trivial]
    order = ranked(rows, column, table.columns[column].low_is_good)
    if len(order) < 2:
        return None
    (best, value), (second, next_value) = order[:2]
    clear = "" if apart(value, next_value) else ", which is within their standard deviations"
    return (
        f"{table.heads[column]}: first is {named(best)} with {value.text()}, then "
        f"{named(second)} with {next_value.text()}{clear}."
    )


def _trivial(table: Table, column: int) -> str | None:
    trivial = ranked([line for line in table.lines if line.trivial], column, False)
    others = ranked([line for line in table.lines if not line.trivial], column, False)
    if not trivial or not others or table.columns[column].low_is_good:
        return None
    bar, bound = trivial[0]
    under = [named(line) for line, value in others if value.mean <= bound.mean]
    what = f"the best trivial baseline, {bar.row} ({bound.text()})"
    if not under:
        return f"{table.heads[column]}: every method is above {what}."
    return f"{table.heads[column]}: not above {what}: {', '.join(under)}."


def _against(one: Agreement) -> str:
    pairs = len(one.agreed) + len(one.reversed) + len(one.unclear)
    start = f"{one.head}, beside the paper's numbers on {one.benchmarks}"
    if not one.reversed:
        return f"{start}: of {pairs} pairs of rows none is the other way round."
    return (
        f"{start}: {len(one.reversed)} of {pairs} pairs of rows are the other way round. "
        f"{_grouped(one.reversed)}."
    )


def _grouped(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs in few words: what each row is better than."""
    worse: dict[str, list[str]] = {}
    for better, other in pairs:
        worse.setdefault(better, []).append(other)
    told = [f"{row} is better here than {', '.join(others)}" for row, others in worse.items()]
    return "; ".join(told)


def named(line: Line) -> str:
    """A row with the source of its labels, where it has any."""
    title = LABEL_TITLES[line.labels]
    return line.row if line.labels == "none" else f"{line.row} ({title})"
