from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from tests.evaluation.made_data import NAMES, SIZE, MadeData, MadeEncoder
from tvsl.errors import UsageError
from tvsl.evaluation.batches import Group, Reader, encode_groups
from tvsl.evaluation.config import Counting
from tvsl.evaluation.indexed import Listing
from tvsl.evaluation.predict import NOT_DETECTED, Asked, ask
from tvsl.methods.base import Method, MethodConfig, Supervision
from tvsl.metrics import LabelSource
from tvsl.tokens import Queries, Tokens, Vocabulary

BOTH: tuple[LabelSource, ...] = ("given", "detected")


class Telling(Method):
    """Its maps tell what it was asked: the clip, the class, and how many classes with it."""

    name: ClassVar[str] = "telling"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True

    def __init__(self, scores: Tensor | None, threshold: float | None = None) -> None:
        super().__init__(MethodConfig(embedding=SIZE, detection_threshold=threshold))
        self.scores = scores

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        queries.check(tokens.batch, len(vocabulary))
        beside = (queries.clip[:, None] == queries.clip).sum(dim=1)
        told = torch.stack([queries.clip, queries.label, beside], dim=1).float()
        return told[:, None, :]

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor | None:
        return self.scores


class Nameless(Telling):
    """Finds something at the right and something at the left, and does not say what."""

    permutation_invariant: ClassVar[bool] = True

    def unlabelled_maps(self, tokens: Tokens) -> Tensor:
        return torch.tensor([[[-1.0, -2, -3]], [[-3, -2, -1]]]).expand(tokens.batch, -1, -1, -1)


def group_of(data: MadeData) -> Group:
    encoder = MadeEncoder()
    listing = Listing(data, encoder.vocabulary(NAMES))
    (batch,) = Reader(data, encoder, False, 8).batches([0])
    (group,) = encode_groups(batch.items, listing, encoder)
    return group


def scores_of(*clips: dict[int, float]) -> Tensor:
    scores = torch.zeros(len(clips), len(NAMES))
    for clip, some in enumerate(clips):
        for label, score in some.items():
            scores[clip, label] = score
    return scores


def asked_of(
    method: Method, group: Group, sources: tuple[LabelSource, ...], counting: Counting = "true"
) -> Asked:
    return ask(method, group, MadeEncoder().vocabulary(NAMES), sources, counting)


def told(asked: Asked, source: LabelSource) -> list[tuple[int, ...] | None]:
    """Clip, class and number of classes asked with it, for each pair; None without a map."""
    rows = asked.rows[source].tolist()
    for pair, row in enumerate(rows):
        assert row == NOT_DETECTED or asked.pairs[row] == pair
    maps = [None if row == NOT_DETECTED else asked.maps[row, 0] for row in rows]
    return [None if one is None else tuple(int(value) for value in one) for one in maps]


@pytest.fixture
def group() -> Group:
    return group_of(MadeData(count=2, sources=2))


def test_given_labels_are_asked_for_as_they_are(group: Group) -> None:
    asked = asked_of(Telling(None), group, ("given",))
    pairs = zip(group.clip.tolist(), group.labels.tolist(), strict=True)
    assert told(asked, "given") == [(clip, label, 2) for clip, label in pairs]
    assert asked.detection is None


@pytest.mark.parametrize("sources", [("detected",), BOTH])
def test_a_source_whose_class_is_not_detected_has_no_map(
    group: Group, sources: tuple[LabelSource, ...]
) -> None:
    first, second = group.labels[:2].tolist(), group.labels[2:].tolist()
    wrong = next(label for label in range(len(NAMES)) if label not in second)
    scores = scores_of({first[1]: 3, first[0]: 2}, {wrong: 5, second[1]: 4, second[0]: 3})
    asked = asked_of(Telling(scores), group, sources)
    expected = [(0, first[0], 2), (0, first[1], 2), None, (1, second[1], 2)]
    assert told(asked, "detected") == expected
    assert asked.detection is not None
    assert asked.detection.chosen == ((first[1], first[0]), (wrong, second[1]))
    assert torch.equal(asked.detection.scores, scores)


def test_what_given_labels_have_answered_is_not_asked_again(group: Group) -> None:
    scores = torch.zeros(2, len(NAMES))
    scores[group.clip, group.labels] = 1
    asked = asked_of(Telling(scores), group, BOTH)
    assert len(asked.maps) == 4
    assert torch.equal(asked.rows["given"], asked.rows["detected"])


def test_a_method_is_asked_for_all_that_it_detects_at_once(group: Group) -> None:
    scores = torch.full((2, len(NAMES)), 0.9)
    scores[1] = 0
    label = int(group.labels[2])
    scores[1, label] = 0.8
    asked = asked_of(Telling(scores, threshold=0.7), group, BOTH, "threshold")
    assert told(asked, "detected") == [
        (0, int(group.labels[0]), len(NAMES)),
        (0, int(group.labels[1]), len(NAMES)),
        (1, label, 1),
        None,
    ]


