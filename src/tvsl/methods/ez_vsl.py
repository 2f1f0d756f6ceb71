"""EZ-VSL: easy visual sound localization (Mo & Morgado, ECCV 2022).

Multiple-instance contrastive learning: of all cells of a picture only the best one must agree
with the picture's own sound, s_ij = max_p cos(v_ip, a_j), and

    L = CE(s / tau) + CE(s^T / tau), tau = 0.03, summed over both directions.

Adapted to frozen shared tokens: the paper trains ResNet-18 backbones end to end; here its two
projections (1 x 1 convolution and linear layer) stand on the tokens and on the pooled
sound. Its second map, an ImageNet network's saliency ("OGL"), is left out: it ignores the sound
and belongs to another encoder.

Self-supervised: no labels are used. The map, one for all sources of a clip, is the cosine of each
cell with the sound.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import MOST_CHANNELS
from tvsl.methods.base import MethodConfig, check_inputs
from tvsl.methods.cosine import CosineMethod, best_cosines
from tvsl.tokens import Tokens, Vocabulary


class EZVSLConfig(MethodConfig):
    """Sizes of EZ-VSL.

    Attributes:
        dimension: Size of the space that both are projected to.
        temperature: tau.
    """

    dimension: int = Field(512, gt=0, le=MOST_CHANNELS)
    temperature: float = Field(0.03, gt=0, le=1000)


class EZVSL(CosineMethod):
    """The EZ-VSL head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "ez-vsl"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[EZVSLConfig]] = EZVSLConfig
    config: EZVSLConfig

    def __init__(self, config: EZVSLConfig = EZVSLConfig()) -> None:  # noqa: B008  (frozen)
        size, dimension = config.embedding, config.dimension
        super().__init__(config, nn.Linear(size, dimension), nn.Linear(size, dimension))

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Multiple-instance contrastive loss; labels are not used; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        best = best_cosines(*self.embed(tokens))
        return {"contrastive": symmetric_info_nce(best / self.config.temperature, "sum")}
