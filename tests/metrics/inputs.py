"""Made-up maps and targets, and the golden evaluation set."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.shared_files import fill, shared

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))


def coarse_maps(count: int, size: tuple[int, int] = (7, 14), seed: int = 0) -> torch.Tensor:
    """Raw maps of a token grid, about standard normal."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *size, generator=generator)


def boxes(count: int, size: tuple[int, int] = (32, 64), seed: int = 0) -> torch.Tensor:
    """One box in each target, (count, H, W) bool."""
    generator = np.random.default_rng(seed)
    targets = torch.zeros(count, *size, dtype=torch.bool)
    for target in targets:
        top, left = generator.integers(0, np.array(size) // 2)
        bottom, right = generator.integers(np.array(size) // 2, size)
        target[top : bottom + 1, left : right + 1] = True
    return targets


@st.composite
def maps_and_targets(draw: st.DrawFn, consensus: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps in [0, 1] with many ties, and targets that may be empty."""
    shape = draw(SHAPES)
    values = draw(arrays.arrays(np.float32, shape, elements=st.integers(0, 8).map(lambda n: n / 8)))
    if consensus:
        levels = st.sampled_from([0.0, 0.5, 1.0])
        targets = draw(arrays.arrays(np.float32, shape, elements=levels))
    else:
        targets = draw(arrays.arrays(np.bool_, shape))
    return torch.from_numpy(values), torch.from_numpy(targets)


def golden_set() -> tuple[torch.Tensor, torch.Tensor]:
    """The golden maps, raw, (48, 224, 224), and their targets, bool."""
    maps, corners = fill().evaluation_set()
    targets = torch.zeros(maps.shape, dtype=torch.bool)
    for target, (left, top, right, bottom) in zip(targets, corners, strict=True):
        target[top:bottom, left:right] = True
    return torch.from_numpy(maps), targets


def golden_numbers() -> dict[str, dict[str, Any]]:
    """Numbers of the released evaluators on the golden maps."""
    numbers: dict[str, dict[str, Any]] = json.loads(
        shared("golden", "evaluation.json").read_text(encoding="utf-8")
    )
    return numbers


def two_of_one_class() -> dict[str, torch.Tensor]:
    """Maps, targets, labels and frames of two frames of two panels.

    In the first frame both sources are dogs, and a method that is asked for dogs gives both the
    same map; in the second a dog and a cat sound.
    """
    dogs = [[1.0, 0.8, 0.6, 0.2], [0.4, 0.0, 0.9, 0.1]]
    dog = [[0.0, 0.7, 0.3, 0.2], [0.6, 1.0, 0.1, 0.4]]
    cat = [[0.9, 0.8, 0.7, 0.6], [0.5, 0.0, 1.0, 0.2]]
    targets = torch.zeros(4, 2, 4, dtype=torch.bool)
    targets[0, 0, :2] = targets[1, :, 2] = targets[2, 1, :2] = targets[3, 0, 3] = True
    return {
        "maps": torch.tensor([dogs, dogs, dog, cat], dtype=torch.float64),
        "targets": targets,
        "labels": torch.tensor([5, 5, 5, 2]),
        "frames": torch.tensor([0, 0, 1, 1]),
    }
