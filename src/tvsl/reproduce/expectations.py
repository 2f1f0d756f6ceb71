"""Expectations of a benchmark, stated before it was measured, and whether they came out.

Expectations are committed before the run that judges them, and are not changed afterwards: one that
does not come out stays on the page as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tvsl.metrics import LabelSource
from tvsl.reproduce.results import (
    MeasuredRow,
    MeasuredTable,
    Value,
    beyond_deviations,
    difference_text,
)
from tvsl.reproduce.specs import WITHOUT_HELP, BenchmarkName
from tvsl.reproduce.tables import (
    EQ_1,
    PAPER_METHODS,
    TEXT_ONLY,
    TVSL,
    TVSL_PRINTED,
    TVSL_UNTRAINED,
    UNCHANGED_TOKENS,
    WITH_SOUND,
    WITHOUT_SOUND,
)

Tables = Mapping[str, MeasuredTable]

_OURS = TVSL.title
_UNTRAINED = TVSL_UNTRAINED.title
_OTHERS = tuple(row.title for row in PAPER_METHODS if row.title != _OURS)
_WITHOUT_LABELS: tuple[LabelSource, ...] = (*WITHOUT_HELP, "assigned")


@dataclass(frozen=True)
class Expectation:
    """An expectation, and whether it came out.

    Attributes:
        says: The expectation, in a sentence.
        holds: Whether it came out.
        numbers: The numbers that decide it.
    """

    says: str
    holds: bool
    numbers: str


@dataclass(frozen=True)
class ExpectationSet:
    """The expectations of one benchmark.

    Attributes:
        stated: When they were stated.
        judges: A function for each; None where its numbers are not in the tables.
    """

    stated: str
    judges: Sequence[Callable[[Tables], Expectation | None]]


@dataclass(frozen=True)
class JudgedExpectations:
    """The expectations of a benchmark that could be judged.

    Attributes:
        stated: When they were stated.
        items: The expectations.
    """

    stated: str = ""
    items: tuple[Expectation, ...] = field(default=())


def judge(name: BenchmarkName | None, tables: Iterable[MeasuredTable]) -> JudgedExpectations:
    """Compare the expectations whose numbers are in the measured tables with these.

    Args:
        name: The benchmark; of others nothing is expected.
        tables: The tables.
    """
    if name is None:
        return JudgedExpectations()
    known = {table.name: table for table in tables}
    expected = EXPECTATIONS[name]
    judged = (one(known) for one in expected.judges)
    return JudgedExpectations(expected.stated, tuple(one for one in judged if one is not None))


def _above_trivial(tables: Tables) -> Expectation | None:
    table = tables.get("table1")
    if table is None or "AP" not in table.headers:
        return None
    column = table.headers.index("AP")
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
    tables: Tables, name: str, header: str, says: str, margin: Callable[[Value, Value], bool]
) -> Expectation | None:
    """T-VSL with detected labels against the best other method without given labels."""
    table = tables.get(name)
    headers = [] if table is None else [one for one in table.headers if one.startswith(header)]
    if table is None or not headers:
        return None
    ours = table.value(_OURS, headers[0], "detected")
    best = _best(table, headers[0])
    if ours is None or best is None:
        return None
    line, value = best
    return Expectation(
        says,
        margin(ours, value),
        f"T-VSL {ours.text()}, {line.row} {value.text()}, difference "
        f"{difference_text(ours, value)}",
    )


def _best(table: MeasuredTable, header: str) -> tuple[MeasuredRow, Value] | None:
    found = _without_labels(table, table.headers.index(header))
    return max(found, key=lambda pair: pair[1].mean) if found else None


def _without_labels(table: MeasuredTable, column: int) -> list[tuple[MeasuredRow, Value]]:
    """The paper's other methods, without given labels."""
    return [
        (line, value)
        for line in table.lines
        if line.row in _OTHERS
        and line.labels in _WITHOUT_LABELS
        and (value := line.values[column]) is not None
    ]


def _smallest_drop(tables: Tables) -> Expectation | None:
    table = tables.get("table5")
    headers = [] if table is None else [one for one in table.headers if one.startswith("drop")]
    if table is None or not headers:
        return None
    column = table.headers.index(headers[0])
    drops = _without_labels(table, column)
    ours = table.value(_OURS, headers[0], "detected")
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
    if table is None or "duet: CAP" not in table.headers:
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


@dataclass(frozen=True)
class _Row:
    """A line of a table: a row with one source of labels."""

    title: str
    labels: LabelSource = "given"


