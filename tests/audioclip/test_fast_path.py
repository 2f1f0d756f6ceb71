from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import nn

from tvsl.audioclip.fast_path import FastAudioFeatures, FastImageFeatures, FusedConvolution
from tvsl.audioclip.model import AudioCLIP
from tvsl.utils import kernels


@pytest.fixture(params=[True, False], ids=["fused kernels", "plain kernels"])
def fused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(kernels, "fused_kernels_exist", lambda: False)
    elif not kernels.fused_kernels_exist():
        pytest.skip("this build of torch has no fused convolutions")
    return bool(request.param)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("with_norm", [True, False])
@pytest.mark.parametrize("with_shortcut", [True, False])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 4)])
@torch.inference_mode()
def test_one_convolution(
    relu: bool, with_norm: bool, with_shortcut: bool, stride: int, groups: int, fused: bool
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 12, 3, stride, 1, groups=groups, bias=not with_norm)
    norm = nn.BatchNorm2d(12).eval()
    norm.running_mean.normal_()  # type: ignore[union-attr]
    norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    features = torch.randn(2, 8, 9, 7).contiguous(memory_format=torch.channels_last)
    expected = convolution(features)
    if with_norm:
        expected = norm(expected)
    shortcut = torch.randn_like(expected).contiguous(memory_format=torch.channels_last)
    if with_shortcut:
        expected = expected + shortcut
    if relu:
        expected = expected.relu()
    made = FusedConvolution(convolution, norm if with_norm else None, relu)
    found = made(features, shortcut if with_shortcut else None)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 64, 128), (2, 96, 32)])
@torch.inference_mode()
def test_image_features(shape: tuple[int, int, int], small_model: AudioCLIP, fused: bool) -> None:
    batch, height, width = shape
    fast = FastImageFeatures(small_model.visual)
    for _ in range(2):  # the second run reuses the layouts that the first made
        images = torch.randn(batch, 3, height, width)
        kept = images.clone()
        assert relative(fast(images), small_model.visual.features(images)) < 1e-4
        torch.testing.assert_close(images, kept, rtol=0, atol=0)


@pytest.mark.parametrize("samples", [60, 700, 4_000])
@torch.inference_mode()
def test_audio_features(samples: int, small_model: AudioCLIP, fused: bool) -> None:
    fast = FastAudioFeatures(small_model.audio)
    sound = 3_000 * torch.randn(2, samples)
    torch.testing.assert_close(fast.bands(sound), small_model.audio.bands(sound), rtol=0, atol=1e-2)
    assert relative(fast(sound), small_model.audio.features(sound)) < 1e-3


@torch.inference_mode()
def test_every_size_has_its_own_layout(small_model: AudioCLIP) -> None:
    fast = FastImageFeatures(small_model.visual)
    for side in (64, 32, 160):
        images = torch.randn(2, 3, side, 64)
        found = fast(images)
        assert relative(found, small_model.visual.features(images)) < 1e-4
        assert torch.equal(found, FastImageFeatures(small_model.visual)(images))
        if kernels.fused_kernels_exist():
            packed = cast(FusedConvolution, fast.layers[0])._packed
            assert packed is not None
            assert packed[0] == (3, side, 64)


@torch.inference_mode()
def test_bfloat16_stays_near(small_model: AudioCLIP, fused: bool) -> None:
    images, sound = torch.randn(2, 3, 64, 64), 3_000 * torch.randn(2, 4_000)
    image = FastImageFeatures(small_model.visual, torch.bfloat16)(images)
    audio = FastAudioFeatures(small_model.audio, torch.bfloat16)(sound)
    assert image.dtype == audio.dtype == torch.float32
    assert relative(image, small_model.visual.features(images)) < 0.05
    assert relative(audio, small_model.audio.features(sound)) < 0.1


@torch.inference_mode()
def test_moving_drops_the_layouts(small_model: AudioCLIP) -> None:
    fast = FastImageFeatures(small_model.visual)
    images = torch.randn(1, 3, 64, 64)
    expected = fast(images)
    found = fast.to(torch.float64).to(torch.float32)(images)
    torch.testing.assert_close(found, expected)


def test_operators_with_other_arguments_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernels.fused_kernels_exist():
        pytest.skip("this build of torch has no fused convolutions")
    decide = kernels.fused_kernels_exist.__wrapped__
    assert decide()
    known = kernels._FUSED_OPERATORS
    for name in known:
        monkeypatch.setattr(kernels, "_FUSED_OPERATORS", {**known, name: known[name] + " more"})
        assert not decide()
    monkeypatch.setattr(kernels, "_FUSED_OPERATORS", {**known, "gone.default": "self"})
    assert not decide()
