"""MarginNCE: a less strict decision boundary (Park, Senocak & Chung, ICASSP 2023).

EZ-VSL with a margin on the positive pair. With s_ij = max_p cos(v_ip, a_j),

    L = -mean_i log( e^((s_ii - m) / tau) / (e^((s_ii - m) / tau) + sum_{j != i} e^(s_ij / tau)) )

in both directions, summed. A negative m raises the positive: a pair need not win by much, which
tolerates clips whose sound is not seen, and negatives that are none. m = 0 is EZ-VSL.

No code was published. m = -0.2 and tau = 0.03 could not be checked against the paper; both are
hyperparameters. Adapted to frozen shared tokens as EZ-VSL is: its two projections stand on the
tokens and on the pooled sound.

Self-supervised: no labels are used. The map, one for all sources of a clip, is the cosine of each
cell with the sound.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tvsl.contrastive import symmetric_info_nce
from tvsl.methods.base import check_inputs
from tvsl.methods.cosine import best_cosines
from tvsl.methods.ez_vsl import EZVSL, EZVSLConfig
from tvsl.tokens import Tokens, Vocabulary


class MarginNCEConfig(EZVSLConfig):
    """Sizes of MarginNCE.

    Attributes:
        margin: m; below 0 it makes the positive pair's part easier.
    """

    margin: float = Field(-0.2, ge=-2, le=2)


class MarginNCE(EZVSL):
    """The MarginNCE head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "margin-nce"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[MarginNCEConfig]] = MarginNCEConfig
    config: MarginNCEConfig

    def __init__(self, config: MarginNCEConfig = MarginNCEConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Contrastive loss with a margin; labels are not used; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        best = best_cosines(*self.embed(tokens))
        margins = self.config.margin * torch.eye(len(best), dtype=best.dtype, device=best.device)
        logits = (best - margins) / self.config.temperature
        return {"contrastive": symmetric_info_nce(logits, "sum")}
