"""Localization of one input, and the content of its ``localization.json``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.cli.inputs import GivenInput
from tvsl.cli.output import JSON_NAME, OutputKind, noted_warnings, progress, staging
from tvsl.cli.page_writer import PageWriter
from tvsl.cli.result_files import Result, write_files
from tvsl.cli.text_formats import FORMATS, ResultFormat
from tvsl.clip_encoder import DEFAULT_STEP, DEFAULT_WINDOW
from tvsl.errors import MediaWarning, SilentAudioError, UnreadableMediaError, UsageError
from tvsl.localization import Localization, Request
from tvsl.localization_format import VERSION
from tvsl.localizer import Localizer
from tvsl.media import (
    DEFAULT_LIMITS,
    MediaType,
    crop_center,
    load_image,
    media_type_of,
    open_container,
    probe_video,
    read_frames,
    require_sound,
)
from tvsl.media.image import cut_panels
from tvsl.media.streams import require_audio_stream
from tvsl.render import require_overlay_video
from tvsl.segments import find_segments, mark_duplicates, smooth, steady
from tvsl.utils.atomic import write_text
from tvsl.utils.files import write_json
from tvsl.utils.processes import Progress, Stages

Emit = Callable[[dict[str, Any]], None]
"""Takes each moment, as it stands in the file, as soon as it is settled."""


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
        start: First moment of a series in seconds, or None for its beginning.
        end: End of a series in seconds, or None for the end of the video.
        smooth: Seconds over which maps are averaged, or None.
        outputs: What is written, or None for the default.
        format: Form of the results.
        duplicates: Whether sources that are marked as duplicates are drawn.
        command: The command line, as the page shows it.
        stages: Shows how far the work is.
        audio_stream: Whether the sound of a video is encoded once.
    """

    request: Request
    audio: Path | None
    at: float | None
    every: float | None
    force: bool
    recorded: dict[str, Any]
    panels: int = 1
    window: float | None = None
    start: float | None = None
    end: float | None = None
    smooth: float | None = None
    outputs: frozenset[OutputKind] | None = None
    format: ResultFormat = "json"
    duplicates: bool = False
    command: str = ""
    stages: Stages = progress
    audio_stream: bool = False

    def kinds(self, media_type: MediaType) -> frozenset[OutputKind]:
        """Outputs that are written for an input of this type."""
        if self.outputs is not None:
            return self.outputs
        usual: frozenset[OutputKind] = frozenset({"page", "json"})
        return usual | {"video"} if media_type == "video" and self.at is None else usual


@dataclass(frozen=True)
class CheckedInput:
    """One input that was looked at.

    Attributes:
        source: The input.
        media_type: What it is.
        folder: Where its results go; None where no file is written.
    """

    source: GivenInput
    media_type: MediaType
    folder: Path | None


