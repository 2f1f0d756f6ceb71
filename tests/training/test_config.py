from __future__ import annotations

from typing import Any

import pytest

from tvsl.data.synthetic import SyntheticClips
from tvsl.errors import UsageError
from tvsl.methods import METHODS
from tvsl.methods.tvsl import TVSL, ReleasedTVSL, preset
from tvsl.training.config import TrainConfig, find_head, recipe, training_data


def test_our_preset_is_gentle_and_the_paper_s_as_printed() -> None:
    ours, paper = recipe(), recipe(preset="paper")
    assert ours == recipe(preset=None) == TrainConfig()
    assert (ours.learning_rate, ours.epochs, ours.most_sources) == (1e-4, 2.0, 4)
    assert 96 <= ours.batch <= 128
    assert (paper.learning_rate, paper.batch) == (1e-4, 256)


def test_what_is_given_comes_before_the_preset() -> None:
    chosen = recipe(preset="paper", batch=8, steps=None, learning_rate=1.0)
    assert (chosen.batch, chosen.steps, chosen.learning_rate) == (8, None, 1.0)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"batch": 0}, "'batch'"),
        ({"learning_rate": float("nan")}, "'learning_rate'"),
        ({"most_sources": 9}, "'most_sources'"),
        # What torch cannot count with, or would fill the memory before anything is seen.
        ({"learning_rate": 1e300}, "'learning_rate'"),
        ({"epochs": 1e300}, "'epochs'"),
        ({"steps": 9 * 10**18}, "'steps'"),
        ({"batch": 9 * 10**18}, "'batch'"),
        ({"mixtures": 9 * 10**18}, "'mixtures'"),
        ({"validation_scenes": 9 * 10**18}, "'validation_scenes'"),
        ({"clips": 9 * 10**18}, "'clips'"),
        ({"schedule": "steep"}, "'schedule'"),
        ({"colour": "red"}, "'colour'"),
        ({"seed": -1}, "'seed'"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        recipe(**fields)


def test_clips_of_the_world() -> None:
    config = recipe(clips=7, seed=5, data_options={"twins": 0.5, "classes": "all"})
    clips = training_data(config).clips(config.clips, config.seed)
    assert clips == SyntheticClips(count=7, seed=5, twins=0.5, classes="all")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"data": "vgg"}, "no data set 'vgg'"),
        ({"data_options": {"twins": 2}}, "'twins'"),
        ({"data_options": {"root": "."}}, "'root'"),
    ],
)
def test_data_that_there_is_not(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        training_data(recipe(**fields))


@pytest.mark.parametrize(
    ("name", "kind"), [(None, TVSL), ("tvsl", TVSL), ("paper", TVSL), ("released", ReleasedTVSL)]
)
def test_presets(name: str | None, kind: type) -> None:
    found, hyperparameters = find_head(recipe(preset=name))
    assert found is kind
    assert hyperparameters == preset(name or "tvsl")


def test_hyperparameters() -> None:
    _, hyperparameters = find_head(
        recipe(preset="paper", hyperparameters={"correspondence": False})
    )
    assert hyperparameters == preset("paper", correspondence=False)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_found(name: str) -> None:
    found, hyperparameters = find_head(recipe(method=name))
    assert found is METHODS[name]
    assert type(hyperparameters) is found.config_type


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"method": "best"}, "no method 'best'"),
        ({"method": "ez-vsl", "preset": "paper"}, "no presets"),
        ({"preset": "printed"}, "no preset 'printed'"),
        ({"hyperparameters": {"stages": 3}}, "'stages'"),
        ({"method": "ez-vsl", "hyperparameters": {"stages": 1}}, "'stages'"),
    ],
)
def test_heads_that_there_are_not(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_head(recipe(**fields))
