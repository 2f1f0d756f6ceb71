from __future__ import annotations

import re
import time

import pytest

from tvsl.cli.output import duration, progress


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_lines_tell_rate_and_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Reading") as report:
        for done, at in ((0, 0), (1, 1), (10, 5), (11, 6), (30, 12), (100, 13), (100, 30)):
            clock.now = 1000.0 + at
            report(done, 100)
    expected = ["10 of 100, 2/s, 45 s left", "30 of 100, 2.5/s, 28 s left", "100 of 100"]
    assert lines(capsys) == [f"Reading: {line}" for line in expected]


def test_what_was_done_before_does_not_count(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("Working", counted="items") as report:
        report(40, 1000)  # by the run that goes on
        for seconds, done in ((10, 60), (60, 140), (8000, 160), (9000, 1000)):
            clock.now = 1000.0 + seconds
            report(done, 1000)
    assert lines(capsys) == [
        "Working: 60 of 1000, 2 items/s, 7 min left",
        "Working: 140 of 1000, 1.7 items/s, 8 min left",
        "Working: 160 of 1000, 0.015 items/s, 15 h 33 min left",
        "Working: 1000 of 1000, 0.107 items/s",
    ]


def test_nothing_to_do_has_no_rate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Working", counted="items") as report:
        report(7, 7)
    assert lines(capsys) == ["Working: 7 of 7"]


def test_lines_without_an_end_in_sight(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Reading") as report:
        clock.now += 10
        report(0, None)
        clock.now += 10
        report(2_000_000, None)
    assert lines(capsys) == ["Reading: 0", "Reading: 2000000, 200000/s"]


def test_lines_of_bytes(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Fetching", is_bytes=True) as report:
        report(0, 90_000_000)
        clock.now += 10
        report(30_000_000, 90_000_000)
        clock.now += 20
        report(90_000_000, 90_000_000)
    assert lines(capsys) == [
        "Fetching: 30.0 MB of 90.0 MB, 3.0 MB/s, 20 s left",
        "Fetching: 90.0 MB of 90.0 MB",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min"), (7260, "2 h 1 min")],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_bar_says_the_same(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with progress("Working", counted="items") as report:
        report(0, 50)
        clock.now += 10
        report(20, 50)
    told = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().err)
    assert "20/50" in told
    assert "2 items/s, 15 s left" in told
