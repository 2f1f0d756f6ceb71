"""What ``tvsl localize`` does with one input, and the files that it writes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl import __version__
from tvsl.cli.progress import progress
from tvsl.errors import (
    OutputError,
    SilentAudioError,
    UnreadableMediaError,
    UsageError,
)
from tvsl.localization import Localization, write_json
from tvsl.localizer import Localizer
from tvsl.media import load_image, probe_video, read_frame, sort_of
from tvsl.render import contact_sheet, save_png, source_color, source_overlay, write_overlay_video

JSON_NAME = "localization.json"
SHEET_NAME = "contact_sheet.png"
VIDEO_NAME = "overlay.mp4"
MOMENTS_NAME = "moments"
MOST_DRAWN_MOMENTS = 24


@dataclass(frozen=True)
class Request:
    """What to do with each input.

    Attributes:
        labels: Given class names, or None to detect.
        vocabulary: Classes to detect among, or None for everyday sounds.
        sources: How many to detect, or None.
        audio: Sound of the pictures.
        at: One moment of a video, or None for a series.
        every: Seconds from moment to moment.
        force: Whether earlier results may be replaced.
    """

    labels: Sequence[str] | None
    vocabulary: Sequence[str] | None
    sources: int | None
    audio: Path | None
    at: float | None
    every: float
    force: bool


def folders(inputs: Sequence[Path], output: Path, force: bool) -> list[tuple[Path, Path]]:
    """Decide where each input's results go, and refuse before any work is done.

    Args:
        inputs: The inputs.
        output: The folder that was named: the results' own for one input, else their parent.
        force: Whether earlier results may be replaced.

    Returns:
        Each input with its folder.

    Raises:
        OutputError: A folder holds results already, or cannot be made.
    """
    if len(inputs) == 1:
        chosen = [(inputs[0], output)]
    else:
        chosen, taken = [], set()
        for source in inputs:
            name = source.stem
            while name in taken:
                name += "_"
            taken.add(name)
            chosen.append((source, output / name))
    for _, folder in chosen:
        if (folder / JSON_NAME).exists() and not force:
            raise OutputError(
                "This folder holds results already.", "Choose another or add --force.", folder
            )
        if folder.exists() and not folder.is_dir():
            raise OutputError("This is a file, no folder.", "Choose another place.", folder)
    return chosen


def localize_input(
    localizer: Localizer, source: Path, folder: Path, request: Request
) -> dict[str, Any]:
    """Localize one input and write its results.

    Args:
        localizer: The localizer.
        source: A video, or a picture.
        folder: Where the results go; made when the first result is there.
        request: What to do.

    Returns:
        What stands in ``localization.json``, and the paths that were written.

    Raises:
        MediaError: The input cannot be used.
        OutputError: The results cannot be written.
    """
    sort = sort_of(source)
    if sort == "sound":
        raise UnreadableMediaError(
            "This is a sound without a picture.",
            "Give the picture, and the sound as --audio.",
            source,
        )
    if sort == "picture":
        return _localize_picture(localizer, source, folder, request)
    return _localize_video(localizer, source, folder, request)


def _localize_picture(
    localizer: Localizer, source: Path, folder: Path, request: Request
) -> dict[str, Any]:
    if request.audio is None:
        raise UsageError(
            f"{source} is a picture: its sound is missing.", "Give it as --audio FILE."
        )
    if request.at is not None:
        raise UsageError(f"{source} is a picture: it has no moments.", "Leave --at out.")
    image = load_image(source)
    found = localizer.localize(
        image, request.audio, request.labels, request.vocabulary, request.sources
    )
    _start(folder, request.force)
    files = _write_pictures(image, found, folder, "", request.force)
    return _finish(source, folder, [found], files, request)


def _localize_video(
    localizer: Localizer, source: Path, folder: Path, request: Request
) -> dict[str, Any]:
    if request.audio is not None:
        raise UsageError(
            f"{source} is a video and has its own sound.", "Leave --audio out, or give a picture."
        )
    info = probe_video(source)
    expected = 1 if request.at is not None else int(info.duration / request.every) + 1
    moments = []
    with progress(f"Localizing {source.name}") as report:
        for found in localizer.localize_video(
            source,
            request.labels,
            request.vocabulary,
            request.sources,
            at=request.at,
            every=request.every,
        ):
            moments.append(found)
            report(len(moments), max(expected, len(moments)))
    if not any(found.sources for found in moments):
        raise SilentAudioError(
            "The sound is silent throughout.", "There is nothing to localize.", source
        )
    _start(folder, request.force)
    files = _write_moments(source, moments, folder, request.force)
    with progress(f"Writing {VIDEO_NAME}") as report:
        files.append(
            write_overlay_video(source, folder / VIDEO_NAME, moments, request.force, report)
        )
    return _finish(source, folder, moments, files, request)


def _write_moments(
    source: Path, moments: Sequence[Localization], folder: Path, force: bool
) -> list[Path]:
    """Pictures of one moment in the folder itself, of a series in one of its own."""
    sounding = [found for found in moments if found.sources]
    if len(sounding) == 1 and len(moments) == 1:
        image = read_frame(source, sounding[0].time).image
        return _write_pictures(image, sounding[0], folder, "", force)
    # Hundreds of pictures help nobody; the video and the JSON file hold every moment.
    drawn = np.linspace(0, len(sounding) - 1, min(len(sounding), MOST_DRAWN_MOMENTS))
    inner = folder / MOMENTS_NAME
    _start(inner, force)
    files: list[Path] = []
    sheets = []
    with progress("Drawing moments") as report:
        for count, index in enumerate(np.unique(drawn.round().astype(int)), start=1):
            found = sounding[index]
            image = read_frame(source, found.time).image
            files += _write_pictures(image, found, inner, f"{found.time:08.2f}s_", force)
            sheets.append(contact_sheet(image, found))
            report(count, len(drawn))
    files.append(save_png(_stacked(sheets), folder / SHEET_NAME, force))
    return files


def _write_pictures(
    image: NDArray[np.uint8], found: Localization, folder: Path, prefix: str, force: bool
) -> list[Path]:
    files = []
    for number, source in enumerate(found.sources):
        overlay = source_overlay(image, source, source_color(number))
        name = f"{prefix}{number + 1:02d}_{_file_name(source.label)}.png"
        files.append(save_png(overlay, folder / name, force))
    sheet = contact_sheet(image, found)
    files.append(save_png(sheet, folder / f"{prefix}{SHEET_NAME}", force))
    return files


def _stacked(sheets: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Sheets under each other, the narrower ones continued in the colour of their margin."""
    width = max(sheet.shape[1] for sheet in sheets)
    rows = []
    for sheet in sheets:
        margin = np.broadcast_to(sheet[0, 0], (sheet.shape[0], width - sheet.shape[1], 3))
        rows.append(np.concatenate([sheet, margin], axis=1))
    return np.concatenate(rows)


def _finish(
    source: Path,
    folder: Path,
    moments: Sequence[Localization],
    files: Sequence[Path],
    request: Request,
) -> dict[str, Any]:
    """Write the JSON file last: where it stands, the results are whole."""
    content: dict[str, Any] = {
        "input": str(source),
        "audio": None if request.audio is None else str(request.audio),
        "tvsl": __version__,
        "model": moments[0].model,
        "label_source": moments[0].label_source,
        "moments": [found.to_dict() for found in moments],
    }
    path = write_json(content, folder / JSON_NAME, request.force)
    return {**content, "files": [str(file) for file in [*files, path]]}


def _start(folder: Path, force: bool) -> None:
    try:
        if force and folder.name == MOMENTS_NAME and folder.exists():
            shutil.rmtree(folder)  # an earlier run may have had other moments
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder cannot be made ({error.strerror}).", "Choose a writable place.", folder
        ) from error


def _file_name(label: str) -> str:
    """A class name as a part of a file name, in any script."""
    return re.sub(r"[^\w]+", "-", label).strip("-_")[:60] or "source"
