"""The cases of all metrics: functional interface and reference of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import torch
from sklearn.metrics import auc, average_precision_score, jaccard_score

from tests.metrics.inputs import boxes, coarse_maps
from tests.metrics.metric_tester import Inputs, MetricCase
from tvsl import metrics
from tvsl.metrics import PROTOCOLS, ProtocolMetric

COUNT, SIZE = 12, (32, 64)
Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


def made_inputs(empty: bool = False) -> Inputs:
    """Raw maps and targets of 12 pairs in 6 frames; with ``empty`` targets, every fourth."""
    numbers, targets = torch.arange(COUNT), boxes(COUNT, SIZE)
    targets = targets & (numbers % 4 != 3)[:, None, None] if empty else targets
    return {
        "maps": coarse_maps(COUNT),
        "targets": targets,
        "labels": numbers % 5,
        "frames": numbers // 2,
        "ids": numbers + 100,
    }


def full_maps(inputs: Inputs) -> torch.Tensor:
    return metrics.minmax(metrics.resize_maps(inputs["maps"], SIZE))


# The reference, map by map. The maps themselves are tvsl's: see test_maps.py for them.


def reference_maps(arrays: Arrays) -> Array:
    return full_maps({"maps": torch.from_numpy(arrays["maps"])}).numpy()


def overlaps(arrays: Arrays, cut: str = "value", level: float = 0.5) -> Array:
    """CIoU of each pair."""
    found = []
    for one, target in zip(reference_maps(arrays), arrays["targets"], strict=True):
        values = np.sort(one.ravel())
        if cut == "area":
            area = int(target.sum()) or one.size // 2
            predicted = one > values[one.size - area]
        else:
            predicted = one >= (values[one.size // 2] if cut == "median" else level)
        found.append(jaccard_score(target.ravel(), predicted.ravel(), zero_division=0))
    return np.array(found)


def smooth_ious(arrays: Arrays, level: float) -> Array:
    """IoU of each pair with the released smoothing."""
    found = []
    for one, target in zip(reference_maps(arrays), arrays["targets"], strict=True):
        cut = one >= level
        found.append(((cut & target).sum() + 1e-4) / ((cut | target).sum() + 1e-4))
    return np.array(found)


def precisions(arrays: Arrays) -> Array:
    """AP of each pair, NaN where a target is empty."""
    pairs = zip(reference_maps(arrays), arrays["targets"], strict=True)
    return np.array(
        [average_precision_score(t.ravel(), m.ravel()) if t.any() else np.nan for m, t in pairs]
    )


def confidences(arrays: Arrays) -> Array:
    """Mean of the highest quarter of each map."""
    flat = np.sort(reference_maps(arrays).astype(np.float64).reshape(COUNT, -1), axis=1)
    return flat[:, -(flat.shape[1] // 4) :].mean(axis=1)


def rate(values: Array, threshold: float) -> float:
    return float(np.mean([value >= threshold for value in values]))


def area(values: Array) -> float:
    steps = [0.05 * step for step in range(21)]
    return float(auc(steps, [rate(values, step) for step in steps]))


def grouped(values: Array, groups: Array, how: Callable[[list[float]], Any]) -> Array:
    """One value for each group."""
    members = defaultdict(list)
    for value, group in zip(values, groups, strict=True):
        members[int(group)].append(float(value))
    return np.array([how(members[group]) for group in sorted(members)])


def assigned_precision(arrays: Arrays) -> float:
    """PIAP: the best of all assignments of each frame."""
    maps, sums = reference_maps(arrays), 0.0
    for frame in np.unique(arrays["frames"]):
        rows = np.flatnonzero(arrays["frames"] == frame)
        sums += max(
            sum(
                average_precision_score(arrays["targets"][row].ravel(), maps[other].ravel())
                for row, other in zip(rows, order, strict=True)
            )
            for order in permutations(rows)
        )
    return sums / COUNT


def counted(sure: Array, right: Array, sounding: Array, level: float) -> tuple[float, float]:
    """Precision and recall at one confidence."""
    predicted = sure >= level
    hits, every = (predicted & right & sounding).sum(), predicted.sum()
    missed = (~predicted & sounding).sum()
    recall = hits / (hits + missed) if hits + missed else 1.0
    return (hits / every if every else 1.0), recall


def negatives_area(sure: Array, right: Array, sounding: Array) -> float:
    curve = [counted(sure, right, sounding, level) for level in np.sort(sure)[:-1][::-1]]
    return sum(
        max(precision for precision, _ in curve[place:]) * (curve[place + 1][1] - curve[place][1])
        for place in range(len(curve) - 1)
    )


def best_f1(sure: Array, right: Array, sounding: Array) -> float:
    pairs = [counted(sure, right, sounding, level) for level in np.sort(sure)]
    return max(2 * p * r / (p + r) if p + r else 0.0 for p, r in pairs)


def reference_of(protocol: str) -> Callable[[Arrays], dict[str, float]]:
    """Numbers of a protocol for several sources per clip."""

    def reference(arrays: Arrays) -> dict[str, float]:
        rule = PROTOCOLS[protocol]
        sounding = arrays["targets"].reshape(COUNT, -1).any(axis=1)
        ciou = overlaps(arrays, rule.cut, rule.level)
        seen = ciou[sounding]
        numbers = {
            f"{kind}@{level}": rate(seen, level)
            for kind in ("CIoU", "cIoU")
            for level in (0.1, 0.3, 0.5)
        }
        worst = grouped(seen, arrays["frames"][sounding], min)
        numbers |= {"mean cIoU": seen.mean(), "AUC": area(seen)}
        numbers |= {"IIoU@0.5": rate(worst, 0.5), "IAUC": area(worst)}
        if "ap" in rule.score_names:
            ap = precisions(arrays)[sounding]
            numbers["AP"] = ap.mean()
            numbers["CAP"] = grouped(ap, arrays["labels"][sounding], np.mean).mean()
        if "iou" in rule.score_names:
            numbers["mean IoU"] = smooth_ious(arrays, 0.5)[sounding].mean()
        if "confidence" in rule.score_names:
            curve = confidences(arrays), ciou >= 0.5, sounding
            numbers |= {"confident AP": negatives_area(*curve), "max-F1": best_f1(*curve)}
            numbers["LocAcc"] = float(np.mean(seen > 0.5))
        return {name: float(numbers[name]) for name in rule.multiple}

    return reference


def functional_of(protocol: str) -> Callable[[Inputs], dict[str, torch.Tensor]]:
    """Numbers of a protocol for several sources per clip, by the functional interface."""

    def functional(inputs: Inputs) -> dict[str, torch.Tensor]:
        rule, maps, targets = PROTOCOLS[protocol], full_maps(inputs), inputs["targets"]
        sounding = targets.flatten(1).any(dim=1)
        ciou = metrics.mask_ciou(metrics.cut_maps(maps, targets, rule.cut, rule.level), targets)
        seen, ap = ciou[sounding], metrics.average_precision(maps, targets)[sounding]
        worst = metrics.group_minimum(seen, inputs["frames"][sounding])
        curve = metrics.confidence(maps), ciou, sounding
        numbers = {
            f"{kind}@{level}": metrics.success_rate(seen, level)
            for kind in ("CIoU", "cIoU")
            for level in (0.1, 0.3, 0.5)
        } | {
            "AP": ap.mean(),
            "CAP": metrics.class_average(ap, inputs["labels"][sounding]),
            "AUC": metrics.success_auc(seen),
            "IIoU@0.5": metrics.success_rate(worst, 0.5),
            "IAUC": metrics.success_auc(worst),
            "mean cIoU": seen.mean(),
            "mean IoU": metrics.iou(maps, targets, 0.5, 1e-4)[sounding].mean(),
            "confident AP": metrics.negatives_average_precision(*curve),
            "max-F1": metrics.negatives_max_f1(*curve),
            "LocAcc": (seen > 0.5).double().mean(),
        }
        return {name: numbers[name] for name in rule.multiple}

    return functional


def ciou_of(inputs: Inputs, level: float = 0.5) -> torch.Tensor:
    return metrics.ciou(full_maps(inputs), inputs["targets"], level)


def ap_of(inputs: Inputs) -> torch.Tensor:
    return metrics.average_precision(full_maps(inputs), inputs["targets"])


def piap_of(inputs: Inputs) -> torch.Tensor:
    frames = inputs["frames"]
    return metrics.permutation_invariant_average_precision(
        full_maps(inputs), inputs["targets"], frames, frames
    ).mean()


def with_negatives(function: Any) -> Callable[[Inputs], torch.Tensor]:
    return lambda inputs: function(
        metrics.confidence(full_maps(inputs)),
        ciou_of(inputs),
        inputs["targets"].flatten(1).any(dim=1),
        0.2,
    )


def negatives_reference(function: Any) -> Callable[[Arrays], float]:
    return lambda arrays: function(
        confidences(arrays), overlaps(arrays) >= 0.2, arrays["targets"].any(axis=(1, 2))
    )


def made_cases() -> dict[str, MetricCase]:
    """All cases by name."""
    some, with_empty = made_inputs(), made_inputs(empty=True)
    generator = torch.Generator().manual_seed(1)
    clips = {
        "scores": torch.randn(COUNT, 3, generator=generator),
        "labels": torch.rand(COUNT, 3, generator=generator) < 0.5,
        "ids": torch.arange(COUNT),
    }
    return {
        "mean cIoU": MetricCase(
            metrics.MeanCIoU, some, lambda i: ciou_of(i).mean(), lambda a: overlaps(a).mean()
        ),
        "adaptive cIoU": MetricCase(
            lambda: metrics.MeanCIoU("area"),
            some,
            lambda i: metrics.mask_ciou(
                metrics.area_cut(full_maps(i), i["targets"]), i["targets"]
            ).mean(),
            lambda a: overlaps(a, "area").mean(),
        ),
        "success": MetricCase(
            lambda: metrics.SuccessRate(0.2, level=0.3),
            some,
            lambda i: metrics.success_rate(ciou_of(i, 0.3), 0.2),
            lambda a: rate(overlaps(a, level=0.3), 0.2),
        ),
        "AUC": MetricCase(
            metrics.SuccessAUC,
            some,
            lambda i: metrics.success_auc(ciou_of(i)),
            lambda a: area(overlaps(a)),
        ),
        "IIoU": MetricCase(
            lambda: metrics.SuccessRate(0.2, unit="frame worst"),
            some,
            lambda i: metrics.success_rate(metrics.group_minimum(ciou_of(i), i["frames"]), 0.2),
            lambda a: rate(grouped(overlaps(a), a["frames"], min), 0.2),
        ),
        "IAUC": MetricCase(
            lambda: metrics.SuccessAUC(unit="frame worst"),
            some,
            lambda i: metrics.success_auc(metrics.group_minimum(ciou_of(i), i["frames"])),
            lambda a: area(grouped(overlaps(a), a["frames"], min)),
        ),
        "DSOL's CIoU": MetricCase(
            lambda: metrics.SuccessRate(0.3, unit="frame mean"),
            some,
            lambda i: metrics.success_rate(metrics.group_mean(ciou_of(i), i["frames"]), 0.3),
            lambda a: rate(grouped(overlaps(a), a["frames"], np.mean), 0.3),
        ),
        "IoU": MetricCase(
            lambda: metrics.MeanIoU(0.4, smooth=1e-4),
            some,
            lambda i: metrics.iou(full_maps(i), i["targets"], 0.4, 1e-4).mean(),
            lambda a: smooth_ious(a, 0.4).mean(),
        ),
        "AP": MetricCase(
            metrics.MeanAveragePrecision,
            some,
            lambda i: ap_of(i).mean(),
            lambda a: precisions(a).mean(),
        ),
        "CAP": MetricCase(
            metrics.ClassAwareAveragePrecision,
            some,
            lambda i: metrics.class_average(ap_of(i), i["labels"]),
            lambda a: grouped(precisions(a), a["labels"], np.mean).mean(),
        ),
        "PIAP": MetricCase(
            metrics.PermutationInvariantAveragePrecision, some, piap_of, assigned_precision
        ),
        "AP with negatives": MetricCase(
            lambda: metrics.NegativesAveragePrecision(0.2),
            with_empty,
            with_negatives(metrics.negatives_average_precision),
            negatives_reference(negatives_area),
        ),
        "max-F1": MetricCase(
            lambda: metrics.NegativesMaxF1(0.2),
            with_empty,
            with_negatives(metrics.negatives_max_f1),
            negatives_reference(best_f1),
        ),
        "detection": MetricCase(
            lambda: metrics.DetectionMeanAveragePrecision(3),
            clips,
            lambda i: metrics.detection_mean_average_precision(i["scores"], i["labels"]),
            lambda a: average_precision_score(a["labels"], a["scores"], average="macro"),
            maps="scores",
        ),
        **{
            f"protocol {name}": MetricCase(
                lambda name=name: ProtocolMetric(name, several_sources=True),
                with_empty,
                functional_of(name),
                reference_of(name),
            )
            for name in PROTOCOLS
        },
    }
