"""Operations that methods share: unit vectors, projections, detected classes, spread maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tvsl.encoder import MOST_SOURCES
from tvsl.errors import ShapeError, UsageError
from tvsl.tokens import Queries, Tokens

MAX_SCALE = 100.0
"""Largest factor that a learned scale multiplies cosines by, as in CLIP."""

STANDING_OUT = 2.5

AFFINITY = 40.0
"""Exponent of ``spread`` that validation may choose, beside none.

Chosen on validation scenes of the made-up world, where 20 to 60 are much the same
(`benchmarks/constants.py`).
"""

_SPREAD_TOGETHER = 64
"""Queries whose maps are spread at once."""

# Far below what tokens of any encoder leave after averaging; in float32 only rounding is left here.
_NOTHING = 1e-7


def inverse_lengths(vectors: Tensor) -> Tensor:
    """One over the length of each vector, (..., D) to (...); 0 for what has no direction.

    The 0 carries no gradient. One over a tiny length would give a gradient of 1e12, which an
    optimiser's second moments never forget.
    """
    # Not torch's norm: its gradient costs twice as much, and is as large as the vectors.
    squares = torch.linalg.vecdot(vectors, vectors)
    return torch.where(squares > _NOTHING**2, squares.clamp_min(_NOTHING**2).rsqrt(), 0.0)


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors (..., D) to length 1; what has no direction (silence, say) becomes zero."""
    return vectors * inverse_lengths(vectors)[..., None]


