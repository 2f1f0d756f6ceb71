from __future__ import annotations

import copy
import doctest
import importlib
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, jaccard_score

from tests.metrics.inputs import boxes, coarse_maps
from tvsl.errors import ShapeError
from tvsl.metrics import (
    ClassAwareAveragePrecision,
    DetectionMeanAveragePrecision,
    MeanAveragePrecision,
    MeanCIoU,
    MeanIoU,
    NegativesAveragePrecision,
    NegativesMaxF1,
    PairMetric,
    PermutationInvariantAveragePrecision,
    SuccessAUC,
    SuccessRate,
    average_precision,
    ciou,
    class_average,
    confidence,
    cut_maps,
    group_mean,
    group_minimum,
    iou,
    mask_ciou,
    minmax,
    negatives_average_precision,
    negatives_max_f1,
    permutation_invariant_average_precision,
    resize_maps,
    success_auc,
    success_rate,
)

COUNT = 12
MAPS, TARGETS = coarse_maps(COUNT), boxes(COUNT)
FULL = minmax(resize_maps(MAPS, (32, 64)))
LABELS, FRAMES = torch.arange(COUNT) % 5, torch.arange(COUNT) // 2
IDS = torch.arange(COUNT) + 100
OVERLAPS = ciou(FULL, TARGETS)
SILENT = torch.arange(COUNT) % 4 == 3
SOME_SILENT = TARGETS & ~SILENT[:, None, None]


def fed(metric: PairMetric, parts: list[int], targets: torch.Tensor = TARGETS) -> PairMetric:
    """A metric that has seen all pairs in updates of some sizes."""
    columns = (MAPS, targets, LABELS, FRAMES, IDS)
    for some in zip(*(column.split(parts) for column in columns), strict=True):
        metric.update(*some)
    return metric


CASES: dict[str, tuple[PairMetric, torch.Tensor]] = {
    "mean cIoU": (MeanCIoU(), OVERLAPS.mean()),
    "adaptive": (MeanCIoU("area"), mask_ciou(cut_maps(FULL, TARGETS, "area"), TARGETS).mean()),
    "success": (SuccessRate(0.2, level=0.3), success_rate(ciou(FULL, TARGETS, 0.3), 0.2)),
    "AUC": (SuccessAUC(), success_auc(OVERLAPS)),
    "IIoU": (
        SuccessRate(0.2, unit="frame worst"),
        success_rate(group_minimum(OVERLAPS, FRAMES), 0.2),
    ),
    "IAUC": (SuccessAUC(unit="frame worst"), success_auc(group_minimum(OVERLAPS, FRAMES))),
    "DSOL's CIoU": (
        SuccessRate(0.3, unit="frame mean"),
        success_rate(group_mean(OVERLAPS, FRAMES), 0.3),
    ),
    "IoU": (MeanIoU(0.4, smooth=1e-4), iou(FULL, TARGETS, 0.4, 1e-4).mean()),
    "AP": (MeanAveragePrecision(), average_precision(FULL, TARGETS).mean()),
    "CAP": (
        ClassAwareAveragePrecision(),
        class_average(average_precision(FULL, TARGETS), LABELS),
    ),
    "PIAP": (
        PermutationInvariantAveragePrecision(),
        permutation_invariant_average_precision(FULL, TARGETS, FRAMES, FRAMES).mean(),
    ),
    "AP with negatives": (
        NegativesAveragePrecision(0.2),
        negatives_average_precision(confidence(FULL), OVERLAPS, OVERLAPS >= 0, 0.2),
    ),
    "max-F1": (
        NegativesMaxF1(0.2),
        negatives_max_f1(confidence(FULL), OVERLAPS, OVERLAPS >= 0, 0.2),
    ),
}


