"""An encoder whose space is cut to its principal directions.

What a head costs grows with the square of D. Few directions carry nearly all of what tokens and
class names have to do with one another, so that tables of a hundred heads are affordable
(docs/reproducing.md says what is kept).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from tvsl.data.base import ClipSet
from tvsl.encoder import (
    Encoder,
    FlipAverage,
    FrameTokens,
    ImageTokenMode,
    LogitScales,
    PromptableTextEncoder,
    SoundTokens,
    encode_clips,
)
from tvsl.errors import StoreError, UsageError
from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils.devices import Precision
from tvsl.utils.model_folder import fingerprint, keep_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLIPS = 256
_AT_ONCE = 32
_TENSOR = "directions"


def principal_directions(parts: Sequence[Tensor], count: int) -> Tensor:
    """The directions in which vectors of several kinds have most of their length.

    Args:
        parts: Vectors of each kind, (n, D); each kind counts as much as any other, and each vector
            of a kind as much as any other of it.
        count: Number of directions, at most D.

    Returns:
        Orthonormal directions as columns, (D, count), the strongest first.
    """
    spread = torch.zeros(())
    for part in parts:
        vectors = normalize(part.double(), dim=-1)
        spread = spread + (vectors.T @ vectors) / len(vectors)
    strongest_last: Tensor = torch.linalg.eigh(spread).eigenvectors
    return strongest_last.flip(1)[:, :count].float().contiguous()


def directions_of(encoder: Encoder, clips: ClipSet, count: int, seed: int = 0) -> Tensor:
    """Principal directions of the tokens of some training clips and of their class names.

    Args:
        encoder: The encoder.
        clips: Training clips, of which 256 are drawn.
        count: Number of directions.
        seed: Seed of the draw.

    Returns:
        The directions, (D, count), on the CPU.

    Raises:
        UsageError: The encoder has fewer directions.
    """
    if count > encoder.embedding:
        raise UsageError(
            f"The encoder's space has {encoder.embedding} directions, not {count}.",
            "Ask for fewer, or for all by leaving `directions` out.",
        )
    drawn = np.random.default_rng(seed).permutation(clips.count)[:_CLIPS]
    seen, heard = [], []
    for start in range(0, len(drawn), _AT_ONCE):
        batch = clips.read(drawn[start : start + _AT_ONCE].tolist(), encoder.sample_rate)
        pictures = torch.stack([encoder.prepare(one, square=True) for one in batch.pictures])
        seen.append(encoder.encode_frames(pictures).tokens.flatten(0, 1).cpu())
        sounds = encoder.encode_sounds(torch.from_numpy(batch.waveforms))
        heard.append(sounds.tokens.flatten(0, 1).cpu())
    names = encoder.embed(clips.names).cpu()
    return principal_directions([torch.cat(seen), torch.cat(heard), names], count)


def write_directions(directions: Tensor, path: Path) -> None:
    """Write directions: all of the file, or nothing.

    Args:
        directions: The directions, (D, count).
        path: The file.

    Raises:
        OutputError: It cannot be written.
    """
    keep_tensors({_TENSOR: directions}, path, {}, "The directions", "Make room and start again.")


def read_directions(path: Path) -> Tensor:
    """Read directions.

    Raises:
        StoreError: The file is missing or damaged.
    """
    try:
        return load_file(path)[_TENSOR]
    except (SafetensorError, OSError, KeyError) as error:
        raise StoreError(
            "The directions of the encoder's space are missing or damaged.",
            "Delete the folder of tokens and start again: all will be made anew.",
            path,
        ) from error


class ReducedEncoder:
    """An encoder of which some directions are kept.

    Args:
        encoder: The encoder.
        directions: Orthonormal directions as columns, (D, count).
    """

    def __init__(self, encoder: Encoder, directions: Tensor) -> None:
        self.encoder = encoder
        self.directions = directions.to(encoder.device)
        self.fingerprint = fingerprint(encoder.fingerprint, {_TENSOR: directions})

    @property
    def embedding(self) -> int:
        """Number of directions."""
        return self.directions.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the encoder."""
        return self.encoder.device

    @property
    def precision(self) -> Precision:
        """Arithmetic of the encoder."""
        return self.encoder.precision

    @property
    def image_tokens(self) -> ImageTokenMode | None:
        """Kind of dense image tokens of the encoder."""
        return self.encoder.image_tokens

    @property
    def flip_average(self) -> FlipAverage:
        """Averaging with the flipped picture."""
        return self.encoder.flip_average

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names among which the encoder detects."""
        return self.encoder.classes

    @property
    def text_encoder(self) -> PromptableTextEncoder | None:
        """None: learned prompts need the whole space."""
        return None

    @property
    def logit_scales(self) -> LogitScales:
        """Factors of the cosines in the encoder's own training."""
        return self.encoder.logit_scales

    @property
    def sample_rate(self) -> int:
        """Samples per second of waveforms."""
        return self.encoder.sample_rate

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        """Prepare a picture as the encoder does; see ``Encoder``."""
        return self.encoder.prepare(picture, square)

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        """Frames and waveforms to tokens; see ``Encoder``."""
        return encode_clips(self, frames, waveforms)

    def encode_frames(self, frames: Tensor) -> FrameTokens:
        """Frames alone to tokens; see ``Encoder``."""
        whole = self.encoder.encode_frames(frames)
        return FrameTokens(
            whole.tokens @ self.directions, whole.embeddings @ self.directions, whole.grid
        )

    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        """Waveforms alone to tokens; see ``Encoder``."""
        whole = self.encoder.encode_sounds(waveforms)
        return SoundTokens(whole.tokens @ self.directions, whole.embeddings @ self.directions)

    def embed(self, names: Sequence[str]) -> Tensor:
        """Class names to unit text embeddings, (N, count)."""
        return normalize(self.encoder.embed(names) @ self.directions, dim=-1)

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Different class names with their embeddings."""
        whole = self.encoder.vocabulary(names)
        return Vocabulary(whole.names, normalize(whole.embeddings @ self.directions, dim=-1))
