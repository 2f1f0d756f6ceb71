"""The mini model's audio encoder: log-frequency bands and the modulation spectrum of each.

ESResNeXt at this size and training budget does not learn the rate of a slow amplitude modulation,
since it would have to count maxima over its whole receptive field. Here the modulation spectrum of
every band is computed and added to the features of that band (docs/mini-model.md).
"""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.audioclip.audio_encoder import AudioNetwork
from tvsl.audioclip.config import ModulationAudioEncoderConfig
from tvsl.utils.kernels import is_traced, overlapping

_POWER_FLOOR = 1e-10
_SPREAD = 1.2
_JOIN = 4
# Sources of a mixture sound at once and differ in frequency, where cells stay narrow.
_STRIDES = ((2, 2), (2, 2), (1, 2))


@cache
@torch.inference_mode(mode=False)  # cached, so gradients must be able to pass through it later
def band_matrix(config: ModulationAudioEncoderConfig) -> Tensor:
    """Triangular bands over the bins of a frame's spectrum, (window_length // 2 + 1, bands).

    Low bands are as wide as a bin at least, so that none falls between two bins.
    """
    # By NumPy: in double precision, and on the CPU whatever torch's default device is.
    width_of_bin = config.sample_rate / config.window_length
    hertz = width_of_bin * np.arange(config.window_length // 2 + 1)
    centres = np.geomspace(config.lowest, config.highest, config.bands)
    half = np.maximum(centres * (centres[1] / centres[0] - 1), width_of_bin)
    weights = np.maximum(1 - np.abs(hertz[:, None] - centres) / half, 0)
    return torch.from_numpy(weights / weights.sum(axis=0)).float()


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride in frequency and in time.
    """

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        inner = torch.relu_(self.bn1(self.conv1(features)))
        shortcut = self.bn3(self.shortcut(F.avg_pool2d(features, self.stride)))
        return torch.relu_(self.bn2(self.conv2(inner)) + shortcut)


class ModulationAudioEncoder(AudioNetwork):
    """Waveform to feature map, pooled embedding or dense tokens.

    Args:
        config: Sizes.
        embedding: D, the size of the shared space.
    """

    def __init__(self, config: ModulationAudioEncoderConfig, embedding: int) -> None:
        super().__init__()
        self.config = config
        stem, *widths = config.widths
        # Convolutions are blind to position, but pitch is a position: a channel holds it.
        self.stem = nn.Conv2d(2, stem, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(stem)
        self.modulation = nn.Sequential(
            nn.Conv1d(config.modulations, 2 * widths[0], 1),
            nn.ReLU(),
            nn.Conv1d(2 * widths[0], widths[0], 1),
        )
        self.stages = nn.ModuleList(
            Block(inputs, outputs, stride)
            for inputs, outputs, stride in zip(config.widths, widths, _STRIDES, strict=False)
        )
        self.fc = nn.Linear(widths[-1], embedding)

    @property
    def least_samples(self) -> int:
        """Samples of two segments; see the base class."""
        return self.config.segment + 1

    def features(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) in [-1, 1] to the last feature map (B, C, f, m).

        A longer sound is cut into segments of equal distance that cover it, a shorter one is
        repeated; m grows with the number of segments.
        """
        segments = self.segments(waveforms)
        features = self._segment_features(segments.flatten(0, 1))
        apart = features.unflatten(0, segments.shape[:2])  # (B, k, C, f, m)
        joined: Tensor = apart.permute(0, 2, 3, 1, 4).flatten(3)
        return joined

    def pool(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to pooled embeddings (B, D): the mean of the tokens."""
        return cast(Tensor, self.fc(features.mean(dim=(2, 3))))

    def tokens(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to tokens (B, f * m, D), row-major over the cells."""
        return cast(Tensor, self.fc(features.flatten(2).transpose(1, 2)))

    def segments(self, waveforms: Tensor) -> Tensor:
        """Cut waveforms (B, S) into segments (B, k, segment) that cover them."""
        size, samples = self.config.segment, waveforms.shape[1]
        number = torch.arange((samples + size - 1) // size, device=waveforms.device)
        # In double precision, where a product of two whole numbers is exact.
        starts = number.double() * (samples - size) / number[-1].clamp_min(1)
        places = starts.round().long()[:, None] + torch.arange(size, device=waveforms.device)
        if not is_traced():  # a graph takes more than a segment
            places = places % samples  # a shorter sound comes round again
        return waveforms[:, places]

    def bands(self, segments: Tensor) -> Tensor:
        """Segments (B, segment) to log power without its mean, (B, bands, frames)."""
        config = self.config
        # Padded by hand: centred, yet as many frames as hops.
        margin = config.window_length - config.hop_length
        padded = F.pad(segments, (margin // 2, margin - margin // 2), mode="reflect")
        window = torch.hann_window(config.window_length, device=segments.device)
        frames = overlapping(padded, config.window_length, config.hop_length) * window
        spectrum = torch.view_as_real(torch.fft.rfft(frames))
        power = (spectrum * spectrum).sum(dim=-1)
        power = power @ band_matrix(config).to(segments.device) / window.sum() ** 2
        bands = (power + _POWER_FLOOR).log10().transpose(1, 2)
        # Loudness carries no information; without the mean the network need not learn that.
        return (bands - bands.mean(dim=(1, 2), keepdim=True)) / _SPREAD

    def modulations(self, bands: Tensor) -> Tensor:
        """Log modulation spectrum of each band, (B, modulations, bands), around 0."""
        window = torch.hann_window(bands.shape[-1], device=bands.device)
        swing = (bands - bands.mean(dim=-1, keepdim=True)) * window
        spectrum = torch.view_as_real(torch.fft.rfft(swing))
        power = spectrum[..., 1 : self.config.modulations + 1, :].square().sum(dim=-1)
        return ((power + 1e-2).log10() - 0.5).transpose(1, 2)

    def _segment_features(self, segments: Tensor) -> Tensor:
        bands = self.bands(segments)
        place = torch.linspace(-1, 1, bands.shape[1], device=bands.device)
        channels = torch.stack([bands, place[:, None].expand_as(bands)], dim=1)
        features = torch.relu_(self.norm(self.stem(channels)))
        features = self.stages[0](features)
        swelling = F.avg_pool1d(self.modulation(self.modulations(bands)), _JOIN)
        features = features + swelling[..., None]
        for stage in list(self.stages)[1:]:
            features = stage(features)
        return cast(Tensor, features)
