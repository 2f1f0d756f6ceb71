"""What a user wants to know of a picture and its sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvsl.errors import UsageError
from tvsl.names import check_names


@dataclass(frozen=True)
class Request:
    """Which classes to localize.

    Attributes:
        labels: The classes that sound, when they are known: one map for each.
        vocabulary: Else the classes among which to detect; the model's own when None.
        sources: Else how many to detect; as many as are found when None.

    Raises:
        UsageError: Labels together with a vocabulary or a number of sources, or a string in place
            of a sequence.
        VocabularyError: There is no name, or one is empty or occurs twice.
    """

    labels: Sequence[str] | None = None
    vocabulary: Sequence[str] | None = None
    sources: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.labels, str) or isinstance(self.vocabulary, str):
            raise UsageError("Class names must be a sequence.", "Give a list such as ['dog'].")
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