def test_at_least_one_class_is_detected(group: Group) -> None:
    scores = scores_of({1: 0.2}, {3: 0.1})
    asked = asked_of(Telling(scores, threshold=0.7), group, ("detected",), "threshold")
    assert asked.detection is not None
    assert asked.detection.chosen == ((1,), (3,))


def test_nothing_that_is_there_may_be_detected(group: Group) -> None:
    absent = [next(n for n in range(5) if n not in group.labels[group.clip == c]) for c in (0, 1)]
    scores = scores_of({absent[0]: 1}, {absent[1]: 1})
    asked = asked_of(Telling(scores, threshold=0.5), group, ("detected",), "threshold")
    assert told(asked, "detected") == [None] * 4
    assert asked.maps.shape == (0, 1, 3)


def test_where_nothing_is_to_be_found_the_first_class_is_shown() -> None:
    group = group_of(MadeData(count=2, sources=1, silent=(1,)))
    absent = [(int(label) + 1) % len(NAMES) for label in group.labels]
    scores = scores_of({absent[0]: 2}, {absent[1]: 2})
    asked = asked_of(Telling(scores), group, BOTH)
    assert told(asked, "detected") == [None, (1, absent[1], 1)]
    scores[1, group.labels[1]] = 3
    asked = asked_of(Telling(scores), group, BOTH)
    assert told(asked, "detected") == [None, (1, int(group.labels[1]), 1)]


def test_a_source_without_a_class_gets_the_class_that_comes_first() -> None:
    group = group_of(MadeData(count=2, sources=1, labelled=False))
    asked = asked_of(Telling(scores_of({3: 1}, {0: 0.1, 4: 0.2})), group, ("detected",))
    assert told(asked, "detected") == [(0, 3, 1), (1, 4, 1)]


def test_a_silent_source_without_a_class_gets_it_with_given_labels_too() -> None:
    group = group_of(MadeData(count=2, sources=1, silent=(1,), nameless=(1,)))
    label = int(group.labels[0])
    scores = scores_of({label: 1}, {4: 1})
    asked = asked_of(Telling(scores), group, BOTH)
    assert told(asked, "given") == told(asked, "detected") == [(0, label, 1), (1, 4, 1)]
    alone = asked_of(Telling(scores), group, ("given",))
    assert told(alone, "given") == [(0, label, 1), (1, 4, 1)]
    assert alone.detection is None


def test_two_sources_of_one_class_are_one_class() -> None:
    group = group_of(MadeData(count=1, sources=2))
    twice = Group(
        group.items,
        group.tokens,
        group.targets,
        group.clip,
        group.pairs,
        torch.full_like(group.labels, 2),
    )
    asked = asked_of(Telling(scores_of({2: 1, 3: 0.5})), twice, ("detected",))
    assert asked.detection is not None
    assert asked.detection.chosen == ((2,),)
    assert told(asked, "detected") == [(0, 2, 1), (0, 2, 1)]


def test_a_method_without_classes_is_asked_once(group: Group) -> None:
    asked = asked_of(Telling(None), group, ("none",))
    assert list(asked.rows) == ["none"]
    assert [clip for clip, *_ in (one for one in told(asked, "none") if one)] == [0, 0, 1, 1]


def test_a_method_that_does_not_detect_after_all(group: Group) -> None:
    with pytest.raises(UsageError, match="cannot detect"):
        asked_of(Telling(None), group, BOTH)


def test_maps_without_names_are_assigned_by_the_truth(group: Group) -> None:
    head = Nameless(None)
    head.set_tuned(polarity=-1)
    asked = asked_of(head, group, ("given", "none"))
    assert list(asked.rows) == ["given", "none"]
    assert asked.pairs.tolist() == [0, 1, 2, 3] * 2
    assert asked.detection is None
    pairs = zip(group.clip.tolist(), group.labels.tolist(), strict=True)
    assert told(asked, "given") == [(-clip, -label, -2) for clip, label in pairs]
    assert told(asked, "none") == [(3, 2, 1), (1, 2, 3)] * 2  # sources stand from left to right


def test_maps_without_names_need_no_classes() -> None:
    group = group_of(MadeData(count=2, sources=1, labelled=False, silent=(1,)))
    head = Nameless(None)
    head.set_tuned(polarity=-1)
    asked = asked_of(head, group, ("none",))
    on_the_left = bool((group.targets[0] > 0).nonzero()[:, 1].double().mean() < 10)
    assert told(asked, "none")[0] == ((3, 2, 1) if on_the_left else (1, 2, 3))
    assert asked.pairs.tolist() == [0, 1]
