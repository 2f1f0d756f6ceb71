"""Maps spread over cells that look alike, for every method.

A method finds the cells in which an object is most typical of its class. The rest of a
large object stays dim, and the blur around a small one bright, so that maps are too narrow on the
one and too wide on the other. The frozen tokens know better what belongs together: each cell takes
the mean of all cells of its frame, weighted by how alike they look,

    m'_i = Σ_j w_ij m_j / Σ_j w_ij,    w_ij = relu(cos(v_i, v_j))^exponent.

No paper of these methods has it. Validation chooses it or not, for each of them by the same rule.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.methods.operations import by_panel, unit
from tvsl.tokens import Queries, Tokens

AFFINITY = 40.0
"""Exponent that validation may choose, beside none.

Chosen on validation scenes of the made-up world, where 20 to 60 are much the same
(`benchmarks/constants.py`).
"""

_CHUNK = 64


def spread(maps: Tensor, tokens: Tokens, queries: Queries, exponent: float) -> Tensor:
    """Spread maps over alike cells, each frame of a clip by itself.

    Args:
        maps: Maps on the token grid, (P, h, w).
        tokens: B clips.
        queries: The P pairs that the maps are of.
        exponent: Sharpness of the likeness; 0 leaves maps as they are.

    Returns:
        Maps of the same shape; a cell's value lies between those of its frame.
    """
    if exponent == 0:
        return maps
    cells = by_panel(maps.flatten(1)[..., None], tokens)[..., 0]
    frames = by_panel(tokens.visual, tokens)
    result = torch.empty_like(cells)
    for chunk in queries.chunks(_CHUNK):
        slots = chunk.queries.slots(chunk.clips.shape[0])
        likeness = _likeness(frames[chunk.clips], exponent).to(cells.dtype)
        # One product for all queries of a clip.
        table = cells.new_zeros(likeness.shape[0], slots.width, *cells.shape[1:])
        table[slots.clip, slots.slot] = cells[chunk.positions]
        alike = likeness @ table.permute(0, 2, 3, 1)  # (b, panels, cells, queries)
        result[chunk.positions] = alike.permute(0, 3, 1, 2)[slots.clip, slots.slot]
    if tokens.panels == 1:
        return result.view(maps.shape)
    height, width = tokens.grid
    whole = result.view(maps.shape[0], tokens.panels, height, width // tokens.panels)
    return whole.transpose(1, 2).reshape(maps.shape)


def _likeness(frames: Tensor, exponent: float) -> Tensor:
    """w_ij, each row with the sum 1, of frames (b, panels, cells, D)."""
    directions = unit(frames)
    weights = (directions @ directions.mT).relu() ** exponent
    # A cell without direction is like none, itself not excepted: it keeps its value.
    alone = weights.sum(dim=-1) == 0
    weights = weights + torch.diag_embed(alone.to(weights.dtype))
    return weights / weights.sum(dim=-1, keepdim=True)
