"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the amount done so far, and the total or None if it is unknown."""


class Stages(Protocol):
    """Opens the display of a stage of the work, and gives its progress."""

    def __call__(
        self, title: str, *, is_bytes: bool = False, counted: str = ""
    ) -> AbstractContextManager[Progress]:
        """Open the display of a stage.

        Args:
            title: What is being done.
            is_bytes: Whether the amounts are bytes.
            counted: What is counted otherwise, to be named with the rate.
        """


def no_progress(done: int, total: int | None) -> None:
    """Show nothing.

    Args:
        done: Amount done so far.
        total: Total amount, or None if it is unknown.
    """


@contextmanager
def no_stages(
    title: str,  # noqa: ARG001
    *,
    is_bytes: bool = False,  # noqa: ARG001
    counted: str = "",  # noqa: ARG001
) -> Iterator[Progress]:
    """Show nothing of a stage; see ``Stages``."""
    yield no_progress
