"""Colours of sources and heat, and how they are blended into images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tvsl.boxes import BOX_CUT
from tvsl.errors import ShapeError, UsageError

if TYPE_CHECKING:
    from tvsl.localization import Localization

Color = tuple[int, int, int]
"""Red, green and blue, each 0 to 255."""
RGBImage = NDArray[np.uint8]
"""(H, W, 3), 0 to 255."""
HeatMap = NDArray[np.float32]
"""(H, W), in [0, 1]."""
Layer = NDArray[np.float32]
"""(4, H, W): red, green and blue in 0 to 255, multiplied by the opacity, then it in [0, 1]."""

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
COLOR_STRENGTH = 0.62

# The hues of Okabe and Ito, told apart under every common colour blindness, made brighter than
# in print because they lie on photographs; ordered so that the first few differ most.
_HUES: tuple[Color, ...] = (
    (255, 150, 0),
    (70, 185, 255),
    (0, 205, 140),
    (245, 105, 190),
    (250, 235, 60),
    (60, 75, 250),
    (225, 48, 35),
)
# Each further round through the hues mixes in this much white or black.
_ROUNDS: tuple[tuple[Color, float], ...] = (
    (WHITE, 0.0),
    (WHITE, 0.5),
    (BLACK, 0.3),
    (WHITE, 0.7),
    (BLACK, 0.45),
    (WHITE, 0.3),
    (BLACK, 0.15),
    (WHITE, 0.82),
)

# From cold to hot with rising lightness, so that the ramp also reads in greyscale; not up to white,
# which would vanish on bright skies.
_HEAT_STOPS = (0.0, 0.2, 0.42, 0.64, 0.84, 1.0)
_HEAT_ANCHORS: tuple[Color, ...] = (
    (12, 14, 82),
    (76, 24, 150),
    (186, 42, 122),
    (240, 100, 50),
    (255, 176, 32),
    (255, 240, 40),
)
_HEAT_LEVELS = 1024
# Over 1 it keeps the colours near the peaks: with several sources at once, lukewarm places would
# otherwise cover the whole image with a mixture of all colours.
_GAMMA = 1.8


def source_color(index: int) -> Color:
    """Colour of one sound source.

    Args:
        index: Number of the source, from 0. The first 7 have hues of their own, lighter and
            darker ones follow; the colours repeat after 56.

    Raises:
        UsageError: The index is negative.
    """
    if index < 0:
        raise UsageError(f"A source's number cannot be negative: {index}.", "Count from 0.")
    hue = _HUES[index % len(_HUES)]
    towards, share = _ROUNDS[index // len(_HUES) % len(_ROUNDS)]
    red, green, blue = (
        round(part + (goal - part) * share) for part, goal in zip(hue, towards, strict=True)
    )
    return red, green, blue


def label_colors(localizations: Sequence[Localization]) -> dict[str, Color]:
    """A colour for every label, the same in all images and the video of one input.

    They are given in the order of time of each label's first appearance.
    """
    labels = dict.fromkeys(source.label for found in localizations for source in found.sources)
    return {label: source_color(index) for index, label in enumerate(labels)}


_FAINTEST = 0.35


def certainty(score: float, threshold: float | None) -> float:
    """Share of its full strength at which the map of a source is drawn.

    Args:
        score: Score of the source.
        threshold: Score from which a class sounds; None where scores are not calibrated.

    Returns:
        1 from the threshold on and without one, less for lower scores, at least 0.35.
    """
    if threshold is None or score >= threshold:
        return 1.0
    return max(_FAINTEST, score / threshold) if threshold > 0 else _FAINTEST


def half_height_line(heatmap: HeatMap, width: int) -> NDArray[np.bool_]:
    """Line around what is at least half as hot as the hottest place; none at the picture's edges.

    Args:
        heatmap: Map, (H, W), in [0, 1].
        width: Pixels of the line, at least 1.

    Returns:
        The line, (H, W).
    """
    return outline(heatmap >= BOX_CUT, width)


def outline(region: NDArray[np.bool_], width: int, at_edges: bool = False) -> NDArray[np.bool_]:
    """Find the pixels of a region that are near to what is outside of it: line, (H, W).

    Args:
        region: The region, (H, W).
        width: Steps from pixel to pixel that count as near, at least 1.
        at_edges: Whether there is a line also where the region ends with the picture.
    """
    line: NDArray[np.bool_] = region & ~inner_region(region, width, not at_edges)
    return line


def inner_region(region: NDArray[np.bool_], width: int, goes_on: bool = True) -> NDArray[np.bool_]:
    """Pixels of a region from which nothing outside of it can be reached in some steps: (H, W).

    Args:
        region: The region, (H, W).
        width: Number of steps, each to a pixel above, below, left or right.
        goes_on: Whether the region counts as going on beyond the edges of the picture.
    """
    inner = region.copy()
    for _ in range(width):
        before = inner.copy()
        inner[1:] &= before[:-1]
        inner[:-1] &= before[1:]
        inner[:, 1:] &= before[:, :-1]
        inner[:, :-1] &= before[:, 1:]
        if not goes_on:
            inner[[0, -1]] = False
            inner[:, [0, -1]] = False
    return inner


def text_color(background: Color) -> Color:
    """Black or white, whichever is easier to read on a background."""
    red, green, blue = background
    # Weights of the channels in perceived lightness, ITU-R BT.601.
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else WHITE


@cache
def _heat_table() -> RGBImage:
    """The colour of every level, (levels, 3)."""
    positions = np.linspace(0.0, 1.0, _HEAT_LEVELS)
    anchors = np.array(_HEAT_ANCHORS, dtype=np.float64)
    channels = [np.interp(positions, _HEAT_STOPS, anchors[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def heat_colors(values: HeatMap) -> RGBImage:
    """Colour a heat-map, (H, W, 3) uint8: dark blue where it is cold, over red to yellow.

    Args:
        values: Map, (H, W), in [0, 1]; values outside are cut to the range.

    Raises:
        ShapeError: The map has not two axes or holds values that are not finite.
    """
    if values.ndim != 2:
        raise ShapeError(
            f"A heat-map must have two axes, got shape {values.shape}.", "Give one map, (H, W)."
        )
    if not np.isfinite(values).all():
        raise ShapeError(
            "The heat-map holds values that are not finite.", "Check where it was made."
        )
    levels = np.rint(np.clip(values, 0.0, 1.0) * (_HEAT_LEVELS - 1)).astype(np.intp)
    colors: RGBImage = _heat_table()[levels]
    return colors


def check_image(image: RGBImage) -> None:
    """Refuse a picture that is not (H, W, 3) uint8 with a ``ShapeError``."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ShapeError(
            f"A picture must be (H, W, 3) of uint8, got {image.shape} of {image.dtype}.",
            "Convert it to RGB with 8 bits for each channel.",
        )