@pytest.mark.parametrize("parts", [[COUNT], [4, 2, 6], [2] * 6], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_classes_equal_their_functions_however_the_pairs_come(case: str, parts: list[int]) -> None:
    metric, expected = CASES[case]
    metric.reset()
    assert torch.equal(fed(metric, parts).compute(), expected)


def test_the_numbers_are_those_of_sklearn() -> None:
    found = fed(MeanAveragePrecision(), [COUNT]).compute().item()
    pairs = list(zip(FULL.numpy(), TARGETS.numpy(), strict=True))
    values = [average_precision_score(target.ravel(), one.ravel()) for one, target in pairs]
    assert found == pytest.approx(np.mean(values))
    found = fed(MeanCIoU(level=0.6), [COUNT]).compute().item()
    values = [jaccard_score(target.ravel(), one.ravel() >= 0.6) for one, target in pairs]
    assert found == pytest.approx(np.mean(values))


def test_many_large_maps_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvsl.metrics.pair_metric._PIXELS", 5 * 32 * 64)
    for metric, expected in CASES.values():
        metric.reset()
        assert torch.equal(fed(metric, [COUNT]).compute(), expected)


def test_a_pair_that_is_seen_twice_counts_once() -> None:
    for metric, expected in CASES.values():
        metric.reset()
        fed(fed(metric, [COUNT]), [6, 6])
        assert torch.equal(metric.compute(), expected)
        assert torch.equal(metric.pairs()["ids"], IDS)


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
    metric = fed(MeanCIoU(), [COUNT], SOME_SILENT)
    assert metric.compute().item() == pytest.approx(OVERLAPS[~SILENT].mean().item())
    assert torch.equal(~metric.pairs()["sounding"], SILENT)
    for metric, expected in (
        (MeanAveragePrecision(), average_precision(FULL, TARGETS)[~SILENT].mean()),
        (PermutationInvariantAveragePrecision(), None),
    ):
        value = fed(metric, [COUNT], SOME_SILENT).compute()
        assert 0 < value < 1
        assert expected is None or value.item() == pytest.approx(expected.item())


def test_with_negatives_empty_targets_count() -> None:
    metric = fed(NegativesAveragePrecision(0.2), [COUNT], SOME_SILENT)
    overlaps = ciou(FULL, SOME_SILENT)
    expected = negatives_average_precision(confidence(FULL), overlaps, ~SILENT, 0.2)
    assert torch.equal(metric.compute(), expected)


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


def test_half_precision_maps_are_scored_in_float32() -> None:
    metric = MeanAveragePrecision()
    metric.update(MAPS.bfloat16(), TARGETS)
    full = minmax(resize_maps(MAPS.bfloat16().float(), (32, 64)))
    assert torch.equal(metric.compute(), average_precision(full, TARGETS).mean())


def test_a_consensus_is_taken_as_it_is() -> None:
    metric = MeanCIoU()
    metric.update(MAPS, TARGETS * 0.5)
    assert metric.compute().item() == pytest.approx(ciou(FULL, TARGETS * 0.5).mean().item())
    precision = MeanAveragePrecision()
    precision.update(MAPS, TARGETS * 0.5)
    assert torch.equal(precision.compute(), average_precision(FULL, TARGETS).mean())


@pytest.mark.parametrize(
    "copied",
    [lambda metric: pickle.loads(pickle.dumps(metric)), copy.deepcopy],  # noqa: S301
)
def test_metrics_can_be_copied_in_the_middle(copied: Any) -> None:
    metric = MeanCIoU()
    metric.update(MAPS[:5], TARGETS[:5], ids=IDS[:5])
    other = copied(metric)
    other.update(MAPS[5:], TARGETS[5:], ids=IDS[5:])
    assert torch.equal(other.compute(), OVERLAPS.mean())
    assert torch.equal(metric.compute(), OVERLAPS[:5].mean())


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
        fed(MeanCIoU(), [COUNT], TARGETS & False).compute()
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


@pytest.mark.parametrize("module", ["classes", "overlap", "precision"])
def test_examples_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"tvsl.metrics.{module}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_detection_is_gathered_over_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(20, 4, generator=generator)
    labels = torch.rand(20, 4, generator=generator) < 0.4
    expected = average_precision_score(labels, scores, average="macro")
    metric = DetectionMeanAveragePrecision(4)
    metric.update(scores[:7], labels[:7])
    metric.update(scores[7:], labels[7:])
    assert metric.compute().item() == pytest.approx(expected)
    metric.reset()
    numbers = torch.arange(20)
    metric.update(scores[:9], labels[:9], numbers[:9])
    metric.update(scores[7:], labels[7:], numbers[7:])
    assert metric.compute().item() == pytest.approx(expected)
    with pytest.raises(ShapeError, match="as many ids"):
        metric.update(scores, labels, numbers[:3])
    with pytest.raises(ShapeError, match=r"\(B, 4\)"):
        metric.update(scores[:, :3], labels[:, :3])


def test_pairs_can_be_measured_and_summed_up_apart() -> None:
    """As when they are kept in a file between the two."""
    for metric in (MeanAveragePrecision(), SuccessAUC(unit="frame worst"), MeanCIoU("area")):
        metric.update(MAPS, SOME_SILENT, LABELS, FRAMES, IDS)
        columns = {"labels": LABELS, "frames": FRAMES, "ids": IDS, "sounding": ~SILENT}
        parts = [
            metric.pair_scores(MAPS[some], SOME_SILENT[some]) for some in torch.arange(12).split(5)
        ]
        measured = {name: torch.cat([part[name] for part in parts]) for name in metric.score_names}
        assert metric.compute_from({**columns, **measured}) == metric.compute()
    with pytest.raises(ShapeError, match="No pair was seen"):
        MeanCIoU().compute_from(
            {"ciou": torch.ones(2), "sounding": torch.zeros(2, dtype=torch.bool)}
        )
