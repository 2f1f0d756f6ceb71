from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reproduce.made_tables import line, table
from tvsl.reproduce.claims import agreements, tau_of
from tvsl.reproduce.report import sentences

ORDERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=9)


def naive_tau(ours: list[int], theirs: list[int]) -> float:
    """Kendall's tau-b: concordant less discordant pairs, over those that are not tied."""
    balance = free_ours = free_theirs = 0
    for one, other in combinations(range(len(ours)), 2):
        first, second = ours[one] - ours[other], theirs[one] - theirs[other]
        balance += (first * second > 0) - (first * second < 0)
        free_ours += first != 0
        free_theirs += second != 0
    if free_ours == 0 or free_theirs == 0:
        return math.nan
    return balance / math.sqrt(free_ours * free_theirs)


@given(ORDERS)
def test_tau_equals_the_count_of_pairs(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    expected = naive_tau(ours, theirs)
    tau, chance = tau_of(ours, theirs)
    if math.isnan(expected):
        assert tau is None
        assert chance is None
    else:
        assert tau == pytest.approx(expected)
        assert chance is not None
        assert 0 <= chance <= 1


ROWS = [
    line("a", (10.0, 10.2), paper=(50.0,)),
    line("b", (20.0, 20.2), paper=(60.0,)),
    line("c", (30.0, 30.2), paper=(40.0,)),
    line("d", (30.1, 30.3), paper=(70.0,)),
    line("e", 99.0),
]


def test_pairs_are_as_in_the_paper_the_other_way_round_or_unclear() -> None:
    (found,) = agreements(table("table1", ("AP",), ROWS))
    assert found.rows == ("a", "b", "c", "d")
    assert set(found.agreed) == {("b", "a"), ("d", "a"), ("d", "b")}
    assert set(found.reversed) == {("c", "a"), ("c", "b")}
    assert found.unclear == (("d", "c"),)
    assert found.tau == pytest.approx(naive_tau([1, 2, 3, 4], [50, 60, 40, 70]))


def test_where_low_is_good_the_lower_one_is_better() -> None:
    lines = [line("a", 10.0, paper=(20.0,)), line("b", 20.0, paper=(30.0,))]
    (found,) = agreements(table("table5", ("drop",), lines))
    assert found.agreed == (("a", "b"),)
    assert found.tau == pytest.approx(1)


def test_methods_with_a_choice_are_compared_with_both() -> None:
    lines = [
        line("a", 10.0, paper=(1.0,)),
        line("b", 5.0, labels="detected", paper=(2.0,)),
        line("b", 20.0, labels="given", paper=(2.0,)),
    ]
    detected, given_ = agreements(table("table2", ("CAP",), lines))
    assert (detected.labels, detected.reversed) == ("detected", (("a", "b"),))
    assert (given_.labels, given_.agreed) == ("given", (("b", "a"),))


def test_without_a_choice_nothing_is_said_twice() -> None:
    assert [one.labels for one in agreements(table("table1", ("AP",), ROWS))] == [None]


@pytest.mark.parametrize("lines", [[], ROWS[:1], [line("x", 1.0), line("y", 2.0)]])
def test_fewer_than_two_rows_have_no_order(lines: list[object]) -> None:
    assert agreements(table("table1", ("AP",), lines)) == []  # type: ignore[arg-type]


def test_a_table_of_our_own_is_beside_nothing() -> None:
    made = table("twins", ("AP",), [line("a", 1.0), line("b", 2.0)], number=None)
    assert agreements(made) == []
    assert sentences(made) == ["AP: first is b with 2.0, then a with 1.0."]


def test_sentences_say_what_the_numbers_say() -> None:
    lines = [*ROWS, line("whole", 15.0, trivial=True), line("centre", 25.0, trivial=True)]
    first, trivial, against = sentences(table("table1", ("AP",), lines))
    assert first == "AP: first is e with 99.0, then d with 30.2 ± 0.1."
    assert trivial == "AP: not above the best trivial baseline, centre (25.0): b, a."
    assert "2 of 6 pairs of rows are the other way round" in against
    assert against.endswith("c is better here than a, b.")


def test_sentences_follow_other_numbers() -> None:
    lines = [
        line("a", (50.0, 60.0), labels="detected", paper=(2.0,)),
        line("b", (54.0, 55.0), paper=(1.0,)),
        line("whole", 15.0, trivial=True),
    ]
    first, trivial, against = sentences(table("table1", ("AP",), lines))
    assert first == (
        "AP: first is a (labels detected) with 55.0 ± 7.1, then b with 54.5 ± 0.7: no "
        "difference that 95 % intervals would show."
    )
    assert trivial == "AP: every method is above the best trivial baseline, whole (15.0)."
    assert against.endswith("of 1 pairs of rows none is the other way round.")


def test_the_first_row_is_one_that_is_told_nothing() -> None:
    lines = [
        line("a", 40.0, labels="detected"),
        line("a", 90.0, labels="given"),
        line("b", 50.0),
    ]
    assert sentences(table("table2", ("CAP",), lines, None))[0].startswith("CAP: first is b with")


def test_a_low_value_is_first_where_low_is_good() -> None:
    lines = [line("a", 40.0), line("b", 50.0), line("whole", 5.0, trivial=True)]
    told = sentences(table("table5", ("drop",), lines, None))
    assert told == ["drop: first is a with 40.0, then b with 50.0."]
