from __future__ import annotations

from typing import get_args

import pytest

from tvsl.errors import UsageError
from tvsl.reproduce.benchmark import MODELS, kind_of
from tvsl.reproduce.specs import PRESETS, BenchmarkKind, reproduce_config
from tvsl.training.config import find_head, recipe


@pytest.mark.parametrize("kind", get_args(BenchmarkKind))
def test_presets_differ_in_how_much_is_done(kind: BenchmarkKind) -> None:
    full, quick = (reproduce_config(kind, preset) for preset in PRESETS)
    assert full.seeds == 3
    assert quick.steps < full.steps
    assert max(quick.batches) < max(full.batches)
    assert quick.validation_scenes < full.validation_scenes


@pytest.mark.parametrize(
    ("data", "options", "kind", "model"),
    [
        ("synthetic", {}, "synthetic", "mini"),
        ("synthetic", {"classes": "seen", "development": True}, "synthetic", "mini"),
        ("synthetic", {"classes": "unseen"}, "new classes", "mini-pooled"),
        ("synthetic", {"classes": "all"}, "new classes", "mini-pooled"),
        ("real", {"root": "here"}, "composites", "everyday"),
        ("folder", {"root": "here"}, "files", "audioclip"),
    ],
)
def test_each_kind_of_benchmark_has_its_encoder(
    data: str, options: dict[str, object], kind: BenchmarkKind, model: str
) -> None:
    assert kind_of(data, options) == kind
    assert MODELS[kind] == model


def test_smaller_batches_take_more_steps() -> None:
    config = reproduce_config("synthetic", "full", steps=300, batches=(32, 8, 64))
    assert [config.steps_of(batch) for batch in config.batches] == [300, 1200, 150]
    assert reproduce_config("synthetic", "quick", steps=1, batches=(2, 8)).steps_of(8) == 1


def test_fields_can_be_set_otherwise() -> None:
    config = reproduce_config("synthetic", "quick", steps=7, learning_rates=[1e-2])
    assert (config.steps, config.learning_rates, config.clips) == (7, (1e-2,), 64)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", get_args(BenchmarkKind))
def test_sizes_are_hyperparameters_of_their_methods(kind: BenchmarkKind, preset: str) -> None:
    for method, hyperparameters in reproduce_config(kind, preset).hyperparameters.items():
        _, config = find_head(recipe(method=method, hyperparameters=hyperparameters))
        assert config.model_dump().items() >= hyperparameters.items()


@pytest.mark.parametrize(
    ("preset", "fields", "says"),
    [
        ("slow", {}, "no scale 'slow'"),
        ("full", {"step": 3}, "'step'"),
        ("full", {"steps": 0}, "'steps'"),
        ("full", {"learning_rates": []}, "'learning_rates'"),
        ("full", {"schedule": "slow"}, "'schedule'"),
    ],
)
def test_wrong_recipes(preset: str, fields: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        reproduce_config("synthetic", preset, **fields)
