from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.small_model import SMALL_MODULATION as TINY
from tvsl.audioclip.checkpoint import build
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.modulation_audio_encoder import Block, ModulationAudioEncoder, band_matrix
from tvsl.synthetic.world import World

DEFAULT = ModulationAudioEncoderConfig()
SEGMENT = 320


@cache
def encoder(config: ModulationAudioEncoderConfig = TINY) -> ModulationAudioEncoder:
    torch.manual_seed(0)
    made = ModulationAudioEncoder(config, 12)
    for name, value in made.named_buffers():  # as after training: not at their start
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
    return made.eval().requires_grad_(False)


def model_config() -> AudioCLIPConfig:
    return AudioCLIPConfig(
        embedding=12,
        image=ImageEncoderConfig(width=8, blocks=(1, 1, 1, 1), resolution=64, heads=4),
        audio=TINY,
        text=TextEncoderConfig(vocabulary=16, context=6, width=8, layers=1, heads=2),
    )


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(1, samples, generator=generator)


def triangles(config: ModulationAudioEncoderConfig) -> NDArray[np.float64]:
    """Band by band and bin by bin, (bins, bands)."""
    hertz = np.fft.rfftfreq(config.window_length, 1 / config.sample_rate)
    centres = np.geomspace(config.lowest, config.highest, config.bands)
    weights = np.zeros((len(hertz), config.bands))
    for band, centre in enumerate(centres):
        to_next = centre * (centres[1] / centres[0]) - centre
        half = max(to_next, config.sample_rate / config.window_length)
        for row, frequency in enumerate(hertz):
            weights[row, band] = max(0.0, 1 - abs(frequency - centre) / half)
        weights[:, band] /= weights[:, band].sum()
    return weights


@pytest.mark.parametrize(
    "config",
    [DEFAULT, TINY, *(TINY.model_copy(update={"window_length": n}) for n in (63, 65, 111))],
    ids=["default", "tiny", "63", "65", "111"],
)
def test_bands_are_triangles_around_even_steps_of_log_frequency(
    config: ModulationAudioEncoderConfig,
) -> None:
    found = band_matrix(config).double().numpy()
    np.testing.assert_allclose(found, triangles(config), atol=2e-6)


def test_bands_leave_no_gap() -> None:
    matrix = band_matrix(DEFAULT)
    hertz = torch.from_numpy(np.fft.rfftfreq(DEFAULT.window_length, 1 / DEFAULT.sample_rate))
    inside = (hertz >= DEFAULT.lowest) & (hertz <= DEFAULT.highest)
    assert bool((matrix[inside].sum(dim=1) > 0).all())
    assert bool((matrix.sum(dim=0) - 1).abs().max() < 1e-5)
    outside = (hertz < 0.7 * DEFAULT.lowest) | (hertz > 1.06 * DEFAULT.highest)
    assert bool((matrix[outside] == 0).all())


