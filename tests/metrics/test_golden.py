"""The released evaluators' numbers on the golden maps, to 1e-6 and mostly to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.metrics.inputs import golden_numbers, golden_set
from tvsl.metrics import (
    FIXED,
    MEDIAN,
    NEGATIVES,
    ProtocolMetric,
    average_precision,
    ciou,
    confidence,
    iou,
    median_threshold,
    minmax,
    success_auc,
    success_rate,
)
from tvsl.metrics.protocols import Protocol

Numbers = dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return golden_numbers()


@pytest.fixture(scope="module")
def made() -> tuple[torch.Tensor, torch.Tensor]:
    maps, targets = golden_set()
    return minmax(maps), targets


def close(found: torch.Tensor, expected: object, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=0, atol=tolerance)


def with_silent(targets: torch.Tensor) -> torch.Tensor:
    targets = targets.clone()
    targets[5::6] = False
    return targets


def test_median(made: tuple[torch.Tensor, torch.Tensor], numbers: Numbers) -> None:
    maps, targets = made
    expected = numbers["median"]
    found = ciou(maps, targets, median_threshold(maps))
    close(found, expected["ciou"])
    close(success_rate(found, 0.5), expected["success@0.5"])
    close(found.mean(), expected["mean_ciou"])
    close(success_auc(found), expected["auc"])


def test_fixed(made: tuple[torch.Tensor, torch.Tensor], numbers: Numbers) -> None:
    maps, targets = made
    expected = numbers["fixed"]
    found = ciou(maps, targets, 0.3)
    close(found, expected["ciou@0.3"])
    close(iou(maps, targets, 0.5, smooth=1e-4), expected["iou@0.5"])
    # Processors differ in the last bit of the maps, and with it in which pixels are equal.
    close(average_precision(maps, targets), expected["pixel_ap"], 1e-7)
    close(found.mean(), expected["mean_ciou@0.3"])
    close(success_auc(found), expected["auc_of_ciou@0.3"])


def test_negatives(made: tuple[torch.Tensor, torch.Tensor], numbers: Numbers) -> None:
    maps, targets = made
    expected = numbers["with_negatives"]
    close(ciou(maps, with_silent(targets), 0.5), expected["ciou@0.5cut"])
    close(confidence(maps), expected["confidence"], 1e-6)  # a float32 mean there


@pytest.mark.parametrize(
    ("protocol", "section", "names"),
    [
        (MEDIAN, "median", {"cIoU@0.5": "success@0.5", "mean cIoU": "mean_ciou", "AUC": "auc"}),
        (
            FIXED,
            "fixed",
            {
                "mean cIoU": "mean_ciou@0.3",
                "mean IoU": "mean_iou@0.5",
                "AP": "map",
                "AUC": "auc_of_ciou@0.3",
            },
        ),
        (
            NEGATIVES,
            "with_negatives",
            {"confident AP": "ap", "LocAcc": "precision_visible", "AUC": "auc_visible"},
        ),
    ],
)
def test_protocols(
    protocol: Protocol, section: str, names: dict[str, str], numbers: Numbers
) -> None:
    maps, targets = golden_set()
    if protocol.include_empty:
        targets = with_silent(targets)
    metric = ProtocolMetric(protocol)
    for some, truth in zip(maps.split(10), targets.split(10), strict=True):
        metric.update(some, truth)
    found = metric.compute()
    for name, golden_name in names.items():
        close(found[name], numbers[section][golden_name])
    if protocol is NEGATIVES:
        # The released evaluator keeps F1 as text, in percent with one digit.
        assert round(100 * found["max-F1"].item(), 1) == 100 * numbers[section]["max_f1"]  # type: ignore[operator]
