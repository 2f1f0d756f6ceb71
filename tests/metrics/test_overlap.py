from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import auc, jaccard_score

from tests.metrics.inputs import boxes, coarse_maps, maps_and_targets
from tvsl.errors import ShapeError
from tvsl.metrics import (
    area_cut,
    ciou,
    cut_maps,
    iou,
    mask_ciou,
    median_threshold,
    minmax,
    resize_maps,
    success_auc,
    success_rate,
)

Made = tuple[torch.Tensor, torch.Tensor]


def consensus_iou(cut: np.ndarray, target: np.ndarray) -> float:
    """The formula, one pixel after the other."""
    above = below = 0.0
    for predicted, weight in zip(cut.ravel(), target.ravel(), strict=True):
        above += float(weight) if predicted else 0.0
        below += float(weight) if weight > 0 else float(predicted)
    return above / below if below else 0.0


@given(maps_and_targets(), st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0]))
def test_of_sets_it_is_the_jaccard_index(made: Made, level: float) -> None:
    maps, targets = made
    expected = [
        jaccard_score(target.ravel(), one.ravel() >= level, zero_division=0)
        for one, target in zip(maps.numpy(), targets.numpy(), strict=True)
    ]
    np.testing.assert_allclose(ciou(maps, targets, level).numpy(), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(iou(maps, targets, level).numpy(), expected, rtol=0, atol=1e-15)
    as_weights = ciou(maps, targets.float(), level)
    np.testing.assert_allclose(as_weights.numpy(), expected, rtol=0, atol=1e-15)


@given(maps_and_targets(consensus=True), st.sampled_from([0.25, 0.5]))
def test_a_consensus_weighs_its_pixels(made: Made, level: float) -> None:
    maps, targets = made
    expected = [
        consensus_iou(one >= level, target)
        for one, target in zip(maps.numpy(), targets.numpy(), strict=True)
    ]
    found = ciou(maps, targets, level)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-15)
    assert 0 <= found.min() <= found.max() <= 1


@given(maps_and_targets())
def test_turning_picture_and_target_changes_nothing(made: Made) -> None:
    maps, targets = made
    turned = ciou(maps.flip(1, 2), targets.flip(1, 2))
    assert torch.equal(turned, ciou(maps, targets))


@given(maps_and_targets())
def test_a_perfect_map_scores_1(made: Made) -> None:
    _, targets = made
    expected = targets.flatten(1).any(dim=1).double()
    assert torch.equal(ciou(targets.float(), targets), expected)
    assert torch.equal(mask_ciou(targets, targets), expected)


def test_each_map_may_have_its_own_threshold() -> None:
    maps, targets = minmax(coarse_maps(3)), boxes(3, (7, 14))
    levels = torch.tensor([0.2, 0.5, 0.9])
    together = ciou(maps, targets, levels)
    for number, level in enumerate(levels.tolist()):
        alone = ciou(maps[number, None], targets[number, None], level)
        assert together[number] == alone


@pytest.mark.parametrize("size", [(4, 6), (5, 5)])
def test_the_median_cut_takes_half_of_the_pixels(size: tuple[int, int]) -> None:
    maps = coarse_maps(4, size)
    pixels = size[0] * size[1]
    expected = np.sort(maps.numpy().reshape(4, -1), axis=1)[:, pixels // 2]
    assert np.array_equal(median_threshold(maps).numpy(), expected)
    cut = cut_maps(maps, boxes(4, size), "median")
    assert cut.flatten(1).sum(dim=1).tolist() == [(pixels + 1) // 2] * 4


def test_the_area_cut_is_as_published() -> None:
    maps = resize_maps(coarse_maps(4), (32, 64))
    targets = boxes(4)
    targets[3] = False
    expected = []
    for one, target in zip(maps.numpy(), targets.numpy(), strict=True):
        area = int(target.sum()) or one.size // 2
        expected.append(one > np.sort(one.ravel())[one.size - area])
    cut = area_cut(maps, targets)
    assert np.array_equal(cut.numpy(), np.stack(expected))
    assert torch.equal(cut_maps(maps, targets, "area"), cut)
    assert torch.equal(cut_maps(maps, targets, "value", 0.3), maps >= 0.3)


def test_the_area_cut_does_not_touch_its_input() -> None:
    maps = coarse_maps(2)
    before = maps.clone()
    area_cut(maps, boxes(2, (7, 14)))
    assert torch.equal(maps, before)


def test_smoothing_is_added_to_both_counts() -> None:
    maps, targets = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool)
    targets[0, 0, 0] = True
    assert iou(maps, targets, smooth=1e-4).item() == pytest.approx(1e-4 / 1.0001)
    assert iou(maps, targets & False, smooth=1e-4).item() == 1.0


@given(arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1)))
def test_the_area_under_the_success_curve_equals_sklearn(values: np.ndarray) -> None:
    steps = [0.05 * step for step in range(21)]
    rates = [(values >= step).mean() for step in steps]
    found = success_auc(torch.from_numpy(values)).item()
    assert found == pytest.approx(auc(steps, rates), abs=1e-12)
    assert 0.025 - 1e-12 <= found <= 1 + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_equals_the_threshold_succeeds(dtype: torch.dtype) -> None:
    values = torch.tensor([0.1, 0.3, 0.5, 0.7], dtype=dtype)
    rates = [success_rate(values, level).item() for level in (0.1, 0.3, 0.5, 0.7, 0.71)]
    assert rates == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_perfect_pairs_fill_the_area() -> None:
    assert success_auc(torch.ones(3)).item() == pytest.approx(1.0)
    assert success_auc(torch.zeros(3)).item() == pytest.approx(0.025)


def test_the_thresholds_are_the_published_floats() -> None:
    """A cIoU of exactly 0.3 misses 0.05 * 6 = 0.30000000000000004."""
    reached = success_auc(torch.tensor([0.3], dtype=torch.float64)).item()
    assert reached == pytest.approx(0.275)  # up to 0.25, and half a step


def test_shapes_and_ranges_are_checked() -> None:
    maps, targets = torch.rand(2, 3, 4), torch.ones(2, 3, 4)
    with pytest.raises(ShapeError, match="share one shape"):
        ciou(maps, targets[:1])
    with pytest.raises(ShapeError, match="share one shape"):
        area_cut(maps, targets[:, :2])
    with pytest.raises(ShapeError, match=r"\[0, 1\]"):
        ciou(maps, 2 * targets)  # two overlapping boxes summed up, as some loaders do
    with pytest.raises(ShapeError, match="must be bool"):
        mask_ciou(maps, targets)
    with pytest.raises(ShapeError, match="at least one value"):
        success_rate(torch.empty(0), 0.5)
    with pytest.raises(ShapeError, match="NaN"):
        success_auc(torch.tensor([0.5, torch.nan]))


def test_no_pairs_are_no_scores() -> None:
    nothing = torch.zeros(0, 3, 4)
    assert ciou(nothing, nothing).shape == (0,)
    assert ciou(nothing, nothing.bool()).shape == (0,)
