"""Arithmetic that gives the same bits on every machine.

IEEE 754 rounds additions, products, quotients and square roots exactly. Sines, powers and long sums
differ between processors in the last bits. So their results are rounded to a fixed grid, sines come
from a table, and long sums are sums of whole numbers. ``tests/synthetic/test_bits.py`` holds hashes
of the results.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

GRID = 2.0**-20
TABLE_BITS = 12
PHASE_BITS = 32
_SQUARES_GRID = 2.0**-32


def on_grid(value: float) -> float:
    """Round to a multiple of 2^-20, which hides the last bits of a transcendental result."""
    return round(value / GRID) * GRID


def power(base: float, exponent: float) -> float:
    """Power on the grid.

    Args:
        base: A positive number.
        exponent: Any number.

    Returns:
        ``base ** exponent``, rounded to a multiple of 2^-20.
    """
    return on_grid(math.pow(base, exponent))


@cache
def sine_table() -> NDArray[np.float32]:
    """One period of a sine in 4096 steps, rounded to multiples of 2^-20."""
    angle = 2 * np.pi * np.arange(2**TABLE_BITS) / 2**TABLE_BITS
    table: NDArray[np.float32] = (np.rint(np.sin(angle) / GRID) * GRID).astype(np.float32)
    return table


def sine(turns: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Sine of angles in full turns, at least 0, from the table; the fraction is cut off."""
    # The platform's own index type is looked up three times as fast as a shorter one.
    index = (turns * 2**TABLE_BITS).astype(np.intp)
    index &= 2**TABLE_BITS - 1
    values: NDArray[np.float32] = sine_table()[index]
    return values


def circle(turns: float) -> tuple[float, float]:
    """Cosine and sine of an angle in full turns, on the grid."""
    angle = 2 * math.pi * turns
    return on_grid(math.cos(angle)), on_grid(math.sin(angle))


@cache
def decay_table() -> NDArray[np.float32]:
    """exp(-i / 256) for i from 0 to 4095, on the grid."""
    return (np.rint(np.exp(-np.arange(4096) / 256) / GRID) * GRID).astype(np.float32)


def clamped(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Clip values in place: ``np.clip`` without its overhead, which is large for small arrays.

    Args:
        values: Any shape; changed.
        low: Smallest result.
        high: Largest result.
    """
    np.maximum(values, np.float32(low), out=values)
    return np.minimum(values, np.float32(high), out=values)


def root_mean_square(values: NDArray[np.float32]) -> float:
    """Root mean square of a waveform, on the grid.

    Args:
        values: Any length; the sum of the squares must stay below 2^21, about 10 a sample in a
            clip, so that their sum in units of 2^-32 is exact in float64, in whatever order it
            is added up.
    """
    squares = np.square(values, dtype=np.float64)
    squares *= 1 / _SQUARES_GRID
    total = float(np.rint(squares, out=squares).sum())
    return on_grid(math.sqrt(total * _SQUARES_GRID / len(values)))
