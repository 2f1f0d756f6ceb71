"""Progress on stderr: a rich bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, "int | None"], None]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(title: str, *, is_bytes: bool = False) -> Iterator[Report]:
    """Show how far a piece of work is, how fast it goes, and how long it will take.

    Args:
        title: What is being done.
        is_bytes: Whether the numbers are bytes.

    Yields:
        A function that takes what is done and what there is in all (None: unknown).
    """
    if sys.stderr.isatty():
        with _bar(title, is_bytes) as report:
            yield report
    else:
        yield _lines(title, is_bytes)


@contextmanager
def _bar(title: str, is_bytes: bool) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Pieces per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f}/s")

    amounts = (
        [DownloadColumn(), TransferSpeedColumn()]
        if is_bytes
        else [MofNCompleteColumn(), RateColumn()]
    )
    columns = [TextColumn("{task.description}"), BarColumn(), *amounts, TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str, is_bytes: bool) -> Report:
    begin = last = time.monotonic()
    ended = False

    def amount(value: float) -> str:
        return f"{value / 1e6:.1f} MB" if is_bytes else f"{value:.10g}"

    def report(done: int, total: int | None) -> None:
        nonlocal last, ended
        now = time.monotonic()
        finished = total is not None and done >= total
        if ended or (not finished and now - last < _SECONDS_BETWEEN_LINES):
            return
        ended, last = finished, now
        line = f"{title}: {amount(done)}" + ("" if total is None else f" of {amount(total)}")
        if not finished and done > 0:
            rate = done / (now - begin)
            line += f", {amount(round(rate, 1 if rate >= 1 else 3))}/s"
            line += "" if total is None else f", {_duration((total - done) / rate)} left"
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    return report


def _duration(seconds: float) -> str:
    """A length of time in its two largest units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min" if hours == 0 else f"{hours} h {minutes % 60} min"
