from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from tests.metrics.inputs import boxes, coarse_maps
from tvsl.evaluation.predict import assign
from tvsl.metrics import permutation_invariant_average_precision, resize_maps

SIZE = (24, 32)


def fits(maps: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """Average precision of every map for every source, (P, M)."""
    full = resize_maps(maps, SIZE)
    return np.array(
        [[average_precision_score(t.ravel(), m.ravel()) for m in full] for t in targets]
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sources", [1, 2, 3])
def test_it_is_the_best_of_all_permutations(sources: int, seed: int) -> None:
    maps = coarse_maps(2 * 3, (5, 6), seed).unflatten(0, (2, 3))
    targets = boxes(2 * sources, SIZE, seed)
    clips = torch.arange(2).repeat_interleave(sources)
    chosen = assign(maps, targets, clips)
    for clip in range(2):
        table = fits(maps[clip], targets[clips == clip])
        best = max(
            sum(table[row, column] for row, column in enumerate(order))
            for order in permutations(range(3), sources)
        )
        mine = chosen[clips == clip].tolist()
        assert len(set(mine)) == sources
        assert sum(table[row, column] for row, column in enumerate(mine)) == pytest.approx(best)


def test_it_scores_as_the_metric_does() -> None:
    maps, targets = coarse_maps(6, SIZE, 1).unflatten(0, (3, 2)), boxes(6, SIZE, 1)
    clips = torch.tensor([2, 0, 1, 0, 2, 1])
    chosen = assign(maps, targets, clips)
    frames = torch.arange(3).repeat_interleave(2)
    piap = permutation_invariant_average_precision(maps.flatten(0, 1), targets, frames, clips)
    mine = [
        average_precision_score(t.ravel(), maps[clip, column].ravel())
        for t, clip, column in zip(targets, clips, chosen, strict=True)
    ]
    assert piap.tolist() == pytest.approx(mine)


def test_a_source_left_without_a_map_takes_the_one_that_fits_it() -> None:
    maps, targets = coarse_maps(2, (5, 6), 4)[None], boxes(4, SIZE, 4)
    chosen = assign(maps, targets, torch.zeros(4, dtype=torch.int64)).tolist()
    table = fits(maps[0], targets)
    pairs = permutations(range(4), 2)
    first, second = max(pairs, key=lambda pair: table[pair[0], 0] + table[pair[1], 1])
    expected = table.argmax(axis=1)
    expected[[first, second]] = 0, 1
    assert chosen == expected.tolist()


def test_a_source_that_is_nowhere_gets_the_strongest_that_is_left() -> None:
    maps = torch.zeros(1, 4, *SIZE)
    maps[0, 0, 0, 0] = 0.9
    maps[0, 1, :6] = 0.2
    maps[0, 2, -1, -1] = 0.5
    maps[0, 3, 9, 9] = 0.4
    targets = torch.zeros(3, *SIZE, dtype=torch.bool)
    targets[1, :6] = True
    clips = torch.zeros(3, dtype=torch.int64)
    assert assign(maps, targets, clips).tolist() == [0, 1, 2]
    assert assign(maps[:, :2], targets, clips).tolist() == [0, 1, 0]
    assert assign(maps[:, 1:2], targets, clips).tolist() == [0, 0, 0]
    assert assign(maps, targets[[0]], clips[:1]).tolist() == [0]


def test_where_annotators_disagree_all_that_any_of_them_drew_counts() -> None:
    targets = boxes(1, SIZE, 3)
    maps = torch.stack([1 - targets[0].float(), targets[0].float()])[None]
    assert assign(maps, targets * 0.5, torch.zeros(1, dtype=torch.int64)).tolist() == [1]
