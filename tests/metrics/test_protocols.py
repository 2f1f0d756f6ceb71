from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.inputs import boxes, coarse_maps, two_of_one_class
from tvsl.errors import ShapeError, UsageError
from tvsl.metrics import (
    PAPER,
    PAPER_THRESHOLDS,
    PROTOCOLS,
    ProtocolMetric,
    find_protocol,
)

BOTH = [(name, several) for name in PROTOCOLS for several in (False, True)]


def scores(
    name: str, several: bool, maps: torch.Tensor, targets: torch.Tensor, normalize: bool = True
) -> dict[str, float]:
    metric = ProtocolMetric(PROTOCOLS[name], several, normalize=normalize)
    numbers = torch.arange(len(maps))
    metric.update(maps, targets, labels=numbers % 3, frames=numbers // 2, ids=numbers)
    return {number: value.item() for number, value in metric.compute().items()}


def test_the_protocols_are_those_of_the_design() -> None:
    assert list(PROTOCOLS) == ["paper", "median", "adaptive", "fixed", "negatives"]
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())


def test_protocols_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAPER.level = 0.3  # type: ignore[misc]
    with pytest.raises(TypeError):
        PROTOCOLS["paper"] = PAPER  # type: ignore[index]


def test_the_paper_s_thresholds_are_among_its_numbers() -> None:
    assert set(PAPER_THRESHOLDS.values()) <= {*PAPER.single, *PAPER.multiple}


def test_an_unknown_protocol_names_the_known_ones() -> None:
    assert find_protocol("paper") is PAPER
    with pytest.raises(UsageError, match="paper, median, adaptive, fixed, negatives"):
        find_protocol("papr")


@pytest.mark.parametrize(("name", "several"), BOTH)
def test_names_are_in_the_order_of_the_protocol(name: str, several: bool) -> None:
    found = scores(name, several, coarse_maps(8), boxes(8))
    protocol = PROTOCOLS[name]
    assert tuple(found) == (protocol.multiple if several else protocol.single)


@pytest.mark.parametrize(("name", "several"), BOTH)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_all_numbers_lie_within_bounds(name: str, several: bool, seed: int) -> None:
    found = scores(name, several, coarse_maps(6, seed=seed), boxes(6, seed=seed))
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in found.values()), found


@pytest.mark.parametrize(("name", "several"), BOTH)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), power=st.integers(-3, 3), shift=st.integers(-4, 4))
def test_offset_and_scale_of_the_maps_mean_nothing(
    name: str, several: bool, seed: int, power: int, shift: int
) -> None:
    maps, targets = coarse_maps(4, seed=seed).round(decimals=2), boxes(4, seed=seed)
    other = scores(name, several, 2.0**power * maps.double() + shift, targets)
    assert other == pytest.approx(scores(name, several, maps.double(), targets), abs=1e-9)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", ["paper", "fixed"])
def test_perfect_maps_score_1(name: str, several: bool) -> None:
    targets = boxes(8)
    found = scores(name, several, targets.float(), targets)
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", ["median", "adaptive"])
def test_rules_that_fix_the_area_cannot_reach_1_with_a_flat_map(name: str, several: bool) -> None:
    """The median takes half of the frame; the published area cut loses a pixel, or all ties."""
    targets = torch.zeros(8, 32, 64, dtype=torch.bool)
    targets[:, :, :32] = True  # half of the frame
    ramp = torch.arange(64.0).flip(0).expand(8, 32, 64) + torch.rand(32, 64)
    found = scores(name, several, ramp, targets)
    assert found == pytest.approx(dict.fromkeys(found, 1.0), abs=0.051)
    worst = scores(name, several, -ramp, targets)
    assert worst == pytest.approx(dict.fromkeys(found, 0.0), abs=0.051)


def test_the_whole_frame_is_scored_as_it_is() -> None:
    targets = boxes(6)
    share = targets.flatten(1).double().mean(dim=1).numpy()
    maps = torch.ones(6, 32, 64)
    for name in ("paper", "median", "fixed"):
        found = scores(name, False, maps, targets, normalize=False)
        if "AP" in found:
            assert found["AP"] == pytest.approx(share.mean())
        if "mean cIoU" in found:
            assert found["mean cIoU"] == pytest.approx(share.mean())
        if name != "fixed":
            success = "IoU@0.3" if name == "paper" else "cIoU@0.3"
            assert found[success] == pytest.approx(np.mean(share >= 0.3))


def test_labels_and_frames_are_asked_for_where_they_are_needed() -> None:
    maps, targets = coarse_maps(2), boxes(2)
    numbers = torch.arange(2)
    ProtocolMetric(PAPER).update(maps, targets)
    with pytest.raises(ShapeError, match="needs labels"):
        ProtocolMetric(PAPER, several_sources=True).update(maps, targets, frames=numbers)
    metric = ProtocolMetric(PROTOCOLS["adaptive"], several_sources=True)
    with pytest.raises(ShapeError, match="needs frames"):
        metric.update(maps, targets, labels=numbers)


