"""The protocol of a tri-modal encoder, and how one is made.

tvsl brings two, AudioCLIP (``tvsl.audioclip``) and the everyday encoder (``tvsl.everyday``);
docs/add-an-encoder.md adds another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from tvsl.errors import ShapeError
from tvsl.utils.devices import Precision
from tvsl.utils.processes import Progress

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from tvsl.tokens import Tokens, Vocabulary

MOST_SOURCES = 8
"""Most sources of a clip, each in a panel of its own."""
MOST_CHANNELS = 16_384
"""Upper bound of every width and embedding: eight times the largest of the public models."""
MOST_CLASSES = 30_000
"""Upper bound of the classes that a config may name."""
ImageTokenMode = Literal["values", "cells", "released"]
"""Kinds of dense image tokens of AudioCLIP."""
FlipAverage = Literal["none", "mirror", "turn"]
"""The flipped picture with whose tokens those of a picture are averaged."""


@dataclass(frozen=True)
class EncoderOptions:
    """Options of an encoder that is made.

    An encoder that cannot do what is asked for says so by what it states of itself: whoever asked
    for a flip average, for image tokens or for a precision that it does not have gets an error.

    Attributes:
        device: Where tokens are made.
        precision: Arithmetic of the convolutions.
        flip_average: Averaging with the flipped picture.
        image_tokens: Kind of dense image tokens; the encoder's own when None.
        waveform_scale: What waveforms are multiplied by; the encoder's own when None.
        progress: Called with bytes so far and in all while weights are fetched.
    """

    device: torch.device
    precision: Precision = "float32"
    flip_average: FlipAverage = "none"
    image_tokens: ImageTokenMode | None = None
    waveform_scale: float | None = None
    progress: Progress | None = None


class FrameTokens(NamedTuple):
    """Tokens of B pictures.

    Attributes:
        tokens: Patch tokens, (B, h * w, D).
        embeddings: Pooled embeddings, (B, D).
        grid: h and w.
    """

    tokens: Tensor
    embeddings: Tensor
    grid: tuple[int, int]


class SoundTokens(NamedTuple):
    """Tokens of B sounds.

    Attributes:
        tokens: Patch tokens, (B, n_a, D).
        embeddings: Pooled embeddings, (B, D).
    """

    tokens: Tensor
    embeddings: Tensor


class LogitScales(NamedTuple):
    """Factors of the cosines in an encoder's own contrastive losses, each in [1, 100].

    Attributes:
        image_text: Of picture and text.
        audio_text: Of sound and text.
        audio_image: Of sound and picture.
    """

    image_text: float
    audio_text: float
    audio_image: float


class SoundGrid(NamedTuple):
    """Columns of tokens along a sound: m of them hear ``step * m + overlap`` samples.

    Attributes:
        step: Samples from column to column.
        overlap: Samples by which a column hears more than a step.
        margin: Columns to either side whose lack is heard in a column.
    """

    step: int
    overlap: int
    margin: int

    def columns(self, samples: int) -> int:
        """Number of columns of so many samples."""
        return max(1, -(-(samples - self.overlap) // self.step))


def join_panels(frames: FrameTokens, sounds: SoundTokens, panels: int) -> Tokens:
    """Join pictures that were encoded one by one with the sounds that go with them.

    Args:
        frames: B * panels pictures, clip by clip.
        sounds: B sounds.
        panels: How many pictures stand side by side in each clip.

    Returns:
        B clips; their token grids are joined from left to right, their pooled pictures averaged.
    """
    from tvsl.tokens import Tokens

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


def encode_clips(encoder: Encoder, frames: Tensor, waveforms: Tensor) -> Tokens:
    """Encode clips by an encoder's pictures and sounds, each panel by itself.

    No convolution crosses the borders of panels; their token grids are joined.

    Args:
        encoder: The encoder.
        frames: (B, 3, H, W), or (B, panels, 3, H, W) for frames side by side.
        waveforms: (B, S).

    Raises:
        ShapeError: Other shapes.
    """
    if frames.ndim not in (4, 5) or len(frames) != len(waveforms):
        raise ShapeError(
            f"Frames {tuple(frames.shape)} and waveforms {tuple(waveforms.shape)} are no batch "
            "of clips.",
            "Give (B, 3, H, W) or (B, panels, 3, H, W), and (B, S).",
        )
    panels = frames.shape[1] if frames.ndim == 5 else 1
    flat = frames.flatten(0, 1) if frames.ndim == 5 else frames
    return join_panels(encoder.encode_frames(flat), encoder.encode_sounds(waveforms), panels)


class PromptableTextEncoder(Protocol):
    """The part of a text encoder that learned prompts (Sec. 4.6) need."""

    token_embedding: nn.Embedding

    def encode_embedded(self, embedded: Tensor, end: Tensor) -> Tensor:
        """Embeddings of texts whose words are embedded already.

        Args:
            embedded: The words, (N, L, width).
            end: Place of each text's last word, (N,) int64.

        Returns:
            (N, D).
        """


class Encoder(Protocol):
    """A frozen encoder of pictures, sounds and class names into one space of D dimensions."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, 64 hexadecimal digits, by which a head names its encoder."""

    @property
    def embedding(self) -> int:
        """D, the size of the space."""

    @property
    def device(self) -> torch.device:
        """Device on which tokens are made."""

    @property
    def precision(self) -> Precision:
        """Arithmetic in which tokens are made."""

    @property
    def image_tokens(self) -> ImageTokenMode | None:
        """Kind of dense image tokens, as a head is for one; None where there is only one kind."""

    @property
    def flip_average(self) -> FlipAverage:
        """Flipped picture with whose tokens those of a picture are averaged."""

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

        Raises:
            ShapeError: Another shape or type.
        """

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        """Encode clips; tokens are on the encoder's device.

        Args:
            frames: (B, 3, H, W), or (B, panels, 3, H, W) for frames side by side. Each panel is
                encoded by itself, so that nothing crosses borders, and token grids are joined.
            waveforms: Mono in [-1, 1] at the encoder's rate, (B, S).

        Raises:
            ShapeError: Other shapes.
        """

    def encode_frames(self, frames: Tensor) -> FrameTokens:
        """Frames (B, 3, H, W) alone, so that their tokens can be kept.

        Raises:
            ShapeError: Another shape.
        """

    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        """Mono waveforms (B, S) in [-1, 1] alone.

        Raises:
            ShapeError: Another shape.
        """

    def embed(self, names: Sequence[str]) -> Tensor:
        """Class names to unit text embeddings, (N, D), one for all spellings of a name.

        Raises:
            VocabularyError: A name is empty, or cannot be expressed.
        """

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Different class names with their embeddings.

        Raises:
            VocabularyError: No name, one twice or in two spellings, or as for ``embed``.
        """


