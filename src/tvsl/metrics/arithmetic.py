"""The few operations that all metrics share; those on pixels by NumPy where it is faster."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def exact(values: Tensor) -> Tensor:
    """Float64, in which counts of pixels and their quotients keep every digit."""
    return values.double()


def occupied(targets: Tensor) -> Tensor:
    """The pixels where a target is at all, bool."""
    return targets if targets.dtype == torch.bool else targets > 0


def at_least(maps: Tensor, threshold: float | Tensor) -> Tensor:
    """Whether each pixel reaches a threshold, bool."""
    if maps.device.type != "cpu" or maps.dtype == torch.bfloat16:
        return maps >= threshold
    # NumPy compares about five times as fast as torch.
    level = threshold.detach().numpy() if isinstance(threshold, Tensor) else threshold
    return torch.from_numpy(maps.detach().numpy() >= level)


def count(masks: Tensor) -> Tensor:
    """How many elements of each row are set, (R, N) bool -> (R,) float64."""
    if masks.device.type == "cpu":
        # NumPy counts bytes with vector instructions, many times as fast as torch sums them.
        counts = [np.count_nonzero(row) for row in masks.numpy()]
        return torch.tensor(counts, dtype=torch.float64)
    return exact(masks.sum(dim=1))


def sort_rows(values: Tensor) -> Tensor:
    """Each row in ascending order, (P, N); the tensor given may be overwritten."""
    if values.device.type == "cpu" and values.dtype != torch.bfloat16:
        # NumPy sorts with vector instructions, about ten times as fast as torch.
        values.numpy().sort(axis=1)
        return values
    return values.sort(dim=1).values
