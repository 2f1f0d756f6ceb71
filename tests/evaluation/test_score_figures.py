from __future__ import annotations

from itertools import permutations
from typing import ClassVar

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from tests.evaluation.made_scenes import made_scenes
from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.predict import label_sources, predict
from tvsl.evaluation.score import Figures, score_batches, score_maps
from tvsl.methods.base import Method, Supervision
from tvsl.metrics import NEGATIVES, LabelSource
from tvsl.metrics.maps import normalize_maps
from tvsl.reproduce.benchmark import with_negatives
from tvsl.tokens import Queries, Tokens, Vocabulary


def asked(maps: Tensor, scenes: EncodedBatch, queries: Queries) -> Tensor:
    """The maps of the true pairs that are queried, zeros for the others."""
    pairs = zip(scenes.queries.clip.tolist(), scenes.queries.label.tolist(), strict=True)
    rows = {pair: row for row, pair in enumerate(pairs)}
    wanted = zip(queries.clip.tolist(), queries.label.tolist(), strict=True)
    known = [rows.get(pair) for pair in wanted]
    return torch.stack([0 * maps[0] if row is None else maps[row] for row in known])


def negative_figures(method: Method, scenes: EncodedBatch) -> dict[LabelSource, Figures]:
    """Figures as in the table of negatives."""
    sources = [source for source in label_sources(method) if source != "detected"]
    return score_batches(method, [scenes], NEGATIVES, sources, raw_confidence=True).figures(False)


class Knowing(Method):
    """Looks the truth of scenes up, by their tokens."""

    name: ClassVar[str] = "knowing"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True

    def __init__(self, *scenes: EncodedBatch) -> None:
        super().__init__()
        self.truth = {id(part.tokens): part for part in scenes}

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        scenes = self.truth[id(tokens)]
        noise = torch.rand(scenes.targets.shape, generator=torch.Generator().manual_seed(1))
        return asked(scenes.targets.float() + 0.3 * noise, scenes, queries)


class Detecting(Knowing):
    """Misses the first class of every other scene."""

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        scenes = self.truth[id(tokens)]
        scores = scenes.labels.float()
        for clip in range(0, len(scores), 2):
            first = scenes.queries.label[scenes.queries.clip == clip][0]
            scores[clip, first] = -1
        return scores


class Nameless(Knowing):
    """Finds the sources, in another order, and nothing at last."""

    permutation_invariant: ClassVar[bool] = True
    nodes: int = 3

    def unlabelled_maps(self, tokens: Tokens) -> Tensor:
        scenes = self.truth[id(tokens)]
        every = scenes.targets.float().unflatten(0, (tokens.batch, scenes.sources))
        noise = torch.rand(
            tokens.batch, self.nodes, *scenes.size, generator=torch.Generator().manual_seed(2)
        )
        found = 2.5 * noise
        shown = min(self.nodes, scenes.sources)
        found[:, :shown] += every.flip(1)[:, :shown]
        return found


class OneMap(Knowing):
    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        return super().maps(tokens, self.truth[id(tokens)].queries, vocabulary)


SINGLE, DUET = made_scenes(6, 1, seed=1), made_scenes(7, 2, seed=2)


def test_figures_are_those_of_the_maps() -> None:
    method = OneMap(DUET)
    maps = method.maps(DUET.tokens, DUET.queries, DUET.vocabulary)
    assert score_batches(method, [DUET]).figures(True) == {
        "none": score_maps(maps, DUET).summary(several=True)
    }


def test_a_source_that_is_not_detected_scores_0() -> None:
    method = Detecting(DUET)
    found = score_batches(method, [DUET]).figures(False)
    assert found["given"]["AP"] > 95
    scores = method.detect(DUET.tokens, DUET.vocabulary)
    taken = (-scores).argsort(dim=1, stable=True)[:, :2][DUET.queries.clip]
    detected = (taken == DUET.queries.label[:, None]).any(dim=1)
    assert int((~detected).sum()) == 4  # of scenes 0, 2, 4, 6
    maps = method.maps(DUET.tokens, DUET.queries, DUET.vocabulary)
    precision = score_maps(maps, DUET).columns["ap"] * detected
    assert found["detected"]["AP"] == pytest.approx(100 * float(precision.mean()))
    rows = [
        average_precision_score(DUET.labels[:, column], scores[:, column])
        for column in DUET.labels.any(dim=0).nonzero()[:, 0]
    ]
    assert found["detected"]["detection"] == pytest.approx(100 * sum(rows) / len(rows))


