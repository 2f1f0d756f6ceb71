"""Text, boxes and legends on images: sizes that suit the image, names cut to the space there is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw

from tvsl.boxes import Box, shared_area
from tvsl.errors import printable
from tvsl.render.colors import BLACK, WHITE, Color, text_color
from tvsl.render.fonts import (
    JOINERS,
    chosen_font,
    draw_line,
    font_of_size,
    text_length,
    writable_text,
)

Corner = Literal["bottom left", "bottom right", "top left", "top right"]

CORNERS: tuple[Corner, ...] = ("bottom left", "bottom right", "top left", "top right")
ELLIPSIS = "…"
_SMALLEST_TEXT = 9
_LARGEST_TEXT = 96
_LONGEST_NAME = 300
_LEGEND_HEIGHT = 0.45
_LEGEND_WIDTH = 0.5
_LEGEND_SHADE = (0, 0, 0, 145)
_TINY_IMAGE = 100


def text_size(height: int, width: int) -> int:
    """Size in pixels of the font that suits an image.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    return round(min(max(min(height, width) / 28, _SMALLEST_TEXT), _LARGEST_TEXT))


def line_height(size: int) -> int:
    """Pixels from line to line for a font of a size in pixels."""
    return round(size * 1.45)


def shorten(text: str, size: int, width: float) -> str:
    """Cut a text to a width, with an ellipsis where something is missing.

    Args:
        text: Any text; control characters and those that no font has are shown as in messages,
            others that cannot be seen become spaces.
        size: Size of the font in pixels.
        width: Room in pixels.

    Returns:
        The text or its beginning; empty where not even the ellipsis has room.
    """
    # Measuring takes time with the length, and no image holds more than this.
    seen = printable(" ".join(text[: 4 * _LONGEST_NAME].split()))
    spaced = "".join(
        letter if letter.isprintable() or letter in JOINERS else " " for letter in seen
    )
    line = writable_text(" ".join(spaced.split())[:_LONGEST_NAME])
    if text_length(line, size) <= width:
        return line
    too_long = bisect_right(
        range(len(line)),
        width,
        key=lambda kept: text_length(line[:kept].rstrip() + ELLIPSIS, size),
    )
    return "" if too_long == 0 else line[: too_long - 1].rstrip(" ,;:-") + ELLIPSIS


def draw_text(
    image: Image.Image, place: tuple[float, float], text: str, size: int, color: Color
) -> None:
    """Write one line, its left end and its vertical middle at a place.

    Args:
        image: What to write on.
        place: Column and row in pixels.
        text: The line, as ``shorten`` returns it.
        size: Size of the font in pixels.
        color: Colour of the letters.
    """
    if text:
        draw_line(image, place, text, size, color)


def caption_bar(width: int, size: int, name: str, value: str, color: Color) -> Image.Image:
    """Draw a bar with a name at its left end and a value at its right end.

    The value is kept whole as long as it fits at all, the name is shortened.

    Args:
        width: Width of the bar in pixels, at least 1.
        size: Size of the font in pixels.
        name: Name, shortened to fit.
        value: Value, e.g. a score; may be empty.
        color: Colour of the bar.

    Returns:
        The bar, RGB; do not draw on it, it is used again.
    """
    return _caption_bar(chosen_font(), width, size, name, value, color)


