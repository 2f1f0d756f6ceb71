"""How far our order agrees with the paper's, said in sentences that are made from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from scipy.stats import kendalltau

from tvsl.evaluation.reproduction.results import Line, Table, Value, apart, ranked
from tvsl.evaluation.reproduction.specs import LABEL_TITLES, LabelSource

_PREFERRED: tuple[tuple[LabelSource, ...], ...] = (
    ("detected", "assigned", "none", "given"),
    ("given", "assigned", "none", "detected"),
)


@dataclass(frozen=True)
class Agreement:
    """The order of a column, ours against the paper's.

    Attributes:
        head: Title of the column.
        benchmarks: Which of the paper's.
        labels: Which source of labels is meant for methods that have several.
        rows: The rows that both have.
        tau: Kendall's tau-b of the two orders; None where it is not defined.
        chance: How likely a tau so far from 0 is among random orders.
        agreed: Pairs of rows, better one first in both.
        reversed: Pairs of rows that the paper has the other way round; ours first.
        unclear: Pairs whose difference is not larger than their standard deviations.
    """

    head: str
    benchmarks: str
    labels: LabelSource
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
        seen = set()
        for preferred in _PREFERRED:
            lines = _one_each(table.lines, preferred)
            compared = [_Compared.of(line, benchmarks, column) for line in lines]
            both = tuple(one for one in compared if one is not None)
            if len(both) > 1 and both not in seen:
                seen.add(both)
                low = table.columns[column].low_is_good
                found.append(_compare(table.heads[column], benchmarks, preferred[0], both, low))
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


def _one_each(lines: Sequence[Line], preferred: Sequence[LabelSource]) -> list[Line]:
    """One line for each row, with the source of labels that is preferred."""
    chosen: dict[str, Line] = {}
    for line in sorted(lines, key=lambda line: preferred.index(line.labels)):
        chosen.setdefault(line.row, line)
    return [line for line in lines if chosen[line.row] is line]


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
    labels: LabelSource,
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
        Who is first in each column, who is not above the trivial baselines, how far the paper's
        order is found again, and where not.
    """
    told = [text for column in range(len(table.heads)) if (text := _first(table, column))]
    told += [text for column in range(len(table.heads)) if (text := _trivial(table, column))]
    return told + [_agreement(one) for one in agreements(table)]


def _first(table: Table, column: int) -> str | None:
    lines = [line for line in table.lines if not line.trivial]
    order = ranked(lines, column, table.columns[column].low_is_good)
    if len(order) < 2:
        return None
    (best, value), (second, next_value) = order[:2]
    clear = "" if apart(value, next_value) else ", which is within their standard deviations"
    return (
        f"{table.heads[column]}: first is {_named(best)} with {value.text()}, then "
        f"{_named(second)} with {next_value.text()}{clear}."
    )


def _trivial(table: Table, column: int) -> str | None:
    low = table.columns[column].low_is_good
    trivial = ranked([line for line in table.lines if line.trivial], column, low)
    others = ranked([line for line in table.lines if not line.trivial], column, low)
    if not trivial or not others or low:
        return None
    (bar, bound) = trivial[0]
    under = [_named(line) for line, value in others if value.mean <= bound.mean]
    if not under:
        return (
            f"{table.heads[column]}: every method is above the best trivial baseline, "
            f"{bar.row} with {bound.text()}."
        )
    return (
        f"{table.heads[column]}: not above the trivial baseline {bar.row} ({bound.text()}): "
        f"{', '.join(under)}."
    )


def _agreement(one: Agreement) -> str:
    count = len(one.agreed) + len(one.reversed) + len(one.unclear)
    where = f"{one.head}, {LABEL_TITLES[one.labels]} where a method can, beside {one.benchmarks}"
    tau = "not defined" if one.tau is None else f"{one.tau:.2f}"
    chance = "" if one.chance is None else f" (p = {one.chance:.2g})"
    text = (
        f"{where}: Kendall's tau with the paper's order of {len(one.rows)} rows is {tau}{chance}; "
        f"of {count} pairs {len(one.agreed)} are as in the paper, {len(one.reversed)} the other "
        f"way round, and {len(one.unclear)} differ by no more than their standard deviations."
    )
    if one.reversed:
        text += f" The other way round: {_grouped(one.reversed)}."
    return text


def _grouped(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs in few words: what each row is better than."""
    worse: dict[str, list[str]] = {}
    for better, other in pairs:
        worse.setdefault(better, []).append(other)
    return "; ".join(f"{row} is better than {', '.join(others)}" for row, others in worse.items())


def _named(line: Line) -> str:
    title = LABEL_TITLES[line.labels]
    return line.row if line.labels == "none" else f"{line.row} ({title})"
