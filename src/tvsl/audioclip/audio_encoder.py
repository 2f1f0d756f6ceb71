"""The audio encoder (ESResNeXt) with dense tokens: filter bank, spectrogram, network.

Source: Guzhov et al., 2021 ("ESResNe(X)t-fbsp: Learning Robust Time-Frequency Transformation of
Audio" and "AudioCLIP"). Filter n is sqrt(fb) * sinc(fb t / m)^m * exp(-i fc t) on t in [-pi, pi],
where the spline order m, the bandwidth fb and the centre frequency fc are learned. Attribute names
are those of the public state dict.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.audioclip.config import AudioEncoderConfig
from tvsl.encoder import SoundGrid
from tvsl.utils.kernels import halving_max, is_traced, overlapping

_EPSILON = 1e-8

BANDS = 3
STRIDE: Final = 32
"""Frames from column to column of the last feature map."""
MARGIN: Final = 4
"""Columns of context from which on a column is that of the whole sound but for rounding."""
_POWER_FLOOR = 1e-18


class FilterBank(nn.Module):
    """Filter bank with three learned numbers per filter.

    Args:
        bins: Number of filters.
        length: Samples over which a filter is defined.
    """

    def __init__(self, bins: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.m = nn.Parameter(torch.zeros(bins))
        self.fb = nn.Parameter(torch.ones(bins))
        self.fc = nn.Parameter(torch.arange(bins, dtype=torch.float32))
        # The public state dict has an empty bias; without it the checkpoint would not be strict.
        self.bias = nn.Parameter(torch.empty(0))

    def matrices(self, first: int, last: int, bins: int | None = None) -> tuple[Tensor, Tensor]:
        """Build the filters' samples from ``first`` to ``last`` (exclusive).

        A frame shorter than the filters is padded with zeros on both sides: only the columns
        that meet the frame are needed.

        Args:
            first: First sample of the filters.
            last: One past the last sample.
            bins: Number of filters, from the lowest; all when None.

        Returns:
            Real and imaginary part, each (bins, last - first), scaled by 1 / sqrt(length).
        """
        time = torch.linspace(-1.0, 1.0, self.length, device=self.m.device, dtype=self.m.dtype)
        time = (math.pi * time + _EPSILON)[first:last]
        order, bandwidth, centre = (
            parameter[:bins, None] for parameter in (self.m, self.fb, self.fc)
        )
        angle = bandwidth * time / (order + _EPSILON)
        spline = torch.where(angle == 0, torch.ones_like(angle), torch.sin(angle) / angle)
        # A negative number to a real power is complex: its phase pi is multiplied by the order.
        phase = math.pi * order * (spline < 0)
        magnitude = (spline.square().sqrt() ** 2) ** (0.5 * order)
        spline_real, spline_imaginary = magnitude * torch.cos(phase), magnitude * torch.sin(phase)
        cosine, sine = torch.cos(centre * time), -torch.sin(centre * time)
        scale = bandwidth.sqrt()
        real = scale * (spline_real * cosine - spline_imaginary * sine) / self.length**0.5
        imaginary = scale * (spline_real * sine + spline_imaginary * cosine) / self.length**0.5
        return real, imaginary


class AudioNetwork(nn.Module, ABC):
    """Waveform to feature map, pooled embedding or dense tokens.

    Attributes:
        grid: How the columns of the feature map of a long sound follow each other; None where
            those of a window are no part of them.
    """

    grid: SoundGrid | None = None

    @abstractmethod
    def features(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S), scaled as the network was trained, to the last map (B, C, f, m)."""

    @abstractmethod
    def pool(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to pooled embeddings (B, D)."""

    @abstractmethod
    def tokens(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to tokens (B, f * m, D), row-major over the cells."""

    @property
    @abstractmethod
    def least_samples(self) -> int:
        """Samples of a sound of two moments, the shortest that a traced graph takes."""

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) to pooled embeddings (B, D)."""
        return self.pool(self.features(waveforms))


def blackman_harris(length: int) -> Tensor:
    """Periodic four-term Blackman-Harris window, (length,), float32 (Harris, 1978)."""
    angle = 2 * math.pi * torch.arange(length, dtype=torch.float64) / length
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    return sum(
        (weight * torch.cos(order * angle) for order, weight in enumerate(terms)),
        start=torch.zeros(length, dtype=torch.float64),
    ).float()


def from_int16_range(waveforms: Tensor) -> Tensor:
    """Map [-32768, 32767] to [-1, 1] in AudioCLIP's own order of operations.

    In float32 the first addition rounds to 1/256 of a 16-bit step. That is inaudible for waveforms
    of that range, and the quiet waveforms of the released T-VSL are rounded in the same way.
    """
    return (waveforms + 32768.0) * 2.0 / 65535.0 - 1.0


def split_frames(waveforms: Tensor, length: int, hop: int) -> Tensor:
    """Cut waveforms into overlapping frames, padded in equal parts on both ends to whole frames.

    Args:
        waveforms: (B, S).
        length: Samples of a frame.
        hop: Samples from frame to frame.

    Returns:
        A view, (B, frames, length).
    """
    samples = waveforms.shape[-1]
    frames = 1 + max(0, (samples - length + hop - 1) // hop)
    missing = (frames - 1) * hop + length - samples
    padded = F.pad(waveforms, (missing // 2, missing - missing // 2))
    return overlapping(padded, length, hop)


class GroupedBottleneck(nn.Module):
    """1 x 1, grouped 3 x 3 and 1 x 1 convolution around a shortcut (Xie et al., 2017).

    Args:
        inputs: Channels of the input.
        width: Channels of the two inner convolutions.
        outputs: Channels of the output.
        groups: Groups of the 3 x 3 convolution.
        stride: Stride of the 3 x 3 convolution.
    """

    def __init__(self, inputs: int, width: int, outputs: int, groups: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        shortcut = features if self.downsample is None else self.downsample(features)
        inner = torch.relu(self.bn1(self.conv1(features)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return torch.relu(self.bn3(self.conv3(inner)) + shortcut)


class AttentionGate(nn.Module):
    """Gate in (0, 1) for each cell and channel of a stage's output, from the stage's input.

    Args:
        inputs: Channels of the stage's input.
        outputs: Channels of the stage's output.
        kernel: Height and width of the depth-wise convolution: along time or frequency.
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv_depth = nn.Conv2d(inputs, inputs, kernel, padding=padding, groups=inputs)
        self.conv_point = nn.Conv2d(inputs, outputs, 1)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, before: Tensor, size: tuple[int, int]) -> Tensor:
        """Gates of a stage.

        Args:
            before: Input of the stage, (B, inputs, h, w).
            size: Height and width of the stage's output.

        Returns:
            Gates in (0, 1), (B, outputs, *size).
        """
        pool = halving_max if is_traced() else F.adaptive_max_pool2d
        pooled = pool(before, size)
        return torch.sigmoid(self.bn(self.conv_point(self.conv_depth(pooled))))


