from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor

from tests.evaluation.made_scenes import CELLS, CLASSES, SIDE, made_scenes
from tests.metrics.inputs import two_of_one_class
from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.predict import NO_MAP, Predictions
from tvsl.evaluation.score import PairScores, ScoredPixels, score, score_batches, score_maps
from tvsl.methods.base import Method, MethodConfig, Supervision
from tvsl.metrics import NEGATIVES
from tvsl.metrics.negatives import CONFIDENT_SHARE
from tvsl.tokens import Queries, Tokens, Vocabulary

Array = NDArray[np.float64]


def on_truth(scenes: EncodedBatch, on: str) -> EncodedBatch:
    """The same scenes with boxes or masks as targets."""
    return scenes if on == "boxes" else replace(scenes, targets=scenes.masks)


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
    found = score_maps(maps, on_truth(scenes, on), step=every).columns
    truth = (scenes.targets if on == "boxes" else scenes.masks)[:, ::every, ::every].numpy()
    masks, twins = (part[:, ::every, ::every].numpy() for part in (scenes.masks, scenes.twins))
    for pair, target in enumerate(truth):
        values = stretched(enlarged(maps[pair].numpy(), scenes.size)[::every, ::every])
        precision = average_precision_score(target.ravel(), values.ravel())
        assert float(found["ap"][pair]) == pytest.approx(precision, abs=1e-4)
        assert float(found["ciou"][pair]) == pytest.approx(naive_overlap(values, target), abs=1e-3)
        own = values[masks[pair]].max()
        twin = values[twins[pair]]
        right = float(found["right twin"][pair])
        assert math.isnan(right) if twin.size == 0 else right == float(own > twin.max())
    assert torch.equal(found["labels"], scenes.queries.label)


def test_two_sources_of_one_class_have_the_numbers_of_their_protocol() -> None:
    """Counted by hand in `tests/metrics/test_protocols.py`."""
    given = two_of_one_class()
    scenes, queries = made_scenes(2, 2), Queries(given["frames"], given["labels"])
    scenes = replace(scenes, queries=queries, targets=given["targets"], masks=None, twins=None)
    summary = score_maps(given["maps"], scenes).summary(several=True)
    numbers = {name: summary[name] for name in ("CAP", "CIoU@0.1", "CIoU@0.3", "CIoU@0.5", "AUC")}
    expected = {"CAP": 83 / 180, "CIoU@0.1": 1, "CIoU@0.3": 0.75, "CIoU@0.5": 0.75, "AUC": 0.475}
    assert numbers == pytest.approx({name: 100 * value for name, value in expected.items()})


@pytest.mark.parametrize("on", ["boxes", "masks"])
def test_a_perfect_map_scores_1(on: str) -> None:
    scenes = made_scenes(6, 2)
    truth = scenes.targets if on == "boxes" else scenes.masks
    found = score_maps(truth.float() * 3 - 7, on_truth(scenes, on))
    assert bool((found.columns["ap"] == 1).all())
    assert bool((found.columns["ciou"] == 1).all())
    twins = scenes.twins.flatten(1).any(dim=1)
    assert 0 < int(twins.sum()) < len(twins)
    assert bool((found.columns["right twin"][twins] == 1).all())
    assert bool(found.columns["right twin"][~twins].isnan().all())
    summary = found.summary(several=True)
    assert summary.pop("right twin") == summary.pop("AUC") == 100
    names = ("CAP", "CIoU@0.1", "CIoU@0.3", "CIoU@0.5", "small IoU", "large IoU")
    assert summary == dict.fromkeys(names, 100)


def test_a_map_of_the_other_side_scores_nothing() -> None:
    scenes = made_scenes(6, 2)
    found = score_maps(1 - scenes.targets.float(), scenes)
    assert bool((found.columns["ciou"] == 0).all())
    assert bool((found.columns["ap"] < 0.2).all())
    assert found.summary(several=True)["CIoU@0.3"] == 0


