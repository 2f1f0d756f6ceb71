"""Progress on stderr: a rich bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, "int | None"], None]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(title: str, *, is_bytes: bool = False, rate: str | None = None) -> Iterator[Report]:
    """Show how far a piece of work is.

    Args:
        title: What is being done.
        is_bytes: Whether the numbers are bytes.
        rate: What is counted, to say how many are done in a second, and how long the rest will
            take; what was done before the first report is not counted. None says neither.

    Yields:
        A function that takes what is done and what there is in all (None: unknown).
    """
    pace = None if rate is None else _Pace(rate)
    if sys.stderr.isatty():
        with _bar(title, is_bytes, pace) as report:
            yield report
    else:
        yield _lines(title, is_bytes, pace)


class _Pace:
    """How fast work is done.

    Args:
        what: What is counted.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.began: tuple[float, int] | None = None

    def told(self, done: int, total: int | None) -> str:
        """Rate and time left, in words; empty until something is done."""
        now = time.monotonic()
        if self.began is None:
            self.began = now, done
        start, before = self.began
        if done <= before:
            return ""
        speed = (done - before) / max(now - start, 1e-9)
        left = "" if total is None or done >= total else f", {_span((total - done) / speed)} left"
        return f"{speed:.1f} {self.what}/s{left}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _bar(title: str, is_bytes: bool, pace: _Pace | None) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amounts = [DownloadColumn(), TransferSpeedColumn()] if is_bytes else [MofNCompleteColumn()]
    last = TimeRemainingColumn() if pace is None else TextColumn("{task.fields[pace]}")
    columns = [TextColumn("{task.description}"), BarColumn(), *amounts, last]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, pace="")

        def report(done: int, total: int | None) -> None:
            told = "" if pace is None else pace.told(done, total)
            bar.update(task, completed=done, total=total, pace=told)

        yield report


def _lines(title: str, is_bytes: bool, pace: _Pace | None) -> Report:
    last, ended = time.monotonic(), False

    def report(done: int, total: int | None) -> None:
        nonlocal last, ended
        told = "" if pace is None else pace.told(done, total)
        finished = total is not None and done >= total
        if ended or (not finished and time.monotonic() - last < _SECONDS_BETWEEN_LINES):
            return
        ended = finished
        last = time.monotonic()
        amounts = [
            f"{value / 1e6:.1f} MB" if is_bytes else str(value)
            for value in (done, total)
            if value is not None
        ]
        parts = [" of ".join(amounts), *([told] if told else [])]
        print(f"{title}: {', '.join(parts)}", file=sys.stderr, flush=True)  # noqa: T201

    return report
