from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from tests.evaluation.made_scenes import CELLS, CLASSES, SIDE, made_scenes
from tvsl.evaluation.score import PairScores, detected_pairs, score_maps
from tvsl.tokens import Queries

Array = NDArray[np.float64]


def enlarged(grid: Array, size: tuple[int, int]) -> Array:
    """A map scaled up bilinearly, a cell being an area, row by row and column by column."""
    for axis in (0, 1):
        cells = grid.shape[axis]
        places = (np.arange(size[axis]) + 0.5) * cells / size[axis] - 0.5
        grid = np.apply_along_axis(
            lambda line, at=places, n=cells: np.interp(at, np.arange(n), line), axis, grid
        )
    return grid


def stretched(values: Array) -> Array:
    return (values - values.min()) / (values.max() - values.min())


def naive_overlap(values: Array, target: NDArray[np.bool_]) -> float:
    hit = both = 0
    for value, true in zip(values.flat, target.flat, strict=True):
        hit += value >= 0.5 and true
        both += value >= 0.5 or true
    return hit / both


@pytest.mark.parametrize("sources", [1, 2, 3])
@pytest.mark.parametrize("on", ["boxes", "masks"])
@pytest.mark.parametrize("every", [1, 2])
def test_scores_equal_an_independent_computation(sources: int, on: str, every: int) -> None:
    scenes = made_scenes(4, sources, seed=sources)
    maps = torch.randn(4 * sources, CELLS, CELLS * sources, dtype=torch.float64)
    found = score_maps(maps, scenes, on, every)
    truth = (scenes.boxes if on == "boxes" else scenes.masks)[:, ::every, ::every].numpy()
    masks, twins = (part[:, ::every, ::every].numpy() for part in (scenes.masks, scenes.twins))
    for pair, target in enumerate(truth):
        values = stretched(enlarged(maps[pair].numpy(), scenes.size))[::every, ::every]
        precision = average_precision_score(target.ravel(), values.ravel())
        assert float(found.precision[pair]) == pytest.approx(precision, abs=1e-4)
        assert float(found.overlap[pair]) == pytest.approx(naive_overlap(values, target), abs=1e-3)
        own = values[masks[pair]].max()
        twin = values[twins[pair]]
        right = float(found.right_twin[pair])
        assert math.isnan(right) if twin.size == 0 else right == float(own > twin.max())
    assert torch.equal(found.label, scenes.queries.label)


@pytest.mark.parametrize("on", ["boxes", "masks"])
def test_a_perfect_map_scores_1(on: str) -> None:
    scenes = made_scenes(6, 2)
    truth = scenes.boxes if on == "boxes" else scenes.masks
    found = score_maps(truth.float() * 3 - 7, scenes, on)
    assert bool((found.precision == 1).all())
    assert bool((found.overlap == 1).all())
    twins = scenes.twins.flatten(1).any(dim=1)
    assert 0 < int(twins.sum()) < len(twins)
    assert bool((found.right_twin[twins] == 1).all())
    assert bool(found.right_twin[~twins].isnan().all())
    summary = found.summary(2)
    assert summary.pop("right twin") == summary.pop("AUC") == 100
    names = ("CAP", "CIoU@0.1", "CIoU@0.3", "CIoU@0.5", "small IoU", "large IoU")
    assert summary == dict.fromkeys(names, 100)


def test_a_map_of_the_other_side_scores_nothing() -> None:
    scenes = made_scenes(6, 2)
    found = score_maps(1 - scenes.boxes.float(), scenes)
    assert bool((found.overlap == 0).all())
    assert bool((found.precision < 0.2).all())
    assert found.summary(2)["CIoU@0.3"] == 0


def test_a_map_of_the_twin_finds_the_wrong_one() -> None:
    scenes = made_scenes(6, 1, twins=1.0)
    found = score_maps(scenes.twins.float(), scenes)
    assert bool((found.right_twin == 0).all())
    assert bool((found.overlap == 0).all())
    both = score_maps((scenes.twins | scenes.masks).float(), scenes, "masks")
    assert bool((both.right_twin == 0).all())  # it does not tell them apart
    sized = scenes.masks.flatten(1).sum(dim=1) / (scenes.twins | scenes.masks).flatten(1).sum(dim=1)
    torch.testing.assert_close(both.overlap, sized.double(), rtol=0, atol=1e-6)


def test_a_map_that_is_the_same_everywhere_is_the_whole_frame_or_nothing() -> None:
    scenes = made_scenes(4, 2)
    share = scenes.boxes.flatten(1).double().mean(dim=1)
    ones = torch.full((8, CELLS, 2 * CELLS), 0.3)
    whole, nothing = score_maps(ones, scenes), score_maps(0 * ones, scenes)
    torch.testing.assert_close(whole.overlap, share, rtol=0, atol=1e-6)
    assert bool((nothing.overlap == 0).all())
    assert bool((score_maps(-ones, scenes).overlap == 0).all())
    for scores in (whole, nothing):
        torch.testing.assert_close(scores.precision, share, rtol=0, atol=1e-6)


