"""Learnable text prompts (Sec. 4.6, Table 6): context vectors before the class name.

After Zhou et al., 2022 ("Conditional Prompt Learning for Vision-Language Models"). The vectors
are shared by all classes and trained through the frozen text encoder. They limit zero-shot use:
a name outside training meets a context that was fitted to others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tvsl.encoder import PromptableTextEncoder
from tvsl.errors import UsageError, VocabularyError
from tvsl.methods.tvsl.direction import unit
from tvsl.tokens import Vocabulary


class PromptLearner(nn.Module):
    """Learned context vectors.

    Args:
        length: L, how many.
        width: Channels of the text encoder.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.context = nn.Parameter(0.02 * torch.randn(length, width))

    def forward(self, encoder: PromptableTextEncoder, token_ids: Tensor) -> Tensor:
        """Text embeddings of [start, context, name, end].

        Args:
            encoder: The frozen text encoder; gradients pass through it to the context.
            token_ids: (N, L), end token highest.

        Returns:
            Unit embeddings, (N, D).

        Raises:
            VocabularyError: A name is too long to leave room for the context.
        """
        end = token_ids.argmax(dim=-1)
        length, added = token_ids.shape[1], len(self.context)
        if int(end.max()) + added >= length:
            raise VocabularyError(
                f"A class name leaves no room for {added} prompt vectors.",
                "Shorten the name or the prompt.",
            )
        embedded = encoder.token_embedding(token_ids)
        context = self.context.expand(len(token_ids), -1, -1)
        joined = torch.cat([embedded[:, :1], context, embedded[:, 1 : length - added]], dim=1)
        return unit(encoder.encode_embedded(joined, end + added))


def sample_classes(labels: Tensor, most: int) -> Tensor:
    """Choose the classes that a training step runs through the text encoder.

    Args:
        labels: (B, N) bool.
        most: How many at most, unless the batch itself holds more.

    Returns:
        Class indices in ascending order: those of the batch and a random rest.
    """
    present = labels.any(dim=0)
    rest = max(0, min(most, labels.shape[1]) - int(present.sum()))
    others = (~present).nonzero()[:, 0]
    drawn = others[torch.randperm(len(others), device=labels.device)[:rest]]
    return torch.cat([present.nonzero()[:, 0], drawn]).sort().values


def require_token_ids(vocabulary: Vocabulary) -> Tensor:
    """The vocabulary's token ids.

    Raises:
        UsageError: It has none.
    """
    if vocabulary.token_ids is None:
        raise UsageError(
            "Learned prompts need token ids, and this vocabulary has none.",
            "Build it with the encoder's `vocabulary`.",
        )
    return vocabulary.token_ids


def build_prompts(length: int, text_encoder: PromptableTextEncoder | None) -> PromptLearner | None:
    """Untrained prompts for a head.

    Args:
        length: How many context vectors.
        text_encoder: The text encoder; needed for one vector or more.

    Returns:
        The prompts, or None for a length of 0.

    Raises:
        UsageError: The text encoder is missing, or not frozen.
    """
    if length == 0:
        return None
    if text_encoder is None:
        raise UsageError("Learned prompts need the text encoder.", "Give it to TVSL.")
    if isinstance(text_encoder, nn.Module) and any(
        parameter.requires_grad for parameter in text_encoder.parameters()
    ):
        raise UsageError("The text encoder is not frozen.", "Call its `freeze()` first.")
    return PromptLearner(length, text_encoder.token_embedding.embedding_dim)
