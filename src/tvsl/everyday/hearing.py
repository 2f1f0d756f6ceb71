"""YAMNet: 521 classes of AudioSet, heard in patches of 0.96 s (MobileNetV1 on a mel spectrogram).

Gemmeke et al. 2017 describe AudioSet; the network is TensorFlow's model garden's ``yamnet``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tvsl.everyday.layers import Convolution
from tvsl.utils import kernels

SAMPLE_RATE = 16_000
WINDOW, HOP, FOURIER = 400, 160, 512
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0
LOG_OFFSET = 1e-3
PATCH, PATCH_HOP = 96, 48
"""Frames of one patch, and from one patch to the next: 0.96 s and 0.48 s."""
PATCH_SAMPLES, PATCH_STEP = (PATCH - 1) * HOP + WINDOW, PATCH_HOP * HOP
CLASSES = 521
_MIDDLE = ((512, 1),) * 4
CHANNELS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)),
    *_MIDDLE,
    *((1024, 2), (1024, 1)),
)
"""Channels and stride of each pair of convolutions."""
WIDTH = CHANNELS[-1][0]


def mel_filters() -> Tensor:
    """Triangles of 64 bands on HTK's mel scale, (257, 64); the lowest bin counts for nothing."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hertz / 700.0)

    bins = mel(torch.linspace(0, SAMPLE_RATE / 2, FOURIER // 2 + 1, dtype=torch.float64))[1:, None]
    ends = mel(torch.tensor([LOWEST, HIGHEST], dtype=torch.float64))
    edges = torch.linspace(float(ends[0]), float(ends[1]), BANDS + 2, dtype=torch.float64)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    return torch.cat([torch.zeros(1, BANDS), triangles.clamp_min(0).float()])


class YAMNet(nn.Module):
    """Waveforms to one embedding and 521 logits for each patch."""

    mel: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.make_tables()
        self.stem = Convolution(1, 32, 3, 2, activation="relu")
        layers: list[nn.Module] = []
        inputs = 32
        for outputs, stride in CHANNELS:
            layers.append(Convolution(inputs, inputs, 3, stride, depthwise=True, activation="relu"))
            layers.append(Convolution(inputs, outputs, activation="relu"))
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(WIDTH, CLASSES)

    def make_tables(self) -> None:
        """Make what follows from the sizes alone: the mel filters and the window."""
        with torch.device("cpu"):
            self.register_buffer("mel", mel_filters(), persistent=False)
            self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Logarithmic mel spectrogram, (B, frames, 64), of mono sounds in [-1, 1], (B, S).

        They have 16 kHz and are at least one window long.
        """
        frames = kernels.overlapping(waveforms, WINDOW, HOP) * self.window
        magnitudes = kernels.magnitudes(frames, FOURIER)
        logarithms: Tensor = (magnitudes @ self.mel + LOG_OFFSET).log()
        return logarithms

    def patches(self, waveforms: Tensor) -> Tensor:
        """Spectrogram patches, (B, n, 96, 64), of mono sounds in [-1, 1] at 16 kHz, (B, S).

        A sound is filled up with silence to whole patches.
        """
        if not kernels.is_traced():  # a graph takes only sounds of at least one patch
            short = max(PATCH_SAMPLES - waveforms.shape[-1], 0)
            waveforms = nn.functional.pad(waveforms, (0, short))
        more = (waveforms.shape[-1] - PATCH_SAMPLES + PATCH_STEP - 1) // PATCH_STEP
        filled = nn.functional.pad(waveforms, (0, PATCH_STEP))
        spectrogram = self.spectrogram(filled[..., : PATCH_SAMPLES + more * PATCH_STEP])
        return kernels.overlapping(spectrogram.transpose(1, 2), PATCH, PATCH_HOP).permute(
            0, 2, 3, 1
        )

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, n, 1024) and logits (B, n, 521) of every patch; see ``patches``."""
        patches = self.patches(waveforms)
        features = self.layers(self.stem(patches.flatten(0, 1)[:, None]))
        embeddings = features.mean(dim=(2, 3)).unflatten(0, patches.shape[:2])
        return embeddings, self.classifier(embeddings)
