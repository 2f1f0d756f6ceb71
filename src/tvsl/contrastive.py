"""Symmetric InfoNCE: the contrastive loss of AudioCLIP, of most methods, and of pre-training."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def symmetric_info_nce(
    logits: Tensor, reduction: Literal["sum", "mean"], matches: Tensor | None = None
) -> Tensor:
    """InfoNCE in both directions, CE(X) and CE(X^T), each the mean over its rows.

    Papers differ in what they make of the two, a factor of 2: Eq. 1 and the self-supervised methods
    add them, L_av (Sec. 3.4), Wav2CLIP and pre-training take their mean.

    Args:
        logits: X, scaled cosines, (R, C).
        reduction: ``sum`` or ``mean`` of both directions.
        matches: (R, C) bool, true where row and column belong together: the target of a row is
            uniform over its matches, and rows and columns without one are left out. By default
            row i and column i belong together.

    Returns:
        The loss, scalar.
    """
    total = _one_way(logits, matches)
    total = total + _one_way(logits.T, None if matches is None else matches.T)
    return total if reduction == "sum" else total / 2


def _one_way(logits: Tensor, matches: Tensor | None) -> Tensor:
    if matches is None:
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    counts = matches.sum(dim=1)
    kept = counts > 0
    return F.cross_entropy(logits[kept], matches[kept].to(logits.dtype) / counts[kept, None])
