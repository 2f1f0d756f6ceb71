from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.methods.tvsl.inputs import vocabulary
from tvsl.errors import UsageError
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.tvsl import (
    PRESETS,
    TVSL,
    ReleasedConfig,
    ReleasedTVSL,
    TVSLConfig,
    method_of,
    preset,
)


@pytest.mark.parametrize("name", ["tvsl", "paper", "released"])
def test_preset_builds_its_method(name: str) -> None:
    assert preset(name) is PRESETS[name]
    config = preset(name, embedding=8)
    head = method_of(config).from_config(config)
    assert isinstance(head, ReleasedTVSL if name == "released" else TVSL)
    assert head.training
    assert head.polarity == preset(name).polarity


def test_paper_is_as_printed() -> None:
    paper = preset("paper")
    assert isinstance(paper, TVSLConfig)
    expected = {
        "token_projectors": "trained",
        "fusion_layers": 1,
        "detector": "fusion",
        "detach_detection": False,
        "mask_same_class": False,
        "readout": "cosine",
        "printed_sums": True,
        "prompt_length": 0,
        "stages": 2,
        "polarity": 1,
    }
    assert {key: getattr(paper, key) for key in expected} == expected


def test_released_turns_its_maps() -> None:
    assert preset("released").polarity == -1
    assert preset("released").image_tokens == "released"
    assert preset("released").waveform_scale == 1.0


@pytest.mark.parametrize("name", ["", "TVSL", "clip"])
def test_unknown_preset_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="paper"):
        preset(name)


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"embedding": 0},
        {"prompt_length": 33},
        {"prompt_length": -1},
        {"prompt_classes": 1},
        {"stages": 3},
        {"readout": "best"},
        {"readout_exponent": 0.0},
        {"polarity": 0},
        {"token_projectors": "fast"},
        {"fusion_layers": 0},
        {"unknown": True},
    ],
    ids=str,
)
def test_hyperparameter_outside_its_range_is_refused(hyperparameters: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TVSLConfig(**hyperparameters)


def test_configs_do_not_change() -> None:
    with pytest.raises(ValidationError):
        preset("tvsl").embedding = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"prompt_length": 4},
        {"stages": 1, "audio_conditioning": False, "image_conditioning": False},
    ],
    ids=str,
)
def test_contradiction_is_refused(hyperparameters: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TVSL(TVSLConfig(embedding=8, **hyperparameters))


@pytest.mark.parametrize(
    "config",
    [
        preset("tvsl", embedding=6),
        preset("paper", embedding=6),
        preset("released", embedding=6),
        TVSLConfig(stages=1, embedding=6),
        ReleasedConfig(hidden=12, embedding=6),
    ],
    ids=["tvsl", "paper", "released", "one stage", "hidden"],
)
def test_embedding_is_the_size(config: TVSLConfig | ReleasedConfig) -> None:
    head = method_of(config).from_config(config)
    assert head.config.embedding == 6
    assert all(p.ndim < 2 or 6 in p.shape or 12 in p.shape for p in head.parameters())


@pytest.mark.parametrize("embedding", [0, -4])
def test_impossible_size_is_refused(embedding: int) -> None:
    with pytest.raises((UsageError, ValidationError)):
        preset("tvsl", embedding=embedding)


@pytest.mark.parametrize("name", list(METHODS))
def test_registry_builds_methods_by_size(name: str) -> None:
    method = METHODS[name]
    head = method.from_config(method.config_for(method.config_type(), vocabulary(size=8)))
    assert isinstance(head, Method)
    assert head.name == name
    assert head.config.embedding == 8
    assert head.supervision in ("none", "video labels")
    assert isinstance(head.class_aware, bool)