def test_maps_are_scored_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = made_scenes(5, 2)
    maps = torch.randn(10, CELLS, 2 * CELLS)
    together = score_maps(maps, scenes)
    monkeypatch.setattr("tvsl.evaluation.score._CHUNK", 3)
    in_parts = score_maps(maps * torch.rand(10, 1, 1) + torch.randn(10, 1, 1), scenes)
    torch.testing.assert_close(in_parts.precision, together.precision, rtol=0, atol=1e-3)
    torch.testing.assert_close(in_parts.overlap, together.overlap, rtol=0, atol=1e-2)
    torch.testing.assert_close(in_parts.right_twin, together.right_twin, equal_nan=True)


def test_a_summary_is_in_percent_and_by_class() -> None:
    scores = PairScores(
        precision=torch.tensor([1.0, 0.5, 0.3], dtype=torch.float64),
        overlap=torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64),
        right_twin=torch.tensor([1.0, torch.nan, 0.0]),
        label=torch.tensor([4, 4, 2]),
        area=torch.tensor([300.0, 10.0, 20.0]),
    )
    summary = scores.summary(1)
    assert summary["small IoU"] == pytest.approx(30)
    assert summary["large IoU"] == pytest.approx(60)
    assert "small IoU" not in scores.only(torch.tensor([True, False, True])).summary(1)
    assert summary["AP"] == pytest.approx(60)
    several = scores.summary(3)
    assert several["CAP"] == pytest.approx(100 * (0.75 + 0.3) / 2)
    rates = {0.1: 100, 0.3: 200 / 3, 0.5: 100 / 3}
    for level, share in rates.items():
        assert summary[f"IoU@{level}"] == several[f"CIoU@{level}"] == pytest.approx(share)
    assert summary.keys() - several.keys() == {"AP", "IoU@0.1", "IoU@0.3", "IoU@0.5"}
    assert summary["IoU@0.1"] == pytest.approx(100)
    assert summary["IoU@0.3"] == pytest.approx(200 / 3)
    assert summary["IoU@0.5"] == pytest.approx(100 / 3)
    assert summary["right twin"] == pytest.approx(50)
    curve = [np.mean([value >= 0.05 * step for value in (0.6, 0.3, 0.1)]) for step in range(21)]
    assert summary["AUC"] == pytest.approx(100 * np.trapezoid(curve, dx=0.05))
    alone = replace(scores, right_twin=torch.full((3,), torch.nan))
    assert "right twin" not in alone.summary(1)


def test_what_is_not_detected_scores_0() -> None:
    scores = PairScores(*(torch.tensor([0.9, 0.8, 0.7, 0.6]) for _ in range(5)))
    scores = replace(scores, right_twin=torch.tensor([1.0, 1.0, torch.nan, torch.nan]))
    strict = scores.strict(torch.tensor([True, False, True, False]))
    assert strict.precision.tolist() == pytest.approx([0.9, 0, 0.7, 0])
    assert strict.overlap.tolist() == pytest.approx([0.9, 0, 0.7, 0])
    assert strict.right_twin[:2].tolist() == [1, 0]
    assert bool(strict.right_twin[2:].isnan().all())
    assert torch.equal(strict.label, scores.label)
    assert torch.equal(strict.area, scores.area)


@pytest.mark.parametrize("sources", [1, 2, 4])
def test_detected_are_the_top_k_of_each_scene(sources: int) -> None:
    scenes = made_scenes(20, sources)
    scores = torch.randn(20, CLASSES, generator=torch.Generator().manual_seed(1))
    found = detected_pairs(scores, scenes).tolist()
    rows = [sorted(range(CLASSES), key=lambda label: -row[label]) for row in scores.tolist()]
    pairs = zip(scenes.queries.clip.tolist(), scenes.queries.label.tolist(), strict=True)
    expected = [label in rows[clip][:sources] for clip, label in pairs]
    assert found == expected
    assert 0 < sum(found) < len(found)


def test_of_each_scene_as_many_are_detected_as_it_has_sources() -> None:
    scenes = made_scenes(3, 2)
    kept = torch.tensor([True, True, True, False, True, True])
    queries = Queries(scenes.queries.clip[kept], scenes.queries.label[kept])
    fewer = replace(scenes, queries=queries)
    scores = torch.arange(CLASSES).float().expand(3, -1)
    best = {0: {5, 6}, 1: {6}, 2: {5, 6}}
    pairs = zip(queries.clip.tolist(), queries.label.tolist(), strict=True)
    assert detected_pairs(scores, fewer).tolist() == [label in best[clip] for clip, label in pairs]
    assert fewer.sources == 2


def test_scores_are_joined_and_chosen_pair_by_pair() -> None:
    one, other = (
        score_maps(torch.randn(2 * count, CELLS, 2 * CELLS), made_scenes(count, 2, seed=count))
        for count in (3, 4)
    )
    joined = PairScores.joined([one, other])
    assert torch.equal(joined.precision, torch.cat([one.precision, other.precision]))
    assert torch.equal(joined.label, torch.cat([one.label, other.label]))
    chosen = torch.arange(14) >= 6
    part = joined.only(chosen)
    for name in ("precision", "overlap", "right_twin", "label"):
        torch.testing.assert_close(getattr(part, name), getattr(other, name), equal_nan=True)


def test_a_perfect_detector_finds_all() -> None:
    scenes = made_scenes(6, 3)
    assert bool(detected_pairs(scenes.labels.float(), scenes).all())
    assert not bool(detected_pairs(-scenes.labels.float(), scenes).any())


def test_scenes_know_their_size() -> None:
    scenes = made_scenes(2, 3)
    assert scenes.size == (SIDE, 3 * SIDE)
    assert scenes.sources == 3
