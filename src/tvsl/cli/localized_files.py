"""Localization of one input, and the files that it writes."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl import __version__
from tvsl.cli.output import JSON_NAME, noted_warnings, progress, staging
from tvsl.errors import MediaWarning, SilentAudioError, UnreadableMediaError, UsageError
from tvsl.localization import Localization, Request
from tvsl.localizer import DEFAULT_STEP, DEFAULT_WINDOW, Localizer
from tvsl.media import (
    DEFAULT_LIMITS,
    MediaType,
    crop_center,
    load_image,
    media_type_of,
    open_container,
    probe_video,
    read_frame,
    read_frames,
    require_sound,
)
from tvsl.media.image import cut_panels
from tvsl.media.streams import require_audio_stream
from tvsl.render import (
    contact_sheet,
    label_colors,
    reduced_image,
    require_overlay_video,
    save_png,
    source_overlay,
    write_overlay_video,
)
from tvsl.render.colors import Color
from tvsl.utils.atomic import writable
from tvsl.utils.files import write_json

SHEET_NAME = "contact_sheet.png"
VIDEO_NAME = "overlay.mp4"
MOMENTS_NAME = "moments"
MOST_DRAWN_MOMENTS = 24
_INSTANT = 1e-3


@dataclass(frozen=True)
class LocalizeOptions:
    """Options of the command, the same for each input.

    Attributes:
        request: Which classes to localize.
        audio: Sound of the pictures.
        at: One moment of a video, or None for a series.
        every: Seconds from moment to moment, or None for the default.
        force: Whether earlier results may be replaced.
        recorded: Those that shape the result, as they are recorded with it.
        panels: How many pictures stand side by side in each picture.
        window: Seconds of sound heard at once, or None for the default.
    """

    request: Request
    audio: Path | None
    at: float | None
    every: float | None
    force: bool
    recorded: dict[str, Any]
    panels: int = 1
    window: float | None = None


def check_input(source: Path, options: LocalizeOptions) -> MediaType:
    """Look at an input before a model is loaded.

    Args:
        source: A video, or a picture.
        options: The options of the command.

    Returns:
        What it is.

    Raises:
        MediaError: The input or its sound cannot be used.
        UsageError: The options do not fit it.
        OutputError: The video that is to be drawn cannot be encoded here.
    """
    with warnings.catch_warnings():  # they are printed once, when it is localized
        warnings.simplefilter("ignore", MediaWarning)
        media_type = _fitting_type(source, options)
        if media_type == "video":
            _check_video(source, options)
        elif options.audio is not None:
            cut_panels(load_image(source), options.panels, source)
            require_sound(
                crop_center(options.audio, options.window or DEFAULT_WINDOW), options.audio
            )
    return media_type


def _check_video(source: Path, options: LocalizeOptions) -> None:
    """Read the first picture that is wanted, and try what is needed to write the video."""
    with open_container(source) as container:
        require_audio_stream(container, source, DEFAULT_LIMITS)
    first = next(read_frames(source, [options.at or 0.0]))
    cut_panels(first.image, options.panels, source)
    require_overlay_video(source)


def _fitting_type(source: Path, options: LocalizeOptions) -> MediaType:
    media_type = media_type_of(source)
    if media_type == "sound":
        raise UnreadableMediaError(
            "This is a sound without a picture.",
            "Give the picture, and the sound as --audio.",
            source,
        )
    if media_type == "video" and options.audio is not None:
        raise UsageError(
            "This is a video and has its own sound.",
            "Leave --audio out, or give a picture.",
            source,
        )
    if media_type == "picture":
        if options.audio is None:
            raise UsageError(
                "This is a picture: its sound is missing.", "Give it as --audio FILE.", source
            )
        if options.at is not None or options.every is not None:
            raise UsageError(
                "This is a picture: it has no moments.", "Leave --at and --every out.", source
            )
    return media_type


def localize_input(
    localizer: Localizer,
    source: Path,
    media_type: MediaType,
    folder: Path,
    options: LocalizeOptions,
) -> dict[str, Any]:
    """Localize one input and write its results, all or none.

    Args:
        localizer: The localizer.
        source: The input.
        media_type: What it is.
        folder: Where the results go.
        options: The options of the command.

    Returns:
        What stands in ``localization.json``.

    Raises:
        MediaError: The input cannot be used.
        OutputError: The results cannot be written.
    """
    with noted_warnings() as warned:
        moments = (
            _picture(localizer, source, options)
            if media_type == "picture"
            else _video(localizer, source, options)
        )
    resolution = (
        None if media_type == "picture" else localizer.resolution(options.at, options.every)
    )
    with staging(folder, options.force) as work:
        if media_type == "picture":
            _write_pictures(load_image(source), moments[0], label_colors(moments), work)
        else:
            _write_moments(source, moments, work)
            _write_video(source, moments, work)
        content = {
            "input": str(source),
            "audio": None if options.audio is None else str(options.audio),
            "tvsl": __version__,
            "model": moments[0].model,
            "encoder_sha256": localizer.encoder.fingerprint,
            "settings": {
                **options.recorded,
                "precision": localizer.encoder.precision,
                "flip_average": localizer.encoder.flip_average,
                "at": options.at,
                "every": _step(media_type, options),
                "window": localizer.window if resolution is None else resolution.window,
                "panels": options.panels,
            },
            "label_source": moments[0].label_source,
            "resolution": None if resolution is None else resolution.to_dict(),
            "stored": None if media_type == "picture" else _stored(source),
            "warnings": warned,
            "files": sorted(p.relative_to(work).as_posix() for p in work.rglob("*") if p.is_file()),
            "moments": [found.to_dict() for found in moments],
        }
        write_json(content, work / JSON_NAME)
    return content


def summary(content: dict[str, Any], folder: Path) -> str:
    """One line on a result.

    Args:
        content: Content of its ``localization.json``.
        folder: Its folder.
    """
    moments, prefix = content["moments"], ""
    if len(moments) == 1:
        sources = moments[0]["sources"]
        found = ", ".join(f"{source['label']} ({source['score']:.2f})" for source in sources)
    else:
        counts = Counter(source["label"] for moment in moments for source in moment["sources"])
        found = ", ".join(f"{label} ({count})" for label, count in counts.most_common())
        heard = content["resolution"]
        prefix = (
            f"{len(moments)} moments every {heard['step']:g} s (a source sounds within "
            f"{heard['span']:g} s, its class is told by up to {heard['window']:g} s): "
        )
    found = prefix + (found or "no known sound")
    return f"{content['input']}: {found} -> {folder}"


def _picture(localizer: Localizer, source: Path, options: LocalizeOptions) -> list[Localization]:
    if options.audio is None:
        raise UsageError("A picture needs a sound.", "Give it as --audio FILE.", source)
    request = options.request
    found = localizer.localize(
        source, options.audio, request.labels, request.vocabulary, request.sources, options.panels
    )
    return [found]


def _video(localizer: Localizer, source: Path, options: LocalizeOptions) -> list[Localization]:
    request, step = options.request, _step("video", options)
    expected = 1 if step is None else int(probe_video(source).duration / step) + 1
    moments: list[Localization] = []
    with progress(f"Localizing {source.name}") as report:
        for found in localizer.localize_video(
            source,
            request.labels,
            request.vocabulary,
            request.sources,
            at=options.at,
            every=options.every,
            panels=options.panels,
        ):
            moments.append(found)
            report(len(moments), max(expected, len(moments)))
        report(len(moments), len(moments))
    if all(found.heard is None for found in moments):
        raise SilentAudioError(
            "The sound is silent throughout.", "There is nothing to localize.", source
        )
    return moments


def _stored(source: Path) -> dict[str, Any]:
    """Stored form of a video's pictures; boxes are in pixels as shown."""
    info = probe_video(source)
    ratio = info.pixel_aspect
    return {
        "width": info.stored[0],
        "height": info.stored[1],
        "sample_aspect_ratio": f"{ratio.numerator}:{ratio.denominator}",
        "rotation": info.rotation,
    }