@runtime_checkable
class SavableEncoder(Protocol):
    """The part of an encoder that ``Localizer.save_pretrained`` needs; others cannot be saved.

    What is written has to be a folder of a kind that ``tvsl.encoder_folders`` knows.
    """

    def save(self, folder: Path) -> None:
        """Write the encoder's files into an empty folder; loaded from there it is the same."""


@runtime_checkable
class MovableEncoder(Protocol):
    """The part of an encoder that ``Localizer.to`` needs; others stay where they were made."""

    def to(self, device: torch.device | str) -> Any:
        """Move the encoder itself to a device."""


@runtime_checkable
class StreamingEncoder(Protocol):
    """The part of an encoder that hears a long sound once, where others hear each window of it.

    ``encode_sounds`` is then ``pool_columns`` of ``encode_columns``.
    """

    @property
    def sound_grid(self) -> SoundGrid | None:
        """Order of the columns in time; None where windows cannot share them."""

    def encode_columns(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S) to m columns, the last axis; those of a window are a part of them."""

    def pool_columns(self, columns: Tensor) -> SoundTokens:
        """Consecutive columns to the tokens of the sound that they hear."""


@dataclass(frozen=True, eq=False)
class EncoderGraphs:
    """Networks of an encoder as ``tvsl export`` traces them, and what stands before them.

    Attributes:
        image: The modules whose weights ``encode_frames`` uses.
        sound: The modules whose weights ``encode_sounds`` uses.
        cell: Pixels of a cell; H and W are multiples of it.
        shorter_side: Pixels of a frame's shorter side, as ``prepare`` makes it.
        mean: Mean of the pixels' channels, in [0, 1].
        deviation: Deviation by which they are divided.
        least_samples: Samples of the shortest sound that the graph takes.
        small_maps: Whether a feature map of a picture can have a side of 1.
    """

    image: Sequence[nn.Module]
    sound: Sequence[nn.Module]
    cell: int
    shorter_side: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    least_samples: int = 2
    small_maps: bool = False


@runtime_checkable
class ExportableEncoder(Protocol):
    """The part of an encoder that ``tvsl export`` needs; others cannot be exported."""

    def graphs(self) -> EncoderGraphs:
        """The encoder's networks; its methods can be traced for inputs of every size."""


class NamesEncoder(Protocol):
    """The part of an encoder that knows more of class names than their embeddings; any may lack it.

    ``same_meaning`` and ``without_meaning`` ask for it.
    """

    @property
    def same_meaning(self) -> float:
        """Cosine of their embeddings from which two names are one to the model."""

    def without_meaning(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of some names that mean nothing to the model."""


def same_meaning(encoder: Encoder) -> float | None:
    """Cosine from which two names are one to a model; None where it merges no names."""
    found: float | None = getattr(encoder, "same_meaning", None)
    return found


def without_meaning(encoder: Encoder, names: Sequence[str]) -> tuple[str, ...]:
    """Names that mean nothing to a model; none for a model that cannot tell.

    Args:
        encoder: The model.
        names: Class names that it can express.
    """
    find = getattr(encoder, "without_meaning", None)
    return () if find is None else tuple(find(names))
