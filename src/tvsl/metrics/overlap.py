"""Overlap of a binarized map with its target, and the success rates that are made of it.

cIoU ("consensus IoU") is Σ M g / (Σ g + Σ M [g = 0]) for a map M cut to {0, 1} and a target g in
[0, 1] that says how many annotators agree (Flickr-SoundNet); with g in {0, 1} it is plain IoU.
All public evaluators share this formula and differ in how they cut the map: at a part of its
range, at its median, at the area of the target, at a fixed value.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from tvsl.metrics.maps import (
    Array,
    as_tensor,
    at_least,
    check_bool,
    check_choice,
    check_maps,
    check_number,
    check_same_shape,
    check_targets,
    check_values,
    count,
    foreground,
    require,
    sort_rows,
)
from tvsl.metrics.pair_metric import Columns, PairMetric, group_mean, group_minimum

Cut = Literal["value", "median", "area"]
"""Rule of a cut: from a level on, at the median (EZ-VSL), at the target's area (SSLalignment)."""

Unit = Literal["pair", "frame mean", "frame worst"]
"""Unit that succeeds or fails: each source; a frame by the mean of its sources (DSOL,
CoarsetoFine); a frame by its worst source (IIoU)."""

SUCCESS_STEPS = 20
"""The success curve has 21 thresholds, 0 to 1."""


def mask_ciou(cut: Array, targets: Array) -> Tensor:
    """CIoU of maps that are cut already.

    Args:
        cut: (P, H, W) bool, the predicted pixels.
        targets: (P, H, W), bool or floating in [0, 1].

    Returns:
        (P,) in [0, 1], float64. 0 where nothing is to be found.

    Raises:
        ShapeError: The shapes differ, or a target leaves [0, 1].

    Examples:
        >>> mask_ciou([[[True, True, False]]], [[[False, True, True]]]).item()
        0.3333333333333333
    """
    cut = check_bool(check_targets(cut, name="Maps that are cut"), name="Maps that are cut")
    targets = check_targets(targets, cut)
    check_same_shape(cut, targets)
    cut, targets = cut.flatten(1), targets.flatten(1)
    if targets.dtype == torch.bool:
        hit = count(cut & targets)
        whole = count(cut) + count(targets) - hit
    else:
        # A sum of many small weights keeps six digits only in float64.
        weights = targets.double()
        hit = (weights * cut).sum(dim=1)
        whole = weights.sum(dim=1) + count(cut & (targets == 0))
    return hit / whole.clamp(min=torch.finfo(whole.dtype).tiny)


def ciou(maps: Array, targets: Array, threshold: float | Array = 0.5) -> Tensor:
    """CIoU of maps cut at a value (`cal_CIOU` of LVS and EZ-VSL).

    With maps from `minmax` and 0.5 it is the paper's protocol: cut at half of the range. With 0.3
    it is what the released T-VSL averages and calls CIoU@0.3.

    Args:
        maps: (P, H, W), floating.
        targets: (P, H, W), bool or a consensus in [0, 1].
        threshold: Pixels of this value or more are the prediction; one for all, or (P,).

    Returns:
        (P,) in [0, 1], float64.

    Raises:
        ShapeError: The shapes differ, or a target leaves [0, 1].

    Examples:
        >>> ciou([[[0.9, 0.8, 0.6, 0.0]]], [[[True, True, False, False]]]).item()
        0.6666666666666666
    """
    maps = check_maps(maps)
    return mask_ciou(at_least(maps, _level(threshold, maps)), targets)


def _level(threshold: float | Array, maps: Tensor) -> float | Tensor:
    """One level for all maps, or one for each of them, (P, 1, 1)."""
    levels = as_tensor(threshold, "A threshold")
    if levels.ndim:
        return check_values(levels, maps, "thresholds").to(maps)[:, None, None]
    return check_number(levels, "A threshold")


