"""Arithmetic with seeds: whatever is drawn from a seed of 63 bits can be seeded by the result."""

from __future__ import annotations

from typing import Final

_STRIDE: Final = 1_000_003


def added(seed: int, other: int) -> int:
    """Add two seeds; the sum has 63 bits again.

    Args:
        seed: One seed.
        other: The other.
    """
    return (seed + other) % 2**63


def seed_of_step(seed: int, step: int) -> int:
    """Seed of a step for torch, which takes 64 bits.

    Args:
        seed: Seed of the run.
        step: The step.
    """
    return (seed * _STRIDE + step) % 2**64