def log_bands(segment: NDArray[np.float64], config: ModulationAudioEncoderConfig) -> np.ndarray:
    """Frame by frame, (bands, frames)."""
    margin = config.window_length - config.hop_length
    padded = np.pad(segment, (margin // 2, margin - margin // 2), mode="reflect")
    window = np.hanning(config.window_length + 1)[:-1]
    frames = []
    for start in range(0, config.frames * config.hop_length, config.hop_length):
        frame = padded[start : start + config.window_length] * window
        power = np.abs(np.fft.rfft(frame)) ** 2 / window.sum() ** 2
        frames.append(np.log10(power @ triangles(config) + 1e-10))
    values = np.stack(frames, axis=1)
    return (values - values.mean()) / 1.2


@pytest.mark.parametrize("window", [64, 63, 20, 21])
def test_bands_are_the_log_power_of_each_frame(window: int) -> None:
    config = TINY.model_copy(update={"window_length": window})
    sound = noise(SEGMENT, seed=window)
    found = encoder(config).bands(sound)
    assert found.shape == (1, config.bands, config.frames)
    expected = log_bands(sound[0].double().numpy(), config)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("band", [10, 47, 80])
def test_a_tone_is_loudest_in_its_own_band(band: int) -> None:
    pitch = np.geomspace(DEFAULT.lowest, DEFAULT.highest, DEFAULT.bands)[band]
    time = torch.arange(DEFAULT.segment) / DEFAULT.sample_rate
    tone = 0.1 * torch.sin(2 * math.pi * pitch * time)[None]
    loudest = encoder(DEFAULT).bands(tone).mean(dim=-1).argmax()
    assert abs(int(loudest) - band) <= (2 if pitch < 200 else 0)  # below, bands are a bin wide


@pytest.mark.parametrize("rate", [2.0, 3.1, 4.7, 6.2, 8.6, 10.9, 12.5])
@pytest.mark.parametrize("pitch", [300.0, 2_000.0])
def test_a_modulated_tone_is_heard_at_its_rate(rate: float, pitch: float) -> None:
    time = np.arange(DEFAULT.segment) / DEFAULT.sample_rate
    swell = 1 + 0.5 * np.sin(2 * np.pi * rate * time + 0.4)
    sound = torch.from_numpy(0.1 * swell * np.sin(2 * np.pi * pitch * time)).float()[None]
    network = encoder(DEFAULT)
    bands = network.bands(sound)
    loudest = int(bands.mean(dim=-1).argmax())
    heard = network.modulations(bands)
    assert heard.shape == (1, DEFAULT.modulations, DEFAULT.bands)
    seconds = DEFAULT.segment / DEFAULT.sample_rate
    assert abs(int(heard[0, :, loudest].argmax()) + 1 - rate * seconds) <= 0.6


def test_a_steady_tone_swells_at_no_rate() -> None:
    time = torch.arange(DEFAULT.segment) / DEFAULT.sample_rate
    network = encoder(DEFAULT)
    bands = network.bands(0.1 * torch.sin(2 * math.pi * 1_000 * time)[None])
    steady = network.modulations(bands)[0, :, int(bands.mean(dim=-1).argmax())]
    noisy = network.modulations(network.bands(noise(DEFAULT.segment)))[0].mean(dim=-1)
    assert bool((steady[2:] < noisy[2:] - 1).all())


def change(network: ModulationAudioEncoder, sound: torch.Tensor, gain: float) -> float:
    """By how much the tokens change when the sound becomes louder."""
    expected = network.tokens(network.features(sound))
    found = network.tokens(network.features(gain * sound))
    return float((found - expected).norm() / expected.norm())


@given(octaves=st.floats(-6, 6))
@settings(max_examples=10)
def test_loudness_means_nothing(octaves: float) -> None:
    assert change(encoder(), noise(SEGMENT), 2.0**octaves) < 2e-3


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_loudness_of_the_world_means_nothing(gain: float) -> None:
    """Its faint background comes near the floor under the logarithm."""
    sound = torch.from_numpy(World("validation").scene(3, 2).waveform)[None]
    assert change(encoder(DEFAULT), sound, gain) < 0.02


@given(samples=st.one_of(st.integers(1, 5 * SEGMENT), st.integers(1, 300_000)))
def test_segments_cover_a_sound_of_any_length(samples: int) -> None:
    sound = torch.arange(1, samples + 1, dtype=torch.float64)[None]
    parts = encoder().segments(sound)[0]
    assert parts.shape == (math.ceil(samples / SEGMENT), SEGMENT)
    if samples < SEGMENT:
        assert parts[0].tolist() == [1 + n % samples for n in range(SEGMENT)]
        return
    assert torch.equal(parts, parts[:, :1] + torch.arange(SEGMENT))
    starts = parts[:, 0].long() - 1
    assert int(starts[0]) == 0
    assert int(starts[-1]) == samples - SEGMENT
    distances = starts.diff()
    if len(distances):
        assert int(distances.max()) <= SEGMENT  # nothing between two segments is left out
        assert int(distances.max() - distances.min()) <= 1


def test_minutes_are_cut_into_segments() -> None:
    sound = torch.arange(3 * 60 * DEFAULT.sample_rate + 17, dtype=torch.int32)[None]
    parts = encoder(DEFAULT).segments(sound)
    assert parts.shape == (1, 141, DEFAULT.segment)  # 180 s in pieces of 1.28 s
    assert len(parts.unique()) == sound.shape[1]


@pytest.mark.parametrize("samples", [1, 7, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT - 3])
def test_any_length_gives_tokens_whose_mean_is_the_embedding(samples: int) -> None:
    network = encoder()
    sound = torch.cat([noise(samples), noise(samples, seed=1)])
    features = network.features(sound)
    count = math.ceil(samples / SEGMENT)
    assert features.shape == (2, 10, TINY.bands // 8, count * TINY.frames // 16)
    tokens = network.tokens(features)
    assert tokens.shape == (2, TINY.bands // 8 * count * TINY.frames // 16, 12)
    torch.testing.assert_close(tokens.mean(dim=1), network.pool(features))
    torch.testing.assert_close(network(sound), network.pool(features))
    assert bool(torch.isfinite(tokens).all())


def test_tokens_are_row_major() -> None:
    network = encoder()
    features = network.features(noise(3 * SEGMENT))
    tokens = network.tokens(features).unflatten(1, features.shape[2:])
    expected = network.fc(features[0, :, 1, 2])
    torch.testing.assert_close(tokens[0, 1, 2], expected)


def test_a_long_sound_is_its_segments_side_by_side() -> None:
    network = encoder()
    sound = noise(3 * SEGMENT - 60)
    whole = network.features(sound)
    wide = TINY.frames // 16
    for number, start in enumerate((0, 290, 580)):
        part = network.features(sound[:, start : start + SEGMENT])
        torch.testing.assert_close(whole[..., number * wide : (number + 1) * wide], part)


def test_a_sound_alone_equals_the_sound_in_a_batch() -> None:
    network = encoder()
    sounds = torch.cat([noise(500, seed) for seed in range(3)])
    torch.testing.assert_close(network(sounds)[1:2], network(sounds[1:2]))


def test_silence_is_finite() -> None:
    assert bool(torch.isfinite(encoder()(torch.zeros(1, 50))).all())


def test_the_state_holds_weights_and_norms_alone() -> None:
    network = encoder()
    network.features(noise(SEGMENT))
    parameters = {name for name, _ in network.named_parameters()}
    others = network.state_dict().keys() - parameters
    kept = ("running_mean", "running_var", "num_batches_tracked")
    assert all(name.endswith(kept) for name in others)
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert len(others) == len(kept) * norms == len(kept) * (1 + 3 * 3)


def test_it_is_built_around_the_tensors_of_a_file() -> None:
    torch.manual_seed(1)
    model = AudioCLIP(model_config()).freeze()
    built = build(model.state_dict(), model_config(), Path("made-up"))
    sound = noise(700)
    torch.testing.assert_close(built.encode_audio(sound), model.encode_audio(sound))
    assert all(value.device.type == "cpu" for value in built.state_dict().values())


@pytest.mark.parametrize("samples", [100, SEGMENT, 3 * SEGMENT - 9])
def test_it_runs_on_the_device_of_its_input(samples: int) -> None:
    """On ``meta`` nothing is computed, yet any tensor of another device is an error."""
    band_matrix.cache_clear()
    elsewhere = ModulationAudioEncoder(TINY, 12).to("meta")
    assert elsewhere(torch.zeros(2, samples, device="meta")).device.type == "meta"
    with torch.device("meta"):
        band_matrix.cache_clear()
        elsewhere(torch.zeros(2, samples))
    assert bool(torch.isfinite(encoder()(noise(samples))).all())


def test_gradients_pass_after_a_first_call_in_inference_mode() -> None:
    band_matrix.cache_clear()
    torch.manual_seed(0)
    network = ModulationAudioEncoder(TINY, 12)
    with torch.inference_mode():
        network.eval()(noise(SEGMENT))
    sound = noise(2 * SEGMENT).requires_grad_()
    network.train()(torch.cat([sound, noise(2 * SEGMENT, 1)])).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name
    assert sound.grad is not None
    assert bool(torch.isfinite(sound.grad).all())


@pytest.mark.parametrize("stride", [(2, 2), (1, 2)])
def test_a_block_shortens_its_map(stride: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = Block(3, 5, stride).eval()
    features = torch.randn(2, 3, 8, 6)
    found = block(features)
    assert found.shape == (2, 5, 8 // stride[0], 6 // stride[1])
    with torch.no_grad():
        block.conv2.weight.zero_()  # what is left is the shortcut
    pooled = features.unflatten(2, (-1, stride[0])).unflatten(4, (-1, stride[1])).mean(dim=(3, 5))
    mixed = torch.einsum("bihw,oi->bohw", pooled, block.shortcut.weight[:, :, 0, 0])
    expected = (mixed / math.sqrt(1 + block.bn3.eps)).relu()
    torch.testing.assert_close(block(features), expected)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("bands", 24, "bands"),
        ("frames", 24, "frames"),
        ("lowest", 391.0, "lowest first"),
        ("highest", 400.0, "half the sample rate"),
        ("modulations", 9, "modulations"),
        ("window_length", 19, "window_length"),
        ("window_length", 321, "window_length"),
    ],
)
def test_sizes_that_cannot_be_are_refused(name: str, value: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModulationAudioEncoderConfig(**{**TINY.model_dump(), name: value})
