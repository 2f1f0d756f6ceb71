"""An encoder of the world that sees colours and hears registers, each in a space of its own.

It costs next to nothing, and what belongs together is not aligned: a head has to learn it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.tokens import Tokens, Vocabulary

SIZE = 16
GRID = (14, 14)
BANDS = 24
SURFACES = ("red", "green", "blue", "yellow", "striped", "dotted")
COLOURS = torch.tensor([[205, 45, 40], [45, 165, 60], [45, 75, 205], [225, 200, 45]]) / 255


def _directions(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, SIZE, generator=torch.Generator().manual_seed(seed))


class ColourEncoder:
    """Each colour is a direction, each name another one, and so is each band of the sound."""

    def __init__(self, fingerprint: str = "a" * 64) -> None:
        self.fingerprint = fingerprint
        self.device = torch.device("cpu")
        self.precision = "float32"
        self.image_tokens = "values"
        self.flip_average = "none"
        self.sample_rate = 16_000
        self.classes: tuple[str, ...] = ()
        self.text_encoder = None
        self.encoded = 0

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        return torch.from_numpy(picture).permute(2, 0, 1).float() / 255

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        frames = frames[:, None] if frames.ndim == 4 else frames
        joined = frames.flatten(0, 1)
        sounds = self.encode_sounds(waveforms)
        return join_panels(self.encode_frames(joined), sounds, frames.shape[1])

    def encode_frames(self, frames: Tensor) -> FrameTokens:
        self.encoded += len(frames)
        near = (frames[:, None] - COLOURS[:, :, None, None]).pow(2).sum(dim=2)
        colours = F.adaptive_avg_pool2d(torch.exp(-near / 0.06), GRID)
        grey = frames.mean(dim=1, keepdim=True)
        spread = F.adaptive_avg_pool2d(grey**2, GRID) - F.adaptive_avg_pool2d(grey, GRID) ** 2
        cells = torch.cat([colours, 12 * spread], dim=1).flatten(2).transpose(1, 2)
        tokens = cells @ self._seen
        return FrameTokens(tokens, tokens.mean(dim=1), GRID)

    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        window = torch.hann_window(1024)
        spectrum = torch.stft(waveforms, 1024, 4096, window=window, return_complex=True).abs()
        bands = F.adaptive_avg_pool1d(spectrum[:, 2:98].transpose(1, 2), BANDS)
        logs = (bands + 1e-3).log()
        tokens = (logs - logs.mean(dim=-1, keepdim=True)) @ self._bands
        return SoundTokens(tokens, tokens.mean(dim=1))

    def embed(self, names: Sequence[str]) -> Tensor:
        rows = [min(SURFACES.index(name.split()[0]), 4) for name in names]
        return F.normalize(self._named[rows], dim=-1)

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        return Vocabulary(tuple(names), self.embed(names))

    @cached_property
    def _seen(self) -> Tensor:
        return _directions(5, seed=1)

    @cached_property
    def _named(self) -> Tensor:
        return _directions(5, seed=2)

    @cached_property
    def _bands(self) -> Tensor:
        return _directions(BANDS, seed=3) / 10
