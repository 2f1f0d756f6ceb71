"""Progress of long work, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with how much is done so far, and how much there is in all, None if that is unknown."""

Stages: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""Opens the display of one stage of the work by its title, and gives its progress."""


def no_progress(done: int, total: int | None) -> None:
    """Show nothing."""


@contextmanager
def no_stages(title: str) -> Iterator[Progress]:  # noqa: ARG001
    """Show nothing of a stage."""
    yield no_progress
