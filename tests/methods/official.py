"""Weights and labels that the golden numbers of methods with classes were computed with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.methods.golden import weight
from tvsl.tokens import Queries

NAMES = ("0", "1", "2", "3", "4")
FIRST = torch.tensor([0, 1, 2, 3, 4, 0])
SECOND = torch.tensor([1, 2, 3, 4, 0, 2])


def one_hot(label: Tensor) -> Tensor:
    return F.one_hot(label, len(NAMES)).bool()


def each(label: Tensor) -> Queries:
    """Each of the six clips asked for one class."""
    return Queries(torch.arange(6), label)


def layers(head: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights, and biases where there are any, of layers by the official names."""
    state, found = head.state_dict(), {}
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            if f"{ours}.{part}" in state:
                shape = state[f"{ours}.{part}"].shape
                found[f"{ours}.{part}"] = weight(f"{theirs}.{part}", *shape)
    return found
