from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.inputs import coarse_maps
from tvsl.errors import ShapeError
from tvsl.metrics import (
    confidence,
    negatives_average_precision,
    negatives_max_f1,
    precision_recall,
)

LEVELS = st.integers(0, 8).map(lambda n: n / 8)
ITEMS = st.lists(st.tuples(LEVELS, LEVELS, st.booleans()), min_size=1, max_size=25)
Item = tuple[float, float, bool]


def counted(items: list[Item], level: float) -> tuple[float, float]:
    """Precision and recall at one confidence, item by item."""
    right = wrong = missed = 0
    for sure, overlap, sounding in items:
        if sure < level:
            missed += sounding
        elif sounding and overlap >= 0.5:
            right += 1
        else:
            wrong += 1
    precision = right / (right + wrong) if right + wrong else 1.0
    return precision, right / (right + missed) if right + missed else 1.0


def columns(items: list[Item]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    sure, overlap, sounding = (torch.tensor(column) for column in zip(*items, strict=True))
    return sure.double(), overlap.double(), sounding


@given(ITEMS, st.lists(LEVELS, max_size=5))
def test_precision_and_recall_equal_counting(items: list[Item], levels: list[float]) -> None:
    sure, overlap, sounding = columns(items)
    thresholds = torch.tensor(levels, dtype=torch.float64)
    precision, recall = precision_recall(sure, overlap >= 0.5, sounding, thresholds)
    assert list(zip(precision.tolist(), recall.tolist(), strict=True)) == [
        counted(items, level) for level in levels
    ]


@given(ITEMS)
def test_scores_equal_a_loop_over_the_confidences(items: list[Item]) -> None:
    sure, overlap, sounding = columns(items)
    ordered = sorted(item[0] for item in items)
    curve = [counted(items, level) for level in ordered[:-1][::-1]]
    area = sum(
        max(precision for precision, _ in curve[number:])
        * (curve[number + 1][1] - curve[number][1])
        for number in range(len(curve) - 1)
    )
    found = negatives_average_precision(sure, overlap, sounding).item()
    assert found == pytest.approx(area, abs=1e-12)
    best = 0.0
    for level in ordered[:: max(1, len(items) // 10)]:
        precision, recall = counted(items, level)
        if precision + recall > 0:
            best = max(best, 2 * precision * recall / (precision + recall))
    assert negatives_max_f1(sure, overlap, sounding).item() == pytest.approx(best, abs=1e-12)
    assert -1e-12 <= found <= 1 + 1e-12


def test_large_sets_are_sampled_as_published() -> None:
    generator = np.random.default_rng(0)
    items = [
        (float(sure), float(overlap), bool(sounding))
        for sure, overlap, sounding in zip(
            generator.random(1000),
            generator.random(1000),
            generator.random(1000) < 0.7,
            strict=True,
        )
    ]
    levels = sorted(item[0] for item in items)[:-1][::-5]  # 1000 // 200
    curve = [counted(items, level) for level in levels]
    area = sum(
        max(precision for precision, _ in curve[number:])
        * (curve[number + 1][1] - curve[number][1])
        for number in range(len(curve) - 1)
    )
    assert negatives_average_precision(*columns(items)).item() == pytest.approx(area, abs=1e-12)


def test_one_item_has_no_curve() -> None:
    one = torch.ones(1, dtype=torch.float64)
    assert negatives_average_precision(one, one, one > 0).item() == 0.0
    assert negatives_max_f1(one, one, one > 0).item() == 1.0


@pytest.mark.parametrize(("share", "kept"), [(0.25, 24), (1.0, 98), (0.001, 1)])
def test_confidence_is_the_mean_of_the_highest_pixels(share: float, kept: int) -> None:
    maps = coarse_maps(3)
    before = maps.clone()
    expected = [np.mean(sorted(one.ravel())[-kept:]) for one in maps.double().numpy()]
    np.testing.assert_allclose(confidence(maps, share).numpy(), expected, atol=1e-12)
    assert torch.equal(maps, before)


def test_contracts() -> None:
    values, sounding = torch.rand(3), torch.ones(3, dtype=torch.bool)
    with pytest.raises(ShapeError, match="share"):
        confidence(coarse_maps(1), 0.0)
    with pytest.raises(ShapeError, match="as many targets"):
        negatives_average_precision(values, values, sounding[:2])
    with pytest.raises(ShapeError, match="as many cIoUs"):
        negatives_max_f1(values, values[:2], sounding)
    with pytest.raises(ShapeError, match="at least one"):
        negatives_max_f1(values[:0], values[:0], sounding[:0])
