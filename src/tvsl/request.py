"""What a user wants to know of a picture and its sound."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tvsl.errors import UsageError, shown
from tvsl.names import check_names


@dataclass(frozen=True)
class Request:
    """Which classes to localize.

    Names may be given as any iterable, also as one that can be gone through only once.

    Attributes:
        labels: The classes that sound, when they are known: one map for each.
        vocabulary: Else the classes among which to detect; the model's own when None.
        sources: Else how many to detect; as many as are found when None.

    Raises:
        UsageError: Labels together with a vocabulary or a number of sources, something else in
            place of a sequence, or no whole number of sources.
        VocabularyError: There is no name, or one is empty or occurs twice.
    """

    labels: Sequence[str] | None = None
    vocabulary: Sequence[str] | None = None
    sources: int | None = None

    def __post_init__(self) -> None:
        for field in ("labels", "vocabulary"):
            object.__setattr__(self, field, _sequence(getattr(self, field)))
        if self.sources is not None:
            object.__setattr__(self, "sources", _whole(self.sources))
        if self.labels is not None and (self.vocabulary is not None or self.sources is not None):
            raise UsageError(
                "With given labels nothing is detected, so neither a vocabulary nor a number of "
                "sources has a meaning.",
                "Give labels alone, or a vocabulary with or without a number of sources.",
            )
        for names in (self.labels, self.vocabulary):
            if names is not None:
                check_names(names)

    @property
    def names(self) -> Sequence[str] | None:
        """The classes to ask for; None for the model's own."""
        return self.vocabulary if self.labels is None else self.labels


def _sequence(names: Any) -> tuple[str, ...] | None:
    """Names as a tuple, which can be gone through again and again."""
    if names is None:
        return None
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise UsageError("Class names must be a sequence.", "Give a list such as ['dog'].")
    return tuple(names)


def _whole(number: Any) -> int:
    """A number of sources, be it one of NumPy."""
    try:
        if not isinstance(number, bool):
            return operator.index(number)
    except TypeError:
        pass  # told below, with what is no number at all
    raise UsageError(f"The number of sources is {shown(number)}.", "Give a whole number.")