@dataclass(frozen=True)
class _Difference:
    """The expectation that two lines of a column differ by so much.

    Attributes:
        says: The expectation, in a sentence.
        table: Name of the table.
        header: Beginning of the column's title.
        first: A line.
        second: The line that is subtracted.
        low: Least difference, in points.
        high: Largest difference.
    """

    says: str
    table: str
    header: str
    first: _Row
    second: _Row
    low: float = -100.0
    high: float = 100.0

    def __call__(self, tables: Tables) -> Expectation | None:
        """Judge it; None where its numbers are not in the tables."""
        rows = (self.first, self.second)
        first, second = (_value(tables, self.table, self.header, row) for row in rows)
        if first is None or second is None:
            return None
        return Expectation(
            self.says,
            self.low <= first.mean - second.mean <= self.high,
            f"{self.first.title} {first.text()}, {self.second.title} {second.text()}, difference "
            f"{difference_text(first, second)}",
        )


def _value(tables: Tables, name: str, header: str, row: _Row) -> Value | None:
    """The cell of a line in the column whose title begins so."""
    table = tables.get(name)
    headers = [] if table is None else [one for one in table.headers if one.startswith(header)]
    if table is None or not headers:
        return None
    return table.value(row.title, headers[0], row.labels)


_DUETS = "duet: CIoU"
_FULL_WEIGHT = "L_av at full weight"


def _beats_text(header: str, points: float, scenes: str) -> _Difference:
    """That with twins T-VSL is so much over text only."""
    says = (
        f"On {scenes} with twins T-VSL beats text only with the same labels by at least {points:g} "
        "points of AP."
    )
    return _Difference(says, "twins", header, _Row(_OURS), _Row(TEXT_ONLY.title), low=points)


def _over(
    says: str,
    title: str,
    labels: LabelSource,
    low: float = -100.0,
    table: str = "projectors",
    high: float = 100.0,
) -> _Difference:
    """That T-VSL is so much over a row of a table on duets."""
    header = "CIoU" if table == "table2" else _DUETS
    return _Difference(says, table, header, _Row(_OURS, labels), _Row(title, labels), low, high)


def _within(
    says: str, title: str, labels: LabelSource, points: float, table: str = "projectors"
) -> _Difference:
    """That T-VSL is at most so much over such a row, or below it."""
    return _over(says, title, labels, -points, table, points)


_SECOND_PRESET = (
    "Three (L_av at a tenth and P_f with L_cls, its gains, its full weight) before the preset of "
    "these tables was measured here; what it changes was chosen on scenes of development, and had "
    "been rows of the tables of the preset before. Those above them were stated for that one; how "
    "they came out with it is kept in docs/reproduction/expectations.md. That P_f with L_cls is no "
    "worse than what validation chose says nothing any more, since validation may choose it. The "
    "last six on 2026-11-30, before their rows were trained"
)
_NEW_SCENES = (
    "The scenes are of a seed that nothing was measured on before 2026-11-30, when all of this had "
    "been stated"
)

_TWO_STAGES = _Difference(
    "Two stages are better than one on duets, labels detected.",
    "table7",
    _DUETS,
    _Row("T-VSL, two stages", "detected"),
    _Row("T-VSL, one stage", "detected"),
    low=0,
)

# Judged as they were stated, before intervals were known: by standard deviations.
_WORLD = ExpectationSet(
    "before 2026-11-29, and partly changed after test scenes had been looked at; the last six on "
    "2026-11-29, before the preset that trains P_a and P_v met this benchmark; how they came out "
    f"with the preset before this one is kept in docs/reproduction/expectations.md. {_NEW_SCENES}",
    (
        _above_trivial,
        lambda tables: _ahead(
            tables,
            "table1",
            "AP",
            "With detected labels T-VSL is at least level on single sources with the best other "
            "method that is told no labels (AP).",
            lambda ours, best: ours.mean >= best.mean or not beyond_deviations(ours, best),
        ),
        lambda tables: _ahead(
            tables,
            "off-screen",
            "single: AP",
            "With sounds off screen T-VSL is clearly ahead on single sources: by more than the "
            "standard deviations (AP).",
            lambda ours, best: ours.mean > best.mean and beyond_deviations(ours, best),
        ),
        lambda tables: _ahead(
            tables,
            "table2",
            "CIoU",
            "With detected labels T-VSL is first on several sources, by at least 20 points of the "
            "success rate over the best other method that is told no labels.",
            lambda ours, best: ours.mean - best.mean >= 20,
        ),
        _order_of_blocks,
        _smallest_drop,
        _beats_text("single: AP", 20, "single sources"),
        _beats_text("duet: CAP", 14, "duets"),
        _within(
            "Training changes T-VSL by less than 3 points on duets, labels given: these tokens "
            "know their classes already.",
            _UNTRAINED,
            "given",
            3,
            "table2",
        ),
        _within(
            "With labels detected, too.",
            _UNTRAINED,
            "detected",
            3,
            "table2",
        ),
        _over(
            "On classes that training never saw it costs T-VSL at least 1 point, labels given.",
            _UNTRAINED,
            "given",
            table="table4",
            high=-1,
        ),
        _Difference(
            "Eight learned prompt vectors change less than 3 points on duets.",
            "table6",
            _DUETS,
            _Row("8"),
            _Row("0"),
            low=-3,
            high=3,
        ),
        _TWO_STAGES,
        _within(
            "L_av is worth less than 3 points on duets, up or down, labels detected.",
            "without L_av",
            "detected",
            3,
        ),
    ),
)


