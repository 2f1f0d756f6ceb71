from __future__ import annotations

import re
from typing import Any

import pytest

from tests.evaluation.made_data import MadeData
from tests.shared_files import shared
from tvsl.data import find_data
from tvsl.evaluation.paper_numbers import BENCHMARKS, PAPER_NUMBERS, PaperNumber, PaperRow, beside
from tvsl.metrics import PAPER


def printed(table: int) -> list[list[float]]:
    """The rows of numbers of a table, as the paper's text has them."""
    text = shared("reference", "paper.txt").read_text(encoding="utf-8")
    block = re.search(rf"^Table {table}: .*?\n(.*?)(?=^Table|^\s*$)", text, re.M | re.S)
    assert block is not None
    rows = [re.findall(r"(?<![\w.@])\d+\.\d(?![\w%])", line) for line in block[1].splitlines()]
    return [[float(number) for number in row] for row in rows if row]


def ours(table: int) -> list[PaperNumber]:
    return [number for number in PAPER_NUMBERS if number.table == table]


@pytest.mark.parametrize("table", [1, 2, 3, 5, 6, 7])
def test_every_number_is_the_printed_one(table: int) -> None:
    rows: dict[Any, list[float]] = {}
    by_row = table != 5
    for number in ours(table):
        key = (number.method, number.variant) if by_row else number.variant
        rows.setdefault(key, []).append(number.value)
    assert list(rows.values()) == printed(table)


def test_zero_shot_numbers_are_the_printed_ones() -> None:
    rows: dict[str, list[float]] = {}
    for number in ours(4):
        rows.setdefault(number.benchmark, []).append(number.value)
    assert list(rows.values()) == printed(4)


def test_the_first_number_of_a_short_row_is_the_one_that_is_missing() -> None:
    short = {(number.table, number.method) for number in PAPER_NUMBERS if number.table <= 2} - {
        (number.table, number.method) for number in PAPER_NUMBERS if number.metric in ("AP", "CAP")
    }
    assert short == {(1, "DSOL"), (2, "CoarsetoFine"), (2, "LVS"), (2, "EZ-VSL"), (2, "DSOL")}
    for table, method in short:
        for number in ours(table):
            if number.method != method:
                continue
            others = [
                other.value
                for other in ours(table)
                if (other.benchmark, other.metric) == (number.benchmark, number.metric)
                and other.method != method
            ]
            assert min(others) - 1 < number.value < max(others)


def test_numbers_have_names_that_are_known_here() -> None:
    for number in PAPER_NUMBERS:
        assert number.benchmark in BENCHMARKS
        assert number.metric in {*PAPER.single, *PAPER.multiple}
    assert len(PAPER_NUMBERS) == len(
        {(n.table, n.method, n.variant, n.benchmark, n.metric) for n in PAPER_NUMBERS}
    )


@pytest.mark.parametrize(
    ("sources", "benchmark", "values"),
    [
        (1, "vggsound-single", {"AP": 48.1, "IoU@0.5": 53.7, "AUC": 52.9}),
        (2, "vggsound-duet", {"CAP": 35.7, "CIoU@0.3": 40.1, "AUC": 37.9}),
    ],
)
def test_other_data_get_the_nearest_numbers_and_a_mark(
    sources: int, benchmark: str, values: dict[str, float]
) -> None:
    row = beside("tvsl", find_data("synthetic", sources=sources, count=3), 3)
    assert row is not None
    assert (row.benchmark, row.values, row.same_data) == (benchmark, values, False)
    assert row.table == sources


def test_the_same_benchmark_has_no_mark_unless_something_makes_it_another() -> None:
    class Duet(MadeData):
        name = "music-duet"
        root: str = ""

    def duet(found: int = 10, **options: object) -> PaperRow:
        row = beside("ez-vsl", Duet(root="/data", **options), found)
        assert row is not None
        assert row.values == {"CIoU@0.3": 34.3, "AUC": 26.7}
        return row

    assert duet().same_data
    assert not duet(found=9).same_data
    assert not duet(found=3, count=3).same_data
    assert not duet(split="validation").same_data
    assert beside("text-only", Duet(), 10) is None


def test_a_part_of_a_benchmark_is_another_one() -> None:
    class Single(MadeData):
        name = "vggsound-single"

    class Whole(Single):
        count: int = 5158
        sources: int = 1

    for data, same in ((Single(), False), (Whole(), True)):
        row = beside("fnac", data, len(data.items))
        assert row is not None
        assert (row.benchmark, row.same_data) == ("vggsound-single", same)
