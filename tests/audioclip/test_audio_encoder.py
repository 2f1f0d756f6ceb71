from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import get_window

from tvsl.audioclip.audio_encoder import (
    blackman_harris,
    from_int16_range,
    power_to_bands,
    split_frames,
)
from tvsl.audioclip.model import AudioCLIP


@pytest.mark.parametrize("length", [8, 255, 1654])
def test_window_is_scipys(length: int) -> None:
    expected = torch.from_numpy(get_window("blackmanharris", length, fftbins=True)).float()
    torch.testing.assert_close(blackman_harris(length), expected, rtol=0, atol=1e-7)


@given(samples=st.integers(1, 300), length=st.integers(1, 50), hop=st.integers(1, 50))
def test_frames_cover_the_padded_sound(samples: int, length: int, hop: int) -> None:
    sound = torch.arange(1.0, samples + 1)[None]
    frames = split_frames(sound, length, hop)[0]
    expected_count = 1 if samples <= length else 1 + math.ceil((samples - length) / hop)
    assert frames.shape == (expected_count, length)
    missing = (expected_count - 1) * hop + length - samples
    padded = [0.0] * (missing // 2) + sound[0].tolist() + [0.0] * (missing - missing // 2)
    for number, frame in enumerate(frames.tolist()):
        assert frame == padded[number * hop : number * hop + length]


def test_16_bit_range_becomes_one() -> None:
    ends = torch.tensor([-32768.0, 32767.0])
    torch.testing.assert_close(from_int16_range(ends), torch.tensor([-1.0, 1.0]))


def test_bands_are_the_thirds_of_the_bins_in_decibels() -> None:
    power = 10.0 ** torch.arange(7.0)[None, :, None].expand(1, 7, 2).clone()
    power[0, 0, 0] = 0.0
    bands = power_to_bands(power)
    expected = torch.tensor([[0.0, 10.0], [20.0, 30.0], [40.0, 50.0]])
    assert bands.shape == (1, 3, 2, 2)
    torch.testing.assert_close(bands[0, :, :, 1], expected)
    assert float(bands[0, 0, 0, 0]) == pytest.approx(-180.0)


@pytest.mark.parametrize("samples", [1, 40, 97, 5_000])
def test_any_length_gives_tokens_and_the_count_follows(
    samples: int, small_model: AudioCLIP
) -> None:
    sound = torch.randn(2, samples)
    frames = split_frames(sound, 96, 40).shape[1]
    columns = frames
    for _ in range(5):
        columns = math.ceil(columns / 2)
    rows = 65 // 3
    for _ in range(5):
        rows = math.ceil(rows / 2)
    tokens = small_model.audio_tokens(sound)
    assert tokens.shape == (2, rows * columns, 16)
    assert bool(torch.isfinite(tokens).all())


def test_pooled_embedding_gates_the_mean_with_the_maximum(small_model: AudioCLIP) -> None:
    audio = small_model.audio
    features = torch.rand(1, audio.config.channels, 3, 4)
    highest = features.amax(dim=(2, 3), keepdim=True)
    attention = audio.att5
    centre = attention.conv_depth.weight[:, 0, 1, 2]  # one cell meets the middle of the kernel
    inner = highest[0, :, 0, 0] * centre + attention.conv_depth.bias
    inner = attention.conv_point.weight[:, :, 0, 0] @ inner + attention.conv_point.bias
    gate = torch.sigmoid(attention.bn(inner[None, :, None, None]))
    mean = features.mean(dim=(2, 3), keepdim=True)
    expected = audio.fc((mean * gate)[:, :, 0, 0])
    torch.testing.assert_close(audio.pool(features), expected)