def _gain(labels: LabelSource, points: float) -> _Difference:
    """That the preset with a tenth of L_av gains so much from its training."""
    says = (
        "With a tenth of L_av, and P_f with L_cls among the detectors, T-VSL gains at least "
        f"{points:g} points on duets from its training, labels {labels}."
    )
    return _over(says, _UNTRAINED, labels, points)


# Stated for new classes and for real mixtures alike.
_ON_OTHER_TABLES = (
    _over(
        "On classes that the heads were not trained on, training costs T-VSL at least 1 point on "
        "duets, labels given.",
        _UNTRAINED,
        "given",
        table="table4",
        high=-1,
    ),
    _Difference(
        "Eight learned prompt vectors change less than 3 points on duets, labels given.",
        "table6",
        _DUETS,
        _Row("8"),
        _Row("0"),
        low=-3,
        high=3,
    ),
    _TWO_STAGES,
    _Difference(
        "Beside a silent object of its class T-VSL beats text only by at least 3 points on single "
        "sources, labels given.",
        "twins",
        "single: AP",
        _Row(_OURS),
        _Row(TEXT_ONLY.title),
        low=3,
    ),
)

_ON_NEW_ROWS = (
    _Difference(
        "The sound in conditioning, L_av and the map is worth less than 3 points, up or down, "
        "labels given, L_mcid for P_f alone in both.",
        "projectors",
        _DUETS,
        _Row(WITH_SOUND.title),
        _Row(WITHOUT_SOUND.title),
        low=-3,
        high=3,
    ),
    _over(
        "P_a and P_v that are trained are worth at least 2 points over the identity, all else the "
        "same, labels detected.",
        "P_a, P_v the identity",
        "detected",
        low=2,
    ),
    _over(
        "A random start of all projectors loses at least 5 points, labels detected.",
        "a random start",
        "detected",
        low=5,
    ),
    _within(
        "A tenth of the learning rate for P_a and P_v changes less than 5 points, labels detected.",
        "P_a, P_v at a tenth of the rate",
        "detected",
        5,
    ),
    _within(
        "P_f with one layer changes less than 3 points, labels detected.",
        "P_f with one layer",
        "detected",
        3,
    ),
    _within(
        "Pairs of the same class as negatives in L_av change less than 3 points, labels given.",
        "L_av against its own class, too",
        "given",
        3,
    ),
)

