"""Options of a prepared folder, and the records of ``prepared.jsonl``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, TypeVar

from tvsl.errors import TvslError, UsageError
from tvsl.preprocess.layouts import VIDEO_LAYOUTS, Moment, Window

# As in tvsl.media.limits, which takes a while to import.
LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000
LATEST_MOMENT = 1e9

T = TypeVar("T", bound="float | str")


@dataclass(frozen=True)
class Options:
    """Options of the extraction; ``make_options`` checks that they fit together.

    Attributes:
        layout: A name of ``VIDEO_LAYOUTS``: how the videos are named.
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
        layout: A name of ``VIDEO_LAYOUTS``.
        at: As for ``Options``; the layout's own when None.
        window: As for ``Options``; the layout's own when None.
        rate: As for ``Options``.
        short_side: As for ``Options``.

    Raises:
        UsageError: There is no such layout, or an option is out of its range or means nothing
            with this layout.
    """
    if layout not in VIDEO_LAYOUTS:
        raise UsageError(f"There is no layout '{layout}'.", f"Layouts: {', '.join(VIDEO_LAYOUTS)}.")
    own = VIDEO_LAYOUTS[layout]
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
    """Check an option that is a word or a number of seconds."""
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
    """A video with an existing clip.

    Attributes:
        id: The clip's id.
        source: The video's path inside the folder of the videos, with slashes.
        size: The video's size in bytes.
        frames: The moment of each picture in seconds, by the picture's name.
        window: Start and end of the sound in seconds.
        listed: Whether only the pictures of a list were taken.
        warnings: What could not be extracted; a line without any has no such field.
        options: Options of the clip where they differ from those of the report: it is still to be
            replaced, or that failed. None, and no such field, for all others.
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
    """A video from which nothing was extracted.

    Attributes:
        id: Id of the clip; None where the video's name gives none.
        source: As for ``Clip``.
        size: As for ``Clip``.
        kind: Name of the error's class.
        error: Problem and remedy.
    """

    id: str | None
    source: str
    size: int
    kind: str
    error: str


VideoRecord: TypeAlias = Clip | Failure


def describe_error(error: TvslError) -> tuple[str, str]:
    """The last two fields of a ``Failure``: class of an error, problem and remedy, no path."""
    return type(error).__name__, f"{error.problem} {error.remedy}"


def record_to_json(record: VideoRecord) -> dict[str, Any]:
    """A record in plain JSON types."""
    fields = asdict(record)
    if not fields.get("warnings", True):
        del fields["warnings"]
    if fields.get("options", True) is None:
        del fields["options"]
    status = OK if isinstance(record, Clip) else FAILED
    return {"id": fields.pop("id"), "source": fields.pop("source"), "status": status, **fields}


def record_to_line(record: VideoRecord) -> str:
    """A record as a line of JSON, with its line end."""
    return json.dumps(record_to_json(record)) + "\n"


def read_id(line: str) -> tuple[str, ...]:
    """The id of a line; empty where it has none or is cut off."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    name = content.get("id") if isinstance(content, dict) else None
    return (name,) if isinstance(name, str) else ()


def is_record_start(line: str) -> bool:
    """Tell whether the first line of a file is a record, perhaps one that a kill cut off."""
    if not line.endswith("\n"):
        return line.startswith(_START) or _START.startswith(line)
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"id", "source", "status", "size"} <= content.keys()


def read_clip(line: str) -> Clip | None:
    """Read the clip of a line; None for a failure and for a line that a kill cut off."""
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
