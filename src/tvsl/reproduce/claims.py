"""The paper's claims, each beside the figures that speak for it or against it.

A claim is a difference of two lines of a table. It is supported where the 95 % interval of the
difference lies above 0, contradicted where it lies below, and open where it holds 0. Where T-VSL is
compared with other methods, nobody is told labels. Beside the claims, the order of every column is
compared with the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

from scipy.stats import kendalltau

from tvsl.metrics import LabelSource
from tvsl.reproduce.judging import OTHER_METHODS, Tables, best_other
from tvsl.reproduce.results import (
    DETECTED_FIRST,
    GIVEN_FIRST,
    MeasuredRow,
    MeasuredTable,
    Value,
    apart,
    difference_text,
    one_each,
    ranked,
)
from tvsl.reproduce.tables import (
    PROMPT_LENGTHS,
    TVSL,
    TVSL_UNTRAINED,
    WITH_SOUND,
    WITHOUT_SOUND,
)

Verdict = Literal["supported", "no difference", "contradicted", "not testable here"]

_OURS = TVSL.title
_FULL = "audio, image, AVC"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and what a benchmark says of it.

    Attributes:
        says: The claim, in a sentence.
        where: Its place in the paper.
        verdict: What the figures say.
        numbers: The figures; for a claim that cannot be tested, the reason.
    """

    says: str
    where: str
    verdict: Verdict
    numbers: str


@dataclass(frozen=True)
class _Spec:
    """A claim that can be judged.

    Attributes:
        says: The claim.
        where: Its place in the paper.
        table: Name of the table that it is judged by.
        column: Beginning of the column's title.
        pair: Finds the two lines in a table and column, the one first that the claim puts first.
    """

    says: str
    where: str
    table: str
    column: str
    pair: Callable[[MeasuredTable, int], tuple[_Cell, _Cell] | None]


_Cell = tuple[str, Value]
"""A line's name and its value."""


def judge_claims(tables: Iterable[MeasuredTable]) -> list[Claim]:
    """Judge the paper's claims by measured tables.

    Returns:
        All claims, also those that cannot be tested with these tables; none without tables.
    """
    known = {table.name: table for table in tables}
    return [_judged(spec, known) for spec in _CLAIMS] if known else []


def _judged(spec: _Spec, tables: Tables) -> Claim:
    table = tables.get(spec.table)
    if table is None:
        return _untestable(spec, f"{spec.table} was not measured")
    column = table.column(spec.column)
    if column is None:
        return _untestable(spec, f"{table.title} has no column for it")
    found = spec.pair(table, column)
    if found is None:
        return _untestable(spec, f"a line of {table.title} has no value")
    (name, ours), (other, theirs) = found
    numbers = (
        f"{table.headers[column]}: {name} {ours.text()}, {other} {theirs.text()}, difference "
        f"{difference_text(ours, theirs)}"
    )
    if spec.pair is _against_others and (absent := _without_value(table, column)):
        numbers += f"; without a value: {', '.join(absent)}"
    sign = -1 if table.columns[column].low_is_good else 1
    verdict: Verdict = "no difference"
    if apart(ours, theirs):
        verdict = "supported" if sign * (ours.mean - theirs.mean) > 0 else "contradicted"
    return Claim(spec.says, spec.where, verdict, numbers)


def _untestable(spec: _Spec, reason: str) -> Claim:
    return Claim(spec.says, spec.where, "not testable here", reason)


def _lines(
    first: str, second: str, labels: LabelSource, other: LabelSource | None = None
) -> Callable[[MeasuredTable, int], tuple[_Cell, _Cell] | None]:
    """Pair of two lines by their titles."""

    def find(table: MeasuredTable, column: int) -> tuple[_Cell, _Cell] | None:
        lines = table.line(first, labels), table.line(second, other or labels)
        cells = [(line.row, line.values[column]) for line in lines if line is not None]
        known = [(name, value) for name, value in cells if value is not None]
        return (known[0], known[1]) if len(known) == 2 else None

    return find


def _against_others(table: MeasuredTable, column: int) -> tuple[_Cell, _Cell] | None:
    """T-VSL and the best of the paper's other methods; nobody is told labels."""
    ours, best = table.line(_OURS, "detected"), best_other(table, column)
    value = None if ours is None else ours.values[column]
    if value is None or best is None:
        return None
    return (_OURS, value), (best[0].row, best[1])


def _without_value(table: MeasuredTable, column: int) -> list[str]:
    """The paper's other methods that have no value in a column."""
    known = {line.row for line in table.lines if line.values[column] is not None}
    return sorted(({line.row for line in table.lines} & set(OTHER_METHODS)) - known)


def _best_prompt(table: MeasuredTable, column: int) -> tuple[_Cell, _Cell] | None:
    """The best prompt that is learned, and none."""
    lines = [table.line(str(length), "given") for length in PROMPT_LENGTHS]
    known: list[MeasuredRow] = [line for line in lines if line is not None]
    learned = ranked([line for line in known if line.row != "0"], column, False)
    without = next((line.values[column] for line in known if line.row == "0"), None)
    if not learned or without is None:
        return None
    best, value = learned[0]
    return (f"{best.row} vectors", value), ("none", without)


