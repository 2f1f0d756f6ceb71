"""Losses of T-VSL (Eq. 1, 5, 9), and the learning rates of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.contrastive import symmetric_info_nce


def rated_groups(
    head: nn.Module, learning_rate: float, factors: Mapping[nn.Module, float]
) -> list[dict[str, Any]]:
    """All parameters of a head, grouped by their learning rate.

    Args:
        head: The head.
        learning_rate: The full rate.
        factors: By how much the rate of a part differs from it.

    Returns:
        Groups with ``params`` and ``lr``, the full rate first.
    """
    own = {id(p): factor for part, factor in factors.items() for p in part.parameters()}
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for parameter in head.parameters():
        groups.setdefault(own.get(id(parameter), 1.0), []).append(parameter)
    return [{"params": p, "lr": learning_rate * factor} for factor, p in groups.items() if p]


def detection_loss(logits: Tensor, labels: Tensor, printed_sum: bool) -> Tensor:
    """L_mcid: binary cross-entropy over all classes.

    Args:
        logits: (B, N).
        labels: (B, N) bool.
        printed_sum: Sum over the classes as printed, in place of the mean; always the mean over
            the clips.

    Returns:
        The loss, scalar.
    """
    loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return loss * logits.shape[1] if printed_sum else loss


def class_loss(logits: Tensor, label: Tensor, batch: int, printed_sum: bool) -> Tensor:
    """L_cls of one modality: cross-entropy of the conditioned features over all classes.

    Args:
        logits: (P, N).
        label: The class that each pair was conditioned on, (P,).
        batch: B, the number of clips.
        printed_sum: Sum over a clip's sources as printed, then the mean over the clips, in place
            of the mean over all pairs.

    Returns:
        The loss, scalar.
    """
    loss = F.cross_entropy(logits, label)
    return loss * (len(label) / batch) if printed_sum else loss


def contrastive_loss(logits: Tensor, label: Tensor, mask_same_class: bool) -> Tensor:
    """L_av: symmetric InfoNCE; a pair's positive is itself alone.

    Other pairs of the same class are never positives: that would teach P_av to forget which
    instance sounds. Whether they are negatives is the hyperparameter.

    Args:
        logits: Scaled cosines of ĝ^v (rows) and ĝ^a (columns), (P, P).
        label: The class of each pair, (P,).
        mask_same_class: Whether they are left out of the negatives.

    Returns:
        The mean of both directions, scalar.
    """
    if mask_same_class:
        same = label[:, None] == label[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -torch.inf)
    return symmetric_info_nce(logits, "mean")
