from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.ndimage import zoom
from scipy.stats import norm

from tests.metrics.inputs import coarse_maps, maps_and_targets
from tvsl.errors import ShapeError
from tvsl.metrics import (
    centre_prior,
    minmax,
    random_map,
    resize_maps,
    trivial_maps,
    whole_frame,
)


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


def test_the_centre_prior_is_a_gaussian() -> None:
    rows = norm.pdf((np.arange(20) + 0.5) / 20, loc=0.5, scale=0.25)
    columns = norm.pdf((np.arange(30) + 0.5) / 30, loc=0.5, scale=0.25)
    bump = np.outer(rows, columns)
    expected = (bump - bump.min()) / (bump.max() - bump.min())
    np.testing.assert_allclose(centre_prior((20, 30)).numpy(), expected, atol=1e-6)


def test_each_panel_has_its_own_centre() -> None:
    prior = centre_prior((20, 30), panels=3)
    assert prior.shape == (20, 30)
    for panel in prior.split(10, dim=1):
        assert torch.equal(panel, centre_prior((20, 10)))


@pytest.mark.parametrize(("size", "panels"), [((20, 31), 2), ((0, 10), 1), ((20, 30), 0)])
def test_panels_have_to_fit(size: tuple[int, int], panels: int) -> None:
    with pytest.raises(ShapeError, match="panels"):
        centre_prior(size, panels)


def test_random_maps_depend_on_seed_and_item_alone() -> None:
    first = random_map((8, 9), seed=3, index=5)
    torch.rand(4)
    assert torch.equal(random_map((8, 9), seed=3, index=5), first)
    assert not torch.equal(random_map((8, 9), seed=3, index=6), first)
    assert not torch.equal(random_map((8, 9), seed=4, index=5), first)
    assert 0 <= first.min() <= first.max() < 1


def test_trivial_maps_are_one_for_each_item() -> None:
    maps = trivial_maps((8, 12), [4, 7], panels=2, seed=3)
    assert list(maps) == ["whole frame", "centre", "random"]
    for number, index in enumerate((4, 7)):
        assert torch.equal(maps["whole frame"][number], whole_frame((8, 12)))
        assert torch.equal(maps["centre"][number], centre_prior((8, 12), 2))
        assert torch.equal(maps["random"][number], random_map((8, 12), 3, index))
    assert all(len(made) == 0 for made in trivial_maps((8, 12), []).values())
