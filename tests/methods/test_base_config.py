from __future__ import annotations

import pytest
from pydantic import ValidationError

from tvsl.errors import UsageError
from tvsl.methods import METHODS
from tvsl.methods.base import MethodConfig, with_overrides


def test_switched_changes_what_is_said_and_nothing_else() -> None:
    config = MethodConfig(embedding=8, polarity=-1)
    assert with_overrides(config) is config
    assert with_overrides(config, square_pictures=True) == MethodConfig(
        embedding=8, polarity=-1, square_pictures=True
    )
    assert config == MethodConfig(embedding=8, polarity=-1)


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"embedding": 0},
        {"polarity": 0},
        {"detection_threshold": float("inf")},
        {"flip_average": "up"},
        {"image_tokens": "most"},
        {"waveform_scale": 0.0},
        {"unknown": 1},
    ],
    ids=str,
)
def test_wrong_switches_are_refused(hyperparameters: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MethodConfig(**hyperparameters)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=next(iter(hyperparameters))):
        with_overrides(MethodConfig(), **hyperparameters)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_states_what_validation_can_decide(name: str) -> None:
    method = METHODS[name]
    assert issubclass(method.config_type, MethodConfig)
    assert method.tunable >= {"polarity", "detection_threshold", "flip_average"}
    assert method.tunable <= set(method.config_type.model_fields)
