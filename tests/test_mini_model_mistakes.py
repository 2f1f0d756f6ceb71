from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from benchmarks.mini_model import Mistakes, mistakes
from torch.nn.functional import one_hot

from tests.evaluation.made_scenes import made_scenes
from tvsl.errors import VocabularyError
from tvsl.evaluation.batch import EncodedBatch
from tvsl.tokens import Queries, Vocabulary

NAMES = ("red disc", "red star", "blue disc", "green ring", "blue star")


def scenes(*sounding: set[str]) -> EncodedBatch:
    rows = [[NAMES.index(name) for name in clip] for clip in sounding]
    vocabulary = Vocabulary(NAMES, torch.nn.functional.normalize(torch.randn(len(NAMES), 8)))
    made = made_scenes(len(sounding), 1)
    return replace(made, queries=Queries.from_lists(rows), vocabulary=vocabulary)


def taken(*clips: set[str]) -> torch.Tensor:
    indices = [torch.tensor([NAMES.index(name) for name in clip]) for clip in clips]
    return torch.stack([one_hot(index, len(NAMES)).sum(dim=0).float() for index in indices])


def test_mistakes_are_sorted_by_what_they_share() -> None:
    true = scenes({"red disc"}, {"red disc"}, {"red disc"}, {"red disc"})
    found = mistakes(taken({"red star"}, {"blue disc"}, {"green ring"}, {"red disc"}), true)
    assert found == Mistakes(75.0, pytest.approx(100 / 3), pytest.approx(100 / 3))


def test_one_part_may_be_of_one_source_and_one_of_another() -> None:
    true = scenes({"red star", "blue disc"})
    assert mistakes(taken({"red disc", "blue disc"}), true) == Mistakes(50.0, 100.0, 100.0)


def test_of_each_scene_as_many_are_taken_as_sound() -> None:
    true = scenes({"red disc"}, {"red disc", "green ring", "blue star"})
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5], [0.9, 0.1, 0.2, 0.8, 0.7]])
    assert mistakes(scores, true) == Mistakes(0.0, None, None)
    scores[1, 1] = 1.0
    assert mistakes(scores, true).wrong == 25


def test_classes_of_another_world_are_refused() -> None:
    other = scenes({"red disc"})
    vocabulary = Vocabulary(("dog", *NAMES[1:]), other.vocabulary.embeddings)
    with pytest.raises(VocabularyError, match="dog"):
        mistakes(taken({"red star"}), replace(other, vocabulary=vocabulary))
