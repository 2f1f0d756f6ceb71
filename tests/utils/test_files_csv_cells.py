from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvsl.utils.files import guarded, unguarded, write_rows

RUN = [
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "=",  # noqa: RUF001
    "-oBcDeFgHiJ_000030", "-", "'=1", "''=1", "-1,5", "--1", "+1 x", "-0x10",
]  # fmt: skip
PLAIN = [
    "",
    "dog",
    "a-b",
    "it's",
    "'quoted'",
    "1=1",
    "-1",
    "+2",
    "-0.5",
    "-1e-05",
    "1e300",
    "-.5",
    "-inf",
    "nan",
    "5.",
]


@pytest.mark.parametrize("text", RUN)
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text
    assert unguarded(text) == text


@given(st.lists(st.text("=+-@\t\r\n' \"a,;1＝", max_size=6), min_size=1, max_size=4))  # noqa: RUF001
def test_rows_come_back(row: list[str]) -> None:
    file = io.StringIO(newline="")
    write_rows(file, [row])
    (found,) = csv.reader(io.StringIO(file.getvalue(), newline="")) if any(row) else ([*row],)
    assert [unguarded(cell) for cell in found] == row
    assert not any(
        cell.lstrip()[:1] in tuple("=+-@") and cell.strip() and not is_number(cell)
        for cell in found
    )


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@given(st.floats() | st.integers())
def test_numbers_stay_numbers(number: float) -> None:
    for cell in (number, repr(number)):
        file = io.StringIO()
        write_rows(file, [[cell, None]])
        first, rest = file.getvalue().rstrip("\n").split(",")
        assert rest == ""
        assert float(first) == number or (math.isnan(number) and math.isnan(float(first)))
