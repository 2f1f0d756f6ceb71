"""A control: the class name against the visual tokens, without listening.

With the right name given, text is hard to beat wherever nothing but the class tells the source;
what a method adds shows where two objects share a class, and where names must be detected.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from tvsl.methods.base import check_inputs
from tvsl.methods.tvsl.conditioning import similarity
from tvsl.methods.tvsl.detection import evidence_scores
from tvsl.methods.untrained import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary


class TextOnly(Untrained):
    """cos(v_j, e_k); detects by the training-free evidence."""

    name: ClassVar[str] = "text-only"
    class_aware: ClassVar[bool] = True

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines of the cells with the queried name; see the base class."""
        check_inputs(tokens.size, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        names = vocabulary.embeddings[queries.label]
        flat = similarity(tokens.visual, names, queries.slots(tokens.batch))
        return flat.view(-1, *tokens.grid)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Evidence scores, (B, N)."""
        check_inputs(tokens.size, tokens, vocabulary)
        return evidence_scores(tokens.audio, tokens.visual, vocabulary.embeddings)
