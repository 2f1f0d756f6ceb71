from __future__ import annotations

from typing import Any

import pytest
import torch
from annotated_types import Le, Lt
from pydantic import BaseModel, ValidationError

from tests.small_model import SMALL, SMALL_MODULATION, WORLD
from tvsl.audioclip import config
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    AudioEncoderConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP
from tvsl.methods import METHODS
from tvsl.strict_model import StrictModel

KINDS: list[type[BaseModel]] = [
    kind
    for kind in (*vars(config).values(), *(method.config_type for method in METHODS.values()))
    if isinstance(kind, type)
    and issubclass(kind, BaseModel)
    and kind not in (BaseModel, StrictModel)
]


@pytest.mark.parametrize(
    "sizes",
    [
        AudioCLIPConfig(),
        SMALL,
        WORLD,
        SMALL.model_copy(update={"audio": SMALL_MODULATION}),
        SMALL.model_copy(
            update={"image": ImageEncoderConfig(resolution=112, multiples=(1, 2, 3, 3), heads=6,
                                                strides=(1, 2, 1, 1), width=32),
                    "audio": ModulationAudioEncoderConfig()}
        ),
    ],
)  # fmt: skip
def test_the_weights_are_counted_before_a_model_is_built(sizes: AudioCLIPConfig) -> None:
    with torch.device("meta"):
        model = AudioCLIP(sizes)
    assert sizes.weights == sum(value.numel() for value in model.parameters() if value.ndim > 1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_number_has_an_upper_bound_and_is_finite(kind: type[BaseModel]) -> None:
    assert kind.model_config["allow_inf_nan"] is False
    for name, field in kind.model_fields.items():
        stated = str(field.annotation)
        if "Literal" in stated or not any(number in stated for number in ("int", "float")):
            continue
        bounds = str(field.metadata) + stated
        assert any(isinstance(part, Le | Lt) for part in field.metadata) or "le=" in bounds, name


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        (ImageEncoderConfig, {"blocks": (10**9, 1, 1, 1)}),
        (ImageEncoderConfig, {"blocks": (0, 1, 1, 1)}),
        (ImageEncoderConfig, {"multiples": (1, 2, 4, 10**9)}),
        (ImageEncoderConfig, {"strides": (0, 2, 2, 2)}),
        (ImageEncoderConfig, {"strides": (-1, 2, 2, 2)}),
        (ImageEncoderConfig, {"strides": (8, 8, 8, 8)}),
        (ImageEncoderConfig, {"strides": (1, 1, 1, 1), "resolution": 1024}),
        (ImageEncoderConfig, {"resolution": 10**9}),
        (ImageEncoderConfig, {"width": 2048}),
        (ImageEncoderConfig, {"width": 1}),
        (ImageEncoderConfig, {"heads": 31}),
        (AudioEncoderConfig, {"blocks": (1, 1, 1, 10**9)}),
        (AudioEncoderConfig, {"filter_length": 2**30}),
        (AudioEncoderConfig, {"hop_length": 1}),
        (AudioEncoderConfig, {"sample_rate": 10**9}),
        (AudioEncoderConfig, {"groups": 1024, "group_width": 1024}),
        (AudioEncoderConfig, {"stem_width": 10**9}),
        (ModulationAudioEncoderConfig, {"hop_length": 8}),
        (ModulationAudioEncoderConfig, {"frames": 16 * 10**8}),
        (ModulationAudioEncoderConfig, {"widths": (1, 1, 1, 10**9)}),
        (ModulationAudioEncoderConfig, {"lowest": float("nan")}),
        (ModulationAudioEncoderConfig, {"highest": float("inf")}),
        (TextEncoderConfig, {"layers": 10**9}),
        (TextEncoderConfig, {"context": 10**9}),
        (TextEncoderConfig, {"vocabulary": 10**12}),
        (TextEncoderConfig, {"width": 513}),
        (AudioCLIPConfig, {"embedding": 10**9}),
        (AudioCLIPConfig, {"waveform_scale": float("inf")}),
        (AudioCLIPConfig, {"classes": ["a", "A"]}),
    ],
)
def test_sizes_that_no_model_has(part: type[BaseModel], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        part.model_validate(fields)
