"""Inputs of the baselines' golden numbers (shared/golden/BASELINES.md), made from names alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.shared_files import fill, shared
from tvsl.tokens import Tokens, Vocabulary

GRID = (7, 7)


@cache
def golden(name: str) -> Tensor:
    """An array of ``baselines.npz``."""
    with np.load(shared("golden", "baselines.npz")) as arrays:
        return torch.from_numpy(arrays[name])


def uniform(name: str, *shape: int) -> Tensor:
    """An input, by its name in BASELINES.md."""
    return torch.from_numpy(fill().uniform(f"baselines.{name}", shape)).double()


def weight(name: str, *shape: int) -> Tensor:
    """A weight of the official module."""
    return torch.from_numpy(fill().weight(name, shape)).double()


def inputs() -> tuple[Tensor, Tensor]:
    """``v`` as visual tokens (6, 49, 512) and ``a`` (6, 512)."""
    audio = uniform("base", 1, 512) + 0.35 * uniform("audio", 6, 512)
    gate, noise = uniform("gate", 6, 1, 7, 7), uniform("visual", 6, 512, 7, 7)
    visual = gate * audio[:, :, None, None] + 0.5 * noise
    return visual.flatten(2).transpose(1, 2), audio


def as_tokens(visual: Tensor, sound: Tensor) -> Tokens:
    """Tokens whose pooled sound is the backbones' pooled audio."""
    return Tokens(visual, sound[:, None], visual.mean(dim=1), sound, GRID)


def five_classes() -> Vocabulary:
    """Classes that no baseline without labels looks at."""
    return Vocabulary(("0", "1", "2", "3", "4"), F.normalize(torch.ones(5, 512), dim=-1))


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.detach() - expected).norm() / expected.norm())


def assert_golden_gradients(loss: Tensor, visual: Tensor, sound: Tensor, prefix: str) -> None:
    """Compare the lengths of the gradients with respect to the two inputs, all and per item."""
    found = torch.autograd.grad(loss, (visual, sound), retain_graph=True)
    for gradient, name in zip(found, ("visual", "audio"), strict=True):
        expected = golden(f"{prefix}.grad_{name}_norm")
        assert relative(gradient.norm(), expected) < 1e-9, name
        each = golden(f"{prefix}.grad_{name}_norm_per_item")
        assert relative(gradient.flatten(1).norm(dim=1), each) < 1e-9, name
