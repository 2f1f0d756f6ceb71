"""Bounds of a reader of hostile files: time, memory, files beside it, and the form of its error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from tvsl.errors import TvslError, WeightsError


@contextmanager
def bounded_reading(
    path: Path, kind: type[TvslError] = TvslError, seconds: float = 2.0, longest: int = 1500
) -> Iterator[None]:
    """Let a file be read in bounded time, or refused in one short line that names it."""
    before = sorted(path.parent.iterdir())
    started = time.process_time()
    try:
        yield
    except kind as error:
        assert error.path == path  # noqa: PT017
        assert len(str(error)) < longest  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    assert time.process_time() - started < seconds
    assert sorted(path.parent.iterdir()) == before


@contextmanager
def bounded_loading(place: Path, kibibytes: int) -> Iterator[list[WeightsError]]:
    """Let a model be loaded in bounded time and memory, or refused with file and remedy.

    Yields:
        A list that gets the error, if there is one.
    """
    root = place if place.is_dir() else place.parent
    before = sorted(path.name for path in root.rglob("*"))
    start, memory = time.process_time(), getrusage(RUSAGE_SELF).ru_maxrss
    errors: list[WeightsError] = []
    try:
        yield errors
    except WeightsError as error:
        errors.append(error)
        assert str(place) in str(error)  # noqa: PT017
        assert error.remedy  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017
        assert len(str(error)) < 700 + len(str(place))  # noqa: PT017
    assert getrusage(RUSAGE_SELF).ru_maxrss - memory < kibibytes
    assert time.process_time() - start < 10
    assert sorted(path.name for path in root.rglob("*")) == before
