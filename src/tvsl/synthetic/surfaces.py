"""The six surfaces: four colours and two patterns of light and dark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.shapes import Plane

Picture = NDArray[np.float32]

_COLOURS = {
    "red": (205.0, 45.0, 40.0),
    "green": (45.0, 165.0, 60.0),
    "blue": (45.0, 75.0, 205.0),
    "yellow": (225.0, 200.0, 45.0),
}
_COLOUR_SPREAD = 28.0
_TINT = 18.0


def coloured(rng: np.random.Generator, name: str, x: Plane, y: Plane, radius: float) -> Picture:
    """One colour, a little off and lighter towards one side."""
    base = np.array(_COLOURS[name]) + _COLOUR_SPREAD * (2 * rng.random(3) - 1)
    slope = (2 * rng.random(2) - 1) * 24 / radius
    light = np.float32(slope[0]) * x + np.float32(slope[1]) * y
    return base.astype(np.float32) + light[..., None]


def striped(rng: np.random.Generator, name: str, x: Plane, y: Plane, radius: float) -> Picture:  # noqa: ARG001
    """Parallel light and dark stripes, fixed to the object's own axes."""
    period = radius * (0.36 + 0.12 * rng.random())
    phase = rng.random()
    turns = x * np.float32(1 / period) + np.float32(phase)
    # A triangle wave around each edge: a ramp of about one pixel, so that stripes have no jags.
    wave = abs(turns - np.floor(turns) - np.float32(0.5)) - np.float32(0.25)
    return _two_tones(rng, np.clip(wave * np.float32(period) + np.float32(0.5), 0, 1))


def dotted(rng: np.random.Generator, name: str, x: Plane, y: Plane, radius: float) -> Picture:  # noqa: ARG001
    """Dots on a square grid, light on dark or dark on light."""
    period = radius * (0.42 + 0.10 * rng.random())
    offset = rng.random(2)
    across = x * np.float32(1 / period) + np.float32(offset[0])
    down = y * np.float32(1 / period) + np.float32(offset[1])
    across, down = across - np.floor(across) - 0.5, down - np.floor(down) - 0.5
    inside = np.float32(0.3) - np.sqrt(across * across + down * down)
    return _two_tones(rng, np.clip(inside * np.float32(period) + np.float32(0.5), 0, 1))


def _two_tones(rng: np.random.Generator, share: Plane) -> Picture:
    """Blend a light and a dark tone, both almost grey; which is which is left to chance."""
    light = 215 + 30 * (rng.random() - 0.5) + _TINT * (2 * rng.random(3) - 1)
    dark = 35 + 40 * (rng.random() - 0.5) + _TINT * (2 * rng.random(3) - 1)
    first, second = (light, dark) if rng.random() < 0.5 else (dark, light)
    step = (second - first).astype(np.float32)
    return first.astype(np.float32) + share[..., None] * step


Paint = Callable[[np.random.Generator, str, Plane, Plane, float], Picture]

SURFACE_PAINTS: dict[str, Paint] = {
    **dict.fromkeys(_COLOURS, coloured),
    "striped": striped,
    "dotted": dotted,
}
"""Each paints (h, w, 3) in 0 to 255 at offsets (x, y) in the object's own axes."""
