from __future__ import annotations

import re
import time

import pytest

from tvsl.cli.progress import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_lines_say_rate_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("Working", rate="items") as report:
        report(40, 1000)  # done before
        for seconds, done in ((10, 60), (60, 140), (8000, 160), (9000, 1000)):
            clock[0] = 100.0 + seconds
            report(done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "Working: 60 of 1000, 2.0 items/s, 8 min left",
        "Working: 140 of 1000, 1.7 items/s, 9 min left",
        "Working: 160 of 1000, 0.0 items/s, 15.6 h left",
        "Working: 1000 of 1000, 0.1 items/s",
    ]


def test_nothing_to_do_has_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Working", rate="items") as report:
        report(7, 7)
    assert capsys.readouterr().err == "Working: 7 of 7\n"


def test_a_bar_says_the_same(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("Working", rate="items") as report:
        report(0, 50)
        clock[0] += 10
        report(20, 50)
    told = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().err)
    assert "20/50" in told
    assert "2.0 items/s, 15 s left" in told