_NEW_CLASSES = ExpectationSet(
    "2026-11-29, before the first run on final scenes; on scenes of development, one seed and 300 "
    "steps, T-VSL reached 62 given and 47 detected, untrained 62 and 36. Those on Tables 2 and 5 "
    "later on that day, before the other methods were trained on new classes at all; the last, on "
    "Tables 3, 4, 6, 7, twins, Eq. 1, a tenth of L_av and P_f with L_cls, before these were "
    f"measured there. {_SECOND_PRESET}. On scenes of development, two seeds, it had reached 64 "
    f"given and 43 detected, untrained 62 and 30. {_NEW_SCENES}",
    (
        _over(
            "Training gains T-VSL at least 5 points on duets of new classes, labels detected.",
            _UNTRAINED,
            "detected",
            low=5,
        ),
        _over(
            "With labels given it changes less than 5 points, up or down.",
            _UNTRAINED,
            "given",
            low=-5,
            high=5,
        ),
        _over(
            "P_a and P_v that are trained are worth at least 2 points over the identity, "
            "labels detected.",
            UNCHANGED_TOKENS.title,
            "detected",
            low=2,
        ),
        _over(
            "L_mcid in P_a and P_v is worth at least 2 points, labels detected.",
            "L_mcid trains P_f alone",
            "detected",
            low=2,
        ),
        _over(
            "Negatives in L_cls are worth at least 5 points, labels given.",
            "L_cls of true classes alone",
            "given",
            low=5,
        ),
        _over(
            "Weights sharper than the bare cosines in L_cls are worth at least 3 points, "
            "labels detected.",
            "L_cls with bare cosines",
            "detected",
            low=3,
        ),
        _within(
            "L_av is worth less than 3 points, up or down, labels detected.",
            "without L_av",
            "detected",
            3,
        ),
        _over(
            "T-VSL as printed, from the identity, is below ours, labels detected.",
            "as printed, from the identity",
            "detected",
            low=0,
        ),
        _Difference(
            "Untrained, T-VSL and text only differ by less than 5 points, labels given: "
            "alone, what sounds does not decide where.",
            "projectors",
            _DUETS,
            _Row(_UNTRAINED),
            _Row(TEXT_ONLY.title),
            low=-5,
            high=5,
        ),
        lambda tables: _ahead(
            tables,
            "table2",
            "CIoU",
            "With detected labels T-VSL is first on several sources, by more than the standard "
            "deviations, over all methods that are told no labels (Table 2).",
            lambda ours, best: ours.mean > best.mean and beyond_deviations(ours, best),
        ),
        _Difference(
            "With every equation as printed, from a random start, T-VSL is below T-VSL untrained "
            "after so few steps, labels detected (Table 2).",
            "table2",
            "CIoU",
            _Row(_UNTRAINED, "detected"),
            _Row(TVSL_PRINTED.title, "detected"),
            low=0,
        ),
        _within(
            "T-VSL and text only differ by less than 5 points, labels given, also after training "
            "(Table 2).",
            TEXT_ONLY.title,
            "given",
            5,
            "table2",
        ),
        _smallest_drop,
        _order_of_blocks,
        *_ON_OTHER_TABLES,
        _over(
            "L_av at a tenth of its weight is at least as good as at its whole weight, labels "
            "detected.",
            _FULL_WEIGHT,
            "detected",
            low=0,
        ),
        _over(
            "The detector that takes P_f and L_cls together is at least as good as the one that "
            "validation chose.",
            "detector: P_f and L_cls",
            "detected",
            table="improvements",
            high=0,
        ),
        _over(
            "Eq. 1 on the labels beside our losses gains at least 1 point, labels detected.",
            "ours and Eq. 1",
            "detected",
            high=-1,
        ),
        _within(
            "Eq. 1 on the labels alone and T-VSL differ by less than 5 points, labels given.",
            EQ_1.title,
            "given",
            5,
        ),
        _gain("given", 1),
        _gain("detected", 8),
        _over(
            "L_av with its full weight loses at least 3 points, labels given.",
            _FULL_WEIGHT,
            "given",
            low=3,
        ),
        *_ON_NEW_ROWS,
    ),
)

_REAL = ExpectationSet(
    "2026-11-29, before the present preset was measured on real mixtures; on the same scenes of "
    "development an earlier one, whose P_a and P_v were trained by the losses as printed, had "
    "reached 53 given and 41 detected, untrained 47 and 37. Those on other tables than 2 and "
    f"projectors later on that day, before these were measured there. {_SECOND_PRESET}. On scenes "
    "of development, three seeds, it had reached 59 given and 53 detected, untrained 47 and 37",
    (
        _over(
            "Training gains T-VSL at least 3 points on duets, labels given.",
            _UNTRAINED,
            "given",
            3,
            "table2",
        ),
        _over(
            "With labels detected, too.",
            _UNTRAINED,
            "detected",
            3,
            "table2",
        ),
        _over(
            "P_a and P_v that are trained are worth at least 2 points over the identity, "
            "labels given.",
            UNCHANGED_TOKENS.title,
            "given",
            low=2,
        ),
        _within(
            "Negatives in L_cls are worth less than 3 points, up or down, labels given.",
            "L_cls of true classes alone",
            "given",
            3,
        ),
        _within(
            "L_av is worth less than 3 points, up or down, labels detected.",
            "without L_av",
            "detected",
            3,
        ),
        _within(
            "P_v trained without any sound is within 3 points of T-VSL, labels given: the map is "
            "read from the text.",
            "P_v alone, no sound",
            "given",
            3,
        ),
        _Difference(
            "Untrained, T-VSL and text only differ by less than 3 points, labels given.",
            "table2",
            "CIoU",
            _Row(_UNTRAINED),
            _Row(TEXT_ONLY.title),
            low=-3,
            high=3,
        ),
        lambda tables: _ahead(
            tables,
            "table2",
            "CIoU",
            "With detected labels T-VSL is first on several sources, by more than the standard "
            "deviations, over all methods that are told no labels.",
            lambda ours, best: ours.mean > best.mean and beyond_deviations(ours, best),
        ),
        _above_trivial,
        _order_of_blocks,
        _smallest_drop,
        *_ON_OTHER_TABLES,
        _gain("given", 10),
        _gain("detected", 14),
        _over(
            "L_av with its full weight loses at least 2 points, labels detected.",
            _FULL_WEIGHT,
            "detected",
            low=2,
        ),
        *_ON_NEW_ROWS,
    ),
)

EXPECTATIONS: Mapping[BenchmarkName, ExpectationSet] = MappingProxyType(
    {"world": _WORLD, "new classes": _NEW_CLASSES, "real mixtures": _REAL}
)
"""The expectations of each benchmark."""
