"""Pictures, videos and sheets that ``tvsl localize`` writes for one input."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tvsl.cli.output import OutputKind, progress
from tvsl.cli.page_writer import PageWriter
from tvsl.html.localization import PICTURE_SIDE, LocalizedClip
from tvsl.localization import Localization
from tvsl.media import MediaType, load_image, read_frames
from tvsl.render import (
    contact_sheet,
    drawing_image,
    label_colors,
    moments_sheet,
    save_jpeg,
    save_png,
    source_overlay,
    write_overlay_video,
)
from tvsl.render.colors import Color, certainty
from tvsl.render.video import PageVideo
from tvsl.utils.atomic import writable
from tvsl.utils.processes import Stages

SHEET_NAME: Final = "contact_sheet.jpg"
LARGEST_SHEET: Final = 2_000_000
VIDEO_NAME: Final = "overlay.mp4"
MOMENTS_NAME: Final = "moments"
MOST_DRAWN_MOMENTS = 24
_INSTANT = 1e-3
_PANEL = 256


@dataclass(frozen=True)
class Result:
    """One input that was localized.

    Attributes:
        source: The video or picture.
        media_type: What it is.
        moments: Its moments in the order of time.
        content: Content of its ``localization.json``.
        with_duplicates: Whether sources that are marked as duplicates are drawn.
    """

    source: Path
    media_type: MediaType
    moments: Sequence[Localization]
    content: Mapping[str, Any]
    with_duplicates: bool = False

    @property
    def drawn(self) -> list[Localization]:
        """The moments with the sources that are drawn."""
        if self.with_duplicates:
            return list(self.moments)
        return [found.without_duplicates() for found in self.moments]


def write_files(
    kinds: Set[OutputKind],
    result: Result,
    work: Path,
    page: PageWriter | None,
    command: str,
    stages: Stages = progress,
) -> None:
    """Write the files of a result, but for its JSON.

    Args:
        kinds: What is written beside the page.
        result: The result.
        work: Folder to write into.
        page: Writes the page; None for no page.
        command: The command line, as the page shows it.
        stages: Shows how far the work is.

    Raises:
        OutputError: A file cannot be written.
        MediaError: The input cannot be read any more.
    """
    moments = result.drawn
    colors = label_colors(moments)
    if page is not None:
        page.begin(partial(_clip, result, moments, command))
    if kinds & {"sheet", "moments"}:
        _write_pictures(kinds, result, moments, colors, work, stages)
    if "video" in kinds:
        _write_video(result, moments, work, stages)
    if page is not None:
        page.finish(stages)


def _write_pictures(
    kinds: Set[OutputKind],
    result: Result,
    moments: Sequence[Localization],
    colors: Mapping[str, Color],
    work: Path,
    stages: Stages,
) -> None:
    """A contact sheet, and a heat-map for each source; of a series in a folder of their own."""
    shown = drawn_moments(moments)
    folder = work
    if "moments" in kinds and len(moments) > 1:
        folder = work / MOMENTS_NAME
        with writable(folder):
            folder.mkdir()
    sheets = []
    with stages("Drawing moments") as report:
        for count, (found, image) in enumerate(_pictures(result, shown), start=1):
            reduced = drawing_image(image)
            if "moments" in kinds:
                prefix = "" if len(moments) == 1 else f"{found.time or 0.0:08.2f}s_"
                _write_sources(reduced, found, colors, folder, prefix)
            if "sheet" in kinds:
                panel = None if len(moments) == 1 else _PANEL
                sheets.append(contact_sheet(reduced, found, colors, panel))
            report(count, len(shown))
    if sheets:
        save_jpeg(moments_sheet(sheets), work / SHEET_NAME, LARGEST_SHEET)


def drawn_moments(moments: Sequence[Localization]) -> list[Localization]:
    """The moments of which pictures are drawn: up to 24 of those that sound.

    Hundreds of pictures help nobody; the video and the JSON file hold every moment.
    """
    sounding = [found for found in moments if found.sources] or list(moments)
    places = np.linspace(0, len(sounding) - 1, min(len(sounding), MOST_DRAWN_MOMENTS))
    return [sounding[place] for place in places.round().astype(int)]


def _pictures(
    result: Result, moments: Sequence[Localization]
) -> Iterator[tuple[Localization, NDArray[np.uint8]]]:
    """Moments with their pictures, read in one pass."""
    if result.media_type == "picture":
        yield moments[0], load_image(result.source)
        return
    times = [found.time or 0.0 for found in moments]
    for found, frame in zip(moments, read_frames(result.source, times), strict=True):
        yield found, frame.image


def _write_sources(
    image: NDArray[np.uint8],
    found: Localization,
    colors: Mapping[str, Color],
    folder: Path,
    prefix: str,
) -> None:
    for number, source in enumerate(found.sources, start=1):
        certain = certainty(source.score, found.threshold)
        overlay = source_overlay(image, source, colors[source.label], certain)
        save_png(overlay, folder / f"{prefix}{number:02d}_{_file_name(source.label)}.png")


def _write_video(
    result: Result, moments: Sequence[Localization], work: Path, stages: Stages
) -> None:
    shown, settings = list(moments), result.content["settings"]
    if len(moments) == 1:
        # One moment says nothing about the whole video: it is shown while its sound is heard.
        found = moments[0]
        start, end = found.heard or (0.0, 0.0)
        silent = replace(found, sources=())
        shown = [
            replace(silent, time=start - _INSTANT),
            replace(found, time=start),
            replace(found, time=end),
            replace(silent, time=end + _INSTANT),
        ]
    with stages(f"Writing {VIDEO_NAME}") as report:
        write_overlay_video(
            result.source,
            work / VIDEO_NAME,
            shown,
            progress=report,
            start=settings["start"] or 0.0,
            end=settings["end"],
        )


def _clip(
    result: Result,
    moments: Sequence[Localization],
    command: str,
    video: Path | None,
    place: PageVideo,
) -> LocalizedClip:
    """Content of the page."""
    # Reduced at once: 24 pictures of a large video would fill the memory.
    pictures = _pictures(result, drawn_moments(moments))
    stills = [(found, drawing_image(image, PICTURE_SIDE)) for found, image in pictures]
    heard, sound = moments[0].heard, Path(result.content["audio"] or result.source)
    return LocalizedClip(
        moments,
        result.content,
        command,
        stills,
        video,
        place.length,
        place.start,
        sound=None if video is not None or heard is None else (sound, heard),
    )


def _file_name(label: str) -> str:
    """A class name as a part of a file name, in any script."""
    return re.sub(r"[^\w]+", "-", label).strip("-_")[:60] or "source"
