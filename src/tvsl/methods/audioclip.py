"""AudioCLIP's own similarity: the whole sound against the visual tokens (Guzhov et al., 2022).

No training. One map for all sources of a clip: the sound of a mixture is one vector, and nothing
takes it apart.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.errors import UsageError
from tvsl.methods.base import Method, Supervision
from tvsl.tokens import Queries, Tokens, Vocabulary


class AudioCLIPSimilarity(Method):
    """cos(v_j, a) with the pooled audio embedding a."""

    name: ClassVar[str] = "audioclip"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """There are none.

        Raises:
            UsageError: Always.
        """
        raise UsageError("This method has nothing to train.", "Use it as it is.")

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """The same map for every query of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        cells, sound = F.normalize(tokens.visual, dim=-1), F.normalize(tokens.sound, dim=-1)
        flat = torch.einsum("bnd,bd->bn", cells, sound)
        return flat.view(-1, *tokens.grid)[queries.clip]
