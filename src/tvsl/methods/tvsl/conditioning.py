"""Conditioning blocks phi^v and phi^a (Sec. 3.3), without K copies of the tokens.

phi(A, B, C) = (A B^T / |A||B|) * C weights each token with its cosine to a query. The weighted
tokens are needed only through their mean and their cosines, so the weights (P, n) are kept and
the means come from one product: f_k = (1/n) sum_j s_kj v_j.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tvsl.methods.operations import inverse_lengths, unit
from tvsl.tokens import Slots


@dataclass(frozen=True, eq=False)
class Conditioned:
    """What the conditioning blocks give for P pairs.

    Attributes:
        visual_similarity: s_kj = cos(v_j, e_k), (P, n_v); ones without image conditioning.
        visual_mean: f_k^v = Mean(Ṽ_k), (P, D).
        audio_mean: f_k^a = g_k^a = Mean(Ã_k), (P, D).
    """

    visual_similarity: Tensor
    visual_mean: Tensor
    audio_mean: Tensor


def to_table(rows: Tensor, slots: Slots, batch: int) -> Tensor:
    """Lay rows (P, D) out in a table (B, width, D); empty places are zero."""
    table = rows.new_zeros(batch, slots.width, rows.shape[-1])
    return table.index_put((slots.clip, slots.slot), rows)


def from_table(table: Tensor, slots: Slots) -> Tensor:
    """Take the rows (P, ...) back out of a table (B, width, ...)."""
    return table[slots.clip, slots.slot]


def similarity(tokens: Tensor, queries: Tensor, slots: Slots) -> Tensor:
    """Cosine of every token with the queries of its clip.

    Args:
        tokens: V' or A', (B, n, D).
        queries: One vector per pair, (P, D).
        slots: Which clip each pair belongs to.

    Returns:
        s_kj = cos(token j, query k), (P, n).
    """
    table = to_table(unit(queries), slots, len(tokens))
    products = torch.bmm(table, tokens.transpose(1, 2))
    # Scaling the products spares a normalised copy of the tokens.
    return from_table(products * inverse_lengths(tokens)[:, None, :], slots)


def weighted_mean(tokens: Tensor, weights: Tensor, slots: Slots) -> Tensor:
    """Mean of the weighted tokens, Mean(phi(V', e, V')).

    Args:
        tokens: V' or A', (B, n, D).
        weights: One weight per pair and token, (P, n).
        slots: Which clip each pair belongs to.

    Returns:
        (1/n) sum_j w_kj v_j, (P, D).
    """
    table = to_table(weights, slots, len(tokens))
    return from_table(torch.bmm(table, tokens), slots) / tokens.shape[1]


def condition_on_all(tokens: Tensor, classes: Tensor) -> Tensor:
    """Condition every clip on every class in two products (the one-stage variant, Table 7).

    Args:
        tokens: V' or A', (B, n, D).
        classes: Unit text embeddings, (N, D).

    Returns:
        f_k for all N classes, (B, N, D).
    """
    cosines = unit(tokens) @ classes.T
    return cosines.transpose(1, 2) @ tokens / tokens.shape[1]
