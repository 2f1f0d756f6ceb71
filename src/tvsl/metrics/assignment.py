"""Scores of maps that carry no class: the best assignment to the sources of their frame."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tvsl.metrics.checks import check_maps, check_masks, require
from tvsl.metrics.precision import average_precision

UNASSIGNED = -1
"""What a source is assigned to that was left without a map."""

_MAPS_AT_A_TIME = 64


def best_assignment(scores: Tensor) -> Tensor:
    """Assign maps to the sources of their frame, one to one, for the highest sum of scores.

    Args:
        scores: How well each map fits each source, (P, M).

    Returns:
        The map of each source, (P,) int64 on the CPU; `UNASSIGNED` where there are fewer maps than
        sources and it was left without.
    """
    rows, columns = linear_sum_assignment(scores.cpu().numpy(), maximize=True)
    assigned = torch.full((len(scores),), UNASSIGNED, dtype=torch.int64)
    assigned[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return assigned


def permutation_invariant_average_precision(
    maps: Tensor, targets: Tensor, map_frames: Tensor, target_frames: Tensor
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
    _check(maps, targets, map_frames, target_frames)
    map_frames, target_frames = map_frames.to(maps.device), target_frames.to(maps.device)
    source, candidate = (target_frames[:, None] == map_frames).nonzero(as_tuple=True)
    table = torch.zeros(len(targets), len(maps), dtype=torch.float64)
    for some in torch.arange(len(source), device=maps.device).split(_MAPS_AT_A_TIME):
        scores = average_precision(maps[candidate[some]], targets[source[some]])
        table[source[some].cpu(), candidate[some].cpu()] = scores.cpu().double()
    return _best(table, map_frames.cpu(), target_frames.cpu()).to(maps.device)


def _check(maps: Tensor, targets: Tensor, map_frames: Tensor, target_frames: Tensor) -> None:
    check_maps(maps)
    check_masks(targets)
    require(
        targets.ndim == 3
        and maps.shape[1:] == targets.shape[1:]
        and map_frames.shape == maps.shape[:1]
        and target_frames.shape == targets.shape[:1],
        f"Maps {tuple(maps.shape)} of frames {tuple(map_frames.shape)} and targets "
        f"{tuple(targets.shape)} of frames {tuple(target_frames.shape)} do not agree.",
        "Give maps and targets of one size, and the frame of each.",
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
