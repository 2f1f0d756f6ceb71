"""Operations that methods share: unit vectors, projections, contrastive losses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from tvsl.methods.base import Method, MethodConfig, check_inputs
from tvsl.tokens import Tokens, Vocabulary

# Far below what tokens of any encoder leave after averaging; in float32 only rounding is left here.
_NOTHING = 1e-7


def inverse_lengths(vectors: Tensor) -> Tensor:
    """One over the length of each vector, (..., D) to (...); 0 for what has no direction.

    The 0 carries no gradient. One over a tiny length would give a gradient of 1e12, which an
    optimiser's second moments never forget.
    """
    lengths = vectors.norm(dim=-1)
    return torch.where(lengths > _NOTHING, 1.0 / lengths.clamp_min(_NOTHING), 0.0)


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors (..., D) to length 1; what has no direction (silence, say) becomes zero."""
    return vectors * inverse_lengths(vectors)[..., None]


class AdaptedConfig(MethodConfig):
    """What every adapted method can be told.

    Attributes:
        weight_decay: Of Adam (added to the gradient, as the originals have it).
        scale_tokens: Whether every token and every pooled embedding is first scaled to a root
            mean square of 1. The originals' layers start at sizes that suit the features of a
            backbone under batch normalisation; tokens of a frozen encoder have any length.
    """

    weight_decay: float = Field(0.0, ge=0, le=1)
    scale_tokens: bool = True


class Adapted(Method):
    """A method of which only the head is kept: its backbones are the frozen encoders."""

    config: AdaptedConfig

    def read(self, tokens: Tokens, vocabulary: Vocabulary | None = None) -> Tokens:
        """The tokens as the head sees them.

        Args:
            tokens: B clips.
            vocabulary: N classes, where there are any.

        Returns:
            The tokens, scaled if the config says so.

        Raises:
            ShapeError: They come from an encoder of another size.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        if not self.config.scale_tokens:
            return tokens
        length = math.sqrt(tokens.size)
        return replace(
            tokens,
            visual=length * unit(tokens.visual),
            audio=length * unit(tokens.audio),
            image=length * unit(tokens.image),
            sound=length * unit(tokens.sound),
        )

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """One group of all parameters, with the original's weight decay; see the base class."""
        decay = self.config.weight_decay
        groups = super().parameter_groups(learning_rate)
        return [{**group, "weight_decay": decay} for group in groups]


def two_layers(
    inputs: int, outputs: int, hidden: int | None = None, bias: bool = True
) -> nn.Module:
    """Linear, ReLU, linear.

    Args:
        inputs: Size of what comes in.
        outputs: Size of what goes out.
        hidden: Size between; that of what goes out when None.
        bias: Whether both have biases.

    Returns:
        The layers.
    """
    hidden = outputs if hidden is None else hidden
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=bias), nn.ReLU(), nn.Linear(hidden, outputs, bias=bias)
    )


def by_panel(cells: Tensor, tokens: Tokens) -> Tensor:
    """What the cells of canvases hold, (B, n_v, D), panel by panel, (B, panels, n, D)."""
    height, width = tokens.grid
    apart = cells.reshape(len(cells), height, tokens.panels, width // tokens.panels, -1)
    return apart.transpose(1, 2).flatten(2, 3)


def others(batch: int, device: torch.device) -> Tensor:
    """Another clip for each clip of a batch, each used once: a random cycle.

    Args:
        batch: B.
        device: Where to.

    Returns:
        (B,) int64; empty for a batch of one, which has no other.
    """
    if batch == 1:
        return torch.empty(0, dtype=torch.int64, device=device)
    order = torch.randperm(batch, device=device)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner
