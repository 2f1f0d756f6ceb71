"""The contrastive loss once more, row by row, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp


def info_nce(logits: NDArray[np.float64], matches: NDArray[np.bool_]) -> float:
    """Symmetric InfoNCE, the target of a row uniform over its matches."""
    ways = []
    for values, targets in ((logits, matches), (logits.T, matches.T)):
        losses = [
            logsumexp(row) - row[target].mean()
            for row, target in zip(values, targets, strict=True)
            if target.any()
        ]
        ways.append(sum(losses) / len(losses))
    return float(sum(ways) / 2)
