"""Forms for traced graphs, against torch's own operators."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tvsl.utils import kernels


@pytest.mark.parametrize("size", [(7, 7), (5, 11), (1, 30)])
def test_tables_are_resized_as_by_interpolate(size: tuple[int, int]) -> None:
    table = torch.rand(7, 7, 4, generator=torch.Generator().manual_seed(2))
    expected = F.interpolate(table.permute(2, 0, 1)[None], size, mode="bicubic")[0]
    found = kernels.resized_table(table, size)
    torch.testing.assert_close(found, expected.permute(1, 2, 0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(11, 17), (6, 9), (1, 9), (1, 1)])
def test_halving_pools_as_adaptive_pooling_does(size: tuple[int, int]) -> None:
    features = torch.rand(2, 3, 11, 17, generator=torch.Generator().manual_seed(3))
    assert torch.equal(kernels.halving_max(features, size), F.adaptive_max_pool2d(features, size))


@pytest.mark.parametrize("samples", [5, 6, 23])
def test_frames_overlap_as_by_unfold(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    signal = torch.arange(2.0 * samples).view(2, samples)
    expected = signal.unfold(-1, 5, 3)
    assert torch.equal(kernels.overlapping(signal, 5, 3), expected)
    monkeypatch.setattr(kernels, "is_traced", lambda: True)
    assert torch.equal(kernels.overlapping(signal, 5, 3), expected)


@pytest.mark.parametrize(("size", "smaller"), [((24, 36), (16, 24)), ((336, 45), (300, 40))])
def test_frames_are_reduced_as_by_interpolate(
    size: tuple[int, int], smaller: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(4))
    expected = kernels.reduced(frames, smaller)
    assert expected.shape[2:] == smaller
    assert kernels.reduced(frames, size) is frames
    monkeypatch.setattr(kernels, "is_traced", lambda: True)
    torch.testing.assert_close(kernels.reduced(frames, smaller), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(kernels.reduced(frames, size), frames, atol=1e-6, rtol=0)


def test_magnitudes_are_those_of_the_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = torch.rand(2, 5, 400, generator=torch.Generator().manual_seed(5)) - 0.5
    expected = torch.fft.rfft(frames.double(), 512).abs().float()
    torch.testing.assert_close(kernels.magnitudes(frames, 512), expected, atol=1e-5, rtol=0)
    monkeypatch.setattr(kernels, "is_traced", lambda: True)
    torch.testing.assert_close(kernels.magnitudes(frames, 512), expected, atol=1e-5, rtol=0)
