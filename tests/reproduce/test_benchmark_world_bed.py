from __future__ import annotations

import pytest

from tvsl.evaluation.scenes import encode_scenes
from tvsl.reproduce.bench import Bench
from tvsl.reproduce.benchmark import WorldBed
from tvsl.reproduce.experiment import (
    DUET,
    KINDS,
    NEGATIVES,
    OFF_SCREEN_SINGLE,
    QUARTET,
    SINGLE,
    TWIN_DUET,
    UNSEEN_DUET,
    Kind,
)
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World


@pytest.fixture
def bed(bench: Bench) -> WorldBed:
    found = bench.testbed
    assert isinstance(found, WorldBed)
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_there_are_scenes_of_every_kind(kind: Kind, bed: WorldBed) -> None:
    assert bed.lacks(kind, "test") is None
    assert bed.lacks(kind, "validation") is None
    assert bed.count(kind, "test") == bed.config.test_scenes
    assert bed.count(kind, "validation") == bed.config.validation_scenes
    unseen = kind.part == "unseen"
    assert bed.names(kind) == CLASSES["unseen" if unseen else "seen"]


@pytest.mark.parametrize("kind", [SINGLE, DUET, QUARTET, UNSEEN_DUET])
def test_scenes_of_a_block_are_those_of_their_numbers(
    kind: Kind, bed: WorldBed, bench: Bench
) -> None:
    part = bed.scenes(bench.encoder, kind, "test", range(1, 3))
    whole = encode_scenes(bench.encoder, bed.world(kind, "test"), kind.sources, 3)
    assert part.tokens.batch == 2
    assert part.tokens.panels == kind.sources
    assert part.queries.label.tolist() == whole.queries.label[kind.sources :].tolist()
    assert bool((part.boxes == whole.boxes[kind.sources :]).all())


def test_twists_are_what_they_say(bed: WorldBed) -> None:
    twins, off = bed.world(TWIN_DUET, "test"), bed.world(OFF_SCREEN_SINGLE, "test")
    for number in range(3):
        assert all(panel.twin is not None for panel in twins.scene(number, 2).panels)
        assert off.scene(number).off_screen is not None
    assert bed.world(NEGATIVES, "test") == bed.world(SINGLE, "test") == World("test")


def test_visible_are_all_objects_of_a_picture(bed: WorldBed) -> None:
    found = bed.visible(SINGLE, "test", range(2, 4))
    scene = World("test").scene(3)
    assert found[1] == {thing.label for thing in scene.panels[0].objects}
    assert len(found) == 2


def test_shown_are_the_scenes_pictures(bed: WorldBed) -> None:
    (found,) = bed.shown(DUET, [2])
    scene = World("test").scene(2, 2)
    assert (found.picture == scene.picture).all()
    assert found.labels == scene.labels


def test_training_clips_follow_the_recipe(bed: WorldBed) -> None:
    assert bed.clips.count == bed.config.clips
    assert bed.clips.names == CLASSES["seen"]
    assert bed.record()["clips"] == bed.clips.description()
    assert bed.warnings() == []