RATES = {0.1: 4 / 5, 0.3: 3 / 5, 0.5: 1 / 5}
BY_HAND = {
    "AP": 0.38,
    "CAP": (0.15 + 1.6 / 3) / 2,
    **{
        f"{kind}@{level}": rate for kind in ("IoU", "CIoU", "cIoU") for level, rate in RATES.items()
    },
    "IIoU@0.5": 1 / 3,
    # A value between two steps of 0.05 adds 0.05 for each step below it, and half at 0.
    "AUC": (0.075 + 0.225 + 0.425 + 0.475 + 0.625) / 5,
    "IAUC": (0.075 + 0.425 + 0.625) / 3,
    "mean cIoU": 0.36,
    "mean IoU": 0.37,
    "LocAcc": 1 / 5,
    # Thresholds 0.8, 0.6, 0.4, 0.2 (the highest is left out): right 0, 0, 0, 1 of 2, 3, 4, 5, none
    # missed at the last: recall steps from 0 to 1 at a precision of 1 / 5.
    "confident AP": 1 / 5,
    "max-F1": 2 * (1 / 5) / (1 / 5 + 1),
}
HAND_MADE = {
    "ciou": torch.tensor([0.07, 0.22, 0.42, 0.47, 0.62], dtype=torch.float64),
    "ap": torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9], dtype=torch.float64),
    "iou": torch.tensor([0.15, 0.25, 0.35, 0.45, 0.65], dtype=torch.float64),
    "confidence": torch.tensor([0.8, 0.9, 0.6, 0.4, 0.2], dtype=torch.float64),
    "labels": torch.tensor([0, 0, 1, 1, 1]),
    "frames": torch.tensor([0, 0, 1, 1, 2]),
    "sounding": torch.ones(5, dtype=torch.bool),
}


@pytest.mark.parametrize(("name", "several"), BOTH)
def test_each_number_is_what_its_name_says(name: str, several: bool) -> None:
    found = ProtocolMetric(name, several).compute_from(HAND_MADE)
    expected = {number: BY_HAND[number] for number in found}
    assert {number: float(value) for number, value in found.items()} == pytest.approx(expected)


# Cut, level, single sources, several: typed from docs/metrics-and-protocols.md.
RULES = {
    "paper": (
        ("value", 0.5),
        ("AP", "IoU@0.1", "IoU@0.3", "IoU@0.5", "AUC"),
        ("CAP", "CIoU@0.1", "CIoU@0.3", "CIoU@0.5", "AUC"),
    ),
    "median": (
        ("median", 0.5),
        ("cIoU@0.3", "cIoU@0.5", "mean cIoU", "AUC"),
        ("cIoU@0.1", "cIoU@0.3", "cIoU@0.5", "mean cIoU", "AUC"),
    ),
    "adaptive": (
        ("area", 0.5),
        ("cIoU@0.5", "mean cIoU", "AUC"),
        ("cIoU@0.5", "mean cIoU", "AUC", "IIoU@0.5", "IAUC"),
    ),
    "fixed": (
        ("value", 0.3),
        ("AP", "mean cIoU", "mean IoU", "AUC"),
        ("AP", "mean cIoU", "mean IoU", "AUC"),
    ),
    "negatives": (
        ("value", 0.5),
        ("confident AP", "max-F1", "LocAcc", "AUC"),
        ("confident AP", "max-F1", "LocAcc", "AUC"),
    ),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_are_frozen_as_the_docs_have_them(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert ((protocol.cut, protocol.level), protocol.single, protocol.multiple) == RULES[name]
    assert protocol.include_empty == (name == "negatives")


def test_the_thresholds_of_the_paper_s_benchmarks() -> None:
    """Sec. 4.1: 0.5 for MUSIC-Solo and VGGSound-Single, 0.3, 0.3, 0.3 and 0.1 for the others."""
    assert dict(PAPER_THRESHOLDS) == {
        "music-solo": "IoU@0.5",
        "music-duet": "CIoU@0.3",
        "vgg-instruments-single": "IoU@0.3",
        "vgg-instruments-multi": "CIoU@0.1",
        "vggsound-single": "IoU@0.5",
        "vggsound-duet": "CIoU@0.3",
    }


def test_the_released_means_by_hand() -> None:
    """A map of the values 0, 0.25, 0.45, 1 with a target on the last two, cut at 0.3 and at 0.5."""
    maps = torch.tensor([[[0.0, 0.25], [0.45, 1.0]]])
    targets = torch.tensor([[[False, False], [True, True]]])
    found = scores("fixed", False, maps, targets)
    assert found["mean cIoU"] == 1.0  # from 0.3 on
    assert found["mean IoU"] == pytest.approx((1 + 1e-4) / (2 + 1e-4), rel=1e-9)  # from 0.5 on


@pytest.mark.parametrize("several_updates", [False, True])
def test_two_sources_of_one_class_by_hand(several_updates: bool) -> None:
    """Cut at a half: of 4 pixels 2 are right, again 2, 2 of 3, and 1 of 6.

    The dogs' pixels are at places 1 and 3, 2 and 4, 1 and 3 of their maps, the cat's at place 5:
    APs (1 + 2/3) / 2, (1/2 + 2/4) / 2, (1 + 2/3) / 2 and 1/5. CAP takes the mean of three dogs
    first. The success curve has 11, 11, 14 and 4 steps of 0.05, half of the first counted.
    """
    given = two_of_one_class()
    metric = ProtocolMetric("paper", several_sources=True)
    parts = [slice(0, 2), slice(2, 4)] if several_updates else [slice(0, 4)]
    for part in parts:
        metric.update(**{name: value[part] for name, value in given.items()})
    found = {name: value.item() for name, value in metric.compute().items()}
    assert found == pytest.approx(
        {
            "CAP": ((5 / 6 + 1 / 2 + 5 / 6) / 3 + 1 / 5) / 2,
            "CIoU@0.1": 1.0,
            "CIoU@0.3": 3 / 4,
            "CIoU@0.5": 3 / 4,
            "AUC": 0.05 * (10.5 + 10.5 + 13.5 + 3.5) / 4,
        }
    )
    assert found["CAP"] == pytest.approx(83 / 180)
