"""Expectations of a benchmark, stated before it was measured, and whether they came out.

Expectations are committed before the run that judges them, and are not changed afterwards: one that
does not come out stays on the page as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tvsl.metrics import LabelSource
from tvsl.reproduce.judging import (
    DifferenceExpectation,
    ExpectationSet,
    JudgedExpectations,
    Row,
    above_trivial,
    is_ahead,
    order_of_blocks,
    smallest_drop,
)
from tvsl.reproduce.results import MeasuredTable, beyond_deviations
from tvsl.reproduce.specs import BenchmarkName
from tvsl.reproduce.tables import (
    EQ_1,
    TEXT_ONLY,
    TVSL,
    TVSL_PRINTED,
    TVSL_UNTRAINED,
    UNCHANGED_TOKENS,
    WITH_SOUND,
    WITHOUT_SOUND,
)

_OURS = TVSL.title
_UNTRAINED = TVSL_UNTRAINED.title
_DUETS = "duet: CIoU"
_FULL_WEIGHT = "L_av at full weight"


def _beats_text(header: str, points: float, scenes: str) -> DifferenceExpectation:
    """That with twins T-VSL is so much over text only."""
    says = (
        f"On {scenes} with twins T-VSL beats text only with the same labels by at least {points:g} "
        "points of AP."
    )
    return DifferenceExpectation(
        says, "twins", header, Row(_OURS), Row(TEXT_ONLY.title), low=points
    )


def _over(
    says: str,
    title: str,
    labels: LabelSource,
    low: float = -100.0,
    table: str = "projectors",
    high: float = 100.0,
) -> DifferenceExpectation:
    """That T-VSL is so much over a row of a table on duets."""
    header = "CIoU" if table == "table2" else _DUETS
    return DifferenceExpectation(
        says, table, header, Row(_OURS, labels), Row(title, labels), low, high
    )


def _within(
    says: str, title: str, labels: LabelSource, points: float, table: str = "projectors"
) -> DifferenceExpectation:
    """That T-VSL is at most so much over such a row, or below it."""
    return _over(says, title, labels, -points, table, points)


_SECOND_PRESET = (
    "Three (L_av at a tenth and P_f with L_cls, its gains, its full weight) before the preset of "
    "these tables was measured here; what it changes was chosen on scenes of development, and had "
    "been rows of the tables of the preset before. Those above them were stated for that one; how "
    "they came out with it is kept in docs/reproduction/expectations.md. That P_f with L_cls is no "
    "worse than what validation chose says nothing any more, since validation may choose it. The "
    "six after them on 2026-11-30, before their rows were trained; the last four on that day, "
    "before heads that take 8 mixtures a step, and P_av and P_va by themselves, were measured "
    "here: on validation scenes, one seed, those steps had changed T-VSL's score on duets from 47 "
    "to 54 (new classes) and from 54 to 55 (real)"
)
_NEW_SCENES = (
    "The scenes are of a seed that nothing was measured on before 2026-11-30, when all of this had "
    "been stated"
)

_TWO_STAGES = DifferenceExpectation(
    "Two stages are better than one on duets, labels detected.",
    "table7",
    _DUETS,
    Row("T-VSL, two stages", "detected"),
    Row("T-VSL, one stage", "detected"),
    low=0,
)

# Judged as they were stated, before intervals were known: by standard deviations.
_WORLD = ExpectationSet(
    "before 2026-11-29, and partly changed after test scenes had been looked at; the last six on "
    "2026-11-29, before the preset that trains P_a and P_v met this benchmark; how they came out "
    f"with the preset before this one is kept in docs/reproduction/expectations.md. {_NEW_SCENES}",
    (
        above_trivial,
        lambda tables: is_ahead(
            tables,
            "table1",
            "AP",
            "With detected labels T-VSL is at least level on single sources with the best other "
            "method that is told no labels (AP).",
            lambda ours, best: ours.mean >= best.mean or not beyond_deviations(ours, best),
        ),
        lambda tables: is_ahead(
            tables,
            "off-screen",
            "single: AP",
            "With sounds off screen T-VSL is clearly ahead on single sources: by more than the "
            "standard deviations (AP).",
            lambda ours, best: ours.mean > best.mean and beyond_deviations(ours, best),
        ),
        lambda tables: is_ahead(
            tables,
            "table2",
            "CIoU",
            "With detected labels T-VSL is first on several sources, by at least 20 points of the "
            "success rate over the best other method that is told no labels.",
            lambda ours, best: ours.mean - best.mean >= 20,
        ),
        order_of_blocks,
        smallest_drop,
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
        DifferenceExpectation(
            "Eight learned prompt vectors change less than 3 points on duets.",
            "table6",
            _DUETS,
            Row("8"),
            Row("0"),
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


def _gain(labels: LabelSource, points: float) -> DifferenceExpectation:
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
    DifferenceExpectation(
        "Eight learned prompt vectors change less than 3 points on duets, labels given.",
        "table6",
        _DUETS,
        Row("8"),
        Row("0"),
        low=-3,
        high=3,
    ),
    _TWO_STAGES,
    DifferenceExpectation(
        "Beside a silent object of its class T-VSL beats text only by at least 3 points on single "
        "sources, labels given.",
        "twins",
        "single: AP",
        Row(_OURS),
        Row(TEXT_ONLY.title),
        low=3,
    ),
)

_ON_NEW_ROWS = (
    DifferenceExpectation(
        "The sound in conditioning, L_av and the map is worth less than 3 points, up or down, "
        "labels given, L_mcid for P_f alone in both.",
        "projectors",
        _DUETS,
        Row(WITH_SOUND.title),
        Row(WITHOUT_SOUND.title),
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

_ON_SMALL_BATCHES = (
    _within(
        "P_av that stays the identity changes less than 3 points, labels given.",
        "P_av the identity",
        "given",
        3,
    ),
    _within(
        "P_va that stays the identity changes less than 3 points, labels given.",
        "P_va the identity",
        "given",
        3,
    ),
)


def _gain_of_steps(labels: LabelSource, points: float) -> DifferenceExpectation:
    """That training gains so much where validation may take more and smaller steps."""
    says = (
        "With the number of mixtures a step chosen by validation, for all methods, T-VSL gains at "
        f"least {points:g} points on duets from its training, labels {labels}."
    )
    return _over(says, _UNTRAINED, labels, points)


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
        DifferenceExpectation(
            "Untrained, T-VSL and text only differ by less than 5 points, labels given: "
            "alone, what sounds does not decide where.",
            "projectors",
            _DUETS,
            Row(_UNTRAINED),
            Row(TEXT_ONLY.title),
            low=-5,
            high=5,
        ),
        lambda tables: is_ahead(
            tables,
            "table2",
            "CIoU",
            "With detected labels T-VSL is first on several sources, by more than the standard "
            "deviations, over all methods that are told no labels (Table 2).",
            lambda ours, best: ours.mean > best.mean and beyond_deviations(ours, best),
        ),
        DifferenceExpectation(
            "With every equation as printed, from a random start, T-VSL is below T-VSL untrained "
            "after so few steps, labels detected (Table 2).",
            "table2",
            "CIoU",
            Row(_UNTRAINED, "detected"),
            Row(TVSL_PRINTED.title, "detected"),
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
        smallest_drop,
        order_of_blocks,
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
        *_ON_SMALL_BATCHES,
        _gain_of_steps("detected", 18),
        _gain_of_steps("given", 4),
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
        DifferenceExpectation(
            "Untrained, T-VSL and text only differ by less than 3 points, labels given.",
            "table2",
            "CIoU",
            Row(_UNTRAINED),
            Row(TEXT_ONLY.title),
            low=-3,
            high=3,
        ),
        lambda tables: is_ahead(
            tables,
            "table2",
            "CIoU",
            "With detected labels T-VSL is first on several sources, by more than the standard "
            "deviations, over all methods that are told no labels.",
            lambda ours, best: ours.mean > best.mean and beyond_deviations(ours, best),
        ),
        above_trivial,
        order_of_blocks,
        smallest_drop,
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
        *_ON_SMALL_BATCHES,
        _gain_of_steps("detected", 12),
        _gain_of_steps("given", 12),
    ),
)

EXPECTATIONS: Mapping[BenchmarkName, ExpectationSet] = MappingProxyType(
    {"world": _WORLD, "new classes": _NEW_CLASSES, "real mixtures": _REAL}
)
"""The expectations of each benchmark."""


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
