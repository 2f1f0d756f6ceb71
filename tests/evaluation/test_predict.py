from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from tests.evaluation.made_data import NAMES, SIZE, MadeData, MadeEncoder, made_models
from tvsl.errors import UsageError
from tvsl.evaluation.batch import EncodedBatch, IndexedDataset, Reader, encode_read_items
from tvsl.evaluation.predict import (
    NO_MAP,
    Counting,
    LabelChoice,
    Predictions,
    label_sources,
    predict,
)
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


def group_of(data: MadeData) -> EncodedBatch:
    encoder = MadeEncoder()
    dataset = IndexedDataset(data, encoder.vocabulary(NAMES))
    (batch,) = Reader(data, encoder, False, 8).batches([0])
    (group,) = encode_read_items(batch.items, dataset, encoder)
    return group


def scores_of(*clips: dict[int, float]) -> Tensor:
    scores = torch.zeros(len(clips), len(NAMES))
    for clip, some in enumerate(clips):
        for label, score in some.items():
            scores[clip, label] = score
    return scores


def asked_of(
    method: Method,
    group: EncodedBatch,
    sources: tuple[LabelSource, ...],
    counting: Counting = "oracle",
) -> Predictions:
    return predict(method, group, sources, counting)


def told(asked: Predictions, source: LabelSource) -> list[tuple[int, ...] | None]:
    """Clip, class and number of classes asked with it, for each pair; None without a map."""
    rows = asked.rows[source].tolist()
    for pair, row in enumerate(rows):
        assert row == NO_MAP or asked.pairs[row] == pair
    maps = [None if row == NO_MAP else asked.maps[row, 0] for row in rows]
    return [None if one is None else tuple(int(value) for value in one) for one in maps]


@pytest.fixture
def group() -> EncodedBatch:
    return group_of(MadeData(count=2, sources=2))


def test_given_labels_are_asked_for_as_they_are(group: EncodedBatch) -> None:
    asked = asked_of(Telling(None), group, ("given",))
    pairs = zip(group.queries.clip.tolist(), group.queries.label.tolist(), strict=True)
    assert told(asked, "given") == [(clip, label, 2) for clip, label in pairs]
    assert asked.scores is None


@pytest.mark.parametrize("detected", [True, False])
def test_two_sources_of_one_class_share_its_map(group: EncodedBatch, detected: bool) -> None:
    """One class is all there is to detect of them, and each of the two pairs is scored."""
    label = int(group.queries.label[0])
    other = (label + 1) % len(NAMES)
    second = group.queries.label[2:].tolist()
    twice = replace(group, queries=Queries(group.queries.clip, torch.tensor([label] * 2 + second)))
    scores = scores_of(
        {label if detected else other: 9.0, label: 8.0}, {second[0]: 3.0, second[1]: 2.0}
    )
    asked = asked_of(Telling(scores), twice, BOTH)
    assert told(asked, "given")[:2] == [(0, label, 2)] * 2
    assert asked.detected[0] == (label if detected else other,)
    assert told(asked, "detected")[:2] == ([(0, label, 2)] * 2 if detected else [None] * 2)
    alone = asked_of(Telling(scores), twice, ("detected",))
    assert told(alone, "detected")[:2] == ([(0, label, 1)] * 2 if detected else [None] * 2)
    assert alone.pairs.tolist()[:2] == ([0, 1] if detected else [2, 3])


@pytest.mark.parametrize("sources", [("detected",), BOTH])
def test_a_source_whose_class_is_not_detected_has_no_map(
    group: EncodedBatch, sources: tuple[LabelSource, ...]
) -> None:
    first, second = group.queries.label[:2].tolist(), group.queries.label[2:].tolist()
    wrong = next(label for label in range(len(NAMES)) if label not in second)
    scores = scores_of({first[1]: 3, first[0]: 2}, {wrong: 5, second[1]: 4, second[0]: 3})
    asked = asked_of(Telling(scores), group, sources)
    expected = [(0, first[0], 2), (0, first[1], 2), None, (1, second[1], 2)]
    assert told(asked, "detected") == expected
    assert asked.scores is not None
    assert asked.detected == ((first[1], first[0]), (wrong, second[1]))
    assert torch.equal(asked.scores, scores)


