"""CLIP's text encoder: a causal transformer, read at the end token.

Source: Radford et al., 2021. Attribute names are those of the public state dict.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn

from tvsl.audioclip.config import TextEncoderConfig
from tvsl.utils.devices import normal


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the approximation that CLIP was trained with."""

    def forward(self, values: Tensor) -> Tensor:
        """Element by element, any shape."""
        return values * torch.sigmoid(1.702 * values)


class ResidualAttentionBlock(nn.Module):
    """Pre-norm attention and feed-forward layer.

    Args:
        width: Channels.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, width * 4),
                gelu=QuickGELU(),
                c_proj=nn.Linear(width * 4, width),
            )
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Apply the layer: new states, (B, L, width).

        Args:
            states: (B, L, width).
            mask: (L, L); -inf for the pairs of tokens without attention.
        """
        normed = self.ln_1(states)
        states = states + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        return cast(Tensor, states + self.mlp(self.ln_2(states)))


class Transformer(nn.Module):
    """A stack of blocks.

    Args:
        width: Channels.
        layers: Blocks.
        heads: Attention heads.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualAttentionBlock(width, heads) for _ in range(layers))

    def forward(self, states: Tensor) -> Tensor:
        """States (B, L, width) to states; every token attends to itself and those before it."""
        length = states.shape[1]
        mask = torch.full((length, length), -torch.inf, device=states.device, dtype=states.dtype)
        mask = mask.triu(1)
        for block in self.resblocks:
            states = block(states, mask)
        return states


class TextEncoder(nn.Module):
    """Token ids to pooled text embeddings.

    Args:
        config: Sizes.
        embedding: D, the size of the shared space.
    """

    def __init__(self, config: TextEncoderConfig, embedding: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding.from_pretrained(
            normal(config.vocabulary, config.width, times=0.02), freeze=False
        )
        self.positional_embedding = nn.Parameter(normal(config.context, config.width, times=0.01))
        self.transformer = Transformer(config.width, config.layers, config.heads)
        self.ln_final = nn.LayerNorm(config.width)
        self.text_projection = nn.Parameter(normal(config.width, embedding, over=config.width**0.5))

    def encode_token_ids(self, token_ids: Tensor) -> Tensor:
        """Token ids (B, L) to embeddings (B, D); the end token has the highest id."""
        return self.encode_embedded(self.token_embedding(token_ids), token_ids.argmax(dim=-1))

    def encode_embedded(self, embedded: Tensor, end: Tensor) -> Tensor:
        """Run the transformer on embedded tokens, for texts that hold learned prompts (Sec. 4.6).

        Args:
            embedded: Token embeddings without positions, (B, L, width).
            end: Index of each text's end token, (B,).

        Returns:
            Embeddings, (B, D), not normalised.
        """
        # Causal attention: nothing behind the last end token can change any result.
        length = int(end.max()) + 1
        states = embedded[:, :length] + self.positional_embedding[:length]
        states = self.ln_final(self.transformer(states))
        rows = torch.arange(len(states), device=states.device)
        pooled: Tensor = states[rows, end] @ self.text_projection
        return pooled
