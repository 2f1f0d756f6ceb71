"""LVS: localizing visual sounds the hard way (Chen et al., CVPR 2021).

A soft tri-map splits a picture into confident cells, ignored ones and background; the background
is a hard negative for the picture's own sound. With S_ij(p) = cos(v_ip, a_j) and sigmoid sigma,

    Pos_ij = sigma((S_ij - 0.65) / 0.03),  Neg_i = 1 - sigma((S_ii - 0.4) / 0.03),
    s_ij = sum_p Pos_ij S_ij / sum_p Pos_ij,  hard_i = sum_p Neg_i S_ii / sum_p Neg_i,
    L = CE([s_i1 ... s_iB, hard_i] / 0.07) against column i, from pictures to sounds alone.

The published code ends at its logits; that they are compared with the own pair's column follows
from their order. It takes the own pair out of the negatives by multiplying it with -99, which makes
it the largest of all where that mean is negative; here it is not among them.

Adapted to frozen shared tokens: the paper has no projection, since it trains both backbones end to
end. Linear layers on tokens and pooled sound stand in for that training; they start at the
identity, so that the head begins with what the encoder aligned, as the paper begins with its
backbones. The thresholds were set for the paper's backbones and are kept: where all cosines lie
below 0.65, Pos is a softmax of temperature 0.03, so the mean still is that of the best cells.

Self-supervised: no labels are used. The map, one for all sources of a clip, is the cosine of each
cell with the sound.
"""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from tvsl.global_batch import gather_rows
from tvsl.methods.base import MethodConfig, check_inputs
from tvsl.methods.cosine import CosineMethod, all_cosines, own_cosines
from tvsl.tokens import Tokens, Vocabulary

MIN_MASK_TEMPERATURE: Final = 0.025
"""Lowest temperature of a mask that is over 0 for every cosine and every threshold."""


class LVSConfig(MethodConfig):
    """Sizes of LVS.

    Attributes:
        positive_threshold: Cells over this cosine are confident (epsilon).
        negative_threshold: Cells under this cosine are background (epsilon2).
        mask_temperature: Softness of the thresholds (tau).
        temperature: Of the cross-entropy.
    """

    positive_threshold: float = Field(0.65, ge=-1, le=1)
    negative_threshold: float = Field(0.4, ge=-1, le=1)
    mask_temperature: float = Field(0.03, ge=MIN_MASK_TEMPERATURE, le=1000)
    temperature: float = Field(0.07, gt=0, le=1000)


class LVS(CosineMethod):
    """The LVS head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "lvs"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[LVSConfig]] = LVSConfig
    config: LVSConfig

    def __init__(self, config: LVSConfig = LVSConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Contrastive loss with hard negatives; labels are not used; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        cosines = all_cosines(*self.embed(tokens))
        own = own_cosines(cosines)
        confident = masked_mean(cosines, self.confident(cosines))
        hard = masked_mean(own, self.background(own))
        compared = gather_rows(torch.cat([confident, hard[:, None]], dim=1))
        logits = compared / self.config.temperature
        target = torch.arange(len(logits), device=logits.device)
        return {"contrastive": F.cross_entropy(logits, target)}

    def confident(self, cosines: Tensor) -> Tensor:
        """Pos, for cosines of any shape."""
        return soft_mask(cosines, self.config.positive_threshold, self.config.mask_temperature)

    def background(self, cosines: Tensor) -> Tensor:
        """Neg, for cosines of any shape."""
        return soft_mask(cosines, self.config.negative_threshold, -self.config.mask_temperature)


def soft_mask(cosines: Tensor, threshold: float, temperature: float) -> Tensor:
    """Soft mask of the cells over a threshold: sigma((S - threshold) / temperature).

    Args:
        cosines: S, any shape.
        threshold: Value at which the mask is one half.
        temperature: Softness; below 0 for a mask of what lies under the threshold.

    Returns:
        Between 0 and 1, of the same shape; never 0 in single precision while the temperature is
        ``MIN_MASK_TEMPERATURE`` or more.
    """
    return ((cosines - threshold) / temperature).sigmoid()


def masked_mean(cosines: Tensor, mask: Tensor) -> Tensor:
    """Mean over the cells, (...), weighted by a mask: sum_p M S / sum_p M.

    Args:
        cosines: S, (..., n_v).
        mask: M, of the same shape.
    """
    return (mask * cosines).sum(dim=-1) / mask.sum(dim=-1)
