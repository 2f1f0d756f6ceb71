"""Overlap of a cut map with its target, and the success rates that are made of it.

cIoU ("consensus IoU") is Σ M g / (Σ g + Σ M [g = 0]) for a cut map M in {0, 1} and a target g in
[0, 1] that says how many annotators agree (Flickr-SoundNet); with g in {0, 1} it is plain IoU.
All public evaluators share this formula and differ in how they cut the map: at a part of its
range, at its median, at the area of the target, at a fixed value.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from tvsl.metrics.maps import at_least, count, foreground, sort_rows, to_float64
from tvsl.metrics.validation import (
    Array,
    as_tensor,
    check_pairs,
    choice_of,
    maps_of,
    masks_of,
    number_of,
    require,
    targets_of,
    values_of,
)

Cut = Literal["value", "median", "area"]

SUCCESS_STEPS = 20
"""The success curve has 21 thresholds, 0 to 1."""


def mask_ciou(cut: Array, targets: Array) -> Tensor:
    """CIoU of maps that are cut already.

    Args:
        cut: (P, H, W) bool, where the source is said to be.
        targets: (P, H, W), bool or floating in [0, 1].

    Returns:
        (P,) in [0, 1], float64. 0 where nothing is to be found.

    Raises:
        ShapeError: The shapes differ, or a target leaves [0, 1].
    """
    cut = masks_of(targets_of(cut, name="Maps that are cut"), name="Maps that are cut")
    targets = targets_of(targets, cut)
    check_pairs(cut, targets)
    cut, targets = cut.flatten(1), targets.flatten(1)
    if targets.dtype == torch.bool:
        hit = count(cut & targets)
        whole = count(cut) + count(targets) - hit
    else:
        # A sum of many small weights keeps six digits only in float64.
        weights = to_float64(targets)
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

    Example:
        >>> target = torch.tensor([[[True, True], [False, False]]])
        >>> ciou(torch.tensor([[[0.9, 0.8], [0.6, 0.0]]]), target).tolist()
        [0.6666666666666666]
    """
    maps = maps_of(maps)
    return mask_ciou(at_least(maps, _level(threshold, maps)), targets)


def _level(threshold: float | Array, maps: Tensor) -> float | Tensor:
    """One level for all maps, or one for each of them, (P, 1, 1)."""
    levels = as_tensor(threshold, "A threshold")
    if levels.ndim:
        return values_of(levels, maps, "thresholds").to(maps)[:, None, None]
    return number_of(levels, "A threshold")


def median_threshold(maps: Array) -> Tensor:
    """The value in the middle of each map's sorted pixels, (P,): EZ-VSL's cut.

    Of an even number of pixels it is the upper of the two in the middle, and `ciou` takes the
    pixels that equal it; LVS leaves those out, which differs by one pixel where none are equal.

    Args:
        maps: (P, H, W), floating.

    Returns:
        (P,), to be given to `ciou`.
    """
    maps = maps_of(maps)
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
    """
    maps = maps_of(maps)
    targets = targets_of(targets, maps)
    check_pairs(maps, targets)
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
        targets: (P, H, W); looked at by the rule ``area`` alone.
        rule: ``value``: from ``level`` on; ``median``: EZ-VSL's; ``area``: SSLalignment's.
        level: Of the rule ``value``.

    Returns:
        (P, H, W) bool, where the source is said to be.

    Raises:
        UsageError: There is no such rule or level.
        ShapeError: Not maps, or no targets where they are needed.
    """
    choice_of(rule, get_args(Cut), "The rule of a cut")
    if rule == "area":
        return area_cut(maps, targets)
    maps = maps_of(maps)
    if rule == "median":
        return at_least(maps, median_threshold(maps)[:, None, None])
    return at_least(maps, number_of(level, "The level of a cut"))


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
        ShapeError: The shapes differ.
    """
    maps = maps_of(maps)
    targets = targets_of(targets, maps)
    check_pairs(maps, targets)
    level, smooth = number_of(threshold, "A threshold"), number_of(smooth, "A smoothing")
    require(smooth >= 0, f"A smoothing cannot be {smooth}.", "Give 0 or more.")
    cut, truth = at_least(maps, level).flatten(1), foreground(targets).flatten(1)
    hit, whole = count(cut & truth) + smooth, count(cut | truth) + smooth
    return hit / whole.clamp(min=torch.finfo(whole.dtype).tiny)


def success_rate(ciou: Array, threshold: float) -> Tensor:
    """The share of pairs whose cIoU reaches a threshold: IoU@τ and CIoU@τ of the tables.

    Args:
        ciou: (P,) in [0, 1].
        threshold: τ; a pair that equals it succeeds.

    Returns:
        A scalar in [0, 1], float64.

    Raises:
        ShapeError: There is no value, or one is missing.
    """
    return to_float64(values_of(ciou) >= number_of(threshold, "A threshold")).mean()


def success_auc(ciou: Array) -> Tensor:
    """The area under the success rate over 21 thresholds, by trapezoids (AUC of the tables).

    Args:
        ciou: (P,) in [0, 1].

    Returns:
        A scalar in [0, 1], float64; the curve's step at 0 makes it at least 1/40.

    Raises:
        ShapeError: There is no value, or one is missing.
    """
    values = to_float64(values_of(ciou))
    # 0.05 i, not i / 20: seven of the products lie one unit above, so that a cIoU of exactly 0.3
    # misses its threshold in every public evaluator, and has to here.
    steps = [0.05 * step for step in range(SUCCESS_STEPS + 1)]
    thresholds = torch.tensor(steps, dtype=values.dtype, device=values.device)
    rates = to_float64(values[:, None] >= thresholds).mean(dim=0)
    return torch.trapezoid(rates, thresholds)
