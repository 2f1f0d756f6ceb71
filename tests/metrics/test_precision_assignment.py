from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from tests.metrics.inputs import boxes, coarse_maps
from tvsl.errors import ShapeError
from tvsl.metrics import PermutationInvariantAveragePrecision
from tvsl.metrics import permutation_invariant_average_precision as piap


def best_by_trying(maps: np.ndarray, targets: np.ndarray) -> float:
    """The highest sum of average precisions over all one-to-one assignments."""
    sums = []
    for order in permutations(range(max(len(maps), len(targets))), len(targets)):
        pairs = [
            (maps[j], target) for j, target in zip(order, targets, strict=True) if j < len(maps)
        ]
        sums.append(sum(average_precision_score(t.ravel(), m.ravel()) for m, t in pairs))
    return max(sums)


@pytest.mark.parametrize("seed", range(4))
def test_the_assignment_is_the_best_of_all(seed: int) -> None:
    map_frames = torch.tensor([0, 1, 1, 1, 2, 2, 2, 3, 5])
    target_frames = torch.tensor([2, 0, 1, 1, 2, 3, 3, 4])
    maps, targets = coarse_maps(9, (6, 8), seed), boxes(8, (6, 8), seed)
    found = piap(maps, targets, map_frames, target_frames)
    for frame in range(5):
        mine, theirs = target_frames == frame, map_frames == frame
        expected = best_by_trying(maps[theirs].numpy(), targets[mine].numpy())
        assert found[mine].sum().item() == pytest.approx(expected)
    assert found[7] == 0  # no map at all
    assert (found[target_frames == 3] == 0).sum() == 1  # one map for two sources


def test_the_order_of_the_maps_means_nothing() -> None:
    maps, targets = coarse_maps(6, (6, 8)), boxes(6, (6, 8))
    frames = torch.tensor([0, 0, 0, 1, 1, 1])
    order = torch.tensor([2, 0, 1, 5, 4, 3])
    assert torch.equal(
        piap(maps[order], targets, frames, frames), piap(maps, targets, frames, frames)
    )
    assert torch.equal(
        piap(targets[order].float(), targets, frames, frames), torch.ones(6, dtype=torch.float64)
    )


def test_two_sources_of_one_class_by_hand() -> None:
    """Names would not help here: which of two maps is which dog's is told by the boxes alone.

    The first dog is at places 1 and 3 of the first map and 4 and 6 of the second, APs 5/6 and 7/24;
    the other at 2 and 4 and at 3 and 8, APs 1/2 and 7/24. The first way, 27/24, beats 19/24.
    """
    first = [[1.0, 0.8, 0.6, 0.2], [0.4, 0.0, 0.9, 0.1]]
    second = [row[::-1] for row in first]
    targets = torch.zeros(2, 2, 4, dtype=torch.bool)
    targets[0, 0, :2] = targets[1, :, 2] = True
    frames = torch.zeros(2, dtype=torch.int64)
    for maps in ([first, second], [second, first]):
        found = piap(torch.tensor(maps), targets, frames, frames)
        assert found.tolist() == pytest.approx([5 / 6, 7 / 24])
        metric = PermutationInvariantAveragePrecision()
        metric.update(torch.tensor(maps), targets, frames=frames)
        assert metric.compute().item() == pytest.approx(9 / 16)


def test_contracts() -> None:
    maps, targets, frames = coarse_maps(2), boxes(2, (7, 14)), torch.tensor([0, 0])
    with pytest.raises(ShapeError, match="do not agree"):
        piap(maps, targets[:, :3], frames, frames)
    with pytest.raises(ShapeError, match="as many frames of maps"):
        piap(maps, targets, frames[:1], frames)
    with pytest.raises(ShapeError, match="empty"):
        piap(maps, targets & False, frames, frames)
