from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tvsl.everyday.hearing import SAMPLE_RATE, YAMNet, mel_filters
from tvsl.everyday.model_file import EverydayNetworks


@pytest.fixture(scope="module")
def network(networks: EverydayNetworks) -> YAMNet:
    return networks.hearing


def htk(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))


def hertz_of(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


EDGES = hertz_of(np.linspace(htk(125.0), htk(7500.0), 66))


def test_filters_are_htks_triangles() -> None:
    filters = mel_filters().numpy()
    assert filters.shape == (257, 64)
    expected = np.zeros((257, 64))
    for band in range(64):
        low, middle, high = htk(EDGES[band : band + 3])
        for number in range(1, 257):
            mel = htk(number * 31.25)
            expected[number, band] = max(
                0, min((mel - low) / (middle - low), (high - mel) / (high - middle))
            )
    np.testing.assert_allclose(filters, expected, atol=1e-4)


def test_filters_lie_between_their_edges() -> None:
    filters = mel_filters().numpy()
    hertz = np.arange(257) * 31.25
    assert not filters[0].any()
    assert not filters[hertz <= 124.9].any()
    assert not filters[hertz >= 7500.1].any()
    for band in range(64):
        used = hertz[filters[:, band] > 1e-6]
        assert used.min() >= EDGES[band] - 1e-3
        assert used.max() <= EDGES[band + 2] + 1e-3


@pytest.mark.parametrize("hertz", [200.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_lights_its_band(network: YAMNet, hertz: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    wave = torch.from_numpy(0.5 * np.sin(2 * np.pi * hertz * time)).float()
    loudest = network.spectrogram(wave[None])[0].mean(dim=0).argmax().item()
    centres = EDGES[1:-1]
    nearest = int(np.abs(htk(centres) - htk(hertz)).argmin())
    assert abs(loudest - nearest) <= 1  # low bands are as narrow as a bin


def test_frames_hop_and_values(network: YAMNet) -> None:
    generator = np.random.default_rng(0)
    wave = generator.uniform(-1, 1, 400 + 3 * 160 + 159).astype(np.float32)
    found = network.spectrogram(torch.from_numpy(wave)[None])[0].numpy()
    assert found.shape == (4, 64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for number in range(4):
        part = wave[number * 160 : number * 160 + 400] * window
        magnitudes = np.abs(np.fft.rfft(np.pad(part, (0, 112))))
        expected = np.log(magnitudes @ mel_filters().numpy().astype(float) + 0.001)
        np.testing.assert_allclose(found[number], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "patches"),
    [
        (1, 1),
        (15_600, 1),  # 96 frames of 400 samples, 160 apart
        (15_601, 2),
        (15_600 + 7680, 2),  # 48 frames on
        (15_600 + 7681, 3),
        (5 * 16_000, 10),
    ],
)
def test_whole_patches(network: YAMNet, samples: int, patches: int) -> None:
    assert network.patches(torch.ones(2, samples)).shape == (2, patches, 96, 64)


def test_what_is_missing_is_silence(network: YAMNet) -> None:
    generator = torch.Generator().manual_seed(0)
    wave = torch.rand(1, 20_000, generator=generator) - 0.5
    filled = torch.zeros(1, 15_600 + 7680)
    filled[:, :20_000] = wave
    assert torch.equal(network.patches(wave), network.patches(filled))
    assert torch.allclose(network.patches(wave)[0, 1, -1], torch.tensor(0.001).log())


def test_patches_overlap_by_half(network: YAMNet) -> None:
    generator = torch.Generator().manual_seed(0)
    found = network.patches(torch.rand(1, 40_000, generator=generator))[0]
    assert torch.equal(found[0, 48:], found[1, :48])


def test_each_patch_is_heard_by_itself(network: YAMNet) -> None:
    generator = torch.Generator().manual_seed(0)
    waves = torch.rand(2, 15_600 + 7680, generator=generator) - 0.5
    with torch.no_grad():
        embeddings, logits = network(waves)
        assert embeddings.shape == (2, 2, 1024)
        assert logits.shape == (2, 2, 521)
        one, other = network(waves[1:, 7680:])
    torch.testing.assert_close(embeddings[1, 1:], one[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits[1, 1:], other[0], atol=1e-4, rtol=1e-4)
