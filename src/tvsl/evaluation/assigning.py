"""Maps without names, assigned to the sources of their clip by the truth (PIAP).

A permutation-invariant method says what sounds where, and not which is which. As its authors do,
its maps are assigned to the true sources one to one, for the highest sum of average precisions.
Whoever is scored so has seen the truth: such numbers are the best that the maps allow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.metrics import UNASSIGNED, average_precision, best_assignment, minmax, resize_maps


def assign(maps: Tensor, targets: Tensor, clips: Tensor) -> Tensor:
    """Assign the maps of clips to their sources.

    A source that is left without a map, because its clip has fewer maps than sources, gets the one
    that fits it best, as all sources do of a method with one map for all. Of a source that is
    nowhere the truth does not say which map is its: it gets the strongest that is left over, or
    the strongest of all.

    Args:
        maps: M maps of each of B clips, as they are shown, (B, M, h, w).
        targets: Where each of their P sources is, (P, H, W), bool or in [0, 1].
        clips: Which clip each source belongs to, (P,).

    Returns:
        Which of its clip's maps each source gets, from 0 to M - 1, (P,) int64 on the CPU.
    """
    chosen = torch.zeros(len(clips), dtype=torch.int64)
    # Clip by clip: full-size maps of all clips at once would take much memory.
    for clip, found in enumerate(maps):
        pairs = (clips.cpu() == clip).nonzero()[:, 0]
        truth = targets[pairs.to(targets.device)].to(found.device) > 0
        chosen[pairs] = _assigned(found.float(), truth)
    return chosen


def _assigned(maps: Tensor, truth: Tensor) -> Tensor:
    """Which of the maps (M, h, w) of a clip each of its sources (n, H, W) gets, (n,)."""
    full = minmax(resize_maps(maps, (truth.shape[1], truth.shape[2])))  # as all protocols do
    there = truth.flatten(1).any(dim=1).cpu()
    rows = [average_precision(full, one.expand(len(full), -1, -1)) for one in truth[there]]
    fit = torch.stack(rows).cpu() if rows else torch.zeros(0, len(maps))
    assigned = best_assignment(fit)
    chosen = torch.empty(len(truth), dtype=torch.int64)
    chosen[there] = torch.where(assigned == UNASSIGNED, fit.argmax(dim=1), assigned)
    strength = maps.amax(dim=(1, 2)).cpu()
    order = strength.sort(descending=True, stable=True).indices.tolist()
    left = [number for number in order if number not in assigned.tolist()] or order
    for place, source in enumerate((~there).nonzero()[:, 0].tolist()):
        chosen[source] = left[min(place, len(left) - 1)]
    return chosen
