"""The metrics of maps one by one, as `torchmetrics` classes."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from tvsl.metrics.assignment import permutation_invariant_average_precision
from tvsl.metrics.maps import foreground, to_float64
from tvsl.metrics.negatives import confidence, negatives_average_precision, negatives_max_f1
from tvsl.metrics.overlap import Cut, ciou, cut_maps, iou, mask_ciou, success_auc, success_rate
from tvsl.metrics.pair_metric import Columns, PairMetric
from tvsl.metrics.precision import average_precision
from tvsl.metrics.validation import Array, choice_of, number_of, values_of, whole_numbers


def group_mean(values: Array, groups: Array) -> Tensor:
    """The mean of each group.

    With frames as groups and cIoUs as values it is what DSOL and CoarsetoFine decide success on:
    the mean over the sources of a frame.

    Args:
        values: (P,), such as cIoUs.
        groups: Which group each pair belongs to, such as its frame, (P,) int64.

    Returns:
        (G,), float64, one for each group that occurs, in the order of their numbers.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    values = values_of(values)
    groups = whole_numbers(groups, values, "groups")
    kept, place = groups.unique(return_inverse=True)
    sums = to_float64(values).new_zeros(len(kept)).index_add_(0, place, to_float64(values))
    return torch.div(sums, place.bincount(minlength=len(kept)))


def group_minimum(values: Array, groups: Array) -> Tensor:
    """The worst of each group: a frame succeeds only if all of its sources do.

    With frames as groups and cIoUs as values, `success_rate` of this is IIoU and `success_auc` of
    it IAUC (`finalize_cIoU` and `finalize_IAUC` of SSLalignment).

    Args:
        values: (P,), such as cIoUs.
        groups: Which group each pair belongs to, such as its frame, (P,) int64.

    Returns:
        (G,), one for each group that occurs, in the order of their numbers.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    values = values_of(values)
    groups = whole_numbers(groups, values, "groups")
    kept, place = groups.unique(return_inverse=True)
    start = values.new_full((len(kept),), torch.inf)
    return start.scatter_reduce(0, place, values, reduce="amin")


def class_average(values: Array, labels: Array) -> Tensor:
    """Mean within each class, then over the classes that occur: CAP out of APs (design, Sec. 7).

    Args:
        values: (P,), such as the average precision of each (clip, source) pair.
        labels: The class of each pair, (P,) int64.

    Returns:
        A scalar, float64; frequent classes weigh no more than rare ones.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    return group_mean(values, labels).mean()


Unit = Literal["pair", "frame mean", "frame worst"]
"""What succeeds or fails: each source; a frame by the mean of its sources (DSOL, CoarsetoFine); a
frame by its worst source (IIoU)."""


