"""Contact sheets of scenes with exact truth, and previews of the synthetic world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tvsl.boxes import Box, shared_area
from tvsl.errors import UsageError
from tvsl.media.writing import to_int16, write_png, write_wav
from tvsl.render.colors import BLACK, WHITE, Color, RGBImage, text_color
from tvsl.render.contact_sheet import balanced_columns
from tvsl.render.drawing import draw_text, line_height
from tvsl.render.fonts import text_length, writable_text
from tvsl.render.spectrogram import spectrogram_image
from tvsl.scenes import PixelBox, Scene, ScenePanel
from tvsl.synthetic.export import MANIFEST, describe, earlier_files, scene_id, write_manifest
from tvsl.synthetic.pictures import WorldObject
from tvsl.synthetic.sounds import SAMPLE_RATE, modulation_rate
from tvsl.synthetic.world import World
from tvsl.utils.atomic import staged, writable
from tvsl.utils.processes import Progress, no_progress

SHEET = "contact_sheet.png"
MOST_SCENES = 200
PANEL = 280
SOUNDS: Color = (255, 150, 0)
TWIN: Color = (70, 185, 255)
SILENT: Color = (225, 225, 230)
OFF_SCREEN: Color = (245, 105, 190)
_GREY: Color = (165, 165, 172)
_BACKGROUND: Color = (24, 24, 28)
_STRIP = 84
_TEXT = 13
_TITLE = 17
_MARGIN = 16
_GAP = 4
_DASH, _PAUSE = 5, 4

_LEGEND = (
    ("sounds", SOUNDS),
    ("silent twin: same class, another size", TWIN),
    ("silent", SILENT),
    ("heard, but nowhere in the picture", OFF_SCREEN),
)


def write_preview(
    world: World,
    folder: Path,
    scenes: int,
    sources: int = 1,
    *,
    force: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write a contact sheet, the sounds as WAV files and a manifest.

    Args:
        world: Split, classes, seed and shares of twins and off-screen sounds.
        folder: Where to; it appears whole or not at all.
        scenes: How many, 1 to 200.
        sources: K, the number of sources of every scene.
        force: Whether an earlier preview there may be replaced; other files in the folder stay.
        progress: Called with scenes made and scenes in all.

    Raises:
        UsageError: Not 1 to 200 scenes, or not 1 to 8 sources.
        OutputError: The folder is not empty and ``force`` is not set, or it cannot be written.
    """
    if not 1 <= scenes <= MOST_SCENES:
        raise UsageError(
            f"A contact sheet cannot show {scenes} scenes.", f"Ask for 1 to {MOST_SCENES}."
        )
    stem = f"{world.split}-{world.classes}-s{world.seed}-k{sources}-*"
    new = (SHEET, f"audio/{stem}.wav", MANIFEST)
    with staged(folder, MANIFEST, force, earlier_files, new) as work, writable(folder):
        made = []
        for index in range(scenes):
            made.append(world.scene(index, sources))
            progress(index + 1, scenes)
        (work / "audio").mkdir()
        lines = []
        for scene in made:
            audio = f"audio/{scene_id(world, scene)}.wav"
            write_wav(work / audio, to_int16(scene.waveform), SAMPLE_RATE)
            lines.append(describe(world, scene, {"audio": audio, "sheet": SHEET}))
        title = (
            f"Synthetic world: {world.split} split, {world.classes} classes, seed {world.seed}, "
            f"scenes 0 to {scenes - 1}"
        )
        write_png(work / SHEET, preview_sheet(made, title))
        write_manifest(work, lines)
    return folder / SHEET


def preview_sheet(scenes: Sequence[Scene], title: str) -> RGBImage:
    """Draw scenes side by side, each over the spectrogram of its sound: sheet, (H, W, 3), uint8.

    Args:
        scenes: At least one; all with the same number of sources.
        title: Text above them, beside a legend of the colours.
    """
    cards = [_card(scene) for scene in scenes]
    across, down = cards[0].width + _MARGIN, cards[0].height + _MARGIN
    rows = math.ceil(len(cards) / balanced_columns(len(cards), across, down))
    columns = math.ceil(len(cards) / rows)  # as few gaps in the last row as can be
    legend_width = sum(text_length(name, _TEXT) + 42 for name, _ in _LEGEND)
    width = max(columns * across + _MARGIN, round(legend_width) + 2 * _MARGIN)
    header = line_height(_TITLE) + line_height(_TEXT) + 2 * _MARGIN
    sheet = Image.new("RGB", (width, header + rows * down), _BACKGROUND)
    draw_text(sheet, (_MARGIN, _MARGIN + _TITLE / 2), title, _TITLE, WHITE)
    _draw_legend(sheet, _MARGIN + line_height(_TITLE) + line_height(_TEXT) / 2)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        sheet.paste(card, (_MARGIN + column * across, header + row * down))
    return np.array(sheet)


