from __future__ import annotations

import pytest

from tvsl.errors import UsageError
from tvsl.evaluation.batch import encode_scenes
from tvsl.reproduce.benchmark import (
    FINAL_SEED,
    SyntheticBenchmark,
    SyntheticOptions,
    open_benchmark,
)
from tvsl.reproduce.experiment import Experiment
from tvsl.reproduce.specs import (
    DUET,
    NEGATIVES,
    OFF_SCREEN_SINGLE,
    QUARTET,
    SINGLE,
    TEST_CONDITIONS,
    TWIN_DUET,
    UNSEEN_DUET,
    UNSEEN_SINGLE,
    SceneSet,
    TestCondition,
    reproduce_config,
)
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World


@pytest.fixture
def benchmark(experiment: Experiment) -> SyntheticBenchmark:
    found = experiment.benchmark
    assert isinstance(found, SyntheticBenchmark)
    return found


@pytest.mark.parametrize("condition", TEST_CONDITIONS.values(), ids=TEST_CONDITIONS)
def test_there_are_scenes_of_every_kind(
    condition: TestCondition, benchmark: SyntheticBenchmark
) -> None:
    assert benchmark.lacks(SceneSet(condition, "test")) is None
    assert benchmark.lacks(SceneSet(condition, "validation")) is None
    assert benchmark.count(SceneSet(condition, "test")) == benchmark.config.test_scenes
    assert benchmark.count(SceneSet(condition, "validation")) == benchmark.config.validation_scenes
    unseen = condition.classes == "unseen"
    assert benchmark.names(condition) == CLASSES["unseen" if unseen else "seen"]


@pytest.mark.parametrize("condition", [SINGLE, DUET, QUARTET, UNSEEN_DUET])
def test_scenes_of_a_block_are_those_of_their_numbers(
    condition: TestCondition, benchmark: SyntheticBenchmark, experiment: Experiment
) -> None:
    part = benchmark.scenes(experiment.encoder, SceneSet(condition, "test"), range(1, 3))
    whole = encode_scenes(
        experiment.encoder, benchmark.maker(SceneSet(condition, "test")), condition.sources, 3
    )
    assert part.tokens.batch == 2
    assert part.tokens.panels == condition.sources
    assert part.queries.label.tolist() == whole.queries.label[condition.sources :].tolist()
    assert bool((part.targets == whole.targets[condition.sources :]).all())


def test_perturbations_are_what_they_say(benchmark: SyntheticBenchmark) -> None:
    twins, off = (
        benchmark.maker(SceneSet(TWIN_DUET, "test")),
        benchmark.maker(SceneSet(OFF_SCREEN_SINGLE, "test")),
    )
    for number in range(3):
        assert all(panel.twin is not None for panel in twins.scene(number, 2).panels)
        assert off.scene(number).off_screen is not None
    assert (
        benchmark.maker(SceneSet(NEGATIVES, "test"))
        == benchmark.maker(SceneSet(SINGLE, "test"))
        == World("test", seed=FINAL_SEED)
    )


def test_visible_are_all_objects_of_a_picture(benchmark: SyntheticBenchmark) -> None:
    found = benchmark.visible(SceneSet(SINGLE, "test"), range(2, 4))
    scene = World("test", seed=FINAL_SEED).scene(3)
    assert found[1] == {thing.label for thing in scene.panels[0].objects}
    assert len(found) == 2


def test_shown_are_the_scenes_pictures(benchmark: SyntheticBenchmark) -> None:
    ((picture, labels),) = benchmark.preview(DUET, [2])
    scene = World("test", seed=FINAL_SEED).scene(2, 2)
    assert (picture == scene.picture).all()
    assert labels == scene.labels


def test_training_clips_follow_the_recipe(benchmark: SyntheticBenchmark) -> None:
    assert benchmark.clips.count == benchmark.config.clips
    assert benchmark.clips.names == CLASSES["seen"]
    assert benchmark.record()["clips"] == benchmark.clips.description()
    assert benchmark.warnings() == []


def test_classes_new_to_the_encoder_are_trained_and_tested_on() -> None:
    config = reproduce_config("synthetic", "quick")
    found = open_benchmark("synthetic", {"classes": "unseen"}, config)
    assert isinstance(found, SyntheticBenchmark)
    assert found.clips.names == found.names(SINGLE) == CLASSES["unseen"]
    assert found.names(UNSEEN_SINGLE) == CLASSES["seen"]
    assert set(found.clips.read(range(8), 16_000).labels.tolist()) <= set(range(18))
    assert found.record() != SyntheticBenchmark(config).record()


def test_of_all_classes_none_are_left_for_the_table_of_unseen_ones() -> None:
    found = open_benchmark("synthetic", {"classes": "all"}, reproduce_config("synthetic", "quick"))
    assert found.clips.names == found.names(SINGLE) == CLASSES["all"]
    assert found.lacks(SceneSet(DUET, "test")) is None
    assert found.lacks(SceneSet(UNSEEN_DUET, "test")) is not None


def test_scenes_of_development_are_not_those_that_are_published() -> None:
    config = reproduce_config("synthetic", "quick")
    final = SyntheticBenchmark(config)
    development = SyntheticBenchmark(config, SyntheticOptions(development=True))
    for condition in (SINGLE, DUET):
        ours, published = (one.maker(SceneSet(condition, "test")) for one in (development, final))
        seeds = {ours.scene(n, condition.sources).sha256 for n in range(3)}
        assert not seeds & {published.scene(n, condition.sources).sha256 for n in range(3)}
    assert final.record()["final_seed"] == FINAL_SEED
    assert "final_seed" not in development.record()
    validation = SceneSet(SINGLE, "validation")
    assert development.maker(validation) == final.maker(validation)
    assert development.warnings()
    assert not final.warnings()


@pytest.mark.parametrize("options", [{"classes": "both"}, {"development": "maybe"}, {"twins": 1}])
def test_options_that_the_world_does_not_have(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        open_benchmark("synthetic", options, reproduce_config("synthetic", "quick"))