@lru_cache(maxsize=64)
def _caption_bar(
    _font: Path | None, width: int, size: int, name: str, value: str, color: Color
) -> Image.Image:
    height = line_height(size)
    bar = Image.new("RGB", (width, height), color)
    letters = text_color(color)
    margin = max(1, size // 3)
    shown_value = shorten(value, size, width - 2 * margin)
    value_width = text_length(shown_value, size)
    gap = 2 * margin if shown_value else 0
    shown_name = shorten(name, size, width - 2 * margin - value_width - gap)
    draw_text(bar, (margin, height / 2), shown_name, size, letters)
    draw_text(bar, (width - margin - value_width, height / 2), shown_value, size, letters)
    return bar


def draw_box(image: Image.Image, box: Box, color: Color) -> None:
    """Draw a box with a dark rim, so that it shows on bright and dark ground; cut at the edges.

    Args:
        image: What to draw on, RGB.
        box: The box in pixels of the image.
        color: Colour of its lines.
    """
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, image.width) - 1, min(box.bottom, image.height) - 1
    if right < left or bottom < top:
        return
    draw = ImageDraw.Draw(image)
    thickness = max(1, round(min(image.size) / 160))
    # In a tiny image the rim would be thicker than the line itself.
    rim = 0 if min(image.size) < _TINY_IMAGE else max(1, thickness // 3)
    if rim:
        draw.rectangle((left, top, right, bottom), outline=BLACK, width=thickness + 2 * rim)
    if right - left > 2 * rim and bottom - top > 2 * rim:
        inner = (left + rim, top + rim, right - rim, bottom - rim)
        draw.rectangle(inner, outline=color, width=thickness)


def draw_tags(image: Image.Image, tags: Sequence[tuple[str, Color, Box]]) -> None:
    """Write the name of each source at its box: above its upper left corner, or in it.

    A name that would lie on another one is moved down.

    Args:
        image: What to draw on, RGB.
        tags: Name, colour and box of each source.
    """
    size = text_size(image.height, image.width)
    taken: list[Box] = []
    for name, color, box in tags:
        height, margin = line_height(size), max(1, size // 3)
        text = shorten(name, size, image.width - 2 * margin)
        if not text or 3 * height > image.height:
            continue
        width = min(round(text_length(text, size)) + 2 * margin, image.width)
        left = min(max(box.left, 0), image.width - width)
        top = max(box.top - height, 0)
        while any(shared_area(Box(left, top, left + width, top + height), one) for one in taken):
            top += height
        if top + height > image.height:
            continue
        taken.append(Box(left, top, left + width, top + height))
        image.paste(caption_bar(width, size, text, "", color), (left, top))


def draw_color_bar(image: Image.Image, colors: Image.Image) -> None:
    """Draw the scale of a heat-map at the right edge of a picture, from 0 to its hottest place, 1.

    Nothing is drawn on a picture that is too small for it.

    Args:
        image: What to draw on, RGB.
        colors: The colours from 0 at the left to 1 at the right, one row.
    """
    size = max(_SMALLEST_TEXT, round(0.75 * text_size(image.height, image.width)))
    step, height = line_height(size), round(0.4 * image.height)
    if height < 4 * step or image.width < 12 * size:
        return
    width, margin = max(4, size // 2), size // 2
    left, top = image.width - width - margin, (image.height - height) // 2
    draw = ImageDraw.Draw(image)
    frame = (left - 2, top - 2, left + width + 1, top + height + 1)
    draw.rectangle(frame, fill=BLACK)
    bar = colors.rotate(90, expand=True).resize((width, height), Image.Resampling.BILINEAR)
    image.paste(bar, (left, top))
    for text, row in (("1", top - step / 2), ("0", top + height + step / 2)):
        place = (left + width / 2, row)
        font = font_of_size(size)
        draw.text(place, text, WHITE, font, "mm", stroke_width=2, stroke_fill=BLACK)


def draw_legend(
    names: tuple[tuple[str, Color], ...], height: int, width: int
) -> Image.Image | None:
    """Draw the legend for an image: a square of colour and the name of each source.

    It takes at most about half the width and half the height of the image; the last row counts
    the names that found no room.

    Args:
        names: Name and colour of each source.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The legend, RGBA, do not draw on it; None without names or where nothing fits.
    """
    return _legend(chosen_font(), names, height, width)


@lru_cache(maxsize=64)
def _legend(
    _font: Path | None, names: tuple[tuple[str, Color], ...], height: int, width: int
) -> Image.Image | None:
    size = text_size(height, width)
    row = line_height(size)
    margin = max(1, size // 3)
    room = min(width - 2 * margin, max(_LEGEND_WIDTH * width, 14 * size)) - 3 * margin - size
    if not names or room < size or row + margin > height:
        return None
    rows = max(1, min(len(names), int(_LEGEND_HEIGHT * height) // row))
    shown = names[: rows if rows == len(names) else max(rows - 1, 1)]
    lines: list[tuple[str, Color | None]] = [
        (shorten(name, size, room), color) for name, color in shown
    ]
    if rows > len(shown):
        lines.append((shorten(f"+{len(names) - len(shown)} more", size, room), None))
    widest = max(text_length(line, size) for line, _ in lines)
    patch = Image.new(
        "RGBA", (round(widest) + size + 3 * margin, row * rows + margin), _LEGEND_SHADE
    )
    draw = ImageDraw.Draw(patch)
    for number, (line, color) in enumerate(lines):
        middle = margin / 2 + row * (number + 0.5)
        if color is not None:
            swatch = (margin, middle - size * 0.42, margin + size * 0.84, middle + size * 0.42)
            draw.rectangle(swatch, fill=color)
        draw_text(patch, (2 * margin + size, middle), line, size, WHITE)
    return patch


def legend_corner(
    image_size: tuple[int, int], legend_size: tuple[int, int], boxes: Sequence[Box]
) -> Corner:
    """Find the corner where a legend hides least of the boxes.

    Args:
        image_size: Height and width of the image in pixels.
        legend_size: Height and width of the legend in pixels.
        boxes: What should stay visible, in pixels of the image.

    Returns:
        The corner; the bottom left one where all are equal.
    """

    def hidden(corner: Corner) -> int:
        left, top = corner_place(image_size, legend_size, corner)
        legend = Box(left, top, left + legend_size[1], top + legend_size[0])
        return sum(shared_area(legend, box) for box in boxes)

    return min(CORNERS, key=hidden)


def corner_place(
    image_size: tuple[int, int], legend_size: tuple[int, int], corner: Corner
) -> tuple[int, int]:
    """Column and row of a legend's upper left pixel in a corner of an image.

    Args:
        image_size: Height and width of the image in pixels.
        legend_size: Height and width of the legend in pixels.
        corner: The corner.

    Returns:
        Column and row, never outside the image.
    """
    margin = max(1, text_size(*image_size) // 3)
    left = margin if "left" in corner else image_size[1] - legend_size[1] - margin
    top = margin if "top" in corner else image_size[0] - legend_size[0] - margin
    return max(left, 0), max(top, 0)