def test_what_given_labels_have_answered_is_not_asked_again(group: EncodedBatch) -> None:
    scores = torch.zeros(2, len(NAMES))
    scores[group.queries.clip, group.queries.label] = 1
    asked = asked_of(Telling(scores), group, BOTH)
    assert len(asked.maps) == 4
    assert torch.equal(asked.rows["given"], asked.rows["detected"])


def test_a_method_is_asked_for_all_that_it_detects_at_once(group: EncodedBatch) -> None:
    scores = torch.full((2, len(NAMES)), 0.9)
    scores[1] = 0
    label = int(group.queries.label[2])
    scores[1, label] = 0.8
    asked = asked_of(Telling(scores, threshold=0.7), group, BOTH, "threshold")
    assert told(asked, "detected") == [
        (0, int(group.queries.label[0]), len(NAMES)),
        (0, int(group.queries.label[1]), len(NAMES)),
        (1, label, 1),
        None,
    ]


def test_at_least_one_class_is_detected(group: EncodedBatch) -> None:
    scores = scores_of({1: 0.2}, {3: 0.1})
    asked = asked_of(Telling(scores, threshold=0.7), group, ("detected",), "threshold")
    assert asked.scores is not None
    assert asked.detected == ((1,), (3,))


def test_nothing_that_is_there_may_be_detected(group: EncodedBatch) -> None:
    absent = [
        next(n for n in range(5) if n not in group.queries.label[group.queries.clip == c])
        for c in (0, 1)
    ]
    scores = scores_of({absent[0]: 1}, {absent[1]: 1})
    asked = asked_of(Telling(scores, threshold=0.5), group, ("detected",), "threshold")
    assert told(asked, "detected") == [None] * 4
    assert asked.maps.shape == (0, 1, 3)


def test_where_nothing_is_to_be_found_the_first_class_is_shown() -> None:
    group = group_of(MadeData(count=2, sources=1, silent=(1,)))
    absent = [(int(label) + 1) % len(NAMES) for label in group.queries.label]
    scores = scores_of({absent[0]: 2}, {absent[1]: 2})
    asked = asked_of(Telling(scores), group, BOTH)
    assert told(asked, "detected") == [None, (1, absent[1], 1)]
    scores[1, group.queries.label[1]] = 3
    asked = asked_of(Telling(scores), group, BOTH)
    assert told(asked, "detected") == [None, (1, int(group.queries.label[1]), 1)]


def test_a_source_without_a_class_gets_the_class_that_comes_first() -> None:
    group = group_of(MadeData(count=2, sources=1, labelled=False))
    asked = asked_of(Telling(scores_of({3: 1}, {0: 0.1, 4: 0.2})), group, ("detected",))
    assert told(asked, "detected") == [(0, 3, 1), (1, 4, 1)]


def test_a_silent_source_without_a_class_gets_it_with_given_labels_too() -> None:
    group = group_of(MadeData(count=2, sources=1, silent=(1,), nameless=(1,)))
    label = int(group.queries.label[0])
    scores = scores_of({label: 1}, {4: 1})
    asked = asked_of(Telling(scores), group, BOTH)
    assert told(asked, "given") == told(asked, "detected") == [(0, label, 1), (1, 4, 1)]
    alone = asked_of(Telling(scores), group, ("given",))
    assert told(alone, "given") == [(0, label, 1), (1, 4, 1)]
    assert alone.scores is None


def test_two_sources_of_one_class_are_one_class() -> None:
    group = group_of(MadeData(count=1, sources=2))
    queries = Queries(group.queries.clip, torch.full_like(group.queries.label, 2))
    twice = replace(group, queries=queries)
    asked = asked_of(Telling(scores_of({2: 1, 3: 0.5})), twice, ("detected",))
    assert asked.scores is not None
    assert asked.detected == ((2,),)
    assert told(asked, "detected") == [(0, 2, 1), (0, 2, 1)]


def test_a_method_without_classes_is_asked_once(group: EncodedBatch) -> None:
    asked = asked_of(Telling(None), group, ("none",))
    assert list(asked.rows) == ["none"]
    assert [clip for clip, *_ in (one for one in told(asked, "none") if one)] == [0, 0, 1, 1]


