"""Wav2CLIP: an audio network distilled from CLIP's pictures (Wu et al., ICASSP 2022).

The pictures stay as they are; the sound learns to land on its picture. With unit picture and sound
embeddings v and a of a clip, a learned scale exp(g) that starts at 1 / 0.07 and is not clamped,

    L(x, y) = (CE(e^g x y^T) + CE(e^g y x^T)) / 2,

and three published variants: ``clip_loss`` L(a, v); ``clip_loss_i`` L(a, MLP_v(v)); ``clip_loss_x``
(L(a, MLP_v(v)) + L(MLP_a(a), v)) / 2, each term with its own scale. The published weights hold the
MLP of the sound, so they are of the last variant: the default. An MLP is linear, ReLU, dropout 0.1,
linear, 512 wide.

Adapted to frozen shared tokens: the paper trains an audio ResNet-18; here a linear layer on the
pooled sound, from the identity on, stands in for it. The paper's picture is the mean embedding of a
clip's frames; here it is the pooled picture, the mean over the panels of a mixture. It defines no
map.

Self-supervised: no labels are used. The map, one for all sources of a clip, is the cosine of each
cell with the sound, in the first pair of spaces that the variant aligns: v with MLP_a(a) for
``clip_loss_x``.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import BatchDropout, gather_rows
from tvsl.methods.base import MethodConfig, check_inputs
from tvsl.methods.cosine import CosineMethod
from tvsl.methods.operations import unit
from tvsl.tokens import Tokens, Vocabulary

Variant = Literal["clip_loss", "clip_loss_i", "clip_loss_x"]


class _Pair(NamedTuple):
    """A comparison of two sides; true for one that passes its MLP first."""

    image: bool
    audio: bool


_PAIRS: Final[dict[Variant, tuple[_Pair, ...]]] = {
    "clip_loss": (_Pair(image=False, audio=False),),
    "clip_loss_i": (_Pair(image=True, audio=False),),
    "clip_loss_x": (_Pair(image=False, audio=True), _Pair(image=True, audio=False)),
}


class Wav2CLIPConfig(MethodConfig):
    """Sizes of Wav2CLIP.

    Attributes:
        variant: One of the published losses.
        hidden: Width of the MLPs.
        dropout: In the MLPs.
        temperature: One over the scale's start.
    """

    variant: Variant = "clip_loss_x"
    hidden: int = Field(512, gt=0, le=MOST_CHANNELS)
    dropout: float = Field(0.1, ge=0, lt=1)
    temperature: float = Field(0.07, gt=0, le=1000)


class Wav2CLIP(CosineMethod):
    """The Wav2CLIP head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "wav2clip"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[Wav2CLIPConfig]] = Wav2CLIPConfig
    config: Wav2CLIPConfig

    def __init__(self, config: Wav2CLIPConfig = Wav2CLIPConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config, nn.Identity())
        self._pairs = _PAIRS[config.variant]
        self.image_transform = _transform(config, any(pair.image for pair in self._pairs))
        self.audio_transform = _transform(config, any(pair.audio for pair in self._pairs))
        start = math.log(1 / config.temperature)
        self.log_scales = nn.Parameter(torch.full((len(self._pairs),), start))

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """One symmetric loss for each pair of spaces; labels are not used; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        losses = {}
        for pair, scale in zip(self._pairs, self.log_scales.exp(), strict=True):
            image, audio = self._spaces(pair, tokens.image, tokens.sound)
            image, audio = gather_rows(image), gather_rows(audio)
            loss = symmetric_info_nce(scale * audio @ image.T, "mean") / len(self._pairs)
            losses[f"{'mlp_' * pair.audio}audio_{'mlp_' * pair.image}image"] = loss
        return losses

    def embed(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Cells and sounds in the first pair of spaces; see the base class."""
        return self._spaces(self._pairs[0], tokens.visual, tokens.sound)

    def _spaces(self, pair: _Pair, image: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Unit pictures or cells (..., D) and unit sounds (B, D)."""
        image, audio = self.project_image(image), self.project_audio(sound)
        return (
            unit(self.image_transform(image) if pair.image else image),
            unit(self.audio_transform(audio) if pair.audio else audio),
        )


def _transform(config: Wav2CLIPConfig, wanted: bool) -> nn.Module:
    """An MLP where one is compared; what gets no gradient would stay random."""
    if not wanted:
        return nn.Identity()
    return nn.Sequential(
        nn.Linear(config.embedding, config.hidden),
        nn.ReLU(),
        BatchDropout(config.dropout),
        nn.Linear(config.hidden, config.embedding),
    )
