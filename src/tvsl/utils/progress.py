"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the amount done so far, and the total or None if it is unknown."""

Stages: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""Opens the display of a stage of the work by its title, and gives its progress."""


def no_progress(done: int, total: int | None) -> None:
    """Show nothing.

    Args:
        done: Amount done so far.
        total: Total amount, or None if it is unknown.
    """


@contextmanager
def no_stages(title: str) -> Iterator[Progress]:  # noqa: ARG001
    """Show nothing of a stage."""
    yield no_progress