def test_a_map_of_the_twin_finds_the_wrong_one() -> None:
    scenes = made_scenes(6, 1, twins=1.0)
    found = score_maps(scenes.twins.float(), scenes)
    assert bool((found.columns["right twin"] == 0).all())
    assert bool((found.columns["ciou"] == 0).all())
    both = score_maps((scenes.twins | scenes.masks).float(), on_truth(scenes, "masks"))
    assert bool((both.columns["right twin"] == 0).all())  # it does not tell them apart
    sized = scenes.masks.flatten(1).sum(dim=1) / (scenes.twins | scenes.masks).flatten(1).sum(dim=1)
    torch.testing.assert_close(both.columns["ciou"], sized.double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("every", [1, 2])
def test_maps_are_scored_again_and_again_with_twins_or_without(every: int) -> None:
    scenes = made_scenes(6, 2, twins=0.5)
    with_twins, without = (ScoredPixels(scenes, every, twins=one) for one in (True, False))
    for seed in (0, 1):
        maps = torch.randn(12, CELLS, 2 * CELLS, generator=torch.Generator().manual_seed(seed))
        expected = score_maps(maps, scenes, step=every).columns
        found, lesser = with_twins.score(maps).columns, without.score(maps).columns
        assert found.keys() == lesser.keys() == expected.keys()
        for name, column in expected.items():
            assert torch.equal(found[name].nan_to_num(-1), column.nan_to_num(-1))
            if name != "right twin":
                assert torch.equal(lesser[name], column)
        assert bool(lesser["right twin"].isnan().all())
        assert not bool(found["right twin"].isnan().all())


def test_a_map_that_is_the_same_everywhere_is_the_whole_frame_or_nothing() -> None:
    scenes = made_scenes(4, 2)
    share = scenes.targets.flatten(1).double().mean(dim=1)
    ones = torch.full((8, CELLS, 2 * CELLS), 0.3)
    whole, nothing = score_maps(ones, scenes), score_maps(0 * ones, scenes)
    torch.testing.assert_close(whole.columns["ciou"], share, rtol=0, atol=1e-6)
    assert bool((nothing.columns["ciou"] == 0).all())
    assert bool((score_maps(-ones, scenes).columns["ciou"] == 0).all())
    for scores in (whole, nothing):
        torch.testing.assert_close(scores.columns["ap"], share, rtol=0, atol=1e-6)


def test_maps_are_scored_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = made_scenes(5, 2)
    maps = torch.randn(10, CELLS, 2 * CELLS)
    together = score_maps(maps, scenes)
    monkeypatch.setattr("tvsl.evaluation.score._CHUNK", 3)
    in_parts = score_maps(maps * torch.rand(10, 1, 1) + torch.randn(10, 1, 1), scenes)
    torch.testing.assert_close(in_parts.columns["ap"], together.columns["ap"], rtol=0, atol=1e-3)
    torch.testing.assert_close(
        in_parts.columns["ciou"], together.columns["ciou"], rtol=0, atol=1e-2
    )
    torch.testing.assert_close(
        in_parts.columns["right twin"], together.columns["right twin"], equal_nan=True
    )


def scores_of(**columns: list[float]) -> PairScores:
    """Scores of three pairs with a target each."""
    given = {
        name.replace("_", " "): torch.from_numpy(np.array(one)) for name, one in columns.items()
    }
    return PairScores({**given, "sounding": torch.ones(3, dtype=torch.bool)})


def test_a_summary_is_in_percent_and_by_class() -> None:
    scores = scores_of(
        ap=[1.0, 0.5, 0.3],
        ciou=[0.6, 0.3, 0.1],
        right_twin=[1.0, math.nan, 0.0],
        labels=[4, 4, 2],
        area=[300, 10, 20],
    )
    summary = scores.summary(several=False)
    assert summary["small IoU"] == pytest.approx(30)
    assert summary["large IoU"] == pytest.approx(60)
    two = PairScores({name: column[[0, 2]] for name, column in scores.columns.items()})
    assert "small IoU" not in two.summary(several=False)
    assert summary["AP"] == pytest.approx(60)
    several = scores.summary(several=True)
    assert several["CAP"] == pytest.approx(100 * (0.75 + 0.3) / 2)
    rates = {0.1: 100, 0.3: 200 / 3, 0.5: 100 / 3}
    for level, share in rates.items():
        assert summary[f"IoU@{level}"] == several[f"CIoU@{level}"] == pytest.approx(share)
    assert summary.keys() - several.keys() == {"AP", "IoU@0.1", "IoU@0.3", "IoU@0.5"}
    assert summary["right twin"] == pytest.approx(50)
    curve = [np.mean([value >= 0.05 * step for value in (0.6, 0.3, 0.1)]) for step in range(21)]
    assert summary["AUC"] == pytest.approx(100 * np.trapezoid(curve, dx=0.05), abs=1e-6)
    alone = replace(scores, columns={**scores.columns, "right twin": torch.full((3,), torch.nan)})
    assert "right twin" not in alone.summary(several=False)


def test_pairs_without_a_target_do_not_count() -> None:
    scenes = made_scenes(6, 2)
    silent = torch.arange(12) % 3 == 0
    maps = torch.randn(12, CELLS, 2 * CELLS)
    empty = replace(scenes, targets=scenes.targets & ~silent[:, None, None])
    found, whole = score_maps(maps, empty), score_maps(maps, scenes)
    assert found.columns["sounding"].tolist() == (~silent).tolist()
    kept = PairScores({name: column[~silent] for name, column in whole.columns.items()})
    assert found.summary(several=True) == pytest.approx(kept.summary(several=True))


def test_what_is_not_detected_scores_0() -> None:
    scenes = made_scenes(3, 2)
    maps = torch.randn(5, CELLS, 2 * CELLS)
    rows = torch.tensor([0, 1, NO_MAP, 3, 4, NO_MAP])
    pairs = torch.tensor([0, 1, 2, 3, 4])
    (found,) = score(Predictions(maps, pairs, {"detected": rows}), scenes).values()
    every = score_maps(torch.cat([maps, maps[:1]]), scenes)
    there = rows >= 0
    for name in ("ap", "ciou", "right twin"):
        kept, whole = found.columns[name], every.columns[name]
        torch.testing.assert_close(kept[there], whole[there], equal_nan=True)
        assert bool(((kept[~there] == 0) | whole[~there].isnan()).all())
    for name in ("labels", "area", "sounding"):
        assert torch.equal(found.columns[name], every.columns[name])


@pytest.mark.parametrize("unknown", ["twins", "masks"])
def test_without_known_twins_there_is_no_figure_of_them(unknown: str) -> None:
    scenes = replace(made_scenes(20, 2, twins=1.0), **{unknown: None})
    scores = torch.randn(20, CLASSES, generator=torch.Generator().manual_seed(1))
    found = score_batches(Detecting(scores), [scenes])
    for source, figures in found.figures(several=True).items():
        columns = found.pairs[source].columns
        assert bool(columns["right twin"].isnan().all())
        assert "right twin" not in figures
        assert "right twin" not in found.draws(several=True)[source]
    assert bool((found.pairs["detected"].columns["ciou"] == 0).any())  # some were missed


def test_an_empty_target_has_no_ap_with_or_without_a_map() -> None:
    scenes = made_scenes(2, 2)
    there = torch.tensor([True, True, False, False])
    scenes = replace(scenes, targets=scenes.targets & there[:, None, None])
    rows = torch.tensor([0, NO_MAP, 1, NO_MAP])
    maps = torch.randn(2, CELLS, 2 * CELLS)
    (found,) = score(Predictions(maps, torch.tensor([0, 2]), {"detected": rows}), scenes).values()
    assert found.columns["ap"].isnan().tolist() == [False, False, True, True]
    assert float(found.columns["ap"][1]) == 0


def test_a_map_may_serve_several_pairs() -> None:
    scenes = made_scenes(2, 1)
    maps = torch.randn(3, CELLS, CELLS)
    pairs = torch.tensor([0, 1, 0])
    found = score(Predictions(maps, pairs, {"given": torch.tensor([2, 1])}), scenes)["given"]
    expected = score_maps(maps[[2, 1]], scenes)
    for name, column in expected.columns.items():
        torch.testing.assert_close(found.columns[name], column, equal_nan=True)


@pytest.mark.parametrize("raw", [False, True])
def test_confidence_is_of_normalized_maps_or_of_maps_as_they_are(raw: bool) -> None:
    scenes = made_scenes(3, 1)
    maps = 5 + torch.rand(3, CELLS, CELLS)
    every = torch.arange(3)
    found = score(Predictions(maps, every, {"none": every}), scenes, NEGATIVES, raw)["none"]
    full = [enlarged(one.double().numpy(), scenes.size) for one in maps]
    shown = full if raw else [stretched(one) for one in full]
    count = int(CONFIDENT_SHARE * SIDE * SIDE)
    expected = [np.sort(one.ravel())[-count:].mean() for one in shown]
    assert found.columns["confidence"].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("sources", [1, 2, 4])
def test_a_head_is_scored_by_the_classes_that_it_detects(sources: int) -> None:
    scenes = made_scenes(20, sources)
    scores = torch.randn(20, CLASSES, generator=torch.Generator().manual_seed(1))
    head = Detecting(scores)
    figures = score_batches(head, [scenes]).figures(several=sources > 1)
    order = (-scores).argsort(dim=1)[:, :sources]
    found = (order[scenes.queries.clip] == scenes.queries.label[:, None]).any(dim=1)
    assert 0 < int(found.sum()) < len(found)
    given = score_maps(head.maps(scenes.tokens, scenes.queries, scenes.vocabulary), scenes)
    strict = {
        name: column * found if name in ("ap", "ciou", "right twin") else column
        for name, column in given.columns.items()
    }
    expected = PairScores(strict).summary(several=sources > 1)
    assert figures["given"] == pytest.approx(given.summary(several=sources > 1))
    detection = average_precision_score(
        scenes.labels[:, scenes.labels.any(dim=0)], scores[:, scenes.labels.any(dim=0)]
    )
    assert figures["detected"].pop("detection") == pytest.approx(100 * detection)
    assert figures["detected"] == pytest.approx(expected)


def test_batches_are_joined() -> None:
    head = Detecting(None)
    parts = [made_scenes(count, 2, seed=count) for count in (3, 4)]
    maps = [head.maps(part.tokens, part.queries, part.vocabulary) for part in parts]
    scores = [score_maps(one, part) for one, part in zip(maps, parts, strict=True)]
    joined = PairScores.joined(scores)
    assert len(joined.columns["ap"]) == 14
    assert score_batches(head, parts).figures(True) == {"given": joined.summary(several=True)}


class Detecting(Method):
    """Maps that depend on clip and class alone, and detection scores that are given."""

    name: ClassVar[str] = "detecting"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True

    def __init__(self, scores: Tensor | None) -> None:
        super().__init__(MethodConfig(embedding=8))
        self.scores = scores

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        words = vocabulary.embeddings[queries.label]
        cells = tokens.visual[queries.clip]
        return torch.einsum("pnd,pd->pn", cells, words).unflatten(1, tokens.grid)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor | None:
        return self.scores

    def can_detect(self) -> bool:  # type: ignore[override]
        return self.scores is not None


def test_scenes_know_their_size() -> None:
    scenes = made_scenes(2, 3)
    assert scenes.size == (SIDE, 3 * SIDE)
    assert scenes.sources == 3


@pytest.mark.parametrize("size", [1, 3])
def test_draws_are_the_figures_of_resampled_clips(size: int) -> None:
    rng = np.random.default_rng(6)
    pairs, frames = 60, torch.arange(30).repeat_interleave(2)
    twins = torch.from_numpy(np.where(rng.random(pairs) < 0.5, rng.integers(2, size=pairs), np.nan))
    columns = {
        "ciou": torch.from_numpy(rng.random(pairs)),
        "ap": torch.from_numpy(rng.random(pairs)),
        "right twin": twins.double(),
        "labels": torch.from_numpy(rng.integers(4, size=pairs)),
        "frames": frames,
        "sounding": torch.ones(pairs, dtype=torch.bool),
        "area": torch.from_numpy(rng.permutation(pairs)),
    }
    clusters = None if size == 1 else [clip // size for clip in range(30)]
    drawn = PairScores(columns).draws(several=True, clusters=clusters)
    rng = np.random.default_rng(0)
    for resample, picked in enumerate(rng.integers(30 // size, size=(5, 30 // size))):
        rows = torch.tensor([2 * size * one + row for one in picked for row in range(2 * size)])
        some = PairScores({name: column[rows] for name, column in columns.items()})
        found = {name: draws[resample] for name, draws in drawn.items()}
        assert found == pytest.approx(some.summary(several=True))
