from __future__ import annotations

import pytest
from pydantic import ValidationError

from tvsl.errors import UsageError
from tvsl.methods import METHODS
from tvsl.methods.base import MethodConfig, switched


def test_switched_changes_what_is_said_and_nothing_else() -> None:
    config = MethodConfig(embedding=8, polarity=-1)
    assert switched(config) is config
    assert switched(config, square_pictures=True) == MethodConfig(
        embedding=8, polarity=-1, square_pictures=True
    )
    assert config == MethodConfig(embedding=8, polarity=-1)


@pytest.mark.parametrize(
    "switches",
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
def test_wrong_switches_are_refused(switches: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MethodConfig(**switches)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=next(iter(switches))):
        switched(MethodConfig(), **switches)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_states_what_validation_can_decide(name: str) -> None:
    method = METHODS[name]
    assert issubclass(method.config_type, MethodConfig)
    assert method.decidable >= {"polarity", "detection_threshold", "flip_average"}
    assert method.decidable <= set(method.config_type.model_fields)
