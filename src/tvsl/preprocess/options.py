"""Options of a prepared folder, and the lines of ``prepared.jsonl``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, TypeVar

from tvsl.errors import UsageError
from tvsl.preprocess.layouts import LAYOUTS, Moment, Window

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


OK, FAILED = "ok", "failed"
_START = '{"id": '


@dataclass(frozen=True)
class Clip:
    """A video whose files are there.

    Attributes:
        id: The clip's id.
        source: The video's path inside the folder of the videos, with slashes.
        size: The video's size in bytes.
        frames: The moment of each picture in seconds, by the picture's name.
        window: Start and end of the sound in seconds.
        listed: Whether only the pictures of a list were taken.
        warnings: What could not be taken of the video; a line without any has no such field.
        options: What the clip was made with, where that is not what the report says: it is still
            to be made anew, or that failed. None, and no such field, for all others.
    """

    id: str
    source: str
    size: int
    frames: dict[str, float]
    window: tuple[float, float]
    listed: bool = False
    warnings: tuple[str, ...] = ()
    options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Failure:
    """A video of which nothing was taken.

    Attributes:
        id: The id that the clip would have; None where the video's name gives none.
        source: As for ``Clip``.
        size: As for ``Clip``.
        kind: Name of the error's class.
        error: What is wrong and what can be done.
    """

    id: str | None
    source: str
    size: int
    kind: str
    error: str


Entry: TypeAlias = Clip | Failure


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry in plain JSON types."""
    fields = asdict(entry)
    if not fields.get("warnings", True):
        del fields["warnings"]
    if fields.get("options", True) is None:
        del fields["options"]
    status = OK if isinstance(entry, Clip) else FAILED
    return {"id": fields.pop("id"), "source": fields.pop("source"), "status": status, **fields}


def as_line(entry: Entry) -> str:
    """An entry as a line of JSON, with its line end."""
    return json.dumps(as_json(entry)) + "\n"


def read_id(line: str) -> tuple[str, ...]:
    """The id of a line, of a clip or a failure; none where it has none or is not whole."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    name = content.get("id") if isinstance(content, dict) else None
    return (name,) if isinstance(name, str) else ()


def begins_account(line: str) -> bool:
    """Tell whether a first line is one of ours, be it one that a kill cut off."""
    if not line.endswith("\n"):
        return line.startswith(_START) or _START.startswith(line)
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"id", "source", "status", "size"} <= content.keys()


def read_clip(line: str) -> Clip | None:
    """The clip of a line.

    Args:
        line: A line that ``as_line`` wrote, or a part of one that a kill cut off.

    Returns:
        The clip; None for a failure, and for a line that is not whole.
    """
    try:
        content = json.loads(line)
        if content["status"] != OK:
            return None
        start, end = content["window"]
        options = content.get("options")
        return Clip(
            id=str(content["id"]),
            source=str(content["source"]),
            size=int(content["size"]),
            frames={str(name): float(time) for name, time in content["frames"].items()},
            window=(float(start), float(end)),
            listed=bool(content["listed"]),
            warnings=tuple(str(text) for text in content.get("warnings", ())),
            options=None if options is None else dict(options),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # its video is prepared again
