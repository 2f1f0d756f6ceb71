"""The lines of ``prepared.jsonl``: what became of each video."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

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
