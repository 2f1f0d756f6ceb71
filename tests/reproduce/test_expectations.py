from __future__ import annotations

import pytest

from tests.reproduce.made_tables import line, table
from tvsl.reproduce.expectations import judge
from tvsl.reproduce.judging import Expectation
from tvsl.reproduce.results import MeasuredRow


def judged(name: str, headers: tuple[str, ...], *lines: MeasuredRow) -> list[Expectation]:
    return list(judge("world", [table(name, headers, lines)]).items)


@pytest.mark.parametrize(("lowest", "holds"), [(20.0, True), (10.0, False)])
def test_every_learned_method_is_above_the_trivial_ones(lowest: float, holds: bool) -> None:
    found = judged(
        "table1",
        ("AP",),
        line("OTS", (lowest, lowest)),
        line("AVGN", 5.0, labels="detected"),
        line("AVGN", 30.0, labels="given"),
        line("Text only", 1.0, labels="given"),
        line("Centre", 15.0, trivial=True),
        line("Random", 3.0, trivial=True),
    )
    (expectation,) = [one for one in found if "trivial" in one.says]
    assert expectation.holds is holds
    assert "OTS" in expectation.numbers
    assert "15.0" in expectation.numbers


@pytest.mark.parametrize(("ours", "holds"), [(71.0, True), (69.0, False)])
def test_first_on_several_sources_by_20_points(ours: float, holds: bool) -> None:
    (expectation,) = judged(
        "table2",
        ("CAP", "CIoU@0.3"),
        line("T-VSL", 0.0, ours, labels="detected"),
        line("T-VSL", 0.0, 99.0, labels="given"),
        line("FNAC", 0.0, 50.0),
        line("AVGN", 0.0, 95.0, labels="given"),
        line("Text only", 0.0, 90.0, labels="detected"),
    )
    assert expectation.holds is holds
    assert expectation.numbers.endswith(f"difference {ours - 50:+.1f}")
    assert "FNAC 50.0" in expectation.numbers


def test_nothing_has_no_sign() -> None:
    rows = (line("T-VSL", 0.0, 49.98, labels="detected"), line("FNAC", 0.0, 50.0))
    (expectation,) = judged("table2", ("CAP", "CIoU@0.3"), *rows)
    assert expectation.numbers.endswith("difference +0.0")


@pytest.mark.parametrize(
    ("ours", "best", "level"),
    [
        ((90.0, 90.0), (89.0, 89.0), True),
        ((88.0, 90.0), (89.5, 90.5), True),
        ((80.0,), (81.0,), False),
    ],
)
def test_level_on_single_sources(
    ours: tuple[float, ...], best: tuple[float, ...], level: bool
) -> None:
    found = judged("table1", ("AP",), line("T-VSL", ours, labels="detected"), line("LVS", best))
    (expectation,) = [one for one in found if "level" in one.says]
    assert expectation.holds is level


@pytest.mark.parametrize(("best", "holds"), [((80.0, 80.2), True), ((88.0, 91.0), False)])
def test_clearly_ahead_with_sounds_off_screen(best: tuple[float, ...], holds: bool) -> None:
    ours = line("T-VSL", (90.0, 90.4), labels="detected")
    (expectation,) = judged("off-screen", ("single: AP",), ours, line("LVS", best))
    assert expectation.holds is holds


@pytest.mark.parametrize(("ours", "holds"), [(20.0, True), (30.0, False)])
def test_the_smallest_drop(ours: float, holds: bool) -> None:
    (expectation,) = judged(
        "table5",
        ("drop from 2 to 4",),
        line("T-VSL", ours, labels="detected"),
        line("FNAC", 25.0),
        line("LVS", 90.0),
        line("AVGN", 1.0, labels="given"),
        line("OTS", None),
    )
    assert expectation.holds is holds
    assert "FNAC" in expectation.numbers


@pytest.mark.parametrize(
    ("values", "holds"),
    [((90, 80, 85, 50), True), ((84, 80, 85, 50), False), ((90, 40, 85, 50), False)],
)
def test_the_order_of_the_blocks(values: tuple[float, ...], holds: bool) -> None:
    rows = ("audio, image, AVC", "audio, AVC", "image, AVC", "AVC")
    lines = [line(row, value, labels="given") for row, value in zip(rows, values, strict=True)]
    (expectation,) = judged("table3", ("duet: CAP",), *lines)
    assert expectation.holds is holds


@pytest.mark.parametrize(("single", "duet"), [(True, True), (True, False), (False, True)])
def test_twins_are_told_apart_by_ear(single: bool, duet: bool) -> None:
    found = judged(
        "twins",
        ("single: AP", "duet: CAP"),
        line("T-VSL", 80.0 + 0.5 * single, 60.0 + 0.5 * duet, labels="given"),
        line("T-VSL", 0.0, 0.0, labels="detected"),
        line("Text only", 60.25, 46.25, labels="given"),
    )
    assert [expectation.holds for expectation in found] == [single, duet]


