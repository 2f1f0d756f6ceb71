"""What came of one video: what was taken of it, or why nothing was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tvsl.errors import TvslError


@dataclass(frozen=True)
class Taken:
    """What was taken of a video.

    Attributes:
        pictures: The moment of each picture in seconds, by the picture's name.
        window: Start and end of the sound in seconds.
        warnings: What could not be taken of it all the same.
    """

    pictures: dict[str, float]
    window: tuple[float, float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """Why nothing was taken of a video.

    Attributes:
        kind: Name of the error's class.
        error: What is wrong and what can be done, in two sentences.
    """

    kind: str
    error: str

    @classmethod
    def by(cls, error: TvslError) -> Failed:
        """The account of an error, without its path."""
        return cls(type(error).__name__, f"{error.problem} {error.remedy}")


Outcome: TypeAlias = Taken | Failed
