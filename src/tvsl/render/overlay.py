"""Images with the sound drawn in: heat-maps, boxes and names."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tvsl.boxes import Box, min_max, scaled_box, upscale
from tvsl.errors import UsageError
from tvsl.media.writing import write_png
from tvsl.render.colors import (
    COLOR_STRENGTH,
    WHITE,
    Color,
    HeatMap,
    RGBImage,
    blend,
    certainty,
    check_image,
    check_overlay,
    color_layer,
    half_height_line,
    heat_colors,
)
from tvsl.render.drawing import (
    caption_bar,
    corner_place,
    draw_box,
    draw_color_bar,
    draw_legend,
    draw_tags,
    legend_corner,
    text_size,
)
from tvsl.utils.atomic import check_free_file, writable, write_whole

if TYPE_CHECKING:
    from tvsl.localization import Localization, SoundSource

Annotation = tuple[str, Color, Box | None]
"""Name, colour and box of a source."""

HEAT_STRENGTH = 0.55
LONGEST_DRAWING = 2048
SMALLEST_DRAWING = 480
_LINE_SHARE = 200


def drawing_image(image: RGBImage, longest: int = LONGEST_DRAWING) -> RGBImage:
    """Bring an image to a size to draw on: names on a small one could not be read.

    Drawing takes twenty times the memory of what is drawn on.

    Args:
        image: Image, (H, W, 3), uint8.
        longest: Limit of the longer side in pixels.

    Returns:
        The image, reduced where its longer side has more pixels, enlarged where it has fewer than
        480.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    longer = max(image.shape[:2])
    wanted = min(max(longer, SMALLEST_DRAWING), longest)
    if wanted == longer:
        return image
    height, width = (max(1, round(side * wanted / longer)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def heat_overlay(image: RGBImage, heatmap: HeatMap, strength: float = HEAT_STRENGTH) -> RGBImage:
    """Lay one heat-map over an image; the colder a place, the more of the image shows.

    Args:
        image: Image, (H, W, 3), uint8.
        heatmap: Map, (H, W), in [0, 1].
        strength: Opacity of the heat's colour at the hottest place, in [0, 1].

    Returns:
        The image with the map, (H, W, 3), uint8.

    Raises:
        ShapeError: The image or the map has another shape or type.
        UsageError: The strength is outside its range.
    """
    check_overlay(image, [heatmap], strength)
    heat = np.clip(heatmap, 0.0, 1.0).astype(np.float32)
    colors = heat_colors(heat)
    opacity = strength * heat
    planes = [colors[:, :, channel] * opacity for channel in range(3)]
    return blend(image, np.stack([*planes, opacity]).astype(np.float32))


def color_overlay(
    image: RGBImage,
    heatmaps: Sequence[HeatMap],
    colors: Sequence[Color],
    strength: float = COLOR_STRENGTH,
) -> RGBImage:
    """Lay the maps of several sources over an image at once, each in its own colour.

    Args:
        image: Image, (H, W, 3), uint8.
        heatmaps: Maps, each (H, W), in [0, 1]; none leaves the image as it is.
        colors: One colour for each map.
        strength: Opacity where a source is hottest, in [0, 1].

    Returns:
        The image with the maps, (H, W, 3), uint8.

    Raises:
        ShapeError: The image or a map has another shape or type.
        UsageError: There are not as many colours as maps, or the strength is out of range.
    """
    check_overlay(image, heatmaps, strength)
    if len(heatmaps) != len(colors):
        raise UsageError(
            f"There are {len(heatmaps)} maps but {len(colors)} colours.",
            "Give one colour for each map.",
        )
    if not heatmaps:
        return image.copy()
    return blend(image, color_layer(heatmaps, colors, strength))


def boxed_heat(
    image: RGBImage, source: SoundSource, color: Color, certain: float = 1.0
) -> tuple[Image.Image, Box | None]:
    """Draw the heat-map of one source with its scale, the line at half height, and its box.

    Args:
        image: Image, (H, W, 3), uint8; map and box are scaled to it.
        source: The source.
        color: Colour of its box.
        certain: Share of its full strength at which the map is drawn.

    Returns:
        The image with the source, RGB, and its box there; None for a map without contrast.
    """
    size = (image.shape[0], image.shape[1])
    heat = min_max(upscale(source.grid, size))
    heated = heat_overlay(image, heat, HEAT_STRENGTH * certain)
    heated[half_height_line(heat, line_width(size))] = WHITE
    drawn = Image.fromarray(heated)
    if source.box is None:
        return drawn, None
    draw_color_bar(
        drawn, Image.fromarray(heat_colors(np.linspace(0, 1, 64, dtype=np.float32)[None]))
    )
    box = scaled_box(source.box, source.size, size)
    draw_box(drawn, box, color)
    return drawn, box


def line_width(size: tuple[int, int]) -> int:
    """Pixels of the line at half height, by height and width of the image in pixels."""
    return max(1, round(min(size) / _LINE_SHARE))


def source_overlay(
    image: RGBImage, source: SoundSource, color: Color, certain: float = 1.0
) -> RGBImage:
    """Draw one source: its heat-map, its box, and a bar with its name and score.

    The bar lies at the bottom, or at the top where it would hide the box otherwise.

    Args:
        image: Image, (H, W, 3), uint8; map and box are scaled to it.
        source: The source.
        color: Its colour, for box and bar.
        certain: Share of its full strength at which the map is drawn.

    Returns:
        The image with the source, (H, W, 3), uint8.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    drawn, box = boxed_heat(image, source, color, certain)
    size = text_size(drawn.height, drawn.width)
    bar = caption_bar(drawn.width, size, source.label, f"{source.score:.2f}", color)
    bottom = max(drawn.height - bar.height, 0)
    hides_box = box is not None and box.bottom > bottom and box.top >= bar.height
    drawn.paste(bar, (0, 0 if hides_box else bottom))
    return np.array(drawn)


def moment_overlay(image: RGBImage, found: Localization, colors: Mapping[str, Color]) -> RGBImage:
    """Draw all sources of a moment: tints, lines at half height, boxes and names.

    Args:
        image: Image, (H, W, 3), uint8; maps and boxes are scaled to it.
        found: The moment.
        colors: The colour of each label.

    Returns:
        The image with the sources, (H, W, 3), uint8.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    size = (image.shape[0], image.shape[1])
    heats = [min_max(upscale(source.grid, size)) for source in found.sources]
    shares = [certainty(source.score, found.threshold) for source in found.sources]
    own = [colors[source.label] for source in found.sources]
    drawn = color_overlay(
        image, [heat * share for heat, share in zip(heats, shares, strict=True)], own
    )
    for heat, color in zip(heats, own, strict=True):
        drawn[half_height_line(heat, line_width(size))] = color
    annotations = [
        (
            source.label,
            colors[source.label],
            None if source.box is None else scaled_box(source.box, source.size, size),
        )
        for source in found.sources
    ]
    return draw_labels(drawn, annotations) if annotations else drawn


def draw_labels(image: RGBImage, annotations: Sequence[Annotation]) -> RGBImage:
    """Draw the boxes of several sources, each with its name, and a legend of those without a box.

    Args:
        image: Image, (H, W, 3), uint8.
        annotations: Name, colour and box of each source.

    Returns:
        The image with boxes and names, (H, W, 3), uint8.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    drawn = Image.fromarray(image)
    boxed = [(name, color, box) for name, color, box in annotations if box is not None]
    for _, color, box in boxed:
        draw_box(drawn, box, color)
    draw_tags(drawn, boxed)
    names = tuple((name, color) for name, color, box in annotations if box is None)
    legend = draw_legend(names, drawn.height, drawn.width)
    if legend is not None:
        image_size, legend_size = drawn.size[::-1], legend.size[::-1]
        corner = legend_corner(image_size, legend_size, [box for *_, box in boxed])
        drawn.paste(legend, corner_place(image_size, legend_size, corner), legend)
    return np.array(drawn)


def save_jpeg(image: RGBImage, path: str | Path, largest: int, force: bool = False) -> Path:
    """Write an image as JPEG of a limited size, whole or not at all.

    Args:
        image: Image, (H, W, 3), uint8.
        path: Where to; the folder must exist.
        largest: Most bytes; the quality falls, and then the size in pixels, until the file fits.
        force: Whether an existing file may be replaced.

    Raises:
        ShapeError: The image has another shape or type.
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    check_image(image)
    content = jpeg_bytes(image, largest)
    return _save(path, force, lambda part: part.write_bytes(content))


def jpeg_bytes(image: RGBImage, largest: int) -> bytes:
    """An image as JPEG of a limited size; see ``save_jpeg``.

    Args:
        image: Image, (H, W, 3), uint8.
        largest: Most bytes.
    """
    picture = Image.fromarray(image)
    while True:
        for quality in (88, 80, 70):
            content = io.BytesIO()
            picture.save(content, format="JPEG", quality=quality)
            if content.tell() <= largest or max(picture.size) == 1:
                return content.getvalue()
        smaller = (max(1, picture.width * 3 // 4), max(1, picture.height * 3 // 4))
        picture = picture.resize(smaller, Image.Resampling.LANCZOS)


def save_png(image: RGBImage, path: str | Path, force: bool = False) -> Path:
    """Write an image as PNG, whole or not at all.

    Args:
        image: Image, (H, W, 3), uint8.
        path: Where to; the folder must exist.
        force: Whether an existing file may be replaced.

    Raises:
        ShapeError: The image has another shape or type.
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    check_image(image)
    return _save(path, force, lambda part: write_png(part, image))


def _save(path: str | Path, force: bool, write: Callable[[Path], object]) -> Path:
    target = Path(path)
    check_free_file(target, force)
    with writable(target, "file"):
        write_whole(target, write)
    return target