def test_nothing_is_claimed_of_what_was_not_measured() -> None:
    assert judge("world", []).items == ()
    assert judge(None, [table("table1", ("AP",), [line("T-VSL", 9.0)])]).items == ()
    assert judged("table2", ("CAP",), line("T-VSL", 90.0, labels="detected")) == []
    assert judged("table1", ("AUC",), line("T-VSL", 90.0, labels="detected")) == []
    assert judged("table3", ("duet: CAP",), line("AVC", 90.0, labels="given")) == []
    assert judged("twins", ("single: AP",), line("T-VSL", 90.0, labels="given")) == []


ROWS = {  # duets of new classes: labels given, labels detected
    "T-VSL": (66.5, 55.0),
    "P_a, P_v the identity": (63.0, 48.0),
    "L_mcid trains P_f alone": (64.0, 49.0),
    "L_cls of true classes alone": (53.0, 48.0),
    "L_cls with bare cosines": (64.0, 45.0),
    "P_av the identity": (65.0, 50.0),
    "P_va the identity": (68.0, 50.0),
    "without L_av": (63.0, 54.0),
    "L_av at full weight": (63.0, 54.0),
    "as printed, from the identity": (53.0, 48.0),
    "T-VSL, untrained": (62.0, 36.0),
    "Text only": (61.5, 36.0),
}


def on_new_classes(row: str, given: float, detected: float) -> dict[str, bool]:
    """Verdicts by what they say; all hold but for the row that is changed."""
    values = {**ROWS, row: (given, detected)}
    lines = [
        line(name, value, labels=labels)
        for name, pair in values.items()
        for labels, value in zip(("given", "detected"), pair, strict=True)
    ]
    found = judge("new classes", [table("projectors", ("duet: CIoU@0.3",), lines, None)])
    assert "2026-11-29" in found.stated
    return {one.says: one.holds for one in found.items}


@pytest.mark.parametrize(
    ("row", "given", "detected", "fails"),
    [
        ("T-VSL, untrained", 62.0, 50.5, ["at least 5 points on duets", "at least 8", "18"]),
        ("T-VSL, untrained", 62.0, 47.5, ["at least 8 points", "at least 18"]),
        ("T-VSL, untrained", 62.0, 37.5, ["at least 18 points"]),
        ("T-VSL, untrained", 58.0, 36.0, ["changes less than 5"]),
        ("T-VSL, untrained", 63.0, 36.0, ["at least 4 points"]),
        ("T-VSL, untrained", 65.6, 36.0, ["at least 1 points", "at least 4 points"]),
        ("P_a, P_v the identity", 63.0, 53.5, ["over the identity"]),
        ("L_mcid trains P_f alone", 63.0, 53.5, ["L_mcid"]),
        ("L_cls of true classes alone", 62.0, 48.0, ["Negatives"]),
        ("L_cls with bare cosines", 64.0, 53.0, ["sharper"]),
        ("P_av the identity", 63.0, 50.0, ["P_av"]),
        ("P_va the identity", 70.0, 50.0, ["P_va"]),
        ("without L_av", 63.0, 51.0, ["L_av"]),
        ("L_av at full weight", 63.0, 55.5, ["at least as good"]),
        ("L_av at full weight", 64.0, 54.0, ["loses at least 3"]),
        ("as printed, from the identity", 53.0, 56.0, ["as printed"]),
        ("Text only", 56.0, 36.0, ["less than 5 points, labels given"]),
    ],
)
def test_each_expectation_of_new_classes_can_fail(
    row: str, given: float, detected: float, fails: list[str]
) -> None:
    assert all(on_new_classes("T-VSL", *ROWS["T-VSL"]).values())
    wrong = [says for says, holds in on_new_classes(row, given, detected).items() if not holds]
    assert len(wrong) == len(fails)
    assert all(part in says for part, says in zip(fails, wrong, strict=True))


def on_table_2(row: str, values: tuple[float, float]) -> list[bool]:
    """Verdicts on new classes' Table 2, in order, with one row changed."""
    rows = {
        "T-VSL": (62.0, 47.0),
        "T-VSL, untrained": (62.0, 36.0),
        "T-VSL, every equation as printed": (30.0, 20.0),
        "Text only": (60.0, 36.0),
        "LVS": (40.0, 42.0),
        row: values,
    }
    lines = [line("LVS", rows.pop("LVS"))]  # two seeds, no labels
    for name, pair in rows.items():
        lines += [
            line(name, value, labels=labels)
            for labels, value in zip(("given", "detected"), pair, strict=True)
        ]
    found = judge("new classes", [table("table2", ("CIoU@0.3",), lines, 2)])
    return [one.holds for one in found.items]


