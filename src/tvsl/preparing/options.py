"""What is taken of each video; a prepared folder is made with one set of options throughout."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from tvsl.errors import UsageError
from tvsl.preparing.layouts import LAYOUTS, Moment, Window

# As in tvsl.media.limits, which takes a while to import.
LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000
LATEST_MOMENT = 1e9

T = TypeVar("T", bound="float | str")


@dataclass(frozen=True)
class Options:
    """What is taken of each video; ``make_options`` makes those that fit together.

    Attributes:
        layout: A name of ``LAYOUTS``: how the videos are named.
        at: The moment of the picture in seconds, or ``middle``; None for pictures of every second.
        window: Seconds of sound around the moment, or ``whole``.
        rate: Samples per second of the sound.
        short_side: Pixels of the shorter side that larger pictures are reduced to; None for the
            pictures as they are.
    """

    layout: str
    at: Moment | None
    window: Window
    rate: int
    short_side: int | None

    def to_dict(self) -> dict[str, Any]:
        """The options as plain JSON types."""
        return asdict(self)


def make_options(
    layout: str = "folder",
    at: Moment | None = None,
    window: Window | None = None,
    rate: int = 44_100,
    short_side: int | None = None,
) -> Options:
    """Options that fit together.

    Args:
        layout: A name of ``LAYOUTS``.
        at: As for ``Options``; the layout's own when None.
        window: As for ``Options``; the layout's own when None.
        rate: As for ``Options``.
        short_side: As for ``Options``.

    Returns:
        The options.

    Raises:
        UsageError: There is no such layout, or an option is out of its range or means nothing
            with this layout.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"There is no layout '{layout}'.", f"Layouts: {', '.join(LAYOUTS)}.")
    own = LAYOUTS[layout]
    if own.at is None and (at is not None or window not in (None, own.window)):
        raise UsageError(
            f"The layout '{layout}' takes pictures of every second and the whole sound.",
            "Leave the moment and the window out.",
        )
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UsageError(
            f"The sample rate is {rate} Hz.", f"Give one from {LOWEST_RATE} to {HIGHEST_RATE} Hz."
        )
    at = own.at if at is None else _checked(at, "middle", "moment", 0)
    window = own.window if window is None else _checked(window, "whole", "window", 1 / rate)
    if short_side is not None and short_side < 1:
        raise UsageError(f"The shorter side is {short_side} pixels.", "Give at least 1.")
    return Options(layout, at, window, rate, short_side)


def _checked(value: T, word: str, what: str, least: float) -> T:
    """A word, or a number of seconds that is large enough."""
    if value == word or (isinstance(value, int | float) and least <= value <= LATEST_MOMENT):
        return value
    raise UsageError(
        f"The {what} cannot be {value!r}.",
        f"Give '{word}' or a positive number of seconds, at most {LATEST_MOMENT:g}.",
    )
