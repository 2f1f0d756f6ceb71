"""Contact sheets of the made-up world: pictures, objects and sounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tvsl.errors import UsageError
from tvsl.localization import Localization
from tvsl.media.writing import write_png, write_wav
from tvsl.render.captions import draw_text, font_of_size, line_height, shorten
from tvsl.render.colors import BLACK, WHITE, Color, Picture, text_color
from tvsl.render.spectrogram import spectrogram_picture
from tvsl.synthetic.export import MANIFEST, describe, earlier_files, scene_id, write_manifest
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, modulation_rate, to_int16
from tvsl.synthetic.world import Box, World, WorldPanel, WorldScene
from tvsl.utils.atomic import staged, writable

SHEET_TEXT = 15
_LARGEST_PANEL = 480
_SMALLEST_PANEL = 240
_PANEL_OF_MANY = 320
_MANY_PANELS = 12
_MARGIN = 12
_GROUND: Color = (28, 28, 32)
# Width over height that a sheet of many panels comes close to, that of common screens.
_SHAPE = 1.6


def sheet_picture(image: Picture, panels: int) -> Image.Image:
    """The picture at the size of a panel, both for very large and for tiny ones.

    Args:
        image: Picture, (H, W, 3), uint8.
        panels: How many panels the sheet has.

    Returns:
        The picture, RGB, its longer side 240 to 480 pixels, 320 at most where panels are many.
    """
    picture = Image.fromarray(image)
    longer = max(picture.size)
    largest = _LARGEST_PANEL if panels <= _MANY_PANELS else _PANEL_OF_MANY
    scale = min(max(longer, _SMALLEST_PANEL), largest) / longer
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    return picture.resize(size, Image.Resampling.LANCZOS)


def sheet_title(localization: Localization) -> list[str]:
    """What the line over a sheet says: model, where the labels are from, and the time.

    Args:
        localization: What the sheet shows.

    Returns:
        The parts of the line.
    """
    parts = [localization.model, f"labels {localization.label_source}"]
    if localization.time is not None:
        parts.append(f"at {localization.time:.2f} s")
    if not localization.sources:
        parts.append("no sounding object")
    return parts


def arrange_panels(
    panels: Sequence[tuple[Image.Image, Image.Image]], title: Sequence[str]
) -> Image.Image:
    """Put panels in a grid under a title.

    Args:
        panels: At least one panel and the bar that stands below it; all of one size.
        title: Parts of the title, on one line where they fit, else each on its own.

    Returns:
        The sheet, RGB.
    """
    picture, bar = panels[0]
    across, down = picture.width + _MARGIN, picture.height + bar.height + _MARGIN
    balanced = math.ceil(math.sqrt(len(panels) * _SHAPE * down / across))
    columns = len(panels) if len(panels) <= 3 else min(len(panels), balanced)
    rows = math.ceil(len(panels) / columns)
    width = columns * across + _MARGIN
    lines = _wrapped(title, width - 2 * _MARGIN)
    step = line_height(SHEET_TEXT)
    head = len(lines) * step + _MARGIN
    sheet = Image.new("RGB", (width, head + rows * down), _GROUND)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        middle = _MARGIN / 2 + step * (number + 0.5)
        draw_text(draw, (_MARGIN, middle), line, SHEET_TEXT, WHITE)
    for number, (panel, panel_bar) in enumerate(panels):
        left, top = _MARGIN + number % columns * across, head + number // columns * down
        sheet.paste(panel, (left, top))
        sheet.paste(panel_bar, (left, top + panel.height))
    return sheet


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    whole = "  |  ".join(" ".join(part.split()) for part in parts)
    if font_of_size(SHEET_TEXT).getlength(whole) <= width:
        return [whole]
    return [shorten(part, SHEET_TEXT, width) for part in parts]


SCALE = 2.5
PANEL = round(SCALE * SIDE)
SOUNDS: Color = (255, 150, 0)
TWIN: Color = (70, 185, 255)
SILENT: Color = (225, 225, 230)
OFF_SCREEN: Color = (245, 105, 190)
_QUIET: Color = (165, 165, 172)
_WORLD_SHEET_GROUND: Color = (24, 24, 28)
_STRIP = 84
_TEXT = 13
_TITLE = 17
_WORLD_SHEET_MARGIN = 16
_GAP = 4
_DASH, _PAUSE = 5, 4
_WORLD_SHEET_SHAPE = 1.6  # width over height that a sheet comes close to

_LEGEND = (
    ("sounds", SOUNDS),
    ("silent twin: same class, another size", TWIN),
    ("silent", SILENT),
    ("heard, but nowhere in the picture", OFF_SCREEN),
)


def world_sheet(scenes: Sequence[WorldScene], title: str) -> Picture:
    """Draw scenes side by side, each with the spectrogram of its sound below.

    Args:
        scenes: At least one; all with the same number of sources.
        title: Stands above, with a legend of the colours.

    Returns:
        The sheet, (H, W, 3), uint8.
    """
    cards = [_card(scene) for scene in scenes]
    across, down = cards[0].width + _WORLD_SHEET_MARGIN, cards[0].height + _WORLD_SHEET_MARGIN
    balanced = math.ceil(math.sqrt(len(cards) * _WORLD_SHEET_SHAPE * down / across))
    rows = math.ceil(len(cards) / balanced)
    columns = math.ceil(len(cards) / rows)  # as few gaps in the last row as can be
    width = max(columns * across + _WORLD_SHEET_MARGIN, _legend_width() + 2 * _WORLD_SHEET_MARGIN)
    head = line_height(_TITLE) + line_height(_TEXT) + 2 * _WORLD_SHEET_MARGIN
    sheet = Image.new("RGB", (width, head + rows * down), _WORLD_SHEET_GROUND)
    draw = ImageDraw.Draw(sheet)
    draw_text(draw, (_WORLD_SHEET_MARGIN, _WORLD_SHEET_MARGIN + _TITLE / 2), title, _TITLE, WHITE)
    _draw_legend(draw, _WORLD_SHEET_MARGIN + line_height(_TITLE) + line_height(_TEXT) / 2)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        sheet.paste(card, (_WORLD_SHEET_MARGIN + column * across, head + row * down))
    return np.array(sheet)


def _card(scene: WorldScene) -> Image.Image:
    """Panels, spectrogram and names of one scene."""
    count = len(scene.panels)
    width = count * PANEL + (count - 1) * _GAP
    step = line_height(_TEXT)
    lines = PANEL + _GAP + _STRIP + _GAP
    card = Image.new("RGB", (width, lines + 2 * step), _WORLD_SHEET_GROUND)
    draw = ImageDraw.Draw(card)
    for place, panel in enumerate(scene.panels):
        left = place * (PANEL + _GAP)
        card.paste(_panel(panel), (left, 0))
        radius = panel.objects[panel.source].radius
        pulse = f" pulses at {modulation_rate(radius):.1f} Hz"
        _write(draw, (left, lines + step / 2), (panel.label, SOUNDS), (pulse, _QUIET))
    strip = spectrogram_picture(scene.waveform, SAMPLE_RATE, (_STRIP, width))
    card.paste(Image.fromarray(strip), (0, PANEL + _GAP))
    if scene.off_screen is not None:
        below = (0, lines + 1.5 * step)
        _write(draw, below, (scene.off_screen, OFF_SCREEN), (" off screen", _QUIET))
    return card


def _panel(panel: WorldPanel) -> Image.Image:
    """A picture, enlarged, with a box and a name for every object."""
    image = Image.fromarray(panel.picture).resize((PANEL, PANEL), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    boxes = [_enlarged(box) for box in panel.boxes]
    tags: list[Box] = []
    for number, (thing, box) in enumerate(zip(panel.objects, boxes, strict=True)):
        twin = number == panel.twin
        color = SOUNDS if thing.sounds else TWIN if twin else SILENT
        _draw_box(draw, box, color, dashed=not thing.sounds)
        size = (math.ceil(font_of_size(_TEXT).getlength(thing.label)) + 8, _TEXT + 5)
        others = [other for other in boxes if other is not box] + tags
        tags.append(_tag_place(box, size, others))
        _draw_tag(draw, tags[-1], thing.label, color)
    return image


def _enlarged(box: Box) -> Box:
    left, top, right, bottom = (round(SCALE * edge) for edge in box)
    return max(left - 3, 0), max(top - 3, 0), min(right + 3, PANEL), min(bottom + 3, PANEL)


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, color: Color, dashed: bool) -> None:
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    if not dashed:
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=BLACK, width=5)
        draw.rectangle((left, top, right, bottom), outline=color, width=3)
        return
    draw.rectangle((left, top, right, bottom), outline=BLACK, width=2)
    for start in range(left, right, _DASH + _PAUSE):
        end = min(start + _DASH, right)
        for row in (top, bottom - 1):
            draw.rectangle((start, row, end, row + 1), fill=color)
    for start in range(top, bottom, _DASH + _PAUSE):
        end = min(start + _DASH, bottom)
        for column in (left, right - 1):
            draw.rectangle((column, start, column + 1, end), fill=color)


def _tag_place(box: Box, size: tuple[int, int], others: Sequence[Box]) -> Box:
    """Where a name hides least of other things: above, below, or within its own box."""
    width, height = size
    tries = []
    for left in (box[0], box[2] - width, (box[0] + box[2] - width) // 2):
        for top in (box[1] - height, box[3], box[1], box[3] - height):
            x, y = min(max(left, 0), PANEL - width), min(max(top, 0), PANEL - height)
            tries.append((x, y, x + width, y + height))
    own = 0.15  # its own object is the last thing but others that a name should hide

    def hidden(place: Box) -> float:
        return sum(_shared(place, other) for other in others) + own * _shared(place, box)

    return min(tries, key=hidden)


def _shared(first: Box, second: Box) -> int:
    across = min(first[2], second[2]) - max(first[0], second[0])
    down = min(first[3], second[3]) - max(first[1], second[1])
    return max(across, 0) * max(down, 0)


def _draw_tag(draw: ImageDraw.ImageDraw, place: Box, name: str, color: Color) -> None:
    draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=color)
    draw_text(draw, (place[0] + 4, (place[1] + place[3]) / 2), name, _TEXT, text_color(color))


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], *parts: tuple[str, Color]
) -> None:
    left, middle = place
    for text, color in parts:
        draw_text(draw, (left, middle), text, _TEXT, color)
        left += font_of_size(_TEXT).getlength(text)


def _legend_width() -> int:
    return round(sum(font_of_size(_TEXT).getlength(name) + 42 for name, _ in _LEGEND))


def _draw_legend(draw: ImageDraw.ImageDraw, middle: float) -> None:
    left = float(_WORLD_SHEET_MARGIN)
    for name, color in _LEGEND:
        draw.rectangle((left, middle - 6, left + 12, middle + 6), fill=color)
        draw_text(draw, (left + 18, middle), name, _TEXT, _QUIET)
        left += font_of_size(_TEXT).getlength(name) + 42


SHEET = "contact_sheet.png"
MOST_SCENES = 200

Progress = Callable[[int, int | None], None]


def write_preview(
    world: World,
    folder: Path,
    scenes: int,
    sources: int = 1,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a contact sheet, the sounds as WAV files and a manifest.

    Args:
        world: Split, classes, seed and shares of twins and off-screen sounds.
        folder: Where to; it appears whole or not at all.
        scenes: How many, 1 to 200.
        sources: K, the number of sources of every scene.
        force: Whether an earlier preview there may be replaced; other files in it stay.
        progress: Called with scenes made and scenes in all.

    Returns:
        The path of the contact sheet.

    Raises:
        UsageError: Not 1 to 200 scenes, or not 1 to 8 sources.
        OutputError: The folder is not empty and ``force`` is not set, or it cannot be written.
    """
    if not 1 <= scenes <= MOST_SCENES:
        raise UsageError(
            f"A contact sheet cannot show {scenes} scenes.", f"Ask for 1 to {MOST_SCENES}."
        )
    with staged(folder, MANIFEST, force, earlier_files) as work, writable(folder):
        made = []
        for index in range(scenes):
            made.append(world.scene(index, sources))
            if progress is not None:
                progress(index + 1, scenes)
        _world_preview_write(world, made, work)
    return folder / SHEET


def _world_preview_write(world: World, scenes: Sequence[WorldScene], work: Path) -> None:
    (work / "audio").mkdir()
    lines = []
    for scene in scenes:
        audio = f"audio/{scene_id(world, scene)}.wav"
        write_wav(work / audio, to_int16(scene.waveform), SAMPLE_RATE)
        lines.append(describe(world, scene, {"audio": audio, "sheet": SHEET}))
    heading = (
        f"Synthetic world: {world.split} split, {world.classes} classes, seed {world.seed}, "
        f"scenes 0 to {len(scenes) - 1}"
    )
    write_png(work / SHEET, world_sheet(scenes, heading))
    write_manifest(work, lines)
