"""What an audio encoder must offer; the config chooses which one a model has."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class AudioNetwork(nn.Module, ABC):
    """Waveform to feature map, pooled embedding or dense tokens."""

    @abstractmethod
    def features(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S), scaled as the network was trained, to the last map (B, C, f, m)."""

    @abstractmethod
    def pool(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to pooled embeddings (B, D)."""

    @abstractmethod
    def tokens(self, features: Tensor) -> Tensor:
        """Last feature map (B, C, f, m) to tokens (B, f * m, D), row-major over the cells."""

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) to pooled embeddings (B, D)."""
        return self.pool(self.features(waveforms))