def check_overlay(image: RGBImage, heatmaps: Sequence[HeatMap], strength: float) -> None:
    """Refuse an image, maps or a strength that cannot be blended.

    Args:
        image: Must be (H, W, 3), uint8.
        heatmaps: Each must be (H, W).
        strength: Must be in [0, 1].

    Raises:
        ShapeError: The image or a map has another shape or type.
        UsageError: The strength is outside its range.
    """
    check_image(image)
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"The strength {strength} is not in [0, 1].", "Choose e.g. 0.55.")
    for heatmap in heatmaps:
        if heatmap.shape != image.shape[:2]:
            raise ShapeError(
                f"The heat-map of shape {heatmap.shape} does not fit the picture "
                f"{image.shape[:2]}.",
                "Scale the map up to the picture's size first.",
            )


def color_layer(
    heatmaps: Sequence[HeatMap], colors: Sequence[Color], strength: float = COLOR_STRENGTH
) -> Layer:
    """Mix the maps of several sources, each in its own colour, whatever their order.

    Args:
        heatmaps: At least one map, each (h, w), in [0, 1].
        colors: One colour for each map.
        strength: Opacity where one source is hottest, in [0, 1].

    Returns:
        The layer, (4, h, w).
    """
    opacities = strength * np.clip(np.stack(heatmaps), 0.0, 1.0) ** _GAMMA
    covered = 1.0 - np.prod(1.0 - opacities, axis=0)
    # A place that two sources claim gets the mean of their colours, weighted by their opacities.
    weights = opacities / np.maximum(opacities.sum(axis=0), 1e-6) * covered
    mixed = np.einsum("nhw,nc->chw", weights, np.array(colors, dtype=np.float32))
    layer: Layer = np.concatenate([mixed, covered[None]]).astype(np.float32)
    return layer


def blend(image: RGBImage, layer: Layer) -> RGBImage:
    """Lay a layer over an image.

    Args:
        image: Image, (H, W, 3), uint8.
        layer: The layer, (4, H, W).

    Returns:
        The image under the layer, (H, W, 3), uint8.
    """
    result = np.empty_like(image)
    kept = 1.0 - layer[3]
    for channel in range(3):
        blended = image[:, :, channel] * kept
        blended += layer[channel]
        # Half a step more, because the cast to whole numbers cuts the rest off.
        blended += 0.5
        result[:, :, channel] = np.minimum(blended, 255.0)
    return result
