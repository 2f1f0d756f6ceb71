"""Losses of T-VSL: L_total = L_av + L_cls + L_mcid (Sec. 3.2 to 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.contrastive import symmetric_info_nce
from tvsl.methods.operations import LogitScale


def detection_loss(logits: Tensor, labels: Tensor, printed_sum: bool) -> Tensor:
    """L_mcid: binary cross-entropy over all classes (Sec. 3.2).

    Args:
        logits: (B, N).
        labels: (B, N) bool.
        printed_sum: Sum over the classes as printed, in place of the mean; always the mean over
            the clips.
    """
    loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return loss * logits.shape[1] if printed_sum else loss


def class_loss(logits: Tensor, label: Tensor, batch: int, printed_sum: bool) -> Tensor:
    """L_cls of one modality: cross-entropy of sim(T, f̃_k) against the class k (Sec. 3.3).

    Args:
        logits: (P, N).
        label: The class that each pair was conditioned on, (P,).
        batch: B, the number of clips.
        printed_sum: Sum over a clip's sources as printed, then the mean over the clips, in place
            of the mean over all pairs.
    """
    loss = F.cross_entropy(logits, label)
    return loss * (len(label) / batch) if printed_sum else loss


def pooled_loss(
    scale: LogitScale, image: Tensor, audio: Tensor, classes: Tensor, labels: Tensor
) -> Tensor:
    """Eq. 1 on pooled features: picture, sound and names, every pair of them (Sec. 3.1).

    Args:
        scale: The learned scale of cosines.
        image: Unit vectors, (B, D).
        audio: Unit vectors, (B, D).
        classes: Unit embeddings of all names, (N, D).
        labels: The names that belong to each clip, (B, N) bool.
    """
    pairs = ((image, classes, labels), (audio, classes, labels), (audio, image, None))
    losses = [symmetric_info_nce(scale(x @ y.T), "sum", match) for x, y, match in pairs]
    return torch.stack(losses).sum()


def contrastive_loss(logits: Tensor, label: Tensor, mask_same_class: bool) -> Tensor:
    """L_av = L_cnt(ĝ^v, ĝ^a): symmetric InfoNCE; a pair's positive is itself alone (Sec. 3.4).

    Other pairs of the same class are never positives: that would teach P_av to forget which
    instance sounds.

    Args:
        logits: Scaled cosines of ĝ^v (rows) and ĝ^a (columns), (P, P).
        label: The class of each pair, (P,).
        mask_same_class: Whether other pairs of the same class are left out of the negatives.

    Returns:
        The mean of both directions, scalar.
    """
    if mask_same_class:
        same = label[:, None] == label[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -torch.inf)
    return symmetric_info_nce(logits, "mean")
