"""Modules that T-VSL trains: the fusion projector, the correspondence block, learned prompts.

The correspondence block (Sec. 3.4) is V̂_k = phi^av(Ṽ_k, ĝ_k^a, Ṽ_k). With Ṽ_k = s_kj v_j it is
|s_kj| cos(v_j, ĝ_k^a) v_j: again one weight per token, so that g_k^v = Mean(V̂_k) is a weighted mean
of V' and no copy of the tokens is made.

Learned prompts (Sec. 4.6) follow Zhou et al., 2022 ("Conditional Prompt Learning for
Vision-Language Models"). The vectors are shared by all classes and trained through the frozen text
encoder. They limit zero-shot use: a name outside training meets a context fitted to others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tvsl.encoder import PromptableTextEncoder
from tvsl.errors import UsageError, VocabularyError
from tvsl.methods.operations import unit
from tvsl.tokens import Vocabulary
from tvsl.utils.devices import normal

HIDDEN_FACTOR = 2


class FusionProjector(nn.Module):
    """P_f: F_av = P_f([Mean(A') + Mean(V')]), + for concatenation, 2D -> D (Sec. 3.2).

    Args:
        size: D.
        layers: 1 as printed, 2 with a hidden GELU layer.
        identity_start: Whether it starts as the mean of both halves.
    """

    def __init__(self, size: int, layers: int, identity_start: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * size, size)
        self.hidden: nn.Sequential | None = None
        if layers == 2:
            wide = HIDDEN_FACTOR * size
            self.hidden = nn.Sequential(nn.Linear(2 * size, wide), nn.GELU(), nn.Linear(wide, size))
        if identity_start and not self.linear.weight.is_meta:
            half = torch.eye(size) / 2
            with torch.no_grad():
                self.linear.weight.copy_(torch.cat([half, half], dim=1))
                self.linear.bias.zero_()
                if self.hidden is not None:
                    # Almost, not quite zero: zero would keep gradients from the first layer.
                    for parameter in self.hidden[-1].parameters():
                        parameter.mul_(0.01)

    def forward(self, means: Tensor) -> Tensor:
        """Concatenated means (B, 2D) to mixture features (B, D)."""
        fused: Tensor = self.linear(means)
        return fused if self.hidden is None else fused + self.hidden(means)


def correspondence_weights(visual_similarity: Tensor, audio_similarity: Tensor) -> Tensor:
    """Weights of V' in V̂_k = phi^av(Ṽ_k, ĝ_k^a, Ṽ_k) (Sec. 3.4).

    Args:
        visual_similarity: s_kj = cos(v_j, e_k), (P, n_v); ones without image conditioning.
        audio_similarity: c_kj = cos(v_j, ĝ_k^a), (P, n_v).

    Returns:
        |s_kj| c_kj, (P, n_v).
    """
    return visual_similarity.abs() * audio_similarity


class PromptLearner(nn.Module):
    """Learned context vectors before each class name (Sec. 4.6).

    Args:
        length: L, the number of vectors.
        width: Channels of the text encoder.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.context = nn.Parameter(normal(length, width, times=0.02))

    def forward(self, encoder: PromptableTextEncoder, token_ids: Tensor) -> Tensor:
        """Text embeddings of [start, context, name, end]: (N, D).

        Args:
            encoder: The frozen text encoder; gradients pass through it to the context.
            token_ids: (N, L), end token highest.

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
        most: Most classes, unless the batch itself holds more.

    Returns:
        Class indices in ascending order: those of the batch and a random rest.
    """
    present = labels.any(dim=0)
    rest = max(0, min(most, labels.shape[1]) - int(present.sum()))
    others = (~present).nonzero()[:, 0]
    drawn = others[torch.randperm(len(others), device=labels.device)[:rest]]
    return torch.cat([present.nonzero()[:, 0], drawn]).sort().values


def require_token_ids(vocabulary: Vocabulary) -> Tensor:
    """Token ids of a vocabulary.

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
    """Untrained prompts for a head; None for a length of 0.

    Args:
        length: Number of context vectors.
        text_encoder: The text encoder; needed for one vector or more.

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
