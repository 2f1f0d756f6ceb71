"""Inference (Sec. 3.4): readouts of a map, and tokens shared out among classes.

Read literally, the map is s(ĝ_k^a, v̂_k^j). But v̂_k^j is v_j times scalars, and a cosine ignores
scalars up to sign: what remains is |cos(v_j, ĝ_k^a)|. The text has no say in it, and cells that
are anti-correlated with the sound light up. The other readouts keep what the conditioning found.

phi^a weights a token with its cosine to one class name and knows nothing of the others, so that
Mean(Ã_k) keeps much of what else sounds: cosines with all names are alike. In a mixture model a
token would belong to each class by its responsibility, a softmax over all classes n of

    beta cos(a_j, e_n) + log w_n,

w being the decomposition of the whole sound (``decomposition.py``). Here phi^a's weight is
multiplied by it, at inference. It is no part of the paper; `tvsl reproduce improvements` says what
it is worth. Of one class alone, or of cosines that are all alike, nothing changes.

A method finds the cells in which an object is most typical of its class. The rest of a large object
stays dim, and the blur around a small one bright, so that maps are too narrow on the one and too
wide on the other. The frozen tokens know better what belongs together: here each cell takes the
mean of all cells of its frame, weighted by how alike they look,

    m'_i = Σ_j w_ij m_j / Σ_j w_ij,    w_ij = relu(cos(v_i, v_j))^exponent.

It is no part of the paper; `docs/how-tvsl-works.md` says what it is worth.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tvsl.methods.operations import unit
from tvsl.methods.tvsl.detection import decompose, evidence
from tvsl.tokens import Queries, Slots, Tokens

ReadoutFunction = Callable[[Tensor, Tensor, float], Tensor]


def cosine(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """The paper, literally: |cos(v_j, ĝ_k^a)|."""
    return audio.abs()


def signed(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """cos(v_j, ĝ_k^a), with its sign."""
    return audio


def text_only(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """cos(v_j, e_k): what the class name alone finds."""
    return text


def evidence_map(text: Tensor, audio: Tensor, exponent: float) -> Tensor:
    """(relu(s) relu(c))^exponent: text and sound must both agree.

    A map without any cell where both are positive falls back to the smaller of the two, so that
    the best compromise is still found.
    """
    agreement = (text.relu() * audio.relu()) ** exponent
    nothing = agreement.amax(dim=-1, keepdim=True) <= 0
    return torch.where(nothing, torch.minimum(text, audio), agreement)


def summed(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """S + c: either may carry a cell."""
    return text + audio


READOUTS: dict[str, ReadoutFunction] = {
    "cosine": cosine,
    "signed": signed,
    "text": text_only,
    "evidence": evidence_map,
    "sum": summed,
}
"""Each takes s = cos(v_j, e_k) (P, n_v), c = cos(v_j, ĝ_k^a) (P, n_v) and an exponent, and gives
a map (P, n_v)."""

_WITHOUT_TEXT = ("cosine", "signed")


def possible_readouts(image_conditioning: bool) -> tuple[str, ...]:
    """Names of the readouts that a head may have.

    Args:
        image_conditioning: Whether it has phi^v; else the text has no say in the picture.
    """
    return tuple(READOUTS) if image_conditioning else _WITHOUT_TEXT


_FLOOR = 1e-3


def log_normaliser(audio: Tensor, visual: Tensor, classes: Tensor, sharpness: float) -> Tensor:
    """How well all classes together explain each token: what responsibilities are divided by.

    Args:
        audio: A', (B, n_a, D).
        visual: V', (B, n_v, D).
        classes: Unit text embeddings e_n of the vocabulary, (N, D).
        sharpness: beta.

    Returns:
        log sum_n w_n exp(beta cos(a_j, e_n)), (B, n_a); a class without weight has a little.
    """
    prior = decompose(*evidence(audio, visual, classes), classes) + _FLOOR
    cosines = unit(audio) @ classes.T
    return torch.logsumexp(sharpness * cosines + prior.log()[:, None], dim=-1)


def shares(similarity: Tensor, normaliser: Tensor, slots: Slots, sharpness: float) -> Tensor:
    """Responsibility of a pair's class for each token of its sound.

    Args:
        similarity: s_kj = cos(a_j, e_k), (P, n_a).
        normaliser: What ``log_normaliser`` gave, (B, n_a).
        slots: Which clip each pair belongs to.
        sharpness: beta.

    Returns:
        The responsibilities over their mean, (P, n_a): how loud a class is does not count, only
        where it sounds.
    """
    belonging = sharpness * similarity - normaliser[slots.clip]
    return belonging.softmax(dim=-1) * similarity.shape[1]


AFFINITY = 40.0
"""The exponent that validation may choose, beside none.

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
        exponent: How alike cells must look: the higher, the more; 0 leaves maps as they are.

    Returns:
        Maps of the same shape; a cell's value lies between those of its frame.
    """
    if exponent == 0:
        return maps
    cells = _by_frame(maps[..., None], tokens.panels)[..., 0]
    frames = _by_frame(tokens.visual.unflatten(1, tokens.grid), tokens.panels)
    result = torch.empty_like(cells)
    for chunk in queries.chunks(_CHUNK):
        slots = chunk.queries.slots(len(chunk.clips))
        likeness = _likeness(frames[chunk.clips], exponent).to(cells.dtype)
        # One product for all queries of a clip.
        table = cells.new_zeros(*likeness.shape[:-1], slots.width)
        table[slots.clip, :, :, slots.slot] = cells[chunk.positions]
        result[chunk.positions] = (likeness @ table)[slots.clip, :, :, slots.slot]
    height, width = tokens.grid
    whole = result.view(len(maps), tokens.panels, height, width // tokens.panels)
    return whole.transpose(1, 2).reshape(maps.shape)


def _by_frame(cells: Tensor, panels: int) -> Tensor:
    """Cells on the grid of all frames (n, h, w, d), frame by frame: (n, panels, cells, d)."""
    frames: Tensor = cells.unflatten(2, (panels, -1))
    return frames.transpose(1, 2).flatten(2, 3)


def _likeness(frames: Tensor, exponent: float) -> Tensor:
    """w_ij, each row with the sum 1, of frames (b, panels, cells, D)."""
    directions = unit(frames)
    weights = (directions @ directions.mT).relu() ** exponent
    # A cell without direction is like none, itself not excepted: it keeps its value.
    alone = weights.sum(dim=-1) == 0
    weights = weights + torch.diag_embed(alone.to(weights.dtype))
    return weights / weights.sum(dim=-1, keepdim=True)
