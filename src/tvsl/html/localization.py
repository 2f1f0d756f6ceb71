"""The page of one input of ``tvsl localize``: its video or picture, with what sounds where."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl.boxes import min_max, reduced_size
from tvsl.html.page import jpeg_uri, sound_values, video_uri
from tvsl.html.rendering import Values, render_page
from tvsl.localization import Localization
from tvsl.media.audio import load_audio
from tvsl.media.writing import to_int16
from tvsl.render.colors import certainty, label_colors
from tvsl.render.overlay import drawing_image, moment_overlay

LARGEST_VIDEO = 12_000_000
"""Bytes of the largest video that the page holds in itself."""
MOST_MOMENTS = 3_600
"""Moments whose maps the page holds; of more, each second or third one is taken."""
CLIP_SIDE = 640
"""Longest side in pixels of the page's video."""
PICTURE_SIDE = 1_280
"""Longest side in pixels of the page's picture."""
_STILL_SIDE = 480
_RATE = 16_000
_TIMELINE, _ROW_HEIGHT = 1_000, 30
_MOST_COLUMNS = 400
_SHORTEST = 1e-3


@dataclass(frozen=True)
class LocalizedClip:
    """Picture and sound that the page plays.

    Attributes:
        moments: The moments with the sources that are shown.
        content: Content of the ``localization.json``.
        command: The command line that gives the result.
        stills: Moments that are shown as still pictures, with their pictures (H, W, 3), of at most
            ``PICTURE_SIDE`` pixels a side.
        video: The video; None for a picture with a sound.
        length: Length of the video in seconds.
        start: Second of the input at which the video's time 0 lies; less than 0 where the sound
            begins before the first picture.
        sound: The sound's file, and its stretch in seconds, for a picture.
    """

    moments: Sequence[Localization]
    content: Mapping[str, Any]
    command: str
    stills: Sequence[tuple[Localization, NDArray[np.uint8]]]
    video: Path | None = None
    length: float = 0.0
    start: float = 0.0
    sound: tuple[Path, tuple[float, float]] | None = None


def localization_page(clip: LocalizedClip) -> str:
    """Write the page.

    Args:
        clip: What it shows.

    Returns:
        The HTML. It holds all that it needs, but for a video of more than ``LARGEST_VIDEO`` bytes,
        which it looks for beside itself under its own name.
    """
    content = clip.content
    colors = label_colors(clip.moments)
    segments = [one for one in content["segments"] if one["label"] in colors]
    threshold = clip.moments[0].threshold
    highest = max([*(one["peak"] for one in segments), threshold or 0.0, 1e-6])
    values: Values = {
        "name": Path(content["input"]).name or content["input"],
        "content": content,
        "command": clip.command,
        "labels": list(colors),
        "span": (clip.start, clip.start + clip.length),
        "ticks": _TIMELINE,
        "row_height": _ROW_HEIGHT,
        "level": None if threshold is None else round(_ROW_HEIGHT * (1 - threshold / highest), 1),
        "threshold": threshold,
        "rows": [
            _row(label, number, segments, clip, highest) for number, label in enumerate(colors)
        ],
        "segments": segments,
        "result": json.dumps(_result(clip, list(colors)), allow_nan=False),
        "stills": [_still(found, image, clip) for found, image in clip.stills],
        **_media(clip),
    }
    return render_page(
        "localization.html",
        values,
        styles=["page.css", "localization.css"],
        colors=max(len(colors), 1),
        script="localization.js",
        has_files=values["video"] is not None and not str(values["video"]).startswith("data:"),
    )


def _media(clip: LocalizedClip) -> Values:
    """The video, or the picture and its sound."""
    height, width = clip.moments[0].size
    size = reduced_size((height, width), PICTURE_SIDE)
    values: Values = {"width": size[1], "height": size[0], "video": None, "sound": None}
    if clip.video is not None:
        small = clip.video.stat().st_size <= LARGEST_VIDEO
        return {**values, "video": video_uri(clip.video) if small else clip.video.name}
    values["picture"] = jpeg_uri(clip.stills[0][1])
    if clip.sound is not None:
        path, (first, last) = clip.sound
        samples = load_audio(path, _RATE, first, last - first).samples
        values["sound"] = sound_values(
            samples, to_int16(samples), _RATE, f"The sound, from {first:.2f} to {last:.2f} s"
        )
    return values


def _row(
    label: str,
    number: int,
    segments: Sequence[Mapping[str, Any]],
    clip: LocalizedClip,
    highest: float,
) -> Values:
    """One line of the timeline: when a label sounds, and how sure that is.

    Columns are as high as the score, up to the highest of all; beyond a number of moments several
    share one, which shows the highest of theirs.
    """
    step = clip.content["settings"]["every"]
    own = [one for one in segments if one["label"] == label]
    columns: dict[int, Values] = {}
    scale = _TIMELINE / max(clip.length, _SHORTEST)
    width = max((step or 0.0) * scale, _TIMELINE / _MOST_COLUMNS)
    for found in clip.moments if clip.video is not None else ():
        for source in found.sources:
            if source.label != label:
                continue
            middle = ((found.time or 0.0) - clip.start) * scale
            left, place = middle - width / 2, round(middle / width)
            height = min(max(_ROW_HEIGHT * source.score / highest, 1.0), _ROW_HEIGHT)
            known = columns.get(place)
            if known is None or height > float(str(known["height"])):
                columns[place] = {
                    "x": round(max(left, 0.0), 1),
                    "width": round(min(left + width, _TIMELINE) - max(left, 0.0), 1),
                    "y": round(_ROW_HEIGHT - height, 1),
                    "height": round(height, 1),
                    "opacity": round(certainty(source.score, found.threshold), 2),
                    "title": f"{found.time or 0.0:.1f} s: {source.score:.2f}",
                }
    return {
        "label": label,
        "number": number,
        "columns": list(columns.values()),
        "seconds": round(sum(one["end"] - one["start"] for one in own), 1),
        "peak": max((one["peak"] for one in own), default=0.0),
    }


def _still(found: Localization, image: NDArray[np.uint8], clip: LocalizedClip) -> Values:
    small = drawing_image(image, _STILL_SIDE)
    return {
        "time": found.time,
        "image": jpeg_uri(moment_overlay(small, found, label_colors(clip.moments)), quality=80),
        "width": small.shape[1],
        "height": small.shape[0],
        "sources": found.sources,
    }


def _result(clip: LocalizedClip, labels: Sequence[str]) -> dict[str, Any]:
    """Data of the script: for each moment the number, map and box of each source."""
    every = -(-len(clip.moments) // MOST_MOMENTS)
    height, width = clip.moments[0].size
    return {
        "start": clip.start,
        "length": max(clip.length, _SHORTEST),
        "width": width,
        "height": height,
        "labels": list(labels),
        "moments": [
            {
                "time": found.time or 0.0,
                "sources": [
                    {
                        "label": labels.index(source.label),
                        "score": round(source.score, 5),
                        "certainty": round(certainty(source.score, found.threshold), 3),
                        "box": None if source.box is None else source.box.to_list(),
                        "rows": source.grid.shape[0],
                        "map": _bytes(min_max(source.grid)),
                    }
                    for source in found.sources
                ],
            }
            for found in clip.moments[::every]
        ],
    }


def _bytes(values: NDArray[np.float32]) -> str:
    """A map in 256 levels, row by row, in base64."""
    return base64.b64encode(np.rint(255 * values).astype(np.uint8).tobytes()).decode()