def test_a_method_that_does_not_detect_after_all(group: EncodedBatch) -> None:
    with pytest.raises(UsageError, match="cannot detect"):
        asked_of(Telling(None), group, BOTH)


def test_maps_without_names_are_assigned_by_the_truth(group: EncodedBatch) -> None:
    head = Nameless(None)
    head.set_tuned(polarity=-1)
    asked = asked_of(head, group, ("given", "assigned"))
    assert list(asked.rows) == ["given", "assigned"]
    assert asked.pairs.tolist() == [0, 1, 2, 3] * 2
    assert asked.scores is None
    pairs = zip(group.queries.clip.tolist(), group.queries.label.tolist(), strict=True)
    assert told(asked, "given") == [(-clip, -label, -2) for clip, label in pairs]
    assert told(asked, "assigned") == [(3, 2, 1), (1, 2, 3)] * 2  # sources stand from left to right


def test_maps_without_names_need_no_classes() -> None:
    group = group_of(MadeData(count=2, sources=1, labelled=False, silent=(1,)))
    head = Nameless(None)
    head.set_tuned(polarity=-1)
    asked = asked_of(head, group, ("assigned",))
    on_the_left = bool((group.targets[0] > 0).nonzero()[:, 1].double().mean() < 10)
    assert told(asked, "assigned")[0] == ((3, 2, 1) if on_the_left else (1, 2, 3))
    assert asked.pairs.tolist() == [0, 1]


def method(name: str) -> Method:
    return made_models(name).methods[0].method


@pytest.mark.parametrize(
    ("name", "labelled", "labels", "sources"),
    [
        ("text-only", True, None, ("given", "detected")),
        ("text-only", True, ("given",), ("given",)),
        ("text-only", True, ("detected",), ("detected",)),
        ("text-only", False, None, ("detected",)),
        ("text-only", False, ("detected",), ("detected",)),
        ("audioclip", True, None, ("none",)),
        ("audioclip", False, ("given",), ("none",)),
        ("mix-and-localize", True, None, ("given", "assigned")),
        ("mix-and-localize", True, ("given",), ("given", "assigned")),
        ("mix-and-localize", True, ("detected",), ("assigned",)),
        ("mix-and-localize", False, None, ("assigned",)),
    ],
)
def test_labels_come_from_where_they_can(
    name: str, labelled: bool, labels: tuple[LabelChoice, ...] | None, sources: tuple[str, ...]
) -> None:
    assert label_sources(method(name), labelled, labels) == sources


@pytest.mark.parametrize("labels", [("given",), ("given", "detected")])
def test_labels_that_there_are_not_cannot_be_given(labels: tuple[LabelChoice, ...]) -> None:
    with pytest.raises(UsageError, match="no class labels"):
        label_sources(method("text-only"), False, labels)


def test_a_method_that_cannot_detect(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = method("text-only")
    monkeypatch.setattr(type(blind), "detect", Method.detect)
    assert label_sources(blind, True, None) == ("given",)
    for labelled, labels in ((True, ("detected",)), (False, None)):
        with pytest.raises(UsageError, match="cannot detect"):
            label_sources(blind, labelled, labels)  # type: ignore[arg-type]


def test_where_a_source_lacks_its_class_it_has_to_be_detected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert label_sources(method("text-only"), True, ("given",), complete=False) == ("given",)
    assert label_sources(method("mix-and-localize"), True, None, complete=False) == ("assigned",)
    blind = method("text-only")
    monkeypatch.setattr(type(blind), "detect", Method.detect)
    with pytest.raises(UsageError, match="cannot detect classes, and not all are given"):
        label_sources(blind, True, ("given",), complete=False)


def test_evaluation_never_merges_names(group: EncodedBatch) -> None:
    """Names that are one to the model are two classes here."""
    rows = group.vocabulary.embeddings.clone()
    rows[1] = rows[0]
    same = replace(group, vocabulary=Vocabulary(group.vocabulary.names, rows))
    assert same.vocabulary.groups(0.99).unique().numel() < len(rows)
    scores = scores_of({0: 0.9, 1: 0.8}, {1: 0.9, 0: 0.8})
    asked = asked_of(Telling(scores), same, ("detected",))
    assert asked.detected == ((0, 1), (1, 0))
