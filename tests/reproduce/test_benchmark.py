from __future__ import annotations

import torch

from tests.evaluation.made_scenes import made_scenes
from tvsl.reproduce.benchmark import with_negatives


def test_every_other_scene_has_the_sound_of_another_one() -> None:
    scenes = made_scenes(9, 1, seed=3)
    names = [scenes.vocabulary.names[label] for label in scenes.queries.label.tolist()]
    visible = [{name} for name in names]
    found = with_negatives(scenes, visible)
    silent = ~found.targets.flatten(1).any(dim=1)
    assert silent.tolist() == [row % 2 == 1 for row in range(9)]
    heard = [scenes.vocabulary.names[label] for label in found.queries.label.tolist()]
    for row in range(9):
        same = torch.isclose(scenes.tokens.audio, found.tokens.audio[row]).flatten(1).all(dim=1)
        (source,) = same.nonzero()[:, 0].tolist()
        assert torch.equal(found.tokens.sound[row], scenes.tokens.sound[source])
        assert heard[row] == names[source]
        assert torch.equal(found.tokens.visual[row], scenes.tokens.visual[row])
        if row % 2:
            assert heard[row] not in visible[row]
        else:
            assert source == row
            assert torch.equal(found.targets[row], scenes.targets[row])
            assert torch.equal(found.labels[row], scenes.labels[row])


def test_a_scene_that_shows_every_class_stays_as_it_is() -> None:
    scenes = made_scenes(4, 1)
    found = with_negatives(scenes, [set(scenes.vocabulary.names)] * 4)
    assert torch.equal(found.tokens.audio, scenes.tokens.audio)
    assert torch.equal(found.targets, scenes.targets)
    assert torch.equal(found.labels, scenes.labels)
