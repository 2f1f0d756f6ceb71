"""Colours: one of its own for each sound source, and a ramp from cold to hot for one map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import ShapeError, UsageError
from tvsl.localization import Localization

Color = tuple[int, int, int]
Picture = NDArray[np.uint8]
HeatMap = NDArray[np.float32]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)

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


def source_color(index: int) -> Color:
    """Colour of one sound source.

    Args:
        index: Number of the source, from 0. The first 7 have hues of their own, lighter and
            darker ones follow; the colours repeat after 56.

    Returns:
        Red, green and blue, each 0 to 255.

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
    """A colour for every label, the same in all pictures and the video of one input.

    Args:
        localizations: The moments, in the order of time.

    Returns:
        The colours, in the order of each label's first appearance.
    """
    labels = dict.fromkeys(source.label for found in localizations for source in found.sources)
    return {label: source_color(index) for index, label in enumerate(labels)}


def text_color(background: Color) -> Color:
    """Black or white, whichever is easier to read on a colour.

    Args:
        background: Red, green and blue, each 0 to 255.

    Returns:
        Black or white.
    """
    red, green, blue = background
    # Weights of the channels in perceived lightness, ITU-R BT.601.
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else WHITE


def _heat_table() -> Picture:
    positions = np.linspace(0.0, 1.0, _HEAT_LEVELS)
    anchors = np.array(_HEAT_ANCHORS, dtype=np.float64)
    channels = [np.interp(positions, _HEAT_STOPS, anchors[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


_HEAT_TABLE = _heat_table()


def heat_colors(values: HeatMap) -> Picture:
    """Colours of a heat-map: dark blue where it is cold, over red to yellow.

    Args:
        values: Map, (H, W), in [0, 1]; values outside are cut to the range.

    Returns:
        Colours, (H, W, 3), uint8.

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
    colors: Picture = _HEAT_TABLE[levels]
    return colors
