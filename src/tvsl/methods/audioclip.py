"""AudioCLIP's own similarity: the whole sound against the visual tokens (Guzhov et al., 2022).

No training. One map for all sources of a clip: the sound of a mixture is one vector, and nothing
takes it apart.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from tvsl.methods.cosine import one_map
from tvsl.methods.tvsl.direction import unit
from tvsl.methods.untrained import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary


class AudioCLIPSimilarity(Untrained):
    """cos(v_j, a) with the pooled audio embedding a."""

    name: ClassVar[str] = "audioclip"
    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """The same map for every query of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        return one_map(unit(tokens.visual), unit(tokens.sound), tokens.grid, queries)
