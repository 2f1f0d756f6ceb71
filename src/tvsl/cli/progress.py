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
    """Show how far a piece of work is.

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
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amounts = [DownloadColumn(), TransferSpeedColumn()] if is_bytes else [MofNCompleteColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *amounts, TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str, is_bytes: bool) -> Report:
    last, ended = time.monotonic(), False

    def report(done: int, total: int | None) -> None:
        nonlocal last, ended
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
        print(f"{title}: {' of '.join(amounts)}", file=sys.stderr, flush=True)  # noqa: T201

    return report
