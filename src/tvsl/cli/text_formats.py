"""Results of ``tvsl localize`` as JSON Lines, tables and subtitles.

Each is made of the content of ``localization.json``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

from tvsl.utils.files import to_json, write_rows

ResultFormat = Literal["json", "jsonl", "csv", "vtt", "srt"]

COLUMNS: Final = (
    *("input", "time", "label", "score", "left", "top", "right", "bottom"),
    *("heard_start", "heard_end", "duplicate_of"),
)
_SHORTEST_CUE = 0.001


def jsonl_line(name: str, moment: Mapping[str, Any]) -> str:
    """One moment as a line of JSON, under the name of its input.

    Args:
        name: The input.
        moment: A moment as it stands in ``localization.json``.
    """
    return json.dumps({"input": name, **moment}, allow_nan=False)


def as_jsonl(content: Mapping[str, Any]) -> str:
    """A line for each moment."""
    lines = (jsonl_line(content["input"], moment) for moment in content["moments"])
    return "".join(f"{line}\n" for line in lines)


def as_csv(content: Mapping[str, Any], with_head: bool = True) -> str:
    """A row for each source of each moment.

    Args:
        content: Content of a ``localization.json``.
        with_head: Whether the names of the columns stand before.
    """
    file = io.StringIO(newline="")
    head = [COLUMNS] if with_head else []
    write_rows(file, [*head, *_rows(content)])
    return file.getvalue()


def _rows(content: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for moment in content["moments"]:
        for source in moment["sources"]:
            yield (
                content["input"],
                moment["time"],
                source["label"],
                source["score"],
                *(source["box"] or (None,) * 4),
                *(source["time_range"] or (None,) * 2),
                source["duplicate_of"],
            )


def as_vtt(content: Mapping[str, Any]) -> str:
    """Subtitles in WebVTT: the label of each segment, at the middle of its mean box.

    Segments of duplicates are left out.
    """
    cues = [
        f"{_stamp(start, '.')} --> {_stamp(end, '.')}{_place(segment, content)}\n"
        f"{_escaped(segment['label'])}\n"
        for start, end, segment in _cues(content)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def as_srt(content: Mapping[str, Any]) -> str:
    """Subtitles in SubRip: the label of each segment; those of duplicates are left out."""
    cues = [
        f"{number}\n{_stamp(start, ',')} --> {_stamp(end, ',')}\n{_one_line(segment['label'])}\n"
        for number, (start, end, segment) in enumerate(_cues(content), start=1)
    ]
    return "\n".join(cues)


def _cues(content: Mapping[str, Any]) -> Iterator[tuple[float, float, Mapping[str, Any]]]:
    for segment in content["segments"]:
        if segment["duplicate_of"] is None:
            start = max(segment["start"], 0.0)
            yield start, max(segment["end"], start + _SHORTEST_CUE), segment


def _place(segment: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Place of a cue, in percent of the picture."""
    if segment["box"] is None or not content["moments"]:
        return ""
    left, top, right, bottom = segment["box"]
    width, height = content["moments"][0]["width"], content["moments"][0]["height"]
    across, down = 50 * (left + right) / width, 50 * (top + bottom) / height
    return f" position:{across:.0f}% line:{down:.0f}% align:center"


def _stamp(seconds: float, point: str) -> str:
    whole = round(seconds * 1000)
    minutes, rest = divmod(whole, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """A label in WebVTT, where these characters begin tags and references."""
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FORMATS: Final[Mapping[ResultFormat, Callable[[Mapping[str, Any]], str]]] = {
    "json": lambda content: f"{to_json(content)}\n",
    "jsonl": as_jsonl,
    "csv": as_csv,
    "vtt": as_vtt,
    "srt": as_srt,
}
"""The text of a result in each format."""