def _step(media_type: MediaType, options: LocalizeOptions) -> float | None:
    """Seconds from moment to moment; None where there is one moment."""
    if media_type == "picture" or options.at is not None:
        return None
    return DEFAULT_STEP if options.every is None else options.every


def _write_moments(source: Path, moments: Sequence[Localization], work: Path) -> None:
    """Pictures of one moment in the folder itself, of a series in one of its own."""
    colors = label_colors(moments)
    if len(moments) == 1:
        image = read_frame(source, moments[0].time).image
        _write_pictures(image, moments[0], colors, work)
        return
    sounding = [found for found in moments if found.sources] or moments
    # Hundreds of pictures help nobody; the video and the JSON file hold every moment.
    places = np.linspace(0, len(sounding) - 1, min(len(sounding), MOST_DRAWN_MOMENTS))
    inner = work / MOMENTS_NAME
    with writable(inner):
        inner.mkdir()
    sheets = []
    with progress("Drawing moments") as report:
        for count, place in enumerate(places.round().astype(int), start=1):
            found = sounding[place]
            image = read_frame(source, found.time).image
            sheets.append(_write_pictures(image, found, colors, inner, f"{found.time:08.2f}s_"))
            report(count, len(places))
    save_png(_stacked(sheets), work / SHEET_NAME)


def _write_pictures(
    image: NDArray[np.uint8],
    found: Localization,
    colors: Mapping[str, Color],
    folder: Path,
    prefix: str = "",
) -> NDArray[np.uint8]:
    """An overlay per source and a contact sheet, which is returned as well."""
    image = reduced_image(image)
    for number, source in enumerate(found.sources, start=1):
        overlay = source_overlay(image, source, colors[source.label])
        save_png(overlay, folder / f"{prefix}{number:02d}_{_file_name(source.label)}.png")
    sheet = contact_sheet(image, found, colors)
    save_png(sheet, folder / f"{prefix}{SHEET_NAME}")
    return sheet


def _write_video(source: Path, moments: Sequence[Localization], work: Path) -> None:
    shown = list(moments)
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
    with progress(f"Writing {VIDEO_NAME}") as report:
        write_overlay_video(source, work / VIDEO_NAME, shown, progress=report)


def _stacked(sheets: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Sheets under each other, the narrower ones continued in the colour of their margin."""
    width = max(sheet.shape[1] for sheet in sheets)
    rows = []
    for sheet in sheets:
        margin = np.broadcast_to(sheet[0, 0], (sheet.shape[0], width - sheet.shape[1], 3))
        rows.append(np.concatenate([sheet, margin], axis=1))
    return np.concatenate(rows)


def _file_name(label: str) -> str:
    """A class name as a part of a file name, in any script."""
    return re.sub(r"[^\w]+", "-", label).strip("-_")[:60] or "source"
