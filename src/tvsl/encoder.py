"""What a tri-modal encoder must offer; AudioCLIP is the one there is.

Another one would be a package beside ``audioclip`` with this protocol, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.devices import Precision
from tvsl.tokens import Tokens, Vocabulary


class Encoder(Protocol):
    """A frozen encoder of pictures, sounds and class names into one space."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, by which a head names its encoder."""

    @property
    def device(self) -> torch.device:
        """Where tokens are made."""

    @property
    def precision(self) -> Precision:
        """In which arithmetic they are made."""

    @property
    def sample_rate(self) -> int:
        """Samples per second that waveforms must have."""

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        """Resize and normalise a picture, (H, W, 3) uint8 RGB, to a frame (3, H', W').

        Args:
            picture: The picture.
            square: Squeeze it into the training size; its shape is kept in whole cells otherwise.
        """

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        """Frames (B, 3, H, W) or (B, panels, 3, H, W) and waveforms (B, S) to tokens."""

    def embed(self, names: Sequence[str]) -> Tensor:
        """Class names to unit text embeddings, (N, D)."""

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Different class names with their embeddings."""
