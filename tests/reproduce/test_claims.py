from __future__ import annotations

import numpy as np
import pytest

from tests.reproduce.made_tables import line, table
from tvsl.reproduce.claims import Claim, judge_claims
from tvsl.reproduce.results import MeasuredRow, MeasuredTable, Value


def claim(claims: list[Claim], text: str) -> Claim:
    (found,) = [one for one in claims if text in one.says]
    return found


def drawn(row: str, mean: float, spread: float, labels: str = "none", seed: int = 0) -> MeasuredRow:
    """A line with resamples of its scenes."""
    made = line(row, mean, labels=labels)  # type: ignore[arg-type]
    draws = mean + spread * np.random.default_rng(seed).standard_normal(2000)
    value = Value((mean,), (draws,))
    return MeasuredRow(made.row, made.labels, (value,), made.paper, made.trained)


def duets(*lines: MeasuredRow) -> MeasuredTable:
    return table("table2", ("CIoU@0.3",), lines)


@pytest.mark.parametrize(
    ("ours", "verdict"), [(60.0, "supported"), (51.0, "no difference"), (40.0, "contradicted")]
)
def test_the_interval_of_the_difference_decides(ours: float, verdict: str) -> None:
    found = judge_claims(
        [
            duets(
                drawn("T-VSL", ours, 2.0, "detected", 1),
                drawn("T-VSL", 99.0, 2.0, "given", 2),
                drawn("FNAC", 50.0, 2.0, "none", 3),
                drawn("DSOL", 45.0, 2.0, "detected", 4),
                drawn("DSOL", 95.0, 2.0, "given", 5),
                drawn("Text only", 96.0, 2.0, "detected", 6),
            )
        ]
    )
    judged = claim(found, "sources of mixtures better")
    assert judged.verdict == verdict
    assert "FNAC 50.0" in judged.numbers
    assert f"difference {ours - 50:+.1f}" in judged.numbers


def test_training_and_sound_are_judged_by_their_controls() -> None:
    found = judge_claims(
        [
            duets(
                line("T-VSL", 50.0, labels="detected"),
                line("T-VSL", 60.0, labels="given"),
                line("T-VSL, untrained", 55.0, labels="detected"),
                line("T-VSL, untrained", 55.0, labels="given"),
            ),
            table(
                "projectors",
                ("duet: CIoU@0.3",),
                (
                    line("T-VSL", 66.0, labels="given"),
                    line("L_mcid trains P_f alone", 60.0, labels="given"),
                    line("P_v alone, no sound", 60.0, labels="given"),
                    line("Text only", 50.0, labels="given"),
                ),
            ),
        ]
    )
    assert claim(found, "training makes").verdict == "contradicted"
    assert claim(found, "with labels given").verdict == "supported"
    assert claim(found, "sound adds").verdict == "no difference"


def test_methods_that_cannot_answer_are_named() -> None:
    rows = (
        line("T-VSL", 50.0, labels="detected"),
        line("T-VSL, untrained", 55.0, labels="detected"),
        line("FNAC", 40.0),
        line("AVGN", None),
    )
    found = judge_claims([table("table4", ("duet: CIoU@0.3",), rows)])
    best = claim(found, "best on classes")
    assert best.verdict == "supported"
    assert best.numbers.endswith("without a value: AVGN")
    assert claim(found, "carries over").verdict == "contradicted"


def test_the_smallest_drop_is_the_best() -> None:
    rows = (line("T-VSL", 13.0, labels="detected"), line("FNAC", 27.0))
    found = judge_claims([table("table5", ("drop from 2 to 4",), rows)])
    assert claim(found, "loses least").verdict == "supported"


def test_what_was_not_measured_is_not_testable() -> None:
    assert judge_claims([]) == []
    found = judge_claims([duets(line("T-VSL", 50.0, labels="given"))])
    assert claim(found, "Two stages").verdict == "not testable here"
    assert "table7" in claim(found, "Two stages").numbers
    assert claim(found, "sound adds").verdict == "not testable here"
    assert len({one.says for one in found}) == len(found)


def test_the_best_learned_prompt_against_none() -> None:
    rows = [
        line(length, value, labels="given")
        for length, value in (("0", 50.0), ("4", 52.0), ("8", 51.0))
    ]
    found = judge_claims([table("table6", ("duet: CIoU@0.3",), rows)])
    judged = claim(found, "Learned prompts")
    assert judged.verdict == "supported"
    assert "4 vectors 52.0" in judged.numbers
