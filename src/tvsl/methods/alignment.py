"""Alignment: localization is all about cross-modal alignment (Senocak et al., ICCV 2023).

Two similarities are learned at once: one that localizes, and one of whole clips, so that what is
localized keeps its meaning. Positives are extended by augmentations and by nearest neighbours. With
LVS's masked mean of cosines, and a linear layer p_v, p_a for each side,

    s_L(v, a) = sum_p Pos S / sum_p Pos,  Pos = sigma((S - 0.65) / 0.03),
    s_A(v, a) = cos(p_v(mean cell of v), p_a(a)),
    L = sum_{v', a'} NCE(s_L(v', a')) + NCE(s_A(v', a')),

over v' in {v, augmented v, neighbour's v} and the same three of a, with
NCE(s) = CE(s / 0.07) + CE(s^T / 0.07) over the batch. The training code was not published, and this
loss could not be checked against the paper; the masks' constants are those of the published test.

Adapted to frozen shared tokens:

- Linear layers on tokens and pooled sound, from the identity on, stand in for the backbones that
  the paper trains, as for LVS. p_v and p_a are used in training alone, as in the paper.
- Pictures and sounds are not there to be augmented. Noise on their tokens stands in for it,
  ``noise`` times as long as the token. (A mirrored grid would change no mean over the cells.)
- The paper draws a neighbour among the 1000 nearest of 144,000 clips (a number that could not be
  checked), found by frozen encoders. In a batch of 128 that share is one clip: the nearest other
  clip by the frozen pooled embeddings.
- Such a neighbour's own picture or sound is in the same batch, where the paper's hardly ever are.
  A pair that is one clip's is left out of the negatives.

Self-supervised: no labels are used. The map, one for all sources of a clip, is the cosine of each
cell with the sound, without p_v and p_a.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import draw_normal_like, gather_rows
from tvsl.methods.base import MethodConfig, check_inputs
from tvsl.methods.cosine import CosineMethod, all_cosines
from tvsl.methods.lvs import MIN_MASK_TEMPERATURE, masked_mean, soft_mask
from tvsl.methods.operations import unit
from tvsl.tokens import Tokens, Vocabulary


class AlignmentConfig(MethodConfig):
    """Sizes and hyperparameters of Alignment.

    Attributes:
        dimension: Size of the space of whole clips.
        positive_threshold: Cells over this cosine are confident (epsilon).
        mask_temperature: Softness of the threshold (tau).
        temperature: Of the cross-entropies.
        noise: Length of an augmentation, in lengths of the token that it is added to.
        neighbours: Whether nearest neighbours are positives too.
    """

    dimension: int = Field(512, gt=0, le=MOST_CHANNELS)
    positive_threshold: float = Field(0.65, ge=-1, le=1)
    mask_temperature: float = Field(0.03, ge=MIN_MASK_TEMPERATURE, le=1000)
    temperature: float = Field(0.07, gt=0, le=1000)
    noise: float = Field(0.3, ge=0, le=1000)
    neighbours: bool = True


class View(NamedTuple):
    """Pictures, or sounds, of the clips of a batch.

    Attributes:
        version: Number of the version of their tokens: 0 as they are, 1 augmented.
        clip: The clip whose tokens each clip takes, (B,): itself, or its neighbour.
    """

    version: int
    clip: Tensor


class Alignment(CosineMethod):
    """The Alignment head.

    Args:
        config: Its sizes and hyperparameters.
    """

    name: ClassVar[str] = "alignment"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[AlignmentConfig]] = AlignmentConfig
    config: AlignmentConfig

    def __init__(self, config: AlignmentConfig = AlignmentConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)
        self.align_image = nn.Linear(config.embedding, config.dimension)
        self.align_audio = nn.Linear(config.embedding, config.dimension)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Both losses over all pairs of views; labels are not used; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        seen = [tokens.visual, self._augmented(tokens.visual)]
        heard = [tokens.sound, self._augmented(tokens.sound)]
        localisation, alignment = self.similarities(seen, heard)
        looks = self._views(gather_rows(tokens.image))
        sounds = self._views(gather_rows(tokens.sound))
        return {
            "localisation": self.contrast(localisation, looks, sounds),
            "alignment": self.contrast(alignment, looks, sounds),
        }

    def similarities(
        self, seen: Sequence[Tensor], heard: Sequence[Tensor]
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """s_L and s_A of every version of the pictures with every version of the sounds.

        Args:
            seen: Visual tokens, (B, n_v, D) each.
            heard: Pooled sounds, (B, D) each.

        Returns:
            s_L and s_A; for each version of the pictures, and in it for each of the sounds, (B, B).
        """
        pictures = [self.project_image(visual) for visual in seen]
        sounds = [self.project_audio(sound) for sound in heard]
        cells, directions = [unit(one) for one in pictures], [unit(one) for one in sounds]
        looks = [gather_rows(unit(self.align_image(one.mean(dim=1)))) for one in pictures]
        hearings = [gather_rows(unit(self.align_audio(one))) for one in sounds]
        return (
            [[self._localisation(one, other) for other in directions] for one in cells],
            [[one @ other.T for other in hearings] for one in looks],
        )

    def contrast(
        self, versions: Sequence[Sequence[Tensor]], looks: Sequence[View], sounds: Sequence[View]
    ) -> Tensor:
        """Sum of NCE over all pairs of views.

        Args:
            versions: Similarities of the versions, as ``similarities`` gives them.
            looks: Views of the pictures.
            sounds: Views of the sounds.
        """
        return torch.stack(
            [
                self._nce(versions[look.version][sound.version], look.clip, sound.clip)
                for look in looks
                for sound in sounds
            ]
        ).sum()

    def _localisation(self, cells: Tensor, sounds: Tensor) -> Tensor:
        cosines = all_cosines(cells, sounds)
        mask = soft_mask(cosines, self.config.positive_threshold, self.config.mask_temperature)
        return gather_rows(masked_mean(cosines, mask))

    def _nce(self, similarity: Tensor, look: Tensor, sound: Tensor) -> Tensor:
        """NCE where row i is the picture of clip look_i, and column j the sound of clip sound_j."""
        together = look[:, None] == sound
        together.fill_diagonal_(False)
        logits = similarity[look][:, sound] / self.config.temperature
        return symmetric_info_nce(logits.masked_fill(together, -torch.inf), "sum")

    def _augmented(self, tokens: Tensor) -> Tensor:
        """Tokens or sounds with noise, which like dropout is for training alone."""
        if not self.training:
            return tokens
        lengths: Tensor = tokens.norm(dim=-1, keepdim=True) / tokens.shape[-1] ** 0.5
        return tokens + self.config.noise * lengths * draw_normal_like(tokens)

    def _views(self, pooled: Tensor) -> list[View]:
        """The clips as they are, augmented, and their neighbours by pooled embeddings (B, D)."""
        own = torch.arange(len(pooled), device=pooled.device)
        views = [View(0, own), View(1, own)]
        if self.config.neighbours:
            views.append(View(0, nearest_others(pooled)))
        return views


def nearest_others(pooled: Tensor) -> Tensor:
    """Nearest neighbour of each clip among the others, by pooled embeddings (B, D).

    Places in the batch, (B,); a clip's own in a batch of one.
    """
    directions = unit(pooled)
    cosines = directions @ directions.T
    cosines.fill_diagonal_(-torch.inf)
    return cosines.argmax(dim=1)
