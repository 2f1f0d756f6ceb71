"""Images with the sound drawn in: heat-maps, boxes and names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tvsl.errors import UsageError
from tvsl.localization import (
    Box,
    SoundSource,
    min_max,
    reduced_size,
    scaled_box,
    upscale,
)
from tvsl.media.writing import write_png
from tvsl.render.colors import (
    COLOR_STRENGTH,
    Color,
    HeatMap,
    RGBImage,
    blend,
    check_image,
    check_overlay,
    color_layer,
    heat_colors,
)
from tvsl.render.drawing import (
    Corner,
    caption_bar,
    corner_place,
    draw_box,
    draw_legend,
    legend_corner,
    text_size,
)
from tvsl.utils.atomic import check_free_file, writable, write_whole

Annotation = tuple[str, Color, Box | None]
"""Name, colour and box of a source."""

HEAT_STRENGTH = 0.55
LONGEST_SIDE = 2048


def reduced_image(image: RGBImage) -> RGBImage:
    """Bring an image to a size to draw on.

    Drawing takes twenty times the memory of what is drawn on.

    Args:
        image: Image, (H, W, 3), uint8.

    Returns:
        The image, reduced where its longer side has more than 2048 pixels.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    size = (image.shape[0], image.shape[1])
    height, width = reduced_size(size, LONGEST_SIDE)
    if (height, width) == size:
        return image
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
    image: RGBImage, source: SoundSource, color: Color
) -> tuple[Image.Image, Box | None]:
    """Draw the heat-map and the box of one source.

    Args:
        image: Image, (H, W, 3), uint8; map and box are scaled to it.
        source: The source.
        color: Colour of its box.

    Returns:
        The image with the source, RGB, and its box there; None for a map without contrast.
    """
    size = (image.shape[0], image.shape[1])
    drawn = Image.fromarray(heat_overlay(image, min_max(upscale(source.grid, size))))
    if source.box is None:
        return drawn, None
    box = scaled_box(source.box, source.size, size)
    draw_box(drawn, box, color)
    return drawn, box


def source_overlay(image: RGBImage, source: SoundSource, color: Color) -> RGBImage:
    """Draw one source: its heat-map, its box, and a bar with its name and score.

    The bar lies at the bottom, or at the top where it would hide the box otherwise.

    Args:
        image: Image, (H, W, 3), uint8; map and box are scaled to it.
        source: The source.
        color: Its colour, for box and bar.

    Returns:
        The image with the source, (H, W, 3), uint8.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    drawn, box = boxed_heat(image, source, color)
    size = text_size(drawn.height, drawn.width)
    bar = caption_bar(drawn.width, size, source.label, f"{source.score:.2f}", color)
    bottom = max(drawn.height - bar.height, 0)
    hides_box = box is not None and box.bottom > bottom and box.top >= bar.height
    drawn.paste(bar, (0, 0 if hides_box else bottom))
    return np.array(drawn)


def draw_labels(
    image: RGBImage, annotations: Sequence[Annotation], corner: Corner | None = None
) -> RGBImage:
    """Draw the boxes of several sources and a legend of their names.

    Args:
        image: Image, (H, W, 3), uint8.
        annotations: Name, colour and box of each source; None draws no box.
        corner: The legend's corner; None takes the one where it hides least of the boxes.

    Returns:
        The image with boxes and legend, (H, W, 3), uint8.

    Raises:
        ShapeError: The image has another shape or type.
    """
    check_image(image)
    drawn = Image.fromarray(image)
    boxes = []
    for _, color, box in annotations:
        if box is not None:
            draw_box(drawn, box, color)
            boxes.append(box)
    names = tuple((name, color) for name, color, _ in annotations)
    legend = draw_legend(names, drawn.height, drawn.width)
    if legend is not None:
        image_size, legend_size = drawn.size[::-1], legend.size[::-1]
        corner = corner or legend_corner(image_size, legend_size, boxes)
        drawn.paste(legend, corner_place(image_size, legend_size, corner), legend)
    return np.array(drawn)


def save_png(image: RGBImage, path: str | Path, force: bool = False) -> Path:
    """Write an image as PNG, whole or not at all.

    Args:
        image: Image, (H, W, 3), uint8.
        path: Where to; the folder must exist.
        force: Whether an existing file may be replaced.

    Returns:
        The path that was written.

    Raises:
        ShapeError: The image has another shape or type.
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    check_image(image)
    target = Path(path)
    check_free_file(target, force)
    with writable(target, "file"):
        write_whole(target, lambda part: write_png(part, image))
    return target
