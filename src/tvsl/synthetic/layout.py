"""What stands where in a picture: classes, radii and places, drawn so that only sound tells.

All radii come from one distribution and all places are drawn jointly, so that no size, place or
order gives the sounding object away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tvsl.synthetic.exact import power

SIDE = 112
SMALLEST, LARGEST = 12.0, 30.0
TWIN_RATIO = 1.6
_CANDIDATES = 64
_GAP = 2.0

Place = tuple[float, float, float]
"""Centre x, centre y and radius in pixels."""


def draw_radius(rng: np.random.Generator) -> float:
    """A radius in pixels, log-uniform from 12 to 30."""
    return SMALLEST * power(LARGEST / SMALLEST, rng.random())


def draw_places(rng: np.random.Generator, count: int, twin: bool) -> list[Place]:
    """Places for some objects that do not overlap.

    Args:
        rng: Source of randomness.
        count: How many objects.
        twin: Whether the first two are twins, whose radii differ by a factor of at least 1.6.

    Returns:
        One place per object.
    """
    while True:
        radii = [draw_radius(rng) for _ in range(count)]
        if twin and max(radii[:2]) < TWIN_RATIO * min(radii[:2]):
            continue
        radius = np.array(radii)
        centres = radius[:, None] + rng.random((_CANDIDATES, count, 2)) * (
            SIDE - 2 * radius[:, None]
        )
        first, second = np.triu_indices(count, 1)
        apart = np.square(centres[:, first] - centres[:, second]).sum(axis=-1)
        fits = (apart > np.square(radius[first] + radius[second] + _GAP)).all(axis=1)
        if fits.any():
            chosen = centres[int(fits.argmax())]
            return [(float(x), float(y), r) for (x, y), r in zip(chosen, radii, strict=True)]


def draw_other(rng: np.random.Generator, names: Sequence[str], taken: set[str]) -> str:
    """A class that is none of ``taken``."""
    free = [name for name in names if name not in taken]
    return free[int(rng.integers(len(free)))]