def _card(scene: Scene) -> Image.Image:
    """Panels, spectrogram and names of one scene."""
    count = len(scene.panels)
    width = count * PANEL + (count - 1) * _GAP
    step = line_height(_TEXT)
    lines = PANEL + _GAP + _STRIP + _GAP
    card = Image.new("RGB", (width, lines + 2 * step), _BACKGROUND)
    for place, panel in enumerate(scene.panels):
        left = place * (PANEL + _GAP)
        card.paste(_panel(panel), (left, 0))
        source, pulse = panel.objects[panel.source], ""
        if isinstance(source, WorldObject):
            pulse = f" pulses at {modulation_rate(source.radius):.1f} Hz"
        _draw_texts(card, (left, lines + step / 2), (panel.label, SOUNDS), (pulse, _GREY))
    strip = spectrogram_image(scene.waveform, scene.sample_rate, (_STRIP, width))
    card.paste(Image.fromarray(strip), (0, PANEL + _GAP))
    if scene.off_screen is not None:
        below = (0, lines + 1.5 * step)
        _draw_texts(card, below, (scene.off_screen, OFF_SCREEN), (" off screen", _GREY))
    return card


def _panel(panel: ScenePanel) -> Image.Image:
    """The image of a panel, enlarged, with names of its objects, and boxes where they are known."""
    image = Image.fromarray(panel.picture).resize((PANEL, PANEL), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    scale = PANEL / len(panel.picture)
    boxes = [_enlarged(box, scale) if any(box) else None for box in panel.boxes]
    names: list[Box] = []
    for number, (thing, box) in enumerate(zip(panel.objects, boxes, strict=True)):
        twin = number == panel.twin
        color = SOUNDS if thing.sounds else TWIN if twin else SILENT
        if box is not None:
            _draw_box(draw, box, color, dashed=not thing.sounds)
        name = writable_text(thing.label)
        size = (math.ceil(text_length(name, _TEXT)) + 8, _TEXT + 5)
        others = [other for other in boxes if other not in (box, None)] + names
        place = _name_place(box or Box(0, 0, PANEL, PANEL), size, others)
        names.append(place)
        corners = (place.left, place.top, place.right - 1, place.bottom - 1)
        draw.rectangle(corners, fill=color)
        left, middle = place.left + 4, (place.top + place.bottom) / 2
        draw_text(image, (left, middle), name, _TEXT, text_color(color))
    return image


def _enlarged(box: PixelBox, scale: float) -> Box:
    left, top, right, bottom = (round(scale * edge) for edge in box)
    return Box(max(left - 3, 0), max(top - 3, 0), min(right + 3, PANEL), min(bottom + 3, PANEL))


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, color: Color, dashed: bool) -> None:
    left, top, right, bottom = box.left, box.top, box.right - 1, box.bottom - 1
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


def _name_place(box: Box, size: tuple[int, int], others: Sequence[Box]) -> Box:
    """Place a name where it hides least: above, below, or within its own box."""
    width, height = size
    places = []
    for left in (box.left, box.right - width, (box.left + box.right - width) // 2):
        for top in (box.top - height, box.bottom, box.top, box.bottom - height):
            x, y = min(max(left, 0), PANEL - width), min(max(top, 0), PANEL - height)
            places.append(Box(x, y, x + width, y + height))

    def hidden(place: Box) -> float:
        # Its own object is the last thing but others that a name should hide.
        return sum(shared_area(place, other) for other in others) + 0.15 * shared_area(place, box)

    return min(places, key=hidden)


def _draw_texts(image: Image.Image, place: tuple[float, float], *parts: tuple[str, Color]) -> None:
    left, middle = place
    for text, color in parts:
        draw_text(image, (left, middle), text, _TEXT, color)
        left += text_length(text, _TEXT)


def _draw_legend(sheet: Image.Image, middle: float) -> None:
    draw, left = ImageDraw.Draw(sheet), float(_MARGIN)
    for name, color in _LEGEND:
        draw.rectangle((left, middle - 6, left + 12, middle + 6), fill=color)
        draw_text(sheet, (left + 18, middle), name, _TEXT, _GREY)
        left += text_length(name, _TEXT) + 42
