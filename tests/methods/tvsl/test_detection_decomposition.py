from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from tvsl.methods.operations import unit
from tvsl.methods.tvsl.detection import RIDGE, SEEN_SHARE, decompose


def exact(heard: np.ndarray, prior: np.ndarray, names: np.ndarray) -> np.ndarray:
    """By scipy's active sets: least squares of the names stacked on sqrt(rho) I."""
    sound = np.linalg.lstsq(names, heard, rcond=None)[0]  # exact where names are independent
    stacked = np.vstack([names.T, math.sqrt(RIDGE) * np.eye(len(names))])
    target = np.concatenate([sound, SEEN_SHARE * prior / math.sqrt(RIDGE)])
    return nnls(stacked, target)[0]


@pytest.mark.parametrize("likeness", [0.0, 0.8])
@pytest.mark.parametrize("classes", [1, 2, 18, 40])
def test_weights_equal_scipys(classes: int, likeness: float) -> None:
    generator = torch.Generator().manual_seed(classes)
    common = torch.randn(64, generator=generator, dtype=torch.float64)
    own = torch.randn(classes, 64, generator=generator, dtype=torch.float64)
    names = unit(likeness * unit(common) + (1 - likeness) * unit(own))
    sound = torch.randn(5, 64, generator=generator, dtype=torch.float64) + 4 * unit(common)
    heard = unit(sound) @ names.T
    seen = torch.rand(5, classes, generator=generator, dtype=torch.float64)
    weights = decompose(heard, seen, names)
    assert weights.min() >= 0
    for row in range(5):
        prior = seen[row] - seen[row].mean()
        expected = exact(heard[row].numpy(), prior.numpy(), names.numpy())
        np.testing.assert_allclose(weights[row].numpy(), expected, atol=3e-3)


def test_many_classes_in_a_small_space() -> None:
    generator = torch.Generator().manual_seed(3)
    names = unit(torch.randn(50, 8, generator=generator, dtype=torch.float64))
    sound = unit(torch.randn(4, 8, generator=generator, dtype=torch.float64))
    level = torch.zeros(4, 50, dtype=torch.float64)
    weights = decompose(sound @ names.T, level, names)
    for row in range(4):
        stacked = np.vstack([names.T.numpy(), math.sqrt(RIDGE) * np.eye(50)])
        expected = nnls(stacked, np.concatenate([sound[row].numpy(), np.zeros(50)]))[0]
        np.testing.assert_allclose(weights[row].numpy(), expected, atol=3e-3)


def test_what_two_names_explain_needs_no_third() -> None:
    parts = torch.eye(4)
    names = unit(torch.stack([parts[0] + parts[1], parts[2] + parts[3], parts[0] + parts[2]]))
    sound = unit(1.6 * names[:1] + names[1:2])
    heard = sound @ names.T
    assert heard[0, 2] > heard[0, 1]  # by itself the third is nearer than what really sounds
    weights = decompose(heard, torch.zeros_like(heard), names)[0]
    assert weights[0] > weights[1] > 3 * weights[2]


def test_of_two_explanations_the_one_that_is_seen() -> None:
    names = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    heard = torch.tensor([[0.5, 0.5]])
    weights = decompose(heard, torch.tensor([[0.2, 0.6]]), names)
    assert weights[0, 1] > 10 * weights[0, 0]


def test_low_precision() -> None:
    names = unit(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)))
    heard = names[:2] @ names.T
    low = decompose(heard.bfloat16(), heard.bfloat16(), names)
    torch.testing.assert_close(low.float(), decompose(heard, heard, names), atol=0.05, rtol=0)