class MeanCIoU(PairMetric[Tensor]):
    """Mean cIoU ("Avg-cIoU" of the field).

    Args:
        cut: How maps are cut, see `cut_maps`; ``area`` makes it the adaptive cIoU.
        level: Of the cut ``value``.
        normalize: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Example:
        >>> metric = MeanCIoU(cut="median")
        >>> target = torch.tensor([[[True, True], [False, False]]])
        >>> metric.update(torch.tensor([[[0.9, 0.8], [0.1, 0.3]]]), target)
        >>> metric.compute().item()
        1.0
    """

    score_names = ("ciou",)

    def __init__(
        self, cut: Cut = "value", level: float = 0.5, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(normalize, **kwargs)
        choice_of(cut, get_args(Cut), "The rule of a cut")
        self.cut, self.level = cut, number_of(level, "The level of a cut")

    def score(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """CIoU of each pair."""
        return {"ciou": mask_ciou(cut_maps(maps, targets, self.cut, self.level), targets)}

    def aggregate(self, columns: Columns) -> Tensor:
        """The mean."""
        return columns["ciou"].mean()


class SuccessAUC(MeanCIoU):
    """Area under the success rate over 21 thresholds (AUC; IAUC with ``frame worst``).

    Args:
        cut: How maps are cut, see `cut_maps`.
        level: Of the cut ``value``.
        unit: What succeeds or fails; but for ``pair``, ``frames`` must be given.
        normalize: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
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
        choice_of(unit, get_args(Unit), "What succeeds or fails")
        self.unit = unit
        self.needs = () if unit == "pair" else ("frames",)

    def units(self, columns: Columns) -> Tensor:
        """CIoU of whatever succeeds or fails."""
        if self.unit == "pair":
            return columns["ciou"]
        brought_together = group_mean if self.unit == "frame mean" else group_minimum
        return brought_together(columns["ciou"], columns["frames"])

    def aggregate(self, columns: Columns) -> Tensor:
        """The area."""
        return success_auc(self.units(columns))


class SuccessRate(SuccessAUC):
    """The share whose cIoU reaches a threshold (IoU@τ, CIoU@τ; IIoU@τ with ``frame worst``).

    Args:
        threshold: τ.
        cut: How maps are cut, see `cut_maps`.
        level: Of the cut ``value``.
        unit: What succeeds or fails; but for ``pair``, ``frames`` must be given.
        normalize: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
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
        self.threshold = number_of(threshold, "A threshold")

    def aggregate(self, columns: Columns) -> Tensor:
        """The share."""
        return success_rate(self.units(columns), self.threshold)


class MeanIoU(PairMetric[Tensor]):
    """Mean IoU of maps cut at a value.

    Args:
        level: Pixels of this value or more are the prediction.
        smooth: Added to both counts; the released T-VSL adds 1e-4.
        normalize: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    score_names = ("iou",)

    def __init__(
        self, level: float = 0.5, smooth: float = 0.0, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(normalize, **kwargs)
        self.level = number_of(level, "The level of a cut")
        self.smooth = number_of(smooth, "A smoothing")

    def score(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """IoU of each pair."""
        return {"iou": iou(maps, targets, self.level, self.smooth)}

    def aggregate(self, columns: Columns) -> Tensor:
        """The mean."""
        return columns["iou"].mean()


class MeanAveragePrecision(PairMetric[Tensor]):
    """Mean pixel average precision (AP of the tables); targets are cut at > 0."""

    score_names = ("ap",)

    def score(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """Average precision of each pair."""
        return {"ap": average_precision(maps, foreground(targets))}

    def aggregate(self, columns: Columns) -> Tensor:
        """The mean."""
        return columns["ap"].mean()


class ClassAwareAveragePrecision(MeanAveragePrecision):
    """Pixel average precision, averaged within a class first (CAP); needs ``labels``."""

    needs = ("labels",)

    def aggregate(self, columns: Columns) -> Tensor:
        """The mean over the classes."""
        return class_average(columns["ap"], columns["labels"])


class PermutationInvariantAveragePrecision(MeanAveragePrecision):
    """Mean average precision under the best assignment within each frame (PIAP).

    Needs ``frames``; all pairs of a frame must come in one update.
    """

    needs = ("frames",)

    def _parts(self, pairs: int, count: int) -> list[slice]:  # noqa: ARG002
        return [slice(0, pairs)]  # a frame must not be torn apart

    def score(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:
        """Average precision of each pair by the map that is assigned to it; NaN if empty."""
        assert frames is not None  # `needs` says so
        truth = foreground(targets)
        sounding = truth.flatten(1).any(dim=1)
        values = torch.full((len(maps),), torch.nan, dtype=torch.float64, device=maps.device)
        values[sounding] = permutation_invariant_average_precision(
            maps, truth[sounding], frames, frames[sounding]
        )
        return {"ap": values}


class NegativesAveragePrecision(PairMetric[Tensor]):
    """AP over the confidence with silent and off-screen sounds among the pairs (SLAVC).

    Args:
        threshold: From this cIoU on a map is in the right place.
        level: Pixels of this value or more are the prediction.
        normalize: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    score_names = ("ciou", "confidence")
    include_empty = True

    def __init__(
        self, threshold: float = 0.5, level: float = 0.5, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(normalize, **kwargs)
        self.threshold = number_of(threshold, "A threshold")
        self.level = number_of(level, "The level of a cut")

    def score(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """CIoU and confidence of each pair."""
        overlaps = ciou(maps, targets, self.level)
        return {"ciou": overlaps, "confidence": confidence(maps)}

    def aggregate(self, columns: Columns) -> Tensor:
        """The area under the published precision-recall curve."""
        return negatives_average_precision(
            columns["confidence"], columns["ciou"], columns["sounding"], self.threshold
        )


class NegativesMaxF1(NegativesAveragePrecision):
    """The best F1 over the confidence (SLAVC); arguments as `NegativesAveragePrecision`."""

    def aggregate(self, columns: Columns) -> Tensor:
        """The best F1."""
        return negatives_max_f1(
            columns["confidence"], columns["ciou"], columns["sounding"], self.threshold
        )