def cosines(vectors: Tensor, directions: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Cosine of each vector with each of some directions, without a copy of the vectors.

    Args:
        vectors: (..., D).
        directions: Unit vectors, (N, D).
        lengths: ``inverse_lengths`` of the vectors, where more than this shares them.

    Returns:
        (..., N); 0 for a vector that has no direction.
    """
    lengths = inverse_lengths(vectors) if lengths is None else lengths
    return (vectors @ directions.T) * lengths[..., None]


def linear_projector(size: int, identity_start: bool) -> nn.Linear:
    """A linear projector D -> D (Sec. 3.2-3.4).

    Args:
        size: D.
        identity_start: Whether it starts as the identity, so that an untrained head already
            compares what the encoder aligned.
    """
    projector = nn.Linear(size, size)
    if identity_start and not projector.weight.is_meta:  # there it would import the compiler
        nn.init.eye_(projector.weight)
        nn.init.zeros_(projector.bias)
    return projector


def two_layers(
    inputs: int, outputs: int, hidden: int | None = None, bias: bool = True
) -> nn.Module:
    """Linear, ReLU, linear.

    Args:
        inputs: Size of what comes in.
        outputs: Size of what goes out.
        hidden: Size between; that of what goes out when None.
        bias: Whether both have biases.
    """
    hidden = outputs if hidden is None else hidden
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=bias), nn.ReLU(), nn.Linear(hidden, outputs, bias=bias)
    )


class LogitScale(nn.Module):
    """A learned positive factor for cosines, clamped to [1, 100].

    The paper is silent on it; a bare cosine can reach neither 0 nor 1 as a probability.

    Args:
        start: Its first value.
        bias: First value of an added bias; no bias when None.
    """

    def __init__(self, start: float, bias: float | None = None) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))

    def forward(self, cosines: Tensor) -> Tensor:
        """Cosines of any shape to logits of the same."""
        # Not the scale itself: at a start of 100, rounded up, it would never get a gradient.
        logits = self.log_scale.clamp(0.0, math.log(MAX_SCALE)).exp() * cosines
        return logits if self.bias is None else logits + self.bias


def by_panel(cells: Tensor, tokens: Tokens) -> Tensor:
    """Sort the cells of canvases by panel: (n, panels, cells, D).

    Args:
        cells: Anything on the cells of the grid, (n, n_v, D).
        tokens: The clips, for their grid and panels.
    """
    if tokens.panels == 1:
        return cells[:, None]
    height, width = tokens.grid
    apart: Tensor = cells.unflatten(1, (height, tokens.panels, width // tokens.panels))
    return apart.transpose(1, 2).flatten(2, 3)


def random_partners(batch: int, device: torch.device) -> Tensor:
    """Another clip for each clip of a batch, each used once: a random cycle.

    Args:
        batch: B.
        device: The device of the result.

    Returns:
        (B,) int64; empty for a batch of one, which has no other.
    """
    if batch == 1:
        return torch.empty(0, dtype=torch.int64, device=device)
    order = torch.randperm(batch, device=device)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


def select(
    scores: Tensor,
    sources: int | Sequence[int] | None = None,
    threshold: float | None = None,
    at_least_one: bool = True,
) -> Queries:
    """Decide which classes sound.

    Args:
        scores: Detection scores, (B, N).
        sources: K, when the number of sources is known: the top K of each clip; one number, or one
            for each clip.
        threshold: Else every class at or over it, at least one. Without a calibrated threshold
            every class that lies 2.5 standard deviations over the vocabulary's mean, at least
            one and at most 8.
        at_least_one: Whether the best class is taken also where it lies under a calibrated
            threshold.

    Returns:
        The pairs, best first within each clip.

    Raises:
        ShapeError: No scores (B, N) of at least one class, or one is not finite.
        UsageError: ``sources`` is not between 1 and N or not one for each clip, or the threshold is
            no number.
    """
    if scores.ndim != 2 or scores.shape[1] == 0 or not scores.is_floating_point():
        raise ShapeError(
            f"Detection scores must be floating (B, N), got {tuple(scores.shape)} {scores.dtype}.",
            "Give one row per clip and one column per class, at least one.",
        )
    if not bool(scores.isfinite().all()):
        raise ShapeError(
            "A detection score is not finite.",
            "The weights may be damaged, or a value overflows in this precision.",
        )
    if threshold is not None and math.isnan(threshold):
        raise UsageError("The threshold of detection is no number.", "Give a number.")
    classes = scores.shape[1]
    counts = sources if isinstance(sources, Sequence) else [sources] * len(scores)
    if len(counts) != len(scores):
        raise UsageError(
            f"There are {len(counts)} numbers of sources for {len(scores)} clips.",
            "Give one number, or one for each clip.",
        )
    if any(count is not None and not 1 <= count <= classes for count in counts):
        raise UsageError(
            f"{sources} sources cannot be chosen from {classes} classes.",
            f"Give a number from 1 to {classes}.",
        )
    ranked, order = scores.sort(dim=1, descending=True, stable=True)
    if sources is not None:
        most = torch.tensor(counts, device=scores.device)[:, None]
        chosen = (torch.arange(classes, device=scores.device) < most).expand_as(ranked).clone()
    elif threshold is not None:
        chosen = ranked >= threshold
    else:
        deviation = scores.std(dim=1, keepdim=True, correction=0)
        chosen = ranked >= scores.mean(dim=1, keepdim=True) + STANDING_OUT * deviation
        # Of scores that are all alike, up to rounding, none stands out.
        chosen &= deviation > 1e-6 * scores.abs().amax(dim=1, keepdim=True)
        chosen[:, MOST_SOURCES:] = False
    if at_least_one or threshold is None or sources is not None:
        chosen[:, 0] = True
    clip, rank = chosen.nonzero(as_tuple=True)
    return Queries(clip, order[clip, rank])


def spread(maps: Tensor, tokens: Tokens, queries: Queries, exponent: float) -> Tensor:
    """Spread maps over cells that look alike, each frame of a clip by itself.

    A method finds the cells in which an object is most typical of its class. The rest of a
    large object stays dim, and the blur around a small one bright, so that maps are too narrow on
    the one and too wide on the other. The frozen tokens know better what belongs together: each
    cell takes the mean of all cells of its frame, weighted by how alike they look,

        m'_i = Σ_j w_ij m_j / Σ_j w_ij,    w_ij = relu(cos(v_i, v_j))^exponent.

    No paper of these methods has it. Validation chooses it or not, for each of them by the same
    rule.

    Args:
        maps: Maps on the token grid, (P, h, w).
        tokens: B clips.
        queries: The P pairs that the maps are of.
        exponent: Sharpness of the likeness; 0 leaves maps as they are.

    Returns:
        Maps of the same shape; a cell's value lies between those of its frame.
    """
    return spread_all([maps], tokens, queries, exponent)[0]


def spread_all(
    maps: Sequence[Tensor], tokens: Tokens, queries: Queries, exponent: float
) -> list[Tensor]:
    """Spread several maps of the same pairs, whose weights are the same; see ``spread``.

    Args:
        maps: Sets of maps, (P, h, w) each.
        tokens: As for ``spread``.
        queries: As for ``spread``.
        exponent: As for ``spread``.

    Returns:
        The sets, spread, (P, h, w) each.
    """
    if exponent == 0 or not maps:
        return list(maps)
    cells = [by_panel(one.flatten(1)[..., None], tokens)[..., 0] for one in maps]
    frames = by_panel(tokens.visual, tokens)
    found = [torch.empty_like(one) for one in cells]
    for chunk in queries.chunks(_SPREAD_TOGETHER):
        slots = chunk.queries.slots(chunk.clips.shape[0])
        likeness = _spread_weights(frames[chunk.clips], exponent).to(cells[0].dtype)
        for values, result in zip(cells, found, strict=True):
            # One product for all queries of a clip.
            table = values.new_zeros(likeness.shape[0], slots.width, *values.shape[1:])
            table[slots.clip, slots.slot] = values[chunk.positions]
            alike = likeness @ table.permute(0, 2, 3, 1)  # (b, panels, cells, queries)
            result[chunk.positions] = alike.permute(0, 3, 1, 2)[slots.clip, slots.slot]
    height, width = tokens.grid
    panels = (tokens.panels, height, width // tokens.panels)
    return [
        values.view(len(values), *panels).transpose(1, 2).reshape(-1, height, width)
        for values in found
    ]


def _spread_weights(frames: Tensor, exponent: float) -> Tensor:
    """w_ij, each row with the sum 1, of frames (b, panels, cells, D)."""
    directions = unit(frames)
    weights = (directions @ directions.mT).relu() ** exponent
    # A cell without direction is like none, itself not excepted: it keeps its value.
    alone = weights.sum(dim=-1) == 0
    weights = weights + torch.diag_embed(alone.to(weights.dtype))
    return weights / weights.sum(dim=-1, keepdim=True)
