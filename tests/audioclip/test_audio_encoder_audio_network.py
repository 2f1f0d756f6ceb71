from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError

from tests.small_model import SMALL_MODULATION as MODULATION
from tvsl.audioclip.audio_encoder import AudioEncoder, AudioNetwork
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    AudioEncoderConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.fast_path import FastAudioFeatures, PlainAudioFeatures, fast_audio_features
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.modulation_audio_encoder import ModulationAudioEncoder

ESRESNEXT = AudioEncoderConfig(
    filter_length=128,
    window_length=96,
    hop_length=40,
    stem_width=8,
    blocks=(1, 1, 1, 1),
    groups=2,
)
Audio = AudioEncoderConfig | ModulationAudioEncoderConfig


def config(audio: Audio) -> AudioCLIPConfig:
    return AudioCLIPConfig(
        embedding=12,
        image=ImageEncoderConfig(width=8, blocks=(1, 1, 1, 1), resolution=64, heads=4),
        audio=audio,
        text=TextEncoderConfig(vocabulary=16, context=6, width=8, layers=1, heads=2),
    )


def model(audio: Audio) -> AudioCLIP:
    torch.manual_seed(0)
    made = AudioCLIP(config(audio))
    for name, value in made.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
    return made.freeze()


@pytest.mark.parametrize(
    ("audio", "network", "fast"),
    [
        (ESRESNEXT, AudioEncoder, FastAudioFeatures),
        (MODULATION, ModulationAudioEncoder, PlainAudioFeatures),
    ],
    ids=["esresnext", "modulation"],
)
def test_the_config_chooses_the_network(
    audio: Audio, network: type[AudioNetwork], fast: type[torch.nn.Module]
) -> None:
    read = AudioCLIPConfig.model_validate_json(config(audio).model_dump_json())
    assert read == config(audio)
    made = AudioCLIP(read).audio
    assert type(made) is network
    assert type(fast_audio_features(made, torch.float32)) is fast


def test_the_public_checkpoint_s_network_is_the_default() -> None:
    assert AudioCLIPConfig().audio == AudioEncoderConfig()
    assert AudioCLIPConfig().audio.kind == "esresnext"


@pytest.mark.parametrize(
    "audio",
    [
        {"kind": "other"},
        {"kind": "modulation", "groups": 2},
        {"kind": "esresnext", "bands": 16},
        {"kind": "modulation", "bands": 17},
    ],
)
def test_other_networks_are_refused(audio: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AudioCLIPConfig.model_validate_json(json.dumps({"audio": audio}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_network_without_a_faster_form_keeps_its_own(dtype: torch.dtype) -> None:
    network = model(MODULATION).audio
    fast = fast_audio_features(network, dtype)
    sound = torch.randn(2, 700)
    found = fast(sound)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, network.features(sound), rtol=0, atol=0)
    assert next(iter(fast.parameters())) is next(iter(network.parameters()))


@pytest.mark.parametrize("audio", [ESRESNEXT, MODULATION], ids=["esresnext", "modulation"])
def test_an_encoder_offers_either_network_alike(audio: Audio) -> None:
    encoder = AudioCLIPEncoder(model(audio))
    assert encoder.sample_rate == audio.sample_rate
    frames, sounds = torch.randn(2, 3, 64, 64), 0.1 * torch.randn(2, 900)
    tokens = encoder.encode(frames, sounds)
    scaled = sounds * 32768.0
    features = encoder.model.audio.features(scaled)
    torch.testing.assert_close(
        tokens.audio, encoder.model.audio.tokens(features), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        tokens.sound, encoder.model.encode_audio(sounds), rtol=1e-3, atol=1e-4
    )
    assert tokens.audio.shape == (2, features.shape[2] * features.shape[3], 12)


def test_half_a_network_cannot_be_made() -> None:
    class Half(AudioNetwork):
        def features(self, waveforms: torch.Tensor) -> torch.Tensor:
            return waveforms

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
