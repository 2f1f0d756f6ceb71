"""Unit vectors, also of what has no direction."""

from __future__ import annotations

import torch
from torch import Tensor

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