class AudioEncoder(AudioNetwork):
    """Waveform to feature map, pooled embedding or dense tokens.

    Args:
        config: Sizes.
        embedding: D, the size of the shared space.
    """

    def __init__(self, config: AudioEncoderConfig, embedding: int) -> None:
        super().__init__()
        self.config = config
        step = STRIDE * config.hop_length
        self.grid = SoundGrid(step, config.window_length - config.hop_length, MARGIN)
        self.fbsp = FilterBank(config.bins, config.filter_length)
        self.window: Tensor
        self.register_buffer("window", blackman_harris(config.window_length))
        stem = config.stem_width
        self.conv1 = nn.Conv2d(BANDS, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        inputs = stem
        for number, blocks in enumerate(config.blocks, start=1):
            width = config.groups * config.group_width * 2 ** (number - 1)
            outputs = stem * 4 * 2 ** (number - 1)
            stride = 1 if number == 1 else 2
            stage = [GroupedBottleneck(inputs, width, outputs, config.groups, stride)]
            stage += [
                GroupedBottleneck(outputs, width, outputs, config.groups, 1)
                for _ in range(blocks - 1)
            ]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            kernel = (3, 1) if number % 2 else (1, 5)
            self.add_module(f"att{number}", AttentionGate(inputs, outputs, kernel))
            inputs = outputs
        self.att5 = AttentionGate(inputs, inputs, (3, 5))
        self.fc = nn.Linear(inputs, embedding)

    @property
    def stages(self) -> list[tuple[nn.Sequential, AttentionGate]]:
        """The four residual stages, each with its gate."""
        return [
            (
                cast(nn.Sequential, getattr(self, f"layer{number}")),
                cast(AttentionGate, getattr(self, f"att{number}")),
            )
            for number in range(1, 5)
        ]

    @property
    def padding(self) -> int:
        """Zeros left of a frame up to the filters' length: columns that need no product."""
        return (self.config.filter_length - self.config.window_length) // 2

    @property
    def least_samples(self) -> int:
        """Samples of one frame more than a moment spans; see the base class."""
        return self.config.window_length + (STRIDE - 1) * self.config.hop_length + 1

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Complex spectrogram, (B, bins, frames, 2), of waveforms (B, S) in [-1, 1]."""
        config = self.config
        frames = split_frames(waveforms, config.window_length, config.hop_length) * self.window
        # All columns, zeros included: with them a frame's sum rounds as AudioCLIP's own does.
        frames = F.pad(
            frames, (self.padding, config.filter_length - frames.shape[-1] - self.padding)
        )
        matrices = self.fbsp.matrices(0, config.filter_length)
        parts = [F.linear(frames, matrix).transpose(1, 2) for matrix in matrices]
        return torch.stack(parts, dim=-1)

    def bands(self, waveforms: Tensor) -> Tensor:
        """Log power of waveforms (B, S), in the 16-bit range, as a picture.

        The lower, middle and upper third of the bins are its channels: decibels,
        (B, 3, bins // 3, frames).
        """
        power = self.spectrogram(from_int16_range(waveforms)).square().sum(dim=-1)
        return power_to_bands(power)

    def features(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) in the 16-bit range to the last feature map (B, C, f, m)."""
        features = torch.relu(self.bn1(self.conv1(self.bands(waveforms))))
        features = F.max_pool2d(features, 3, stride=2, padding=1)
        for stage, attention in self.stages:
            before = features
            features = stage(before)
            features = features * attention(before, _size(features))
        return features

    def pool(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to pooled embeddings (B, D)."""
        pooled = F.adaptive_avg_pool2d(features, (1, 1)) * self.att5(features, (1, 1))
        return cast(Tensor, self.fc(pooled.flatten(1)))

    def tokens(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to tokens (B, f * m, D), row-major over the cells."""
        gated = features * self.att5(features, _size(features))
        return cast(Tensor, self.fc(gated.flatten(2).transpose(1, 2)))


def power_to_bands(power: Tensor) -> Tensor:
    """Power (B, bins, frames) to decibels in three bands, (B, 3, bins // 3, frames)."""
    height = power.shape[1] // BANDS
    split = power[:, : BANDS * height].unflatten(1, (BANDS, height))
    return 10.0 * torch.log10(torch.where(split > 0.0, split, _POWER_FLOOR))


def _size(features: Tensor) -> tuple[int, int]:
    return features.shape[2], features.shape[3]
