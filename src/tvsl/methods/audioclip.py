"""AudioCLIP's own similarity: the whole sound against the visual tokens (Guzhov et al., 2022).

No training. One map for all sources of a clip: the sound of a mixture is one vector, and nothing
takes it apart.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.methods.untrained import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary


class AudioCLIPSimilarity(Untrained):
    """cos(v_j, a) with the pooled audio embedding a."""

    name: ClassVar[str] = "audioclip"
    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """The same map for every query of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        cells, sound = F.normalize(tokens.visual, dim=-1), F.normalize(tokens.sound, dim=-1)
        flat = torch.einsum("bnd,bd->bn", cells, sound)
        return flat.view(-1, *tokens.grid)[queries.clip]