def check_input(source: Path, options: LocalizeOptions, writes: bool = True) -> MediaType:
    """Look at an input before a model is loaded.

    Args:
        source: A video, or a picture.
        options: The options of the command.
        writes: Whether files are written.

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
            if writes and options.kinds(media_type) & {"video", "page"}:
                require_overlay_video(source)
        elif options.audio is not None:
            cut_panels(load_image(source), options.panels, source)
            heard = crop_center(options.audio, options.window or DEFAULT_WINDOW)
            if options.request.labels is not None:  # else silence is an answer
                require_sound(heard, options.audio)
    return media_type


def _check_video(source: Path, options: LocalizeOptions) -> None:
    """Read the first picture that is wanted."""
    with open_container(source) as container:
        require_audio_stream(container, source, DEFAULT_LIMITS)
    first = next(read_frames(source, [options.at or options.start or 0.0]))
    cut_panels(first.image, options.panels, source)


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
        timed = ("at", "every", "start", "end", "smooth")
        given = [f"--{name}" for name in timed if getattr(options, name) is not None]
        given += ["--audio-stream"] if options.audio_stream else []
        if given:
            raise UsageError(
                "This is a picture: it has no moments.", f"Leave out {', '.join(given)}.", source
            )
        if options.outputs is not None and "video" in options.outputs:
            raise UsageError(
                "This is a picture: no video is made of it.",
                "Leave video out of --outputs.",
                source,
            )
    return media_type


def localize_input(
    load: Callable[[], Localizer],
    target: CheckedInput,
    options: LocalizeOptions,
    emit: Emit | None = None,
) -> dict[str, Any]:
    """Localize one input and write its results, all or none; give its ``localization.json``.

    Args:
        load: Gives the localizer. The page's video, which needs none, is begun before.
        target: The input.
        options: The options of the command.
        emit: Takes each moment while the work goes on.

    Raises:
        MediaError: The input cannot be used.
        OutputError: The results cannot be written.
    """
    with ExitStack() as stack:
        work, page = None, None
        if target.folder is not None:
            work = stack.enter_context(staging(target.folder, options.force))
            if "page" in options.kinds(target.media_type):
                page = stack.enter_context(_page_writer(target, work, options))
        moments, content = _localized(load(), target, options, emit)
        if work is not None:
            _write(target, moments, content, options, work, page)
    return content


def _page_writer(target: CheckedInput, work: Path, options: LocalizeOptions) -> PageWriter:
    is_series = _step(target.media_type, options) is not None
    stretch = (options.start or 0.0, options.end) if is_series else None
    return PageWriter(target.source.path, work, stretch)


def _localized(
    localizer: Localizer, target: CheckedInput, options: LocalizeOptions, emit: Emit | None
) -> tuple[list[Localization], dict[str, Any]]:
    """The moments of an input, and the content of its ``localization.json``."""
    source, is_picture = target.source, target.media_type == "picture"
    with noted_warnings() as warned:
        moments = (
            _picture(localizer, source, options)
            if is_picture
            else _video(localizer, source, options, emit)
        )
    if is_picture and emit is not None:
        emit(moments[0].to_dict())
    resolution = None if is_picture else localizer.resolution(options.at, options.every)
    length = None if is_picture else probe_video(source.path).duration
    content = {
        "version": VERSION,
        "input": source.name,
        "audio": None if options.audio is None else str(options.audio),
        "tvsl": __version__,
        "model": moments[0].model,
        "encoder_sha256": localizer.encoder.fingerprint,
        "settings": settings_of(localizer, options, target.media_type),
        "label_source": moments[0].label_source,
        "resolution": None if resolution is None else resolution.to_dict(),
        "stored": None if is_picture else _stored(source.path),
        "warnings": warned,
        "notices": _notices(moments, options.request, localizer),
        "files": [],
        "segments": [
            segment.to_dict()
            for segment in find_segments(
                moments,
                None if resolution is None else resolution.step,
                length if options.end is None or length is None else min(options.end, length),
                options.start or 0.0,
            )
        ],
        "moments": [found.to_dict() for found in moments],
    }
    return moments, content


def settings_of(
    localizer: Localizer, options: LocalizeOptions, media_type: MediaType
) -> dict[str, Any]:
    """Settings of a result, as ``localization.json`` keeps them.

    Args:
        localizer: The model, which has chosen what was not given.
        options: The options of the command.
        media_type: Kind of the input.
    """
    window = localizer.window
    if media_type != "picture":
        window = localizer.resolution(options.at, options.every).window
    return {
        **options.recorded,
        "precision": localizer.encoder.precision,
        "flip_average": localizer.encoder.flip_average,
        "at": options.at,
        "every": _step(media_type, options),
        "start": options.start,
        "end": options.end,
        "window": window,
        "panels": options.panels,
        "smooth": options.smooth,
        "same_meaning": localizer.same_meaning,
        "audio_stream": localizer.audio_stream,
    }


def _write(
    target: CheckedInput,
    moments: list[Localization],
    content: dict[str, Any],
    options: LocalizeOptions,
    work: Path,
    page: PageWriter | None,
) -> None:
    """Write the chosen files; the list of them is added to the content."""
    result = Result(target.source.path, target.media_type, moments, content, options.duplicates)
    kinds = options.kinds(target.media_type)
    write_files(kinds, result, work, page, options.command, options.stages)
    if options.format != "json":
        path = work / f"{Path(JSON_NAME).stem}.{options.format}"
        write_text(path, FORMATS[options.format](content))
    files = [path.relative_to(work) for path in work.rglob("*") if path.is_file()]
    content["files"] = sorted(path.as_posix() for path in files)
    write_json(content, work / JSON_NAME)


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
    found = prefix + (found or content["notices"][-1])
    return f"{content['input']}: {found} -> {folder}"


def _notices(moments: Sequence[Localization], request: Request, localizer: Localizer) -> list[str]:
    """Notices of the names, and of an input in which nothing is found."""
    if len(moments) == 1:
        return [*moments[0].notices]
    names = localizer.notices(request.names or ())
    if any(found.sources for found in moments):
        return [*names]
    candidates = [found.candidate for found in moments if found.candidate is not None]
    if not candidates:
        return [*names, "nothing sounds here: the sound is silent throughout"]
    return [*names, str(max(candidates, key=lambda one: one.score))]


def _picture(
    localizer: Localizer, source: GivenInput, options: LocalizeOptions
) -> list[Localization]:
    if options.audio is None:
        raise UsageError("A picture needs a sound.", "Give it as --audio FILE.", source.path)
    request = options.request
    found = localizer.localize(
        source.path,
        options.audio,
        request.labels,
        request.vocabulary,
        request.sources,
        options.panels,
    )
    return [mark_duplicates(found)]


def _video(
    localizer: Localizer, source: GivenInput, options: LocalizeOptions, emit: Emit | None
) -> list[Localization]:
    request = options.request
    with options.stages(f"Localizing {Path(source.name).name}") as report:
        found = localizer.localize_video(
            source.path,
            request.labels,
            request.vocabulary,
            request.sources,
            at=options.at,
            every=options.every,
            start=options.start or 0.0,
            end=options.end,
            panels=options.panels,
        )
        settled = steady(_counted(found, _expected(source.path, options), report))
        if options.smooth is not None:
            settled = smooth(settled, options.smooth)
        moments: list[Localization] = []
        waiting: list[Localization] = []  # nothing is given out where all is silent
        is_heard = request.labels is None  # there silence is an answer
        for moment in map(mark_duplicates, settled):
            moments.append(moment)
            waiting.append(moment)
            is_heard = is_heard or moment.heard is not None
            if emit is not None and is_heard:
                for one in waiting:
                    emit(one.to_dict())
                waiting.clear()
    if not is_heard:
        raise SilentAudioError(
            "The sound is silent throughout.", "There is nothing to localize.", source.path
        )
    return moments


def _counted(
    moments: Iterable[Localization], expected: int, report: Progress
) -> Iterator[Localization]:
    """The moments; how many there were is reported."""
    count = 0
    for count, found in enumerate(moments, start=1):
        yield found
        report(count, max(expected, count))
    report(count, count)


def _expected(source: Path, options: LocalizeOptions) -> int:
    step = _step("video", options)
    if step is None:
        return 1
    length = probe_video(source).duration
    end = length if options.end is None else min(options.end, length)
    return int((end - (options.start or 0.0)) / step) + 1


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
