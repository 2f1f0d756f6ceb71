from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from tvsl.everyday.layers import Activation, Convolution, InvertedResidual
from tvsl.utils import kernels


def row_sums(kernel: int, stride: int, values: list[float]) -> list[float]:
    """A row of numbers through a convolution whose kernel is ones in its middle row."""
    layer = Convolution(1, 1, kernel, stride, activation="none")
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, kernel // 2] = 1
        assert layer.bias is not None
        layer.bias.zero_()
        rows = torch.tensor(values, dtype=torch.float32).expand(1, 1, len(values), -1)
        found: list[float] = layer(rows)[0, 0, 1].tolist()
    return found


@pytest.mark.parametrize(
    ("kernel", "stride", "values", "expected"),
    [
        (3, 1, [1, 2, 3, 4], [3, 6, 9, 7]),  # one pixel on either side
        (3, 2, [1, 2, 3, 4, 5], [3, 9, 9]),  # an odd size: one on either side
        (3, 2, [1, 2, 3, 4, 5, 6], [6, 12, 11]),  # an even one: one at the end alone
        (5, 2, [1, 2, 3, 4, 5], [6, 15, 12]),  # two and two
        (5, 2, [1, 2, 3, 4, 5, 6], [10, 20, 15]),  # one and two
        (1, 2, [1, 2, 3, 4, 5], [1, 3, 5]),  # none is needed
    ],
)
def test_padding_is_tensorflows(
    kernel: int, stride: int, values: list[float], expected: list[float]
) -> None:
    assert row_sums(kernel, stride, values) == expected


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (4, 7), (8, 5)])
def test_a_graph_pads_alike_at_every_size(
    kernel: int, stride: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer, features = Convolution(2, 3, kernel, stride), torch.rand(2, 2, *size)
    expected = layer(features)
    assert expected.shape[2:] == tuple(-(-length // stride) for length in size)
    monkeypatch.setattr(kernels, "is_traced", lambda: True)
    torch.testing.assert_close(layer(features), expected)


def by_loops(
    features: NDArray[np.float64], weight: NDArray[np.float64], stride: int
) -> NDArray[np.float64]:
    """SAME as TensorFlow's documentation defines it, pixel by pixel, for one channel."""
    kernel = len(weight)
    sizes = [-(-n // stride) for n in features.shape]
    starts = [
        max((out - 1) * stride + kernel - n, 0) // 2
        for out, n in zip(sizes, features.shape, strict=True)
    ]
    result = np.zeros(sizes)
    for row, column, y, x in np.ndindex(*sizes, kernel, kernel):
        at = row * stride + y - starts[0], column * stride + x - starts[1]
        if 0 <= at[0] < features.shape[0] and 0 <= at[1] < features.shape[1]:
            result[row, column] += features[at] * weight[y, x]
    return result


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_depthwise_against_loops(
    size: tuple[int, int], kernel: int, stride: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = Convolution(2, 2, kernel, stride, depthwise=True, activation="none").double()
    assert layer.bias is not None
    features = torch.randn(1, 2, *size, dtype=torch.float64)
    with torch.no_grad():
        found = layer(features)[0].numpy()
    for channel in range(2):
        expected = by_loops(
            features[0, channel].numpy(), layer.weight[channel, 0].detach().numpy(), stride
        )
        np.testing.assert_allclose(found[channel], expected + layer.bias[channel].item())


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("none", [-2.0, 3.0, 9.0]), ("relu", [0.0, 3.0, 9.0]), ("relu6", [0.0, 3.0, 6.0])],
)
def test_activations(activation: Activation, expected: list[float]) -> None:
    layer = Convolution(1, 1, activation=activation)
    assert layer.bias is not None
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    features = torch.tensor([-2.0, 3.0, 9.0])[None, None, None]
    with torch.no_grad():
        assert layer(features)[0, 0, 0].tolist() == expected


def test_a_block_keeps_its_input_only_where_nothing_changes_size() -> None:
    features = torch.rand(1, 4, 6, 6)
    with torch.no_grad():
        for block in (InvertedResidual(4, 4, 3, 1, 1), InvertedResidual(4, 4, 3, 1, 6)):
            nn.init.zeros_(block.project.weight)
            assert block.project.bias is not None
            nn.init.zeros_(block.project.bias)
            before = features.clone()
            assert torch.equal(block(features), features)
            assert torch.equal(features, before)
        assert InvertedResidual(4, 4, 3, 2, 6)(features).shape == (1, 4, 3, 3)
        for block in (InvertedResidual(4, 8, 3, 1, 6), InvertedResidual(4, 4, 3, 2, 6)):
            nn.init.zeros_(block.project.weight)
            assert block.project.bias is not None
            nn.init.zeros_(block.project.bias)
            assert not block(features).any()


@pytest.mark.parametrize("activation", ["relu", "relu6", "none"])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_frozen_convolutions_give_the_same_faster(
    activation: Activation, kernel: int, stride: int, depthwise: bool
) -> None:
    if not kernels.fused_kernels_exist():
        pytest.skip("this torch has no fused convolutions")
    torch.manual_seed(0)
    layer = Convolution(24, 24, kernel, stride, depthwise=depthwise, activation=activation)
    with torch.no_grad():
        for size in ((15, 22), (16, 16), (15, 22)):  # packed anew for each
            features = 4 * torch.randn(2, 24, *size)
            expected = layer.requires_grad_(True)(features)
            found = layer.requires_grad_(False)(features)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert layer._packed is not None
        layer.weight.mul_(2)  # what was packed is forgotten
        expected = layer.requires_grad_(True)(features)
        torch.testing.assert_close(
            layer.requires_grad_(False)(features), expected, atol=1e-5, rtol=1e-5
        )
        assert copy.deepcopy(layer)._packed is None
