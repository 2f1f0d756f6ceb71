from __future__ import annotations

import time

import pytest

from tvsl.cli import progress as module
from tvsl.cli.progress import progress


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
        for done, at in ((1, 1), (10, 5), (11, 6), (30, 12), (100, 13), (100, 30)):
            clock.now = 1000.0 + at
            report(done, 100)
    expected = ["10 of 100, 2/s, 45 s left", "30 of 100, 2.5/s, 28 s left", "100 of 100"]
    assert lines(capsys) == [f"Reading: {line}" for line in expected]


def test_lines_without_an_end_in_sight(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Reading") as report:
        clock.now += 10
        report(0, None)
        clock.now += 10
        report(2_000_000, None)
    assert lines(capsys) == ["Reading: 0", "Reading: 2000000, 100000/s"]


def test_lines_of_bytes(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Fetching", is_bytes=True) as report:
        clock.now += 10
        report(30_000_000, 90_000_000)
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
    assert module._duration(seconds) == text


def test_a_terminal_gets_a_bar_with_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress("Reading") as report:
        for done in range(5):
            report(done, 4)
            time.sleep(0.01)
    shown = terminal.getvalue()
    assert "Reading" in shown
    assert "4/4" in shown
    assert "/s" in shown
