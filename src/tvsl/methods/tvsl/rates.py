"""Learning rates of a head's parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


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
