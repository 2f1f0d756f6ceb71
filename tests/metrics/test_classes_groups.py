from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tvsl.errors import ShapeError
from tvsl.metrics import class_average, group_mean, group_minimum

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=20)


@given(PAIRS)
def test_groups_equal_plain_python(pairs: list[tuple[float, int]]) -> None:
    values = torch.tensor([value for value, _ in pairs], dtype=torch.float64)
    groups = torch.tensor([group for _, group in pairs])
    split = {
        group: [value for value, other in pairs if other == group]
        for group in sorted({group for _, group in pairs})
    }
    means = [np.mean(inside) for inside in split.values()]
    np.testing.assert_allclose(group_mean(values, groups).numpy(), means, atol=1e-12)
    assert group_minimum(values, groups).tolist() == [min(inside) for inside in split.values()]
    assert class_average(values, groups).item() == pytest.approx(np.mean(means), abs=1e-12)


def test_a_frequent_class_weighs_no_more_than_a_rare_one() -> None:
    values = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert class_average(values, torch.tensor([7, 7, 7, 2])).item() == 0.5


@pytest.mark.parametrize("function", [class_average, group_mean, group_minimum])
def test_contracts(function: object) -> None:
    assert callable(function)
    with pytest.raises(ShapeError, match="as many"):
        function(torch.rand(3), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ShapeError, match="NaN"):
        function(torch.tensor([torch.nan]), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ShapeError, match="at least one"):
        function(torch.empty(0), torch.empty(0, dtype=torch.int64))
