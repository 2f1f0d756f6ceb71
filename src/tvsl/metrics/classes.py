"""The metrics of maps one by one, as `torchmetrics` classes."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from tvsl.metrics.arithmetic import occupied
from tvsl.metrics.assignment import permutation_invariant_average_precision
from tvsl.metrics.checks import choice_of, number_of
from tvsl.metrics.groups import class_average, group_mean, group_minimum
from tvsl.metrics.negatives import confidence, negatives_average_precision, negatives_max_f1
from tvsl.metrics.overlap import Cut, ciou, cut_maps, iou, mask_ciou, success_auc, success_rate
from tvsl.metrics.pair_metric import Columns, PairMetric
from tvsl.metrics.precision import average_precision

Unit = Literal["pair", "frame mean", "frame worst"]
"""What succeeds or fails: each source; a frame by the mean of its sources (DSOL, CoarsetoFine); a
frame by its worst source (IIoU)."""


class MeanCIoU(PairMetric):
    """Mean cIoU ("Avg-cIoU" of the field).

    Args:
        cut: How maps are cut, see `cut_maps`; ``area`` makes it the adaptive cIoU.
        level: Of the cut ``value``.
        stretch: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Example:
        >>> metric = MeanCIoU(cut="median")
        >>> target = torch.tensor([[[True, True], [False, False]]])
        >>> metric.update(torch.tensor([[[0.9, 0.8], [0.1, 0.3]]]), target)
        >>> metric.compute().item()
        1.0
    """

    measures = ("ciou",)

    def __init__(
        self, cut: Cut = "value", level: float = 0.5, stretch: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(stretch, **kwargs)
        choice_of(cut, get_args(Cut), "The rule of a cut")
        self.cut, self.level = cut, number_of(level, "The level of a cut")

    def measure(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """CIoU of each pair."""
        return {"ciou": mask_ciou(cut_maps(maps, targets, self.cut, self.level), targets)}

    def summarise(self, columns: Columns) -> Any:
        """The mean."""
        return columns["ciou"].mean()


class SuccessAUC(MeanCIoU):
    """Area under the success rate over 21 thresholds (AUC; IAUC with ``frame worst``).

    Args:
        cut: How maps are cut, see `cut_maps`.
        level: Of the cut ``value``.
        unit: What succeeds or fails; but for ``pair``, ``frames`` must be given.
        stretch: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    def __init__(
        self,
        cut: Cut = "value",
        level: float = 0.5,
        unit: Unit = "pair",
        stretch: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cut, level, stretch, **kwargs)
        choice_of(unit, get_args(Unit), "What succeeds or fails")
        self.unit = unit
        self.needs = () if unit == "pair" else ("frames",)

    def units(self, columns: Columns) -> Tensor:
        """CIoU of whatever succeeds or fails."""
        if self.unit == "pair":
            return columns["ciou"]
        brought_together = group_mean if self.unit == "frame mean" else group_minimum
        return brought_together(columns["ciou"], columns["frames"])

    def summarise(self, columns: Columns) -> Any:
        """The area."""
        return success_auc(self.units(columns))


class SuccessRate(SuccessAUC):
    """The share whose cIoU reaches a threshold (IoU@τ, CIoU@τ; IIoU@τ with ``frame worst``).

    Args:
        threshold: τ.
        cut: How maps are cut, see `cut_maps`.
        level: Of the cut ``value``.
        unit: What succeeds or fails; but for ``pair``, ``frames`` must be given.
        stretch: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    def __init__(
        self,
        threshold: float = 0.5,
        cut: Cut = "value",
        level: float = 0.5,
        unit: Unit = "pair",
        stretch: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cut, level, unit, stretch, **kwargs)
        self.threshold = number_of(threshold, "A threshold")

    def summarise(self, columns: Columns) -> Any:
        """The share."""
        return success_rate(self.units(columns), self.threshold)


class MeanIoU(PairMetric):
    """Mean IoU of maps cut at a value.

    Args:
        level: Pixels of this value or more are the prediction.
        smooth: Added to both counts; the released T-VSL adds 1e-4.
        stretch: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    measures = ("iou",)

    def __init__(
        self, level: float = 0.5, smooth: float = 0.0, stretch: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(stretch, **kwargs)
        self.level = number_of(level, "The level of a cut")
        self.smooth = number_of(smooth, "A smoothing")

    def measure(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """IoU of each pair."""
        return {"iou": iou(maps, targets, self.level, self.smooth)}

    def summarise(self, columns: Columns) -> Any:
        """The mean."""
        return columns["iou"].mean()


class MeanAveragePrecision(PairMetric):
    """Mean pixel average precision (AP of the tables); targets are cut at > 0."""

    measures = ("ap",)

    def measure(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """Average precision of each pair."""
        return {"ap": average_precision(maps, occupied(targets))}

    def summarise(self, columns: Columns) -> Any:
        """The mean."""
        return columns["ap"].mean()


class ClassAwareAveragePrecision(MeanAveragePrecision):
    """Pixel average precision, averaged within a class first (CAP); needs ``labels``."""

    needs = ("labels",)

    def summarise(self, columns: Columns) -> Any:
        """The mean over the classes."""
        return class_average(columns["ap"], columns["labels"])


class PermutationInvariantAveragePrecision(MeanAveragePrecision):
    """Mean average precision under the best assignment within each frame (PIAP).

    Needs ``frames``; all pairs of a frame must come in one update.
    """

    needs = ("frames",)

    def _parts(self, pairs: int, count: int) -> list[slice]:  # noqa: ARG002
        return [slice(0, pairs)]  # a frame must not be torn apart

    def measure(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:
        """Average precision of each pair by the map that is assigned to it; NaN if empty."""
        assert frames is not None  # `needs` says so
        truth = occupied(targets)
        sounding = truth.flatten(1).any(dim=1)
        values = torch.full((len(maps),), torch.nan, dtype=torch.float64, device=maps.device)
        values[sounding] = permutation_invariant_average_precision(
            maps, truth[sounding], frames, frames[sounding]
        )
        return {"ap": values}


class NegativesAveragePrecision(PairMetric):
    """AP over the confidence with silent and off-screen sounds among the pairs (SLAVC).

    Args:
        threshold: From this cIoU on a map is in the right place.
        level: Pixels of this value or more are the prediction.
        stretch: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    measures = ("ciou", "confidence")
    keeps_silent = True

    def __init__(
        self, threshold: float = 0.5, level: float = 0.5, stretch: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(stretch, **kwargs)
        self.threshold = number_of(threshold, "A threshold")
        self.level = number_of(level, "The level of a cut")

    def measure(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:  # noqa: ARG002
        """CIoU and confidence of each pair."""
        overlaps = ciou(maps, targets, self.level)
        return {"ciou": overlaps, "confidence": confidence(maps)}

    def summarise(self, columns: Columns) -> Any:
        """The area under the published precision-recall curve."""
        return negatives_average_precision(
            columns["confidence"], columns["ciou"], columns["sounding"], self.threshold
        )


class NegativesMaxF1(NegativesAveragePrecision):
    """The best F1 over the confidence (SLAVC); arguments as `NegativesAveragePrecision`."""

    def summarise(self, columns: Columns) -> Any:
        """The best F1."""
        return negatives_max_f1(
            columns["confidence"], columns["ciou"], columns["sounding"], self.threshold
        )
