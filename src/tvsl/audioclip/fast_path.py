"""Faster forms of the image and audio networks, for frozen weights.

BatchNorm is folded into the convolutions, and weights are packed once for their kernels. The
shortcut's addition and ReLU happen inside the convolution. Activations stay channels-last. The
filter bank is one product with a constant matrix. Outputs equal those of the plain modules up to
rounding (docs/weights.md states the measured errors).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights
from typing_extensions import Self

from tvsl.audioclip import audio_encoder, image_encoder
from tvsl.audioclip.audio_encoder import (
    AudioEncoder,
    AudioNetwork,
    from_int16_range,
    power_to_bands,
)
from tvsl.audioclip.image_encoder import ImageEncoder
from tvsl.utils import kernels
from tvsl.utils.kernels import halving_max, is_traced


class FusedConvolution(nn.Module):
    """Convolution with BatchNorm folded in, and with shortcut and ReLU fused where they can be.

    Args:
        convolution: The trained convolution.
        norm: The BatchNorm behind it, if there is one.
        relu: Whether a ReLU follows (behind the shortcut, if one is given).
        dtype: Arithmetic type.
    """

    def __init__(
        self,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d | None = None,
        relu: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        weight, bias = convolution.weight.detach(), convolution.bias
        if norm is not None:
            weight, bias = fuse_conv_bn_weights(
                weight,
                bias,
                cast(Tensor, norm.running_mean),
                cast(Tensor, norm.running_var),
                norm.eps,
                norm.weight,
                norm.bias,
            )
        if bias is None:
            bias = torch.zeros(len(weight), device=weight.device)
        self.weight: Tensor
        self.bias: Tensor
        weight = weight.detach().to(dtype, memory_format=torch.channels_last)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias.detach().to(dtype), persistent=False)
        self.stride = cast("tuple[int, int]", convolution.stride)
        self.padding = cast("tuple[int, int]", convolution.padding)
        self.groups = convolution.groups
        self.relu = relu
        self._packed: tuple[torch.Size, Tensor] | None = None

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._packed = None  # laid out for the device and type that the weights had
        return cast(Self, super()._apply(fn, recurse))  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weights: they can be neither pickled nor copied, only made again."""
        return {**self.__dict__, "_packed": None}

    def forward(self, features: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Convolve: (B, outputs, h', w'), channels-last.

        Args:
            features: (B, inputs, h, w), channels-last.
            shortcut: Added before the ReLU, (B, outputs, h', w'); its memory is reused for the
                result.
        """
        if kernels.can_fuse(features):
            return self._fused(features, shortcut)
        result = F.conv2d(
            features, self.weight, self.bias, self.stride, self.padding, groups=self.groups
        )
        if shortcut is not None:
            result.add_(shortcut)
        return result.relu_() if self.relu else result

    def _fused(self, features: Tensor, shortcut: Tensor | None) -> Tensor:
        operators = torch.ops.mkldnn
        stride, padding, dilation = list(self.stride), list(self.padding), [1, 1]
        size = features.shape[1:]
        if self._packed is None or self._packed[0] != size:
            # The kernel's best layout depends on the size: another one's costs two to six times,
            # packing anew a fifth.
            packed = operators._reorder_convolution_weight(
                self.weight, padding, stride, dilation, self.groups, list(features.shape)
            )
            self._packed = size, packed
        geometry = (self._packed[1], self.bias, padding, stride, dilation, self.groups)
        activation = "relu" if self.relu else "none"
        if shortcut is None:
            result = operators._convolution_pointwise(features, *geometry, activation, [], "")
        else:
            result = operators._convolution_pointwise_.binary(
                shortcut, features, *geometry, "add", 1.0, "relu" if self.relu else None, [], None
            )
        return cast(Tensor, result)


class FusedBottleneck(nn.Module):
    """A residual block of either encoder in three or four fused convolutions.

    Args:
        block: The trained block.
        dtype: Arithmetic type.
    """

    def __init__(
        self, block: image_encoder.Bottleneck | audio_encoder.GroupedBottleneck, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.conv1 = FusedConvolution(block.conv1, block.bn1, relu=True, dtype=dtype)
        self.conv2 = FusedConvolution(block.conv2, block.bn2, relu=True, dtype=dtype)
        self.conv3 = FusedConvolution(block.conv3, block.bn3, relu=True, dtype=dtype)
        self.pool: nn.Module | None = None
        if isinstance(block, image_encoder.Bottleneck) and not isinstance(
            block.avgpool, nn.Identity
        ):
            self.pool = block.avgpool
        self.shortcut: FusedConvolution | None = None
        if block.downsample is not None:
            convolution, norm = list(block.downsample)[-2:]
            self.shortcut = FusedConvolution(
                cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm), dtype=dtype
            )

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block; without a shortcut convolution the input's memory is reused."""
        inner = self.conv2(self.conv1(features))
        shortcut = features
        if self.pool is not None:
            inner, shortcut = self.pool(inner), self.pool(shortcut)
        if self.shortcut is not None:
            shortcut = self.shortcut(shortcut)
        return cast(Tensor, self.conv3(inner, shortcut))


def _fuse_stage(stage: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    blocks = cast("list[image_encoder.Bottleneck | audio_encoder.GroupedBottleneck]", list(stage))
    return nn.Sequential(*(FusedBottleneck(block, dtype) for block in blocks))


class FastImageFeatures(nn.Module):
    """``ImageEncoder.features`` of a frozen encoder.

    Args:
        encoder: The trained encoder.
        dtype: Arithmetic type.
    """

    def __init__(self, encoder: ImageEncoder, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        self.layers = nn.Sequential(
            FusedConvolution(encoder.conv1, encoder.bn1, relu=True, dtype=dtype),
            FusedConvolution(encoder.conv2, encoder.bn2, relu=True, dtype=dtype),
            FusedConvolution(encoder.conv3, encoder.bn3, relu=True, dtype=dtype),
            nn.AvgPool2d(2),
            *(_fuse_stage(stage, dtype) for stage in encoder.stages),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (B, 3, H, W) to the last feature map (B, C, h, w), float32."""
        images = images.to(self.dtype, memory_format=torch.channels_last)
        return cast(Tensor, self.layers(images)).float()


class FastAudioFeatures(nn.Module):
    """``AudioEncoder.features`` of a frozen encoder.

    Args:
        encoder: The trained encoder.
        dtype: Arithmetic type of the convolutions; the filter bank stays in float32, since
            decibels of quiet bins do not survive less.
    """

    def __init__(self, encoder: AudioEncoder, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = encoder.config
        self.dtype = dtype
        self.bins = encoder.config.bins // audio_encoder.BANDS * audio_encoder.BANDS
        matrices = encoder.fbsp.matrices(
            encoder.padding, encoder.padding + encoder.config.window_length, self.bins
        )
        self.bank: Tensor
        self.window: Tensor
        self.register_buffer("bank", torch.cat(matrices).detach(), persistent=False)
        self.register_buffer("window", encoder.window.detach().clone(), persistent=False)
        self.stem = FusedConvolution(encoder.conv1, encoder.bn1, relu=True, dtype=dtype)
        self.stages = nn.ModuleList()
        self.depth = nn.ModuleList()
        self.point = nn.ModuleList()
        for stage, attention in encoder.stages:
            self.stages.append(_fuse_stage(stage, dtype))
            self.depth.append(FusedConvolution(attention.conv_depth, dtype=dtype))
            self.point.append(FusedConvolution(attention.conv_point, attention.bn, dtype=dtype))

    def bands(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) in the 16-bit range to decibels (B, 3, bins // 3, frames)."""
        frames = audio_encoder.split_frames(
            from_int16_range(waveforms), self.config.window_length, self.config.hop_length
        )
        if is_traced():  # batch and frames stay apart, whatever their numbers
            real, imaginary = F.linear(frames * self.window, self.bank).chunk(2, dim=-1)
            return power_to_bands((real * real + imaginary * imaginary).transpose(1, 2))
        batch, count, length = frames.shape
        columns = (frames * self.window).reshape(batch * count, length)
        parts = (self.bank @ columns.T).view(2, self.bins, batch, count)
        power = (parts[0].square_() + parts[1].square_()).transpose(0, 1)
        return power_to_bands(power)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) in the 16-bit range to the last feature map (B, C, f, m), float32."""
        bands = self.bands(waveforms).to(self.dtype, memory_format=torch.channels_last)
        features = F.max_pool2d(self.stem(bands), 3, stride=2, padding=1)
        for stage, depth, point in zip(self.stages, self.depth, self.point, strict=True):
            before = features
            features = stage(before)
            gate = point(depth(_max_pooled(before, features.shape[2], features.shape[3])))
            features.mul_(gate.sigmoid_())
        return features.float()


class PlainAudioFeatures(nn.Module):
    """``features`` of an audio network that has no faster form, as a module.

    Args:
        encoder: The trained encoder; its weights are shared.
    """

    def __init__(self, encoder: AudioNetwork) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, waveforms: Tensor) -> Tensor:
        """Scaled waveforms (B, S) to the last feature map (B, C, f, m), float32."""
        return self.encoder.features(waveforms)


def fast_audio_features(encoder: AudioNetwork, dtype: torch.dtype) -> nn.Module:
    """Build the fastest form of an audio network's ``features``.

    Args:
        encoder: The trained network.
        dtype: Arithmetic type of the convolutions, where they have a faster form.

    Returns:
        A module from waveforms to the last feature map.
    """
    if isinstance(encoder, AudioEncoder):
        return FastAudioFeatures(encoder, dtype)
    return PlainAudioFeatures(encoder)


def _max_pooled(features: Tensor, height: int, width: int) -> Tensor:
    """Adaptive maximum pooling; if the sizes divide, by the faster plain pooling or none."""
    if is_traced():
        return halving_max(features, (height, width))
    high, wide = features.shape[2] // height, features.shape[3] // width
    if features.shape[2:] != (high * height, wide * width):
        return F.adaptive_max_pool2d(features, (height, width))
    return features if high == wide == 1 else F.max_pool2d(features, (high, wide))
