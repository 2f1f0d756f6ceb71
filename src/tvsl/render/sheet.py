"""Layout of a contact sheet: how large its panels are and where they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from tvsl.localization import Localization
from tvsl.render.captions import draw_text, font_of_size, line_height, shorten
from tvsl.render.colormap import WHITE, Color, Picture

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