def median_threshold(maps: Array) -> Tensor:
    """Value in the middle of each map's sorted pixels: EZ-VSL's cut.

    Of an even number of pixels it is the upper of the two in the middle, and `ciou` takes the
    pixels that equal it; LVS leaves those out, which differs by one pixel where none are equal.

    Args:
        maps: (P, H, W), floating.

    Returns:
        (P,), to be given to `ciou`.

    Raises:
        ShapeError: Not maps, or a value is not finite.

    Examples:
        >>> median_threshold([[[0.1, 0.2, 0.3, 0.9]]]).item()
        0.3
    """
    maps = check_maps(maps)
    pixels = maps.shape[1] * maps.shape[2]
    return maps.flatten(1).kthvalue(pixels // 2 + 1, dim=1).values


def area_cut(maps: Array, targets: Array) -> Tensor:
    """Cut each map at about the area of its target (`cal_CIOU_adap` of SSLalignment).

    This rule knows the size of what it looks for: its numbers stand for themselves.

    Args:
        maps: (P, H, W), floating.
        targets: (P, H, W); the area is that of the pixels over 0, of an empty target half of all.

    Returns:
        (P, H, W) bool: pixels above the value at place N - area of the N sorted ones, as published;
        where no two are equal this is one pixel less than the area.

    Raises:
        ShapeError: The shapes differ, or a value is not finite.

    Examples:
        >>> area_cut([[[0.1, 0.2, 0.3, 0.9]]], [[[False, True, True, True]]]).tolist()
        [[[False, False, True, True]]]
    """
    maps = check_maps(maps)
    targets = check_targets(targets, maps)
    check_same_shape(maps, targets)
    values = maps.flatten(1)
    pixels = values.shape[1]
    area = (targets.flatten(1) > 0).sum(dim=1, keepdim=True)
    area = torch.where(area == 0, pixels // 2, area)
    place = sort_rows(values.detach().clone()).gather(1, (pixels - area).clamp(max=pixels - 1))
    return maps > place[..., None]


def cut_maps(maps: Array, targets: Array, rule: Cut = "value", level: float = 0.5) -> Tensor:
    """Cut maps by a named rule.

    Args:
        maps: (P, H, W), floating.
        targets: (P, H, W); read by the rule ``area`` alone.
        rule: ``value``: from ``level`` on; ``median``: EZ-VSL's; ``area``: SSLalignment's.
        level: Of the rule ``value``.

    Returns:
        (P, H, W) bool, the predicted pixels.

    Raises:
        UsageError: There is no such rule or level.
        ShapeError: Not maps, or no targets where they are needed.

    Examples:
        >>> cut_maps([[[0.1, 0.2, 0.3, 0.9]]], [[[True] * 4]], "median").tolist()
        [[[False, False, True, True]]]
    """
    check_choice(rule, get_args(Cut), "The rule of a cut")
    if rule == "area":
        return area_cut(maps, targets)
    maps = check_maps(maps)
    if rule == "median":
        return at_least(maps, median_threshold(maps)[:, None, None])
    return at_least(maps, check_number(level, "The level of a cut"))


def iou(maps: Array, targets: Array, threshold: float = 0.5, smooth: float = 0.0) -> Tensor:
    """Plain IoU of maps cut at a value.

    Args:
        maps: (P, H, W), floating.
        targets: (P, H, W); pixels over 0 are the target.
        threshold: Pixels of this value or more are the prediction.
        smooth: Added to both counts; the released T-VSL adds 1e-4.

    Returns:
        (P,) in [0, 1], float64. Without smoothing, 0 where nothing is to be found.

    Raises:
        ShapeError: The shapes differ, or a negative smoothing.

    Examples:
        >>> iou([[[0.9, 0.8, 0.6, 0.0]]], [[[True, True, False, False]]]).item()
        0.6666666666666666
    """
    maps = check_maps(maps)
    targets = check_targets(targets, maps)
    check_same_shape(maps, targets)
    level, smooth = check_number(threshold, "A threshold"), check_number(smooth, "A smoothing")
    require(smooth >= 0, f"A smoothing cannot be {smooth}.", "Give 0 or more.")
    cut, truth = at_least(maps, level).flatten(1), foreground(targets).flatten(1)
    hit, whole = count(cut & truth) + smooth, count(cut | truth) + smooth
    return hit / whole.clamp(min=torch.finfo(whole.dtype).tiny)


def success_rate(ciou: Array, threshold: float) -> Tensor:
    """Share of pairs whose cIoU reaches a threshold: IoU@τ and CIoU@τ of the tables.

    Args:
        ciou: (P,) in [0, 1].
        threshold: τ; a pair that equals it succeeds.

    Returns:
        A scalar in [0, 1], float64.

    Raises:
        ShapeError: There is no value, or one is missing.

    Examples:
        >>> success_rate([0.1, 0.3, 0.7], 0.3).item()
        0.6666666666666666
    """
    return (check_values(ciou) >= check_number(threshold, "A threshold")).double().mean()


def success_auc(ciou: Array) -> Tensor:
    """Area under the success rate over 21 thresholds, by trapezoids (AUC of the tables).

    Args:
        ciou: (P,) in [0, 1].

    Returns:
        A scalar in [0, 1], float64; the curve's step at 0 makes it at least 1/40.

    Raises:
        ShapeError: There is no value, or one is missing.

    Examples:
        >>> round(success_auc([0.0, 1.0]).item(), 4)
        0.5125
    """
    values = check_values(ciou).double()
    thresholds = _success_thresholds(values)
    rates = (values[:, None] >= thresholds).double().mean(dim=0)
    return torch.trapezoid(rates, thresholds)


def success_areas(ciou: Array) -> Tensor:
    """Area under each pair's own step from success to failure: their mean is `success_auc`.

    Args:
        ciou: (P,) in [0, 1].

    Returns:
        (P,) in [0, 1], float64.

    Raises:
        ShapeError: There is no value, or one is missing.

    Examples:
        >>> [round(area, 4) for area in success_areas([0.0, 1.0]).tolist()]
        [0.025, 1.0]
    """
    values = check_values(ciou).double()
    steps = _success_thresholds(values)
    return torch.trapezoid((values[:, None] >= steps).double(), steps)


def _success_thresholds(values: Tensor) -> Tensor:
    # 0.05 i, not i / 20: seven of the products lie one unit above, so that a cIoU of exactly 0.3
    # misses its threshold in every public evaluator, and has to here.
    steps = [0.05 * step for step in range(SUCCESS_STEPS + 1)]
    return torch.tensor(steps, dtype=values.dtype, device=values.device)


class MeanCIoU(PairMetric[Tensor]):
    """Mean cIoU ("Avg-cIoU" of the field).

    Args:
        cut: The rule of the cut, see `cut_maps`; ``area`` makes it the adaptive cIoU.
        level: Of the cut ``value``.
        normalize: Whether maps are raw and are to be normalized to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no such rule or level.

    Examples:
        >>> metric = MeanCIoU(cut="median")
        >>> metric.update([[[0.9, 0.8, 0.1, 0.3]]], [[[True, True, False, False]]])
        >>> metric.compute().item()
        1.0
    """

    score_names = ("ciou",)

    def __init__(
        self, cut: Cut = "value", level: float = 0.5, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(normalize, **kwargs)
        check_choice(cut, get_args(Cut), "The rule of a cut")
        self.cut, self.level = cut, check_number(level, "The level of a cut")

    def score(self, maps: Tensor, targets: Tensor) -> Columns:
        """CIoU of each pair; see the base class."""
        return {"ciou": mask_ciou(cut_maps(maps, targets, self.cut, self.level), targets)}

    def aggregate(self, columns: Columns) -> Tensor:
        """Mean of the pairs."""
        return columns["ciou"].mean()


class SuccessAUC(MeanCIoU):
    """Area under the success rate over 21 thresholds (AUC; IAUC with ``frame worst``).

    Args:
        cut: The rule of the cut, see `cut_maps`.
        level: Of the cut ``value``.
        unit: Unit that succeeds or fails; but for ``pair``, ``frames`` must be given.
        normalize: Whether maps are raw and are to be normalized to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no such rule, level or unit.

    Examples:
        >>> metric = SuccessAUC()
        >>> metric.update([[[0.9, 0.8, 0.1, 0.3]]], [[[True, True, False, False]]])
        >>> metric.compute().item()
        1.0
    """

    def __init__(
        self,
        cut: Cut = "value",
        level: float = 0.5,
        unit: Unit = "pair",
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cut, level, normalize, **kwargs)
        check_choice(unit, get_args(Unit), "What succeeds or fails")
        self.unit = unit
        self.needs = () if unit == "pair" else ("frames",)

    def units(self, columns: Columns) -> Tensor:
        """CIoU of each unit."""
        if self.unit == "pair":
            return columns["ciou"]
        over_sources = group_mean if self.unit == "frame mean" else group_minimum
        return over_sources(columns["ciou"], columns["frames"])

    def aggregate(self, columns: Columns) -> Tensor:
        """Area under the curve of the units."""
        return success_auc(self.units(columns))


class SuccessRate(SuccessAUC):
    """Share whose cIoU reaches a threshold (IoU@τ, CIoU@τ; IIoU@τ with ``frame worst``).

    Args:
        threshold: τ.
        cut: As for `SuccessAUC`, like the others.
        level: Of the cut ``value``.
        unit: Unit that succeeds or fails.
        normalize: Whether maps are raw.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no such threshold, rule, level or unit.

    Examples:
        >>> metric = SuccessRate(0.5)
        >>> metric.update([[[0.9, 0.8]], [[0.2, 0.4]]], [[[True, False]]] * 2)
        >>> metric.compute().item()
        0.5
    """

    def __init__(
        self,
        threshold: float = 0.5,
        cut: Cut = "value",
        level: float = 0.5,
        unit: Unit = "pair",
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cut, level, unit, normalize, **kwargs)
        self.threshold = check_number(threshold, "A threshold")

    def aggregate(self, columns: Columns) -> Tensor:
        """Share of the units."""
        return success_rate(self.units(columns), self.threshold)


class MeanIoU(PairMetric[Tensor]):
    """Mean IoU of maps cut at a value.

    Args:
        level: Pixels of this value or more are the prediction.
        smooth: Added to both counts; the released T-VSL adds 1e-4.
        normalize: Whether maps are raw and are to be normalized to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no such level or smoothing.

    Examples:
        >>> metric = MeanIoU()
        >>> metric.update([[[0.9, 0.8, 0.1, 0.3]]], [[[True, False, False, False]]])
        >>> metric.compute().item()
        0.5
    """

    score_names = ("iou",)

    def __init__(
        self, level: float = 0.5, smooth: float = 0.0, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(normalize, **kwargs)
        self.level = check_number(level, "The level of a cut")
        self.smooth = check_number(smooth, "A smoothing")

    def score(self, maps: Tensor, targets: Tensor) -> Columns:
        """IoU of each pair; see the base class."""
        return {"iou": iou(maps, targets, self.level, self.smooth)}

    def aggregate(self, columns: Columns) -> Tensor:
        """Mean of the pairs."""
        return columns["iou"].mean()
