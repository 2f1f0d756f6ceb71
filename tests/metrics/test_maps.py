from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.ndimage import zoom

from tests.metrics.inputs import coarse_maps, maps_and_targets
from tvsl.errors import ShapeError
from tvsl.metrics import minmax, resize_maps


def test_resizing_equals_scipy() -> None:
    maps = coarse_maps(3).double()
    expected = zoom(maps.numpy(), (1, 4, 8), order=1, mode="nearest", grid_mode=True)
    resized = resize_maps(maps, (28, 112))
    np.testing.assert_allclose(resized.numpy(), expected, rtol=0, atol=1e-12)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    maps = coarse_maps(2)
    assert torch.equal(resize_maps(maps, (7, 14)), maps)


@given(maps_and_targets())
def test_stretched_maps_reach_from_0_to_1(made: tuple[torch.Tensor, torch.Tensor]) -> None:
    maps, _ = made
    for before, after in zip(maps, minmax(maps), strict=True):
        if before.min() == before.max():
            assert (after == 0).all()
        else:
            assert after.min() == 0
            assert after.max() == 1


@given(maps_and_targets())
def test_stretching_forgets_offset_and_scale(made: tuple[torch.Tensor, torch.Tensor]) -> None:
    maps, _ = made
    assert torch.equal(minmax(4 * maps - 2), minmax(maps))  # exact in binary


def test_stretching_does_not_touch_its_input() -> None:
    maps = coarse_maps(2)
    before = maps.clone()
    minmax(maps)
    assert torch.equal(maps, before)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_map_that_is_not_finite_is_an_error(bad: float) -> None:
    maps = coarse_maps(2)
    maps[1, 2, 3] = bad
    with pytest.raises(ShapeError, match="not finite"):
        minmax(maps)


@pytest.mark.parametrize(
    "maps", [torch.zeros(2, 3), torch.zeros(2, 3, 4, dtype=torch.int64), torch.zeros(2, 0, 4)]
)
def test_what_is_no_map_is_an_error(maps: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="Maps must be floating"):
        minmax(maps)
    with pytest.raises(ShapeError, match="Maps must be floating"):
        resize_maps(maps, (4, 4))


def test_no_pixels_are_an_error() -> None:
    with pytest.raises(ShapeError, match="size"):
        resize_maps(coarse_maps(1), (0, 4))
