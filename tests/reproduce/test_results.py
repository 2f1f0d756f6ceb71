from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reproduce.made_tables import line, table
from tvsl.reproduce.results import (
    GIVEN_FIRST,
    Value,
    apart,
    difference_interval,
    one_each,
    ranked,
)
from tvsl.reproduce.specs import SINGLES, HeadSpec, Training

NUMBERS = st.lists(st.floats(0, 100), min_size=2, max_size=6)


@given(NUMBERS)
def test_mean_and_deviation(numbers: list[float]) -> None:
    value = Value(tuple(numbers))
    assert value.mean == pytest.approx(statistics.fmean(numbers))
    assert value.deviation == pytest.approx(statistics.stdev(numbers), abs=1e-9)


def test_a_single_value_has_no_deviation() -> None:
    assert Value((3.25,)).deviation is None
    assert Value((3.25,)).text() == "3.2"
    assert Value((90.0, 92.0)).text() == "91.0 ± 1.4"


def test_apart_is_more_than_both_deviations_together() -> None:
    near, far = Value((10.0, 14.0)), Value((20.0, 20.0))  # 12 ± 2.83, 20
    assert apart(near, far)
    assert apart(far, near)
    assert not apart(near, Value((13.0,)))
    assert not apart(near, Value((14.0, 18.0)))  # 4 apart, and both ± 2.83: 4 is their root
    assert apart(near, Value((14.1, 18.1)))
    assert not apart(far, far)


def test_values_of_paired_scenes_are_apart_where_the_interval_of_the_difference_is() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.normal(scale=5.0, size=1000)  # hard scenes are hard for both
    first = Value((50.0,), (50 + scenes,))
    better = Value((51.0,), (51 + scenes + rng.normal(scale=0.1, size=1000),))
    assert apart(first, better)
    alone = Value((51.0,), (51 + rng.normal(scale=5.0, size=1000),))
    assert not apart(first, alone)
    seeds = Value((48.0, 51.0, 54.0), (48 + scenes, 51 + scenes, 54 + scenes))
    assert not apart(first, seeds)  # its seeds differ by more than this
    low, high = np.percentile(50 + scenes, [2.5, 97.5])
    assert first.text() == f"50.0 ({low:.1f} to {high:.1f})"
    assert seeds.text().startswith("51.0 ± 3.0 (")


def test_heads_that_two_rows_share_are_drawn_together() -> None:
    scenes = np.random.default_rng(0).normal(scale=5.0, size=1000)
    heads = tuple(Training(HeadSpec("tvsl"), SINGLES, 1e-3, seed) for seed in range(3))
    draws = tuple(mean + scenes for mean in (40.0, 50.0, 60.0))
    first = Value((40.0, 50.0, 60.0), draws, heads)
    again = Value((41.0, 51.0, 61.0), tuple(1 + one for one in draws), heads)
    interval = difference_interval(again, first)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((1.0, 1.0))
    assert apart(again, first)
    others = tuple(replace(one, learning_rate=3e-3) for one in heads)
    assert not apart(replace(again, trainings=others), first)  # their seeds differ by 20 points


def test_ranked_is_best_first_without_what_is_missing() -> None:
    made = table("table1", ("AP",), [line("a", 1.0), line("b", None), line("c", (2.0, 4.0))])
    assert [one.row for one, _ in ranked(made.lines, 0, False)] == ["c", "a"]
    assert [one.row for one, _ in ranked(made.lines, 0, True)] == ["a", "c"]


def test_a_row_has_one_line_by_what_is_preferred() -> None:
    lines = [
        line("a", 1.0, labels="given"),
        line("a", 2.0, labels="detected"),
        line("b", 3.0),
        line("c", 4.0, labels="given"),
        line("c", 5.0, labels="assigned"),
    ]
    assert [one.labels for one in one_each(lines)] == ["detected", "none", "assigned"]
    assert [one.labels for one in one_each(lines, GIVEN_FIRST)] == ["given", "none", "given"]


def test_cells_are_found_by_their_titles() -> None:
    lines = [line("a", 1.0, 2.0, labels="given"), line("a", 3.0, 4.0, labels="detected")]
    made = table("table1", ("AP", "AUC"), lines)
    assert made.value("a", "AUC", "detected") == Value((4.0,))
    assert made.value("a", "AUC", "none", "given", "detected") == Value((2.0,))
    assert made.value("a", "AUC", "none") is None
    assert made.value("b", "AUC", "given") is None
    assert made.value("a", "CAP", "given") is None