_CLAIMS: Sequence[_Spec] = (
    _Spec(
        "T-VSL finds single sources better than all other methods.",
        "Table 1",
        "table1",
        "AP",
        _against_others,
    ),
    _Spec(
        "T-VSL finds the sources of mixtures better than all other methods.",
        "Table 2",
        "table2",
        "CIoU",
        _against_others,
    ),
    _Spec(
        "T-VSL's training makes the frozen encoder better at mixtures: labels detected.",
        "Sec. 3, Table 3",
        "table2",
        "CIoU",
        _lines(_OURS, TVSL_UNTRAINED.title, "detected"),
    ),
    _Spec(
        "The same with labels given.",
        "Sec. 3, Table 3",
        "table2",
        "CIoU",
        _lines(_OURS, TVSL_UNTRAINED.title, "given"),
    ),
    _Spec(
        "The sound adds to what the name of a class finds, in conditioning, L_av and the map: "
        "labels given, L_mcid for P_f alone with it and without.",
        "Sec. 3.4",
        "projectors",
        "duet: CIoU",
        _lines(WITH_SOUND.title, WITHOUT_SOUND.title, "given"),
    ),
    _Spec(
        "All three blocks are better than the encoder's own similarity.",
        "Table 3",
        "table3",
        "duet: CIoU",
        _lines(_FULL, "none (encoder's similarity)", "given", "none"),
    ),
    _Spec(
        "Audio conditioning adds to the other two blocks.",
        "Table 3",
        "table3",
        "duet: CIoU",
        _lines(_FULL, "image, AVC", "given"),
    ),
    _Spec(
        "Image conditioning adds to the other two blocks.",
        "Table 3",
        "table3",
        "duet: CIoU",
        _lines(_FULL, "audio, AVC", "given"),
    ),
    _Spec(
        "The correspondence block adds to both conditionings.",
        "Table 3",
        "table3",
        "duet: CIoU",
        _lines(_FULL, "audio, image", "given"),
    ),
    _Spec(
        "T-VSL is the best on classes that training never saw.",
        "Table 4",
        "table4",
        "duet: CIoU",
        _against_others,
    ),
    _Spec(
        "What T-VSL's training learns carries over to classes that it never saw: labels detected.",
        "Table 4",
        "table4",
        "duet: CIoU",
        _lines(_OURS, TVSL_UNTRAINED.title, "detected"),
    ),
    _Spec(
        "T-VSL loses least from two sources to four.",
        "Table 5",
        "table5",
        "drop",
        _against_others,
    ),
    _Spec(
        "Learned prompts are better than the name alone (the best of five lengths).",
        "Table 6",
        "table6",
        "duet: CIoU",
        _best_prompt,
    ),
    _Spec(
        "Two stages are better than one.",
        "Table 7",
        "table7",
        "duet: CIoU",
        _lines("T-VSL, two stages", "T-VSL, one stage", "detected"),
    ),
)


_PREFERRED = (DETECTED_FIRST, GIVEN_FIRST)


@dataclass(frozen=True)
class Agreement:
    """The order of a column, ours against the paper's.

    Attributes:
        header: Title of the column.
        benchmarks: The paper's benchmarks.
        labels: Label source of methods that have several; None where none has.
        rows: The rows that both have.
        tau: Kendall's tau-b of the two orders; None where it is not defined.
        chance: Probability of a tau so far from 0 among random orders.
        agreed: Pairs of rows, better one first in both.
        reversed: Pairs of rows that the paper has the other way round; ours first.
        unclear: Pairs without a difference that 95 % intervals would show.
    """

    header: str
    benchmarks: str
    labels: LabelSource | None
    rows: tuple[str, ...]
    tau: float | None
    chance: float | None
    agreed: tuple[tuple[str, str], ...]
    reversed: tuple[tuple[str, str], ...]
    unclear: tuple[tuple[str, str], ...]


def agreements(table: MeasuredTable) -> list[Agreement]:
    """Compare the order of every column that the paper has.

    Returns:
        One for each column, for each of the paper's benchmarks beside it, and for detected and
        given labels, where a method has both.
    """
    found = []
    for benchmarks, column in product(table.beside, range(len(table.headers))):
        orders: dict[tuple[_Compared, ...], LabelSource] = {}
        for preferred in _PREFERRED:
            compared = (
                (line.row, line.values[column], line.paper[benchmarks][column])
                for line in one_each(table.lines, preferred)
            )
            both = tuple((row, o, t) for row, o, t in compared if o is not None and t is not None)
            orders.setdefault(both, preferred[0])
        header, low = table.headers[column], table.columns[column].low_is_good
        found += [
            _compare(header, benchmarks, labels if len(orders) > 1 else None, both, low)
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


_Compared = tuple[str, Value, float]
"""A row with our value and the paper's number."""


def _compare(
    header: str,
    benchmarks: str,
    labels: LabelSource | None,
    compared: Sequence[_Compared],
    low_is_good: bool,
) -> Agreement:
    sign = -1 if low_is_good else 1
    tau, chance = tau_of([ours.mean for _, ours, _ in compared], [one[2] for one in compared])
    pairs: dict[str, list[tuple[str, str]]] = {"agreed": [], "reversed": [], "unclear": []}
    for first, second in combinations(compared, 2):
        leads = sign * (first[1].mean - second[1].mean) >= 0
        (better, ours, theirs), (worse, our_other, their_other) = (
            (first, second) if leads else (second, first)
        )
        order = "agreed" if sign * (theirs - their_other) >= 0 else "reversed"
        pairs[order if apart(ours, our_other) else "unclear"].append((better, worse))
    return Agreement(
        header,
        benchmarks,
        labels,
        tuple(row for row, _, _ in compared),
        tau,
        chance,
        tuple(pairs["agreed"]),
        tuple(pairs["reversed"]),
        tuple(pairs["unclear"]),
    )
