from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.shared_files import shared
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    AudioEncoderConfig,
    ImageEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP

SMALL = AudioCLIPConfig(
    embedding=16,
    image=ImageEncoderConfig(width=8, blocks=(1, 2, 1, 1), resolution=64, heads=4),
    audio=AudioEncoderConfig(
        filter_length=128,
        window_length=96,
        hop_length=40,
        stem_width=8,
        blocks=(1, 2, 1, 1),
        groups=2,
        group_width=4,
    ),
    text=TextEncoderConfig(vocabulary=64, context=12, width=16, layers=2, heads=2),
)


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    with np.load(shared("golden", "audioclip.npz")) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def phrases() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads(shared("golden", "phrases.json").read_text())
    return content


@pytest.fixture(scope="session")
def small_model() -> AudioCLIP:
    torch.manual_seed(3)
    model = AudioCLIP(SMALL)
    for module in model.modules():  # as after training: statistics that are not the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        model.audio.fbsp.m.uniform_(0.5, 1.5)
    return model.freeze()
