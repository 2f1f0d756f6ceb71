from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.inputs import boxes, coarse_maps
from tests.metrics.metric_tester import fed, parts
from tvsl.errors import ShapeError
from tvsl.metrics import (
    ClassAwareAveragePrecision,
    DetectionMeanAveragePrecision,
    MeanAveragePrecision,
    MeanCIoU,
    PermutationInvariantAveragePrecision,
    SuccessAUC,
    SuccessRate,
    average_precision,
    ciou,
    class_average,
    group_mean,
    group_minimum,
    minmax,
    resize_maps,
)

COUNT = 12
MAPS, TARGETS = coarse_maps(COUNT), boxes(COUNT)
FULL = minmax(resize_maps(MAPS, (32, 64)))
LABELS, FRAMES = torch.arange(COUNT) % 5, torch.arange(COUNT) // 2
IDS = torch.arange(COUNT) + 100
INPUTS = {"maps": MAPS, "targets": TARGETS, "labels": LABELS, "frames": FRAMES, "ids": IDS}
OVERLAPS = ciou(FULL, TARGETS)
SILENT = torch.arange(COUNT) % 4 == 3
SOME_SILENT = TARGETS & ~SILENT[:, None, None]

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
def test_contracts_of_groups(function: object) -> None:
    assert callable(function)
    with pytest.raises(ShapeError, match="as many"):
        function(torch.rand(3), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ShapeError, match="NaN"):
        function(torch.tensor([torch.nan]), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ShapeError, match="at least one"):
        function(torch.empty(0), torch.empty(0, dtype=torch.int64))


def test_without_ids_each_pair_counts() -> None:
    metric = MeanCIoU()
    metric.update(MAPS[:1], TARGETS[:1])
    metric.update(MAPS[:1], TARGETS[:1])
    metric.update(MAPS[1:2], TARGETS[1:2])
    expected = (2 * OVERLAPS[0] + OVERLAPS[1]) / 3
    assert metric.compute().item() == pytest.approx(expected.item())


def test_pairs_come_in_the_order_of_their_ids() -> None:
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    metric = MeanCIoU()
    metric.update(MAPS[order], TARGETS[order], LABELS[order], FRAMES[order], IDS[order])
    columns = metric.pairs()
    assert torch.equal(columns["ciou"], OVERLAPS)
    assert torch.equal(columns["labels"], LABELS)
    assert torch.equal(columns["frames"], FRAMES)
    assert columns["sounding"].all()


def test_empty_targets_are_left_out() -> None:
    inputs = {**INPUTS, "targets": SOME_SILENT}
    metric = fed(MeanCIoU(), inputs, parts([COUNT]))
    assert metric.compute().item() == pytest.approx(OVERLAPS[~SILENT].mean().item())
    assert torch.equal(~metric.pairs()["sounding"], SILENT)
    for metric, expected in (
        (MeanAveragePrecision(), average_precision(FULL, TARGETS)[~SILENT].mean()),
        (PermutationInvariantAveragePrecision(), None),
    ):
        value = fed(metric, inputs, parts([COUNT])).compute()
        assert 0 < value < 1
        assert expected is None or value.item() == pytest.approx(expected.item())


def test_what_was_not_detected_scores_0() -> None:
    detected = LABELS != 2
    metric = MeanCIoU()
    metric.update(MAPS, TARGETS, detected=detected)
    assert metric.compute().item() == pytest.approx((OVERLAPS * detected).mean().item())


def test_maps_may_be_scored_as_they_are() -> None:
    maps = torch.ones(COUNT, 32, 64)
    share = TARGETS.flatten(1).double().mean(dim=1)
    metric = MeanCIoU(normalize=False)
    metric.update(maps, TARGETS)
    assert metric.compute().item() == pytest.approx(share.mean().item())
    metric = MeanCIoU()
    metric.update(maps, TARGETS)
    assert metric.compute().item() == 0.0


def test_a_consensus_is_taken_as_it_is() -> None:
    metric = MeanCIoU()
    metric.update(MAPS, TARGETS * 0.5)
    assert metric.compute().item() == pytest.approx(ciou(FULL, TARGETS * 0.5).mean().item())
    precision = MeanAveragePrecision()
    precision.update(MAPS, TARGETS * 0.5)
    assert torch.equal(precision.compute(), average_precision(FULL, TARGETS).mean())


def test_a_forward_gives_the_batch_and_keeps_the_whole() -> None:
    metric = MeanCIoU()
    assert torch.equal(metric(MAPS[:5], TARGETS[:5], ids=IDS[:5]), OVERLAPS[:5].mean())
    assert torch.equal(metric(MAPS[5:], TARGETS[5:], ids=IDS[5:]), OVERLAPS[5:].mean())
    assert torch.equal(metric.compute(), OVERLAPS.mean())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_contracts() -> None:
    with pytest.raises(ShapeError, match="No pair was seen"):
        MeanCIoU().compute()
    with pytest.raises(ShapeError, match="No pair was seen"):
        fed(MeanCIoU(), {**INPUTS, "targets": TARGETS & False}, parts([COUNT])).compute()
    with pytest.raises(ShapeError, match="needs labels"):
        ClassAwareAveragePrecision().update(MAPS, TARGETS)
    with pytest.raises(ShapeError, match="needs frames"):
        SuccessRate(unit="frame worst").update(MAPS, TARGETS)
    with pytest.raises(ShapeError, match="but 3 targets"):
        MeanCIoU().update(MAPS, TARGETS[:3])
    with pytest.raises(ShapeError, match="as many ids"):
        MeanCIoU().update(MAPS, TARGETS, ids=IDS[:3])
    with pytest.raises(ShapeError, match="Maps must be"):
        MeanCIoU().update(MAPS[0], TARGETS)


def test_an_update_that_fails_changes_nothing() -> None:
    metric = MeanCIoU()
    metric.update(MAPS[:5], TARGETS[:5], ids=IDS[:5])
    with pytest.raises(ShapeError, match=r"\[0, 1\]"):
        metric.update(MAPS[5:], TARGETS[5:] * 2.0, ids=IDS[5:])
    assert torch.equal(metric.compute(), OVERLAPS[:5].mean())


def test_contracts_of_detection() -> None:
    metric, scores = DetectionMeanAveragePrecision(4), torch.rand(20, 4)
    with pytest.raises(ShapeError, match="as many ids"):
        metric.update(scores, scores > 0.5, torch.arange(3))
    with pytest.raises(ShapeError, match=r"\(B, 4\)"):
        metric.update(scores[:, :3], scores[:, :3] > 0.5)


def test_pairs_can_be_scored_and_aggregated_apart() -> None:
    """As when they are kept in a file between the two."""
    for metric in (MeanAveragePrecision(), SuccessAUC(unit="frame worst"), MeanCIoU("area")):
        metric.update(MAPS, SOME_SILENT, LABELS, FRAMES, IDS)
        columns = {"labels": LABELS, "frames": FRAMES, "ids": IDS, "sounding": ~SILENT}
        chunks = [metric.pair_scores(MAPS[rows], SOME_SILENT[rows]) for rows in parts([5, 5, 2])]
        scores = {name: torch.cat([one[name] for one in chunks]) for name in metric.score_names}
        assert metric.compute_from({**columns, **scores}) == metric.compute()
    with pytest.raises(ShapeError, match="No pair was seen"):
        MeanCIoU().compute_from(
            {"ciou": torch.ones(2), "sounding": torch.zeros(2, dtype=torch.bool)}
        )
    with pytest.raises(ShapeError, match="needs frames"):
        PermutationInvariantAveragePrecision().pair_scores(MAPS, TARGETS)
