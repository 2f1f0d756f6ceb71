"""The five terms of the mini model's pre-training: Eq. 1 where pairs are not one to one.

Eq. 1 is symmetric InfoNCE between image, audio and text of a batch in which sample i matches
sample i alone. Here several pictures show what one caption says, and a mixture belongs to several
pictures: the target of each row is uniform over all its matches. With one match per row and
column, the loss is that of Eq. 1 again, halved.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def matched_contrastive(logits: Tensor, matches: Tensor) -> Tensor:
    """Symmetric InfoNCE with several matches.

    Args:
        logits: Scaled cosines, (R, C).
        matches: Which pairs belong together, (R, C) bool; rows and columns without a match are
            left out.

    Returns:
        Mean of both directions, scalar.
    """
    return (_one_way(logits, matches) + _one_way(logits.T, matches.T)) / 2


def best_cells(cells: Tensor, queries: Tensor, count: int) -> Tensor:
    """How well the best few cells of each picture agree with each query.

    The mean of the best few, and never the best alone: with the maximum, training collapses to
    single cells at corners.

    Args:
        cells: Unit visual tokens, (B, n_v, D).
        queries: Unit text or audio embeddings, (Q, D).
        count: How many cells.

    Returns:
        Mean of the ``count`` highest cosines, (B, Q).
    """
    cosines = cells @ queries.T
    return cosines.topk(count, dim=1, sorted=False).values.mean(dim=1)


def caption_matches(captions: Tensor, things: Tensor) -> Tensor:
    """Which captions are true of which items.

    Args:
        captions: Surface, shape and size that each caption names, (Q, 3), -1 where it is silent.
        things: Surface, shape and size of the things of each item, (B, n, 3), -1 where there is
            none.

    Returns:
        Whether one thing of the item has all that the caption names, (B, Q) bool.
    """
    named, silent = captions[None, None], captions[None, None] < 0
    agrees = (things[:, :, None] == named) | silent
    exists = things[:, :, None, 0] >= 0
    return (agrees.all(dim=-1) & exists).any(dim=1)


def _one_way(logits: Tensor, matches: Tensor) -> Tensor:
    counts = matches.sum(dim=1)
    kept = counts > 0
    target = matches[kept].to(logits.dtype) / counts[kept, None]
    return F.cross_entropy(logits[kept], target)


def draw_count(generator: torch.Generator, least: int, most: int) -> int:
    """How many cells are pooled this time, uniform from ``least`` to ``most``."""
    return int(torch.randint(least, most + 1, (), generator=generator))
