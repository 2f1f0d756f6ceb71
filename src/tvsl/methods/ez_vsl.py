"""EZ-VSL: easy visual sound localization (Mo & Morgado, ECCV 2022).

Multiple-instance contrastive learning: of all cells of a picture only the best one must agree
with the picture's own sound, s_ij = max_p cos(v_ip, a_j), and

    L = CE(s / tau) + CE(s^T / tau), tau = 0.03, summed over both directions.

Adapted to frozen shared tokens: the paper trains ResNet-18 backbones end to end; here its two
projections (1 x 1 convolution and linear layer) stand on the tokens and on the pooled
sound. Its second map, an ImageNet network's saliency ("OGL"), is left out: it listens to nothing
and belongs to another encoder. Self-supervised: no labels are used. One map for all sources.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.methods.base import Method, Supervision, check_inputs
from tvsl.methods.config import MethodConfig
from tvsl.tokens import Queries, Tokens, Vocabulary


class EZVSLConfig(MethodConfig):
    """Sizes of EZ-VSL.

    Attributes:
        dimension: Size of the space that both are projected to.
        temperature: tau.
    """

    dimension: int = Field(512, gt=0)
    temperature: float = Field(0.03, gt=0)


class EZVSL(Method):
    """The EZ-VSL head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "ez-vsl"
    config_type: ClassVar[type[MethodConfig]] = EZVSLConfig
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False
    config: EZVSLConfig

    def __init__(self, config: EZVSLConfig = EZVSLConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)
        self.project_image = nn.Linear(config.embedding, config.dimension)
        self.project_audio = nn.Linear(config.embedding, config.dimension)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """The multiple-instance contrastive loss; labels are not looked at."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        cells, sound = self._projected(tokens)
        cosines = torch.einsum("ipd,jd->ijp", cells, sound).amax(dim=-1)
        logits = cosines / self.config.temperature
        target = torch.arange(len(logits), device=logits.device)
        return {"contrastive": F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines with the clip's own sound, the same map for every query of a clip."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        cells, sound = self._projected(tokens)
        flat = torch.einsum("bpd,bd->bp", cells, sound)
        return flat.view(-1, *tokens.grid)[queries.clip]

    def _projected(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Unit cells (B, n_v, d) and sounds (B, d)."""
        cells, sound = self.project_image(tokens.visual), self.project_audio(tokens.sound)
        return F.normalize(cells, dim=-1), F.normalize(sound, dim=-1)
