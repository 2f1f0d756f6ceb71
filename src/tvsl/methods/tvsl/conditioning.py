"""Conditioning blocks phi^v and phi^a (Sec. 3.3), without K copies of the tokens.

phi(A, B, C) = (A B^T / |A||B|) * C weights each token with its cosine to a query. The weighted
tokens Ṽ_k = phi^v(V', e_k, V') and Ã_k = phi^a(A', e_k, A') are needed only through their means and
cosines, so the weights (P, n) are kept and a mean is one product, f_k = (1/n) sum_j s_kj v_j.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.methods.operations import cosines, inverse_lengths, unit
from tvsl.tokens import Slots


def to_table(rows: Tensor, slots: Slots, batch: int) -> Tensor:
    """Lay rows out in a table with one row per clip.

    Args:
        rows: (P, D).
        slots: The place of each row in the table.
        batch: B.

    Returns:
        (B, width, D); empty places are zero.
    """
    table = rows.new_zeros(batch, slots.width, rows.shape[-1])
    return table.index_put((slots.clip, slots.slot), rows)


def from_table(table: Tensor, slots: Slots) -> Tensor:
    """Take the rows back out of a table, the inverse of ``to_table``: (P, ...).

    Args:
        table: (B, width, ...).
        slots: The place of each row in the table.
    """
    return table[slots.clip, slots.slot]


def similarity(
    tokens: Tensor, queries: Tensor, slots: Slots, lengths: Tensor | None = None
) -> Tensor:
    """Weights of phi: the cosine of every token with the queries of its clip (Sec. 3.3).

    Args:
        tokens: V' or A', (B, n, D).
        queries: One vector per pair, (P, D).
        slots: The place of each pair in a table.
        lengths: ``inverse_lengths`` of the tokens, (B, n), where several similarities share them:
            their gradient is as large as the tokens.

    Returns:
        s_kj = cos(token j, query k), (P, n).
    """
    table = to_table(unit(queries), slots, tokens.shape[0])
    products = torch.bmm(table, tokens.transpose(1, 2))
    lengths = inverse_lengths(tokens) if lengths is None else lengths
    # Scaling the products spares a normalised copy of the tokens.
    return from_table(products * lengths[:, None, :], slots)


def weighted_mean(tokens: Tensor, weights: Tensor, slots: Slots) -> Tensor:
    """Mean of the weighted tokens, f_k = Mean(phi(V', e_k, V')) (Sec. 3.3).

    Args:
        tokens: V' or A', (B, n, D).
        weights: One weight per pair and token, (P, n).
        slots: The place of each pair in a table.

    Returns:
        (1/n) sum_j w_kj v_j, (P, D).
    """
    table = to_table(weights, slots, tokens.shape[0])
    return from_table(torch.bmm(table, tokens), slots) / tokens.shape[1]


def focused(weights: Tensor, focus: float) -> Tensor:
    """Weights that prefer the tokens with the largest cosines; no part of the paper.

    Args:
        weights: Cosines, (..., n).
        focus: Sharpness of a softmax over the tokens; with 0 the weights stay the cosines.

    Returns:
        Weights with a mean of 1 over the tokens, (..., n).
    """
    if focus == 0:
        return weights
    return (focus * weights).softmax(dim=-1) * weights.shape[-1]


def condition_on_all(
    tokens: Tensor, classes: Tensor, focus: float = 0.0, lengths: Tensor | None = None
) -> Tensor:
    """Condition every clip on every class in two products (the one-stage variant, Table 7).

    Args:
        tokens: V' or A', (B, n, D).
        classes: Unit text embeddings, (N, D).
        focus: As for ``focused``.
        lengths: As for ``similarity``.

    Returns:
        f_k for all N classes, (B, N, D).
    """
    weights = focused(cosines(tokens, classes, lengths).transpose(1, 2), focus)
    return weights @ tokens / tokens.shape[1]