def test_blocks_are_summed_up_together() -> None:
    other = made_scenes(5, 2, seed=5)
    method = Detecting(DUET, other)
    parts = score_batches(method, [DUET, other]).figures(True)
    maps = [method.maps(part.tokens, part.queries, part.vocabulary) for part in (DUET, other)]
    scores = [score_maps(one, part) for one, part in zip(maps, (DUET, other), strict=True)]
    precision = torch.cat([one.columns["ap"] for one in scores])
    pairs = score_batches(method, [DUET, other]).figures(False)
    assert pairs["given"]["AP"] == pytest.approx(100 * float(precision.mean()))
    labels = torch.cat([one.columns["labels"] for one in scores])
    classes = [precision[labels == label].mean() for label in labels.unique()]
    assert parts["given"]["CAP"] == pytest.approx(100 * float(sum(classes)) / len(classes))


def best_by_trying(maps: Tensor, truth: Tensor) -> float:
    """The highest sum of average precisions over all one-to-one assignments."""
    table = [
        [average_precision_score(box.flatten(), one.flatten()) for one in maps] for box in truth
    ]
    orders = permutations(range(len(maps)), len(truth))
    return max(sum(table[row][column] for row, column in enumerate(order)) for order in orders)


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_nameless_maps_are_assigned_where_they_fit_best(sources: int) -> None:
    scenes = made_scenes(4, sources, seed=sources)
    method = Nameless(scenes)
    full = normalize_maps(method.unlabelled_maps(scenes.tokens).flatten(0, 1), scenes.size)
    every = full.unflatten(0, (4, 3))
    expected = sum(
        best_by_trying(every[clip], scenes.targets[scenes.queries.clip == clip])
        for clip in range(4)
    )
    found = score_batches(method, [scenes]).figures(False)
    assert found["assigned"]["AP"] == pytest.approx(100 * expected / (4 * sources), abs=1e-2)
    assert found["assigned"]["AP"] < 99


def test_sources_without_a_map_take_the_one_that_fits_them() -> None:
    scenes = made_scenes(3, 3, seed=7)
    method = Nameless(scenes)
    method.nodes = 1
    maps = predict(method, scenes, ("assigned",)).maps
    assert torch.equal(
        maps, method.unlabelled_maps(scenes.tokens)[:, 0].repeat_interleave(3, dim=0)
    )


class Sure(Knowing):
    """High where something is to be found, low everywhere else."""

    level = 1.0

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        scenes = self.truth[id(tokens)]
        boxes = scenes.targets.float()
        there = boxes.flatten(1).amax(dim=1)[:, None, None]
        ramp = (
            torch.linspace(0, 0.2, boxes.shape[2]) * (1 + torch.arange(len(boxes)))[:, None, None]
        )
        return asked(self.level * (boxes + there) + 0.01 * ramp, scenes, queries)


def test_silent_pairs_are_left_out_of_places_and_count_for_confidence() -> None:
    scenes = made_scenes(20, 1, seed=4)
    names = [scenes.vocabulary.names[label] for label in scenes.queries.label.tolist()]
    mixed = with_negatives(scenes, [{name} for name in names])
    method = Sure(mixed)
    assert (
        score_batches(method, [mixed]).figures(False)["given"]["AP"] > 95
    )  # of the ten that are there
    found = negative_figures(method, mixed)["given"]
    assert found["max-F1"] == pytest.approx(100)
    assert found["LocAcc"] == 100
    unsure = Sure(mixed)
    unsure.level = -0.001
    assert negative_figures(unsure, mixed)["given"]["max-F1"] < 30


def test_negatives_are_asked_by_name_or_not_at_all() -> None:
    mixed = with_negatives(SINGLE, [set()] * 6)
    assert negative_figures(Detecting(mixed), mixed).keys() == {"given"}
    assert negative_figures(Nameless(mixed), mixed).keys() == {"given", "assigned"}
    assert negative_figures(OneMap(mixed), mixed).keys() == {"none"}
