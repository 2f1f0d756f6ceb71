from __future__ import annotations

import pytest
import torch

from tvsl.methods.operations import inverse_lengths, unit


@pytest.mark.parametrize("length", [1e-5, 1.0, 1e6])
def test_length_becomes_one(length: float) -> None:
    vectors = torch.randn(4, 3, 8, dtype=torch.float64)
    vectors *= length / vectors.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(unit(vectors), vectors / length)
    expected = torch.full((4, 3), 1 / length, dtype=torch.float64)
    torch.testing.assert_close(inverse_lengths(vectors), expected)


def test_nothing_has_no_direction_and_no_gradient() -> None:
    vectors = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    found = unit(vectors)
    torch.testing.assert_close(found.detach(), torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    found.sum().backward()
    assert vectors.grad is not None
    torch.testing.assert_close(vectors.grad[0], torch.zeros(2))
    # d/dx of (x + y) / |v| at (3, 4)
    torch.testing.assert_close(vectors.grad[1], torch.tensor([4.0 / 125, -3.0 / 125]))
