"""What a tri-modal encoder must offer; AudioCLIP is the one there is.

Another one would be a package beside ``audioclip`` with this protocol, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils.devices import Precision


class FrameTokens(NamedTuple):
    """What an encoder makes of B pictures.

    Attributes:
        tokens: Patch tokens, (B, h * w, D).
        embeddings: Pooled embeddings, (B, D).
        grid: h and w.
    """

    tokens: Tensor
    embeddings: Tensor
    grid: tuple[int, int]


class SoundTokens(NamedTuple):
    """What an encoder makes of B sounds.

    Attributes:
        tokens: Patch tokens, (B, n_a, D).
        embeddings: Pooled embeddings, (B, D).
    """

    tokens: Tensor
    embeddings: Tensor


class LogitScales(NamedTuple):
    """What an encoder's own contrastive losses multiply cosines by, each in [1, 100].

    Attributes:
        image_text: Of picture and text.
        audio_text: Of sound and text.
        audio_image: Of sound and picture.
    """

    image_text: float
    audio_text: float
    audio_image: float


def join_panels(frames: FrameTokens, sounds: SoundTokens, panels: int) -> Tokens:
    """Clips of pictures that were encoded one by one and of the sounds that go with them.

    Args:
        frames: B * panels pictures, clip by clip.
        sounds: B sounds.
        panels: How many pictures stand side by side in each clip.

    Returns:
        B clips; their token grids are joined from left to right, their pooled pictures averaged.
    """
    height, width = frames.grid
    apart = frames.tokens.unflatten(0, (-1, panels)).unflatten(2, frames.grid)
    return Tokens(
        visual=apart.transpose(1, 2).flatten(1, 3),
        audio=sounds.tokens,
        image=frames.embeddings.unflatten(0, (-1, panels)).mean(dim=1),
        sound=sounds.embeddings,
        grid=(height, width * panels),
        panels=panels,
    )


class PromptableTextEncoder(Protocol):
    """What learned prompts (Sec. 4.6) need of a text encoder."""

    token_embedding: nn.Embedding

    def encode_embedded(self, embedded: Tensor, end: Tensor) -> Tensor:
        """Embedded tokens (N, L, width) and their end indices (N,) to embeddings (N, D)."""


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
    def image_tokens(self) -> str:
        """Which dense image tokens it gives, where it has several kinds; a head is for one."""

    @property
    def flip_average(self) -> str:
        """With which flipped picture tokens are averaged."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names among which to detect when none are given; none for everyday sounds."""

    @property
    def text_encoder(self) -> PromptableTextEncoder | None:
        """The frozen text encoder, for learned prompts, if it can serve them."""

    @property
    def logit_scales(self) -> LogitScales:
        """Factors of the cosines in its own training, for heads that go on with them."""

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

    def encode_frames(self, frames: Tensor) -> FrameTokens:
        """Frames (B, 3, H, W) alone, so that their tokens can be kept."""

    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        """Waveforms (B, S) alone."""

    def embed(self, names: Sequence[str]) -> Tensor:
        """Class names to unit text embeddings, (N, D)."""

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Different class names with their embeddings."""
