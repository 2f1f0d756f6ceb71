"""OTS: objects that sound, the network AVOL-Net (Arandjelović & Zisserman, ECCV 2018).

One vector of the sound is compared with every cell, and the best cell says whether picture and
sound belong together:

    m(p) = sigmoid(w v_p . a + b),    L = BCE(max_p m(p), pair)

over as many pairs that belong together as pairs that do not. Neither side is normalised; the
scalars w and b calibrate the products. Projections D -> 128 -> 128, with a ReLU between for the
sound and without for the cells. The original: Adam at 5e-5, weight decay 1e-5, batches of 64.

Adapted to frozen shared tokens: the layers stand on the tokens and the pooled sound, in place of
networks that are trained from nothing. The negative of a clip is the sound of another clip of the
batch. A mixture belongs to the whole canvas of its panels: one of its cells must match. w starts
at 1, so that an untrained map is not upside down by chance. (The public re-implementation calls
pairs that belong together 0, which turns its score upside down; here they are 1.)

Self-supervised: no labels are used. One map, m, for a single source and for all of several.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import batch_size, gather_rows, own_rows
from tvsl.methods.adapted import Adapted, AdaptedConfig
from tvsl.methods.base import Supervision
from tvsl.methods.operations import random_partners, two_layers
from tvsl.tokens import Queries, Tokens, Vocabulary


class OTSConfig(AdaptedConfig):
    """Sizes of OTS.

    Attributes:
        dimension: Size of the space that both are projected to.
    """

    weight_decay: float = Field(1e-5, ge=0, le=1)
    dimension: int = Field(128, gt=0, le=MOST_CHANNELS)


class OTS(Adapted):
    """The OTS head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "ots"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[OTSConfig]] = OTSConfig
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False
    config: OTSConfig

    def __init__(self, config: OTSConfig = OTSConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)
        size, inner = config.embedding, config.dimension
        self.project_image = nn.Sequential(nn.Linear(size, inner), nn.Linear(inner, inner))
        self.project_audio = two_layers(size, inner)
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Correspondence loss; labels are not used; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        partner = random_partners(batch_size(scaled.batch), scaled.visual.device)
        return {"correspondence": self.pair_loss(scaled, partner)}

    def pair_loss(self, scaled: Tokens, partner: Tensor) -> Tensor:
        """L for given negatives, the mean over all pairs.

        Args:
            scaled: B clips as ``prepare`` gives them.
            partner: A clip whose sound does not belong to each picture, (B,), or none.
        """
        cells, sound = self.project_image(scaled.visual), self.project_audio(scaled.sound)
        positive = self._logits(cells, sound).amax(dim=1)
        others = gather_rows(sound)[own_rows(partner)]
        negative = self._logits(cells[: len(others)], others).amax(dim=1)
        positive, negative = gather_rows(positive), gather_rows(negative)
        target = torch.cat([torch.ones_like(positive), torch.zeros_like(negative)])
        return F.binary_cross_entropy_with_logits(torch.cat([positive, negative]), target)

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """M in [0, 1], the same map for every query of a clip; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        cells, sound = self.project_image(scaled.visual), self.project_audio(scaled.sound)
        maps = self._logits(cells, sound).sigmoid()
        return maps.reshape(-1, *tokens.grid)[queries.clip]

    def _logits(self, cells: Tensor, sound: Tensor) -> Tensor:
        """Cells (B, n, d) and sounds (B, d) to (B, n)."""
        return self.weight * torch.einsum("bnd,bd->bn", cells, sound) + self.bias
