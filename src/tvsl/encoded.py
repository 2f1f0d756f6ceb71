"""What an encoder made of a picture and its sound, to be asked often."""

from __future__ import annotations

from dataclasses import dataclass

from tvsl.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Encoded:
    """A picture and its sound, encoded once.

    Attributes:
        tokens: Their tokens, B = 1.
        size: Height and width of the picture in pixels.
        time: Where in its video the picture stands, in seconds, or None.
        time_range: Start and end in seconds of the sound that was heard.
    """

    tokens: Tokens
    size: tuple[int, int]
    time: float | None
    time_range: tuple[float, float]
