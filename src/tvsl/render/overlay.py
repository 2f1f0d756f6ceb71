"""Pictures with the sound drawn in: heat-maps, tints, boxes and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tvsl.errors import UsageError
from tvsl.localization import (
    Box,
    Localization,
    SoundSource,
    min_max,
    reduced_size,
    scaled_box,
    upscale,
)
from tvsl.media.writing import write_png
from tvsl.render.captions import (
    Corner,
    caption_bar,
    corner_place,
    draw_box,
    legend_corner,
    legend_patch,
    text_size,
)
from tvsl.render.colors import (
    TINT_STRENGTH,
    Color,
    HeatMap,
    Picture,
    blend_layer,
    check_map,
    check_picture,
    check_strength,
    heat_colors,
    label_colors,
    mix_tints,
)
from tvsl.render.contact_sheet import SHEET_TEXT, arrange_panels, sheet_picture, sheet_title
from tvsl.utils.atomic import check_free_file, writable, write_whole

HEAT_STRENGTH = 0.55
LONGEST_DRAWN = 2048
_PICTURE_BAR: Color = (70, 70, 78)


def drawn_picture(image: Picture) -> Picture:
    """The picture at a size to draw on.

    Drawing takes twenty times the memory of what is drawn on.

    Args:
        image: Picture, (H, W, 3), uint8.

    Returns:
        The picture, reduced where its longer side has more than 2048 pixels.

    Raises:
        ShapeError: The picture has another shape or type.
    """
    check_picture(image)
    size = (image.shape[0], image.shape[1])
    drawn = reduced_size(size, LONGEST_DRAWN)
    if drawn == size:
        return image
    resized = Image.fromarray(image).resize((drawn[1], drawn[0]), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def heat_overlay(image: Picture, heatmap: HeatMap, strength: float = HEAT_STRENGTH) -> Picture:
    """Lay one heat-map over a picture; the colder a place, the more of the picture shows.

    Args:
        image: Picture, (H, W, 3), uint8.
        heatmap: Map, (H, W), in [0, 1].
        strength: Share of the heat's colour at the hottest place, in [0, 1].

    Returns:
        The picture with the map, (H, W, 3), uint8.

    Raises:
        ShapeError: The picture or the map has another shape or type.
        UsageError: The strength is outside its range.
    """
    check_picture(image)
    check_map(heatmap, image)
    check_strength(strength)
    heat = np.clip(heatmap, 0.0, 1.0).astype(np.float32)
    colors = heat_colors(heat)
    share = strength * heat
    planes = [colors[:, :, channel] * share for channel in range(3)]
    return blend_layer(image, np.stack([*planes, share]).astype(np.float32))


def tinted_overlay(
    image: Picture,
    heatmaps: Sequence[HeatMap],
    colors: Sequence[Color],
    strength: float = TINT_STRENGTH,
) -> Picture:
    """Lay the maps of several sources over a picture at once, each as a tint in its own colour.

    Args:
        image: Picture, (H, W, 3), uint8.
        heatmaps: Maps, each (H, W), in [0, 1]; none leaves the picture as it is.
        colors: One colour for each map.
        strength: Share of the colour where a source is hottest, in [0, 1].

    Returns:
        The picture with the tints, (H, W, 3), uint8.

    Raises:
        ShapeError: The picture or a map has another shape or type.
        UsageError: There are not as many colours as maps, or the strength is out of range.
    """
    check_picture(image)
    check_strength(strength)
    if len(heatmaps) != len(colors):
        raise UsageError(
            f"There are {len(heatmaps)} maps but {len(colors)} colours.",
            "Give one colour for each map.",
        )
    for heatmap in heatmaps:
        check_map(heatmap, image)
    if not heatmaps:
        return image.copy()
    return blend_layer(image, mix_tints(heatmaps, colors, strength))


def _heat_panel(
    image: Picture, source: SoundSource, color: Color
) -> tuple[Image.Image, Box | None]:
    size = (image.shape[0], image.shape[1])
    picture = Image.fromarray(heat_overlay(image, min_max(upscale(source.grid, size))))
    box = source.box
    if box is not None:
        box = scaled_box(box, source.size, size)
        draw_box(picture, box, color)
    return picture, box


def source_overlay(image: Picture, source: SoundSource, color: Color) -> Picture:
    """Draw one source: its heat-map, its box, and a bar with its name and score.

    The bar lies at the bottom, or at the top where it would hide the box otherwise.

    Args:
        image: Picture, (H, W, 3), uint8; map and box are scaled to it.
        source: The source.
        color: Its colour, for box and bar.

    Returns:
        The picture with the source, (H, W, 3), uint8.

    Raises:
        ShapeError: The picture has another shape or type.
    """
    check_picture(image)
    picture, box = _heat_panel(image, source, color)
    size = text_size(picture.height, picture.width)
    bar = caption_bar(picture.width, size, source.label, f"{source.score:.2f}", color)
    bottom = max(picture.height - bar.height, 0)
    hides_box = box is not None and box.bottom > bottom and box.top >= bar.height
    picture.paste(bar, (0, 0 if hides_box else bottom))
    return np.array(picture)


def draw_labels(
    image: Picture,
    entries: Sequence[tuple[str, Color, Box | None]],
    corner: Corner | None = None,
) -> Picture:
    """Draw the boxes of several sources and a legend of their names.

    Args:
        image: Picture, (H, W, 3), uint8.
        entries: Name, colour and box of each source; None draws no box.
        corner: Where the legend lies; None takes the corner where it hides least of the boxes.

    Returns:
        The picture with boxes and legend, (H, W, 3), uint8.

    Raises:
        ShapeError: The picture has another shape or type.
    """
    check_picture(image)
    picture = Image.fromarray(image)
    boxes = []
    for _, color, box in entries:
        if box is not None:
            draw_box(picture, box, color)
            boxes.append(box)
    names = tuple((name, color) for name, color, _ in entries)
    legend = legend_patch(names, picture.height, picture.width)
    if legend is not None:
        picture_size, legend_size = picture.size[::-1], legend.size[::-1]
        corner = corner or legend_corner(picture_size, legend_size, boxes)
        picture.paste(legend, corner_place(picture_size, legend_size, corner), legend)
    return np.array(picture)


def contact_sheet(
    image: Picture, localization: Localization, colors: Mapping[str, Color] | None = None
) -> Picture:
    """The picture and one panel for each source beside it, under a line on how it was made.

    Panels are scaled to 240 to 480 pixels (320 where there are many), so that sheets of very
    large pictures and of many sources stay usable.

    Args:
        image: Picture, (H, W, 3), uint8.
        localization: Its sources.
        colors: The colour of each label; ``label_colors`` of this moment when None.

    Returns:
        The sheet, (H', W', 3), uint8.

    Raises:
        ShapeError: The picture has another shape or type.
    """
    check_picture(image)
    chosen = label_colors([localization]) if colors is None else colors
    picture = sheet_picture(image, 1 + len(localization.sources))
    pixels = np.array(picture)
    panels = [(picture, caption_bar(picture.width, SHEET_TEXT, "picture", "", _PICTURE_BAR))]
    for source in localization.sources:
        color = chosen[source.label]
        score = f"{source.score:.2f}"
        bar = caption_bar(picture.width, SHEET_TEXT, source.label, score, color)
        panels.append((_heat_panel(pixels, source, color)[0], bar))
    return np.array(arrange_panels(panels, sheet_title(localization)))


def save_png(image: Picture, path: str | Path, force: bool = False) -> Path:
    """Write a picture as PNG, whole or not at all.

    Args:
        image: Picture, (H, W, 3), uint8.
        path: Where to; the folder must exist.
        force: Whether an existing file may be replaced.

    Returns:
        The path that was written.

    Raises:
        ShapeError: The picture has another shape or type.
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    check_picture(image)
    target = Path(path)
    check_free_file(target, force)
    with writable(target, "file"):
        write_whole(target, lambda part: write_png(part, image))
    return target
