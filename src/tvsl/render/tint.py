"""Blending colours into a picture: the arithmetic under every overlay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tvsl.errors import ShapeError, UsageError
from tvsl.render.colormap import Color, HeatMap, Picture

TINT_STRENGTH = 0.62
# Over 1 it keeps the tint near the peaks: with several sources at once, lukewarm places would
# otherwise cover the whole picture with a mixture of all colours.
_TINT_CONTRAST = 1.8


def check_picture(image: Picture) -> None:
    """Refuse what is no picture.

    Args:
        image: Should be (H, W, 3), uint8.

    Raises:
        ShapeError: It is not.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ShapeError(
            f"A picture must be (H, W, 3) of uint8, got {image.shape} of {image.dtype}.",
            "Convert it to RGB with 8 bits for each channel.",
        )


def check_map(heatmap: HeatMap, image: Picture) -> None:
    """Refuse a map that does not cover its picture.

    Args:
        heatmap: Should be (H, W), in [0, 1].
        image: The picture, (H, W, 3), uint8.

    Raises:
        ShapeError: The sizes differ.
    """
    if heatmap.shape != image.shape[:2]:
        raise ShapeError(
            f"The heat-map of shape {heatmap.shape} does not fit the picture {image.shape[:2]}.",
            "Scale the map up to the picture's size first.",
        )


def check_strength(strength: float) -> None:
    """Refuse a strength outside [0, 1].

    Args:
        strength: Share of the colour at the hottest place.

    Raises:
        UsageError: It is outside.
    """
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"The strength {strength} is not in [0, 1].", "Choose e.g. 0.55.")


def mix_tints(
    heatmaps: Sequence[HeatMap], colors: Sequence[Color], strength: float = TINT_STRENGTH
) -> HeatMap:
    """Mix the tints of several sources into one layer, whatever their order.

    Args:
        heatmaps: At least one map, each (h, w), in [0, 1].
        colors: One colour for each map.
        strength: Share of the colour where one source is hottest, in [0, 1].

    Returns:
        The layer, (4, h, w), float32: red, green and blue in 0 to 255, already multiplied by
        the share of the colour, then that share in [0, 1].
    """
    shares = strength * np.clip(np.stack(heatmaps), 0.0, 1.0) ** _TINT_CONTRAST
    covered = 1.0 - np.prod(1.0 - shares, axis=0)
    # A place that two sources claim gets the mean of their colours, weighted by their shares.
    weights = shares / np.maximum(shares.sum(axis=0), 1e-6) * covered
    mixed = np.einsum("nhw,nc->chw", weights, np.array(colors, dtype=np.float32))
    layer: HeatMap = np.concatenate([mixed, covered[None]]).astype(np.float32)
    return layer


def blend_layer(image: Picture, layer: HeatMap) -> Picture:
    """Lay a layer of ``mix_tints`` over a picture.

    Args:
        image: Picture, (H, W, 3), uint8.
        layer: Layer, (4, H, W), float32.

    Returns:
        The picture with the layer, (H, W, 3), uint8.
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
