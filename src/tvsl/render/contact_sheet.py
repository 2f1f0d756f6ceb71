"""Contact sheets: an image and the heat-map of each of its sources side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tvsl.render.colors import WHITE, Color, RGBImage, certainty, check_image, label_colors
from tvsl.render.drawing import caption_bar, draw_text, line_height, shorten
from tvsl.render.fonts import text_length, writable_text
from tvsl.render.overlay import boxed_heat

if TYPE_CHECKING:
    from tvsl.localization import Localization

_TEXT = 15
_LARGEST_PANEL = 480
_SMALLEST_PANEL = 240
_PANEL_OF_MANY = 320
_MANY_PANELS = 12
_MARGIN = 12
_BACKGROUND: Color = (28, 28, 32)
_IMAGE_BAR: Color = (70, 70, 78)
# Width over height that a sheet comes close to, that of common screens.
_ASPECT_RATIO = 1.6


def contact_sheet(
    image: RGBImage,
    localization: Localization,
    colors: Mapping[str, Color] | None = None,
    panel: int | None = None,
) -> RGBImage:
    """Draw the image and one panel for each source beside it, under a line on how it was made.

    Panels are scaled to 240 to 480 pixels (320 where there are many), so that sheets of very
    large images and of many sources stay usable.

    Args:
        image: Image, (H, W, 3), uint8.
        localization: Its sources.
        colors: The colour of each label; ``label_colors`` of this moment when None.
        panel: Longer side of each panel in pixels, in place of these.

    Returns:
        The sheet, (H', W', 3), uint8.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    if colors is None:
        colors = label_colors([localization])
    scaled = _panel_image(image, 1 + len(localization.sources), panel)
    panels = [(scaled, caption_bar(scaled.width, _TEXT, "picture", "", _IMAGE_BAR))]
    for source in localization.sources:
        color = colors[source.label]
        certain = certainty(source.score, localization.threshold)
        heat, _ = boxed_heat(np.array(scaled), source, color, certain)
        bar = caption_bar(scaled.width, _TEXT, source.label, f"{source.score:.2f}", color)
        panels.append((heat, bar))
    return np.array(_arranged(panels, _title(localization)))


def moments_sheet(sheets: Sequence[RGBImage]) -> RGBImage:
    """Sheets of several moments in columns, read downwards, near to the shape of a screen.

    Args:
        sheets: At least one sheet.

    Returns:
        The sheet, (H', W', 3), uint8.
    """
    height, width = (math.ceil(np.mean([one.shape[axis] for one in sheets])) for axis in (0, 1))
    columns = min(len(sheets), max(1, balanced_columns(len(sheets), width, height)))
    rows = math.ceil(len(sheets) / columns)
    columns = math.ceil(len(sheets) / rows)
    # A row is as high as its highest sheet, a column as wide as its widest.
    heights, widths = np.zeros(rows, int), np.zeros(columns, int)
    for number, sheet in enumerate(sheets):
        column, row = divmod(number, rows)
        heights[row] = max(heights[row], sheet.shape[0])
        widths[column] = max(widths[column], sheet.shape[1])
    tops, lefts = (np.concatenate([[0], one.cumsum()]) for one in (heights, widths))
    whole = np.full((tops[-1], lefts[-1], 3), _BACKGROUND, np.uint8)
    for number, sheet in enumerate(sheets):
        column, row = divmod(number, rows)
        top, left = tops[row], lefts[column]
        whole[top : top + sheet.shape[0], left : left + sheet.shape[1]] = sheet
    return whole


def balanced_columns(count: int, width: int, height: int) -> int:
    """Columns of a grid whose shape is near to that of a screen.

    Args:
        count: Number of cells.
        width: Width of a cell.
        height: Height of a cell.

    Returns:
        Their number, at least 1; it may be more than there are cells.
    """
    return math.ceil(math.sqrt(count * _ASPECT_RATIO * height / width))


def _panel_image(image: RGBImage, panels: int, side: int | None) -> Image.Image:
    """The image at the size of a panel, both for very large and for tiny ones."""
    whole = Image.fromarray(image)
    longer = max(whole.size)
    largest = _LARGEST_PANEL if panels <= _MANY_PANELS else _PANEL_OF_MANY
    scale = (side or min(max(longer, _SMALLEST_PANEL), largest)) / longer
    size = (max(round(whole.width * scale), 1), max(round(whole.height * scale), 1))
    return whole.resize(size, Image.Resampling.LANCZOS)


def _title(localization: Localization) -> list[str]:
    """Parts of the line over a sheet: the model, where the labels are from, and the time."""
    parts = [localization.model, f"labels {localization.label_source}"]
    if localization.time is not None:
        parts.append(f"at {localization.time:.2f} s")
    if not localization.sources:
        parts.append("no sounding object")
    return parts


def _arranged(
    panels: Sequence[tuple[Image.Image, Image.Image]], title: Sequence[str]
) -> Image.Image:
    """Panels of one size, each over its bar, in a grid under a title."""
    panel, bar = panels[0]
    across, down = panel.width + _MARGIN, panel.height + bar.height + _MARGIN
    balanced = min(len(panels), balanced_columns(len(panels), across, down))
    columns = len(panels) if len(panels) <= 3 else balanced
    width = columns * across + _MARGIN
    lines = _wrapped(title, width - 2 * _MARGIN)
    step = line_height(_TEXT)
    top = len(lines) * step + _MARGIN
    sheet = Image.new("RGB", (width, top + math.ceil(len(panels) / columns) * down), _BACKGROUND)
    for number, line in enumerate(lines):
        draw_text(sheet, (_MARGIN, _MARGIN / 2 + step * (number + 0.5)), line, _TEXT, WHITE)
    for number, (panel, panel_bar) in enumerate(panels):
        row, column = divmod(number, columns)
        place = (_MARGIN + column * across, top + row * down)
        sheet.paste(panel, place)
        sheet.paste(panel_bar, (place[0], place[1] + panel.height))
    return sheet


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    """The parts on one line where they fit, else each on its own."""
    whole = "  |  ".join(" ".join(part.split()) for part in parts)
    whole = writable_text(whole)
    if text_length(whole, _TEXT) <= width:
        return [whole]
    return [shorten(part, _TEXT, width) for part in parts]
