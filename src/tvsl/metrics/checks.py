"""What the metrics ask of their inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.errors import ShapeError


def require(condition: bool, problem: str, remedy: str) -> None:
    """Raise a ShapeError unless a condition holds."""
    if not condition:
        raise ShapeError(problem, remedy)


def check_maps(maps: Tensor) -> None:
    """Check that a tensor holds maps, (P, H, W), floating."""
    require(
        maps.ndim == 3 and maps.is_floating_point() and maps.shape[1] * maps.shape[2] > 0,
        f"Maps must be floating and (P, H, W), got {tuple(maps.shape)} {maps.dtype}.",
        "Give one map per (clip, source) pair.",
    )


def check_pairs(maps: Tensor, targets: Tensor) -> None:
    """Check that each map has its target, both (P, H, W)."""
    require(
        maps.shape == targets.shape and maps.ndim == 3,
        f"Maps and targets must share one shape (P, H, W), got {tuple(maps.shape)} and "
        f"{tuple(targets.shape)}.",
        "Resize the maps to the size of the targets with `resize_maps`.",
    )


def check_masks(masks: Tensor, name: str = "Targets") -> None:
    """Check that each element says yes or no."""
    require(
        masks.dtype == torch.bool,
        f"{name} must be bool, got {masks.dtype}.",
        "Cut at a value first, a consensus map at `> 0`.",
    )


def check_values(values: Tensor) -> None:
    """Check that there is at least one value, (P,), and that none is missing."""
    require(
        values.ndim == 1 and len(values) > 0,
        f"There must be a vector of at least one value, got {tuple(values.shape)}.",
        "Give one value per (clip, source) pair.",
    )
    require(
        not bool(values.isnan().any()),
        "A value is missing (NaN).",
        "Leave out the pairs whose target is empty, and count them.",
    )


def check_alike(values: Tensor, others: Tensor, name: str) -> None:
    """Check that a second vector goes with the values."""
    require(
        values.shape == others.shape,
        f"There must be as many {name} as values, got {tuple(others.shape)} and "
        f"{tuple(values.shape)}.",
        "Give one per (clip, source) pair.",
    )