@pytest.mark.parametrize(
    ("row", "values", "verdicts"),
    [
        ("LVS", (40.0, 42.0), [True, True, True]),
        ("LVS", (40.0, 53.0), [False, True, True]),  # within the deviation
        ("LVS", (50.0, 51.0), [False, True, True]),
        ("T-VSL, every equation as printed", (30.0, 37.0), [True, False, True]),
        ("Text only", (55.0, 36.0), [True, True, False]),
    ],
)
def test_each_expectation_of_new_classes_on_table_2_can_fail(
    row: str, values: tuple[float, float], verdicts: list[bool]
) -> None:
    assert on_table_2(row, values) == verdicts


STATED = {  # benchmark, table, column: rows with labels given and detected
    ("world", "table2", "CIoU@0.3"): {"T-VSL": (90, 89), "T-VSL, untrained": (90, 89)},
    ("world", "table4", "duet: CIoU@0.3"): {"T-VSL": (70, 9), "T-VSL, untrained": (72, 9)},
    ("world", "table6", "duet: CIoU@0.3"): {"0": (90, None), "8": (90, None)},
    ("world", "table7", "duet: CIoU@0.3"): {
        "T-VSL, one stage": (90, 80),
        "T-VSL, two stages": (90, 81),
    },
    ("world", "projectors", "duet: CIoU@0.3"): {"T-VSL": (9, 90), "without L_av": (9, 90)},
    ("real mixtures", "table2", "CIoU@0.3"): {
        "T-VSL": (54, 44),
        "T-VSL, untrained": (50, 40),
        "Text only": (50, 40),
        "LVS": (None, 30),
    },
    ("real mixtures", "projectors", "duet: CIoU@0.3"): {
        "T-VSL": (54, 44),
        "P_a, P_v the identity": (50, 40),
        "L_cls of true classes alone": (54, 44),
        "without L_av": (54, 44),
        "P_v alone, no sound": (54, 44),
        "L_av at full weight": (54, 41),
        "T-VSL, untrained": (41, 29),
    },
}


def stated(place: tuple[str, str, str], row: str, shift: float) -> dict[str, bool]:
    """Verdicts by what they say, with one row changed."""
    name, kind, header = place
    lines = [
        line(title, *([0.0] if header == "CIoU@0.3" else []), value, labels=labels)
        for title, pair in STATED[place].items()
        for labels, value in zip(("given", "detected"), pair, strict=True)
        if value is not None
        for value in [value + (shift if title == row else 0.0)]
    ]
    headers = ("CAP", header) if header == "CIoU@0.3" else (header,)
    found = judge(name, [table(kind, headers, lines)]).items  # type: ignore[arg-type]
    return {one.says: one.holds for one in found}


@pytest.mark.parametrize(
    ("place", "row", "shift", "fails"),
    [
        (("world", "table2", "CIoU@0.3"), "T-VSL, untrained", 4, ["labels given", "too"]),
        (("world", "table2", "CIoU@0.3"), "T-VSL, untrained", -4, ["labels given", "too"]),
        (("world", "table4", "duet: CIoU@0.3"), "T-VSL", 1.5, ["never saw"]),
        (("world", "table6", "duet: CIoU@0.3"), "8", 4, ["prompt"]),
        (("world", "table7", "duet: CIoU@0.3"), "T-VSL, one stage", 2, ["Two stages"]),
        (("world", "projectors", "duet: CIoU@0.3"), "without L_av", -4, ["L_av"]),
        (("real mixtures", "table2", "CIoU@0.3"), "T-VSL, untrained", 2, ["given", "too"]),
        (("real mixtures", "table2", "CIoU@0.3"), "Text only", -4, ["text only"]),
        (("real mixtures", "table2", "CIoU@0.3"), "LVS", 20, ["first"]),
        (
            ("real mixtures", "projectors", "duet: CIoU@0.3"),
            "P_a, P_v the identity",
            3,
            ["identity"],
        ),
        (
            ("real mixtures", "projectors", "duet: CIoU@0.3"),
            "L_cls of true classes alone",
            -4,
            ["Negatives"],
        ),
        (("real mixtures", "projectors", "duet: CIoU@0.3"), "without L_av", 4, ["L_av"]),
        (("real mixtures", "projectors", "duet: CIoU@0.3"), "P_v alone, no sound", 4, ["sound"]),
        (("real mixtures", "projectors", "duet: CIoU@0.3"), "L_av at full weight", 2, ["full"]),
        (
            ("real mixtures", "projectors", "duet: CIoU@0.3"),
            "T-VSL, untrained",
            4,
            ["labels given", "labels detected", "labels detected", "labels given"],
        ),
    ],
)
def test_each_expectation_of_world_and_real_mixtures_can_fail(
    place: tuple[str, str, str], row: str, shift: float, fails: list[str]
) -> None:
    before, after = stated(place, row, 0), stated(place, row, shift)
    assert before.keys() == after.keys()
    wrong = [says for says, holds in after.items() if before[says] and not holds]
    assert len(wrong) == len(fails)
    for says, word in zip(wrong, fails, strict=True):
        assert word in says
