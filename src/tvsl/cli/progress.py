"""Progress on stderr: a rich bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tvsl.cli.output import print_note
from tvsl.errors import printable

Report = Callable[[int, "int | None"], None]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(title: str, *, is_bytes: bool = False, counted: str = "") -> Iterator[Report]:
    """Show how far a piece of work is, how fast it goes, and how long it will take.

    Args:
        title: What is being done.
        is_bytes: Whether the numbers are bytes.
        counted: What is counted, to be named with the rate.

    Yields:
        A function that takes what is done and what there is in all (None: unknown). What was done
        before its first call, by a run that goes on, does not count for the rate.
    """
    pace = _Pace(is_bytes, counted)
    title = printable(title)
    if sys.stderr.isatty():
        with _bar(title, is_bytes, pace) as report:
            yield report
    else:
        yield _lines(title, pace)


class _Pace:
    """Amounts, rates and lengths of time in words.

    Args:
        is_bytes: Whether bytes are counted.
        counted: What is counted otherwise.
    """

    def __init__(self, is_bytes: bool, counted: str) -> None:
        self.is_bytes = is_bytes
        self.counted = counted
        self.began: tuple[float, int] | None = None

    def amount(self, value: float) -> str:
        """A number of pieces, or of bytes."""
        return f"{value / 1e6:.1f} MB" if self.is_bytes else f"{value:.10g}"

    def told(self, done: int, total: int | None) -> str:
        """Rate and time left; empty until something is done, and at the end of the nameless."""
        now = time.monotonic()
        if self.began is None:
            self.began = now, done
        start, before = self.began
        if done <= before or now <= start:
            return ""
        speed = (done - before) / (now - start)
        name = f" {self.counted}" if self.counted else ""
        rate = f"{self.amount(round(speed, 1 if speed >= 1 else 3))}{name}/s"
        if total is None:
            return rate
        if done >= total:
            return rate if self.counted else ""
        return f"{rate}, {duration((total - done) / speed)} left"


def duration(seconds: float) -> str:
    """A length of time in its two largest units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min" if hours == 0 else f"{hours} h {minutes % 60} min"


@contextmanager
def _bar(title: str, is_bytes: bool, pace: _Pace) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    amount = DownloadColumn() if is_bytes else MofNCompleteColumn()
    told = TextColumn("{task.fields[pace]}", markup=False)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), amount, told]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, pace="")

        def report(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, pace=pace.told(done, total))

        yield report


def _lines(title: str, pace: _Pace) -> Report:
    last, ended = time.monotonic(), False

    def report(done: int, total: int | None) -> None:
        nonlocal last, ended
        now, told = time.monotonic(), pace.told(done, total)
        finished = total is not None and done >= total
        if ended or (not finished and now - last < _SECONDS_BETWEEN_LINES):
            return
        ended, last = finished, now
        amounts = " of ".join(pace.amount(value) for value in (done, total) if value is not None)
        line = ", ".join(part for part in (f"{title}: {amounts}", told) if part)
        print_note(line)

    return report
