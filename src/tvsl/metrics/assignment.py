"""Scores of maps that carry no class: the best assignment to the sources of their frame."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tvsl.metrics.precision import average_precision
from tvsl.metrics.validation import (
    Array,
    as_tensor,
    maps_of,
    masks_of,
    require,
    targets_of,
    whole_numbers,
)

UNASSIGNED = -1
"""What a source is assigned to that was left without a map."""

_MAPS_AT_A_TIME = 64


def best_assignment(scores: Array) -> Tensor:
    """Assign maps to the sources of their frame, one to one, for the highest sum of scores.

    Args:
        scores: How well each map fits each source, (P, M).

    Returns:
        The map of each source, (P,) int64 on the CPU; `UNASSIGNED` where there are fewer maps than
        sources and it was left without.

    Raises:
        ShapeError: Not a table of numbers, or one is not finite.
    """
    table = as_tensor(scores, "Scores").detach().cpu().double()
    require(
        table.ndim == 2 and bool(table.isfinite().all()),
        f"Scores must be finite and (P, M), got {tuple(table.shape)}.",
        "Give how well each map fits each source.",
    )
    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    assigned = torch.full((len(table),), UNASSIGNED, dtype=torch.int64)
    assigned[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return assigned


def permutation_invariant_average_precision(
    maps: Array, targets: Array, map_frames: Array, target_frames: Array
) -> Tensor:
    """PIAP of each source: AP under the assignment that is best for its frame.

    Mix-and-Localize's nodes have no names, so each frame's maps are assigned to its sources, one to
    one, for the highest sum of pixel average precisions (its author, issue 3 of the repository).

    Args:
        maps: (M, H, W), floating, any number per frame.
        targets: (P, H, W) bool, any number per frame.
        map_frames: Which frame each map belongs to, (M,) int64.
        target_frames: Which frame each target belongs to, (P,) int64.

    Returns:
        (P,) in [0, 1], float64; 0 for a source that was left without a map.

    Raises:
        ShapeError: The shapes do not agree, or a target is empty.
    """
    maps = maps_of(maps)
    targets = masks_of(targets_of(targets, maps))
    map_frames = whole_numbers(map_frames, maps, "frames of maps")
    target_frames = whole_numbers(target_frames, targets, "frames of targets")
    _check(maps, targets)
    source, candidate = (target_frames[:, None] == map_frames).nonzero(as_tuple=True)
    table = torch.zeros(len(targets), len(maps), dtype=torch.float64)
    for some in torch.arange(len(source), device=maps.device).split(_MAPS_AT_A_TIME):
        scores = average_precision(maps[candidate[some]], targets[source[some]])
        table[source[some].cpu(), candidate[some].cpu()] = scores.cpu().double()
    return _best(table, map_frames.cpu(), target_frames.cpu()).to(maps.device)


def _check(maps: Tensor, targets: Tensor) -> None:
    require(
        maps.shape[1:] == targets.shape[1:],
        f"Maps {tuple(maps.shape)} and targets {tuple(targets.shape)} do not agree.",
        "Give maps and targets of one size.",
    )
    require(
        bool(targets.flatten(1).any(dim=1).all()),
        "A target is empty.",
        "Leave out the pairs whose target is empty, and count them.",
    )


def _best(table: Tensor, map_frames: Tensor, target_frames: Tensor) -> Tensor:
    """What each target (row) gets from the map (column) that is assigned to it, (P,)."""
    result = torch.zeros(len(table), dtype=torch.float64)
    for frame in target_frames.unique():
        rows = (target_frames == frame).nonzero()[:, 0]
        columns = (map_frames == frame).nonzero()[:, 0]
        scores = table[rows][:, columns]
        assigned = best_assignment(scores)
        mapped = assigned != UNASSIGNED
        result[rows[mapped]] = scores[mapped, assigned[mapped]]
    return result
