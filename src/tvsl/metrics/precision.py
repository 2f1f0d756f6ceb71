"""Average precision: of pixels within a map, of clips within a class, and under an assignment.

AP = Σ_n (R_n - R_{n-1}) P_n over the distinct scores, highest first: scikit-learn's
`average_precision_score`, equal scores taken together. A scalar per positive says the same: AP is
the mean, over the positives, of the precision at the positive's own score. So one sort is enough,
and all that follows it concerns the positives alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from tvsl.errors import UsageError
from tvsl.metrics.intervals import (
    RESAMPLES,
    Bootstrap,
    Draws,
    Interval,
    Name,
    centred,
    detection_precision,
)
from tvsl.metrics.maps import (
    Array,
    as_tensor,
    check_bool,
    check_integers,
    check_maps,
    check_same_shape,
    check_targets,
    foreground,
    require,
)
from tvsl.metrics.pair_metric import (
    UNKNOWN,
    Columns,
    PairMetric,
    PlottedMetric,
    check_pairs,
    class_average,
    each_once,
)

UNASSIGNED = -1
"""Assignment of a source that is left without a map."""

_GPU_PIXELS = 1 << 26  # at a time
_ROW_BITS = 35  # keys lie within ±2^33
_MAPS_AT_A_TIME = 64


def average_precision(maps: Array, targets: Array) -> Tensor:
    """Pixel average precision of each map (AP and CAP of the tables).

    Args:
        maps: (P, H, W), floating; only their order counts.
        targets: (P, H, W) bool.

    Returns:
        (P,) in [0, 1], float64; NaN where a target is empty, since nothing can be recalled there.

    Raises:
        ShapeError: The shapes differ, targets are not bool, or a value is not finite.

    Examples:
        >>> average_precision([[[0.9, 0.5, 0.6, 0.0]]], [[[True, True, False, False]]]).item()
        0.8333333333333333
    """
    maps = check_maps(maps, finite=False)
    targets = check_bool(check_targets(targets, maps))
    check_same_shape(maps, targets)
    return _of_rows(maps.detach().flatten(1), targets.flatten(1))


def _of_rows(scores: Tensor, truth: Tensor) -> Tensor:
    """AP of every row of (R, N); NaN where no column is true."""
    if scores.element_size() < 4:
        scores = scores.float()
    if scores.device.type == "cpu":
        return _one_by_one(scores, truth)
    count = max(1, _GPU_PIXELS // scores.shape[1])
    parts = zip(scores.split(count), truth.split(count), strict=True)
    return torch.cat([_all_at_once(*part) for part in parts])


def _check_finite(low: float, high: float) -> None:
    require(
        math.isfinite(low) and math.isfinite(high),
        "A score is not finite.",
        "Look for an overflow where the maps are made.",
    )


def _one_by_one(scores: Tensor, truth: Tensor) -> Tensor:
    """AP of every row by NumPy, whose sort is many times as fast as torch's on CPUs."""
    rows = zip(scores.numpy(), truth.numpy(), strict=True)
    return torch.tensor([_of_row(*row) for row in rows], dtype=torch.float64)


def _of_row(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """AP of one row, (N,)."""
    positives = np.count_nonzero(truth)
    keys = _keys(scores)  # integers, so that the truth can be their last bit
    if positives == 0:
        return np.nan
    keys |= truth
    # Negatives below every positive are never predicted: in a good map, most of it.
    line = keys[keys >= keys[truth].min() - 1]
    line.sort()
    place = np.flatnonzero((line.astype(np.uint8) & 1).view(np.bool_))
    key = line[place]
    # Equal positives stand together; the first of them speaks for all.
    begins = np.ones(positives + 1, dtype=np.bool_)
    begins[1:-1] = key[1:] != key[:-1]
    bounds = np.flatnonzero(begins)
    rank = bounds[:-1]
    if len(rank) < positives:
        place, key = place[rank], key[rank]
    # Negatives of the same score stand just before: all from the first of them on are predicted.
    # (Before place 0 comes the last one, which is no smaller.)
    tied = np.flatnonzero(line[place - 1] == key - 1)
    place[tied] = np.searchsorted(line, key[tied] - 1)
    precision = (positives - rank) / (len(line) - place)
    return float((precision * np.diff(bounds)).sum()) / positives  # no BLAS, no threads


def _keys(scores: NDArray[Any]) -> NDArray[Any]:
    """Even integers in the order of the scores, whose last bit is free."""
    low, high = float(scores.min()), float(scores.max())
    _check_finite(low, high)
    if scores.dtype == np.float64:  # its bits leave no room
        return 2 * np.unique(scores, return_inverse=True)[1]
    # The bits of a float are in the order of its value; adding 0 makes -0 a 0.
    bits = (scores + np.float32(0)).view(np.int32)
    if low >= 0 and high < 2:  # so that int32 is wide enough
        bits <<= 1
        return bits
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64) << 1


def _all_at_once(scores: Tensor, truth: Tensor) -> Tensor:
    """AP of every row by torch: `_of_row`, many rows at a time, for GPUs."""
    rows, columns = scores.shape
    if rows:
        low, high = scores.aminmax()
        _check_finite(float(low), float(high))
    if scores.dtype == torch.float64:
        order = scores.unique(return_inverse=True)[1]
    else:
        bits = (scores + 0.0).view(torch.int32)
        order = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
    # With the row as the highest digit all rows together are one sorted line.
    digit = torch.arange(rows, device=scores.device)[:, None] << _ROW_BITS
    line = (order.mul_(2).add_(truth).sort(dim=1).values + digit).flatten()
    place = (line & 1).nonzero()[:, 0]
    positives = (place // columns).bincount(minlength=rows)
    key = line[place]
    begins = torch.ones_like(key, dtype=torch.bool)
    begins[1:] = key[1:] != key[:-1]
    rank = begins.nonzero()[:, 0]
    place, key = place[rank], key[rank]
    row = place // columns
    tied = (line[(place - 1).clamp(min=0)] == key - 1).nonzero()[:, 0]
    place[tied] = torch.searchsorted(line, key[tied] - 1)
    precision = (positives.cumsum(0)[row] - rank).double() / ((row + 1) * columns - place)
    gained = torch.diff(rank, append=positives.sum()[None])
    total = precision.new_zeros(rows).index_add_(0, row, precision * gained)
    result: Tensor = total / positives
    return result


def detection_mean_average_precision(scores: Array, labels: Array) -> Tensor:
    """Mean average precision of the detected classes (Sec. 3.2): AP over clips, mean over classes.

    Args:
        scores: (B, N), floating, higher = more likely heard and seen.
        labels: (B, N) bool, the true classes.

    Returns:
        A scalar in [0, 1], float64: the mean over the classes that occur in any clip.

    Raises:
        ShapeError: The shapes differ, labels are not bool, no class occurs, or a score is not
            finite.

    Examples:
        >>> scores, labels = [[0.9], [0.1], [0.5]], [[True], [True], [False]]
        >>> detection_mean_average_precision(scores, labels).item()
        0.8333333333333333
    """
    scores, labels = as_tensor(scores, "Scores"), as_tensor(labels, "Labels")
    require(
        scores.ndim == 2 and scores.shape == labels.shape and scores.is_floating_point(),
        f"Scores and labels must share one shape (B, N), got {tuple(scores.shape)} {scores.dtype} "
        f"and {tuple(labels.shape)}.",
        "Give one row per clip and one column per class.",
    )
    labels = check_bool(labels, scores, "Labels")
    occurs = labels.any(dim=0)
    require(bool(occurs.any()), "No clip has a label.", "Give at least one true class.")
    rows, truth = scores.detach()[:, occurs].T.contiguous(), labels[:, occurs].T.contiguous()
    return _of_rows(rows, truth).mean()


def best_assignment(scores: Array) -> Tensor:
    """Assign maps to the sources of their frame, one to one, for the highest sum of scores.

    Args:
        scores: How well each map fits each source, (P, M).

    Returns:
        The map of each source, (P,) int64 on the CPU; `UNASSIGNED` where there are fewer maps than
        sources and it was left without.

    Raises:
        ShapeError: Not a table of numbers, or one is not finite.

    Examples:
        >>> best_assignment([[0.9, 0.8], [0.7, 0.1]]).tolist()
        [1, 0]
    """
    table = as_tensor(scores, "Scores").detach().cpu().double()
    require(
        table.ndim == 2 and bool(table.isfinite().all()),
        f"Scores must be finite and (P, M), got {tuple(table.shape)}.",
        "Give how well each map fits each source.",
    )
    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    assigned = torch.full((len(table),), UNASSIGNED, dtype=torch.int64)
    assigned[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return assigned


def permutation_invariant_average_precision(
    maps: Array, targets: Array, map_frames: Array, target_frames: Array
) -> Tensor:
    """PIAP of each source: AP under the assignment that is best for its frame.

    Mix-and-Localize's nodes have no names, so each frame's maps are assigned to its sources, one to
    one, for the highest sum of pixel average precisions (its author, issue 3 of the repository).

    Args:
        maps: (M, H, W), floating, any number per frame.
        targets: (P, H, W) bool, any number per frame.
        map_frames: The frame of each map, (M,) int64.
        target_frames: The frame of each target, (P,) int64.

    Returns:
        (P,) in [0, 1], float64; 0 for a source that was left without a map.

    Raises:
        ShapeError: The shapes do not agree, or a target is empty.

    Examples:
        >>> maps, targets = [[[0.1, 0.9]], [[0.8, 0.2]]], [[[True, False]], [[False, True]]]
        >>> permutation_invariant_average_precision(maps, targets, [0, 0], [0, 0]).tolist()
        [1.0, 1.0]
    """
    maps = check_maps(maps)
    targets = check_bool(check_targets(targets, maps))
    map_frames = check_integers(map_frames, maps, "frames of maps")
    target_frames = check_integers(target_frames, targets, "frames of targets")
    require(
        maps.shape[1:] == targets.shape[1:],
        f"Maps {tuple(maps.shape)} and targets {tuple(targets.shape)} do not agree.",
        "Give maps and targets of one size.",
    )
    require(
        bool(targets.flatten(1).any(dim=1).all()),
        "A target is empty.",
        "Leave out the pairs whose target is empty, and count them.",
    )
    source, candidate = (target_frames[:, None] == map_frames).nonzero(as_tuple=True)
    table = torch.zeros(len(targets), len(maps), dtype=torch.float64)
    for some in torch.arange(len(source), device=maps.device).split(_MAPS_AT_A_TIME):
        scores = average_precision(maps[candidate[some]], targets[source[some]])
        table[source[some].cpu(), candidate[some].cpu()] = scores.cpu().double()
    map_frames, target_frames = map_frames.cpu(), target_frames.cpu()
    result = torch.zeros(len(targets), dtype=torch.float64)
    for frame in target_frames.unique():
        rows = (target_frames == frame).nonzero()[:, 0]
        of_frame = table[rows][:, map_frames == frame]
        assigned = best_assignment(of_frame)
        mapped = assigned != UNASSIGNED
        result[rows[mapped]] = of_frame[mapped, assigned[mapped]]
    return result.to(maps.device)


def detection_draws(
    detections: Mapping[Name, Array], labels: Array, bootstrap: Bootstrap
) -> dict[Name, Draws]:
    """Detection mAP of resamples of the clips, for several methods.

    Args:
        detections: Scores of each method, (B, N).
        labels: (B, N) bool, the true classes.
        bootstrap: Resamples of the B clips.

    Returns:
        The draws of each method, centred.
    """
    statistics = {name: detection_precision(one, labels) for name, one in detections.items()}
    return {
        name: centred(draws, float(detection_mean_average_precision(detections[name], labels)))
        for name, draws in bootstrap.draw(statistics).items()
    }


class MeanAveragePrecision(PairMetric[Tensor]):
    """Mean pixel average precision (AP of the tables); targets are cut at > 0.

    Args:
        normalize: Whether maps are raw and are to be normalized to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Examples:
        >>> metric = MeanAveragePrecision()
        >>> metric.update([[[0.9, 0.5, 0.6, 0.0]]], [[[True, True, False, False]]])
        >>> metric.compute().item()
        0.8333333333333333
    """

    score_names = ("ap",)

    def score(self, maps: Tensor, targets: Tensor) -> Columns:
        """Average precision of each pair; see the base class."""
        return {"ap": average_precision(maps, foreground(targets))}

    def aggregate(self, columns: Columns) -> Tensor:
        """Mean of the pairs."""
        return columns["ap"].mean()


class ClassAwareAveragePrecision(MeanAveragePrecision):
    """Pixel average precision, averaged within a class first (CAP); needs ``labels``.

    Examples:
        >>> metric = ClassAwareAveragePrecision()
        >>> metric.update([[[0.9, 0.5]], [[0.1, 0.2]]], [[[True, False]]] * 2, labels=[0, 1])
        >>> metric.compute().item()
        0.75
    """

    needs = ("labels",)

    def aggregate(self, columns: Columns) -> Tensor:
        """Mean over the classes."""
        return class_average(columns["ap"], columns["labels"])


class PermutationInvariantAveragePrecision(MeanAveragePrecision):
    """Mean average precision under the best assignment within each frame (PIAP).

    Needs ``frames``; all pairs of a frame must come in one update.

    Examples:
        >>> metric = PermutationInvariantAveragePrecision()
        >>> maps, targets = [[[0.1, 0.9]], [[0.8, 0.2]]], [[[True, False]], [[False, True]]]
        >>> metric.update(maps, targets, frames=[0, 0])
        >>> metric.compute().item()
        1.0
    """

    needs = ("frames",)

    def pair_scores(self, maps: Array, targets: Array, frames: Array | None = None) -> Columns:
        """Average precision of each pair by the map that is assigned to it; NaN if empty.

        ``frames`` must be given; see the base class.
        """
        maps, targets = check_pairs(maps, targets)
        frames = self._integers(frames, maps, "frames")
        truth = foreground(targets)
        sounding = truth.flatten(1).any(dim=1)
        values = torch.full((len(maps),), torch.nan, dtype=torch.float64, device=maps.device)
        values[sounding] = permutation_invariant_average_precision(
            self.prepare(maps, targets), truth[sounding], frames, frames[sounding]
        )
        return {"ap": values}


class DetectionMeanAveragePrecision(PlottedMetric):
    """Mean over classes of AP over clips: `detection_mean_average_precision` of all batches.

    Args:
        classes: N, the number of classes.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no class.

    Examples:
        >>> metric = DetectionMeanAveragePrecision(1)
        >>> metric.update([[0.9], [0.1], [0.5]], [[True], [True], [False]])
        >>> round(metric.compute().item(), 4)
        0.8333
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    scores: list[Tensor]
    labels: list[Tensor]
    ids: list[Tensor]

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(classes, int) or classes < 1:
            raise UsageError(f"There cannot be {classes!r} classes.", "Give a number from 1 on.")
        self.classes = classes
        for name in ("scores", "labels", "ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all clips."""
        super().reset()
        # A process that sees no clip has to send tables of the right shape all the same.
        self.scores.append(torch.empty(0, self.classes, device=self.device))
        self.labels.append(torch.empty(0, self.classes, device=self.device, dtype=torch.uint8))
        self.ids.append(torch.empty(0, device=self.device, dtype=torch.int64))

    def update(self, scores: Array, labels: Array, ids: Array | None = None) -> None:
        """Keep some clips, given as tensors, NumPy arrays or lists.

        Args:
            scores: (B, N), higher = more likely heard and seen.
            labels: (B, N) bool, the true classes.
            ids: The number of each clip in the data set, (B,) int64, not negative; a clip that is
                seen twice counts once.

        Raises:
            ShapeError: The shapes or types differ from this, or a score is not finite.
        """
        scores, labels = as_tensor(scores, "Scores"), as_tensor(labels, "Labels")
        require(
            scores.ndim == 2 and scores.shape == labels.shape and scores.shape[1] == self.classes,
            f"Scores and labels must be (B, {self.classes}), got {tuple(scores.shape)} and "
            f"{tuple(labels.shape)}.",
            "Give one row per clip and one column per class.",
        )
        require(
            scores.is_floating_point() and bool(scores.isfinite().all()),
            f"Scores must be floating and finite, got {scores.dtype}.",
            "Look for an overflow where the scores are made.",
        )
        labels = check_bool(labels, name="Labels")
        if ids is None:
            ids = torch.full((len(scores),), UNKNOWN)
        self.ids.append(check_integers(ids, scores, "ids").to(self.device))
        self.scores.append(scores.detach().to(self.device, torch.float32))
        self.labels.append(labels.to(self.device, torch.uint8))

    def compute(self) -> Tensor:
        """Mean over the classes that occur, a float64 scalar.

        Raises:
            ShapeError: No clip has a label.
        """
        clips = self._clips()
        return detection_mean_average_precision(clips["scores"], clips["labels"].bool())

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
        """95 % interval of what `compute` gives, by the name of this class.

        Args:
            resamples: Number of resamples of the clips.
            seed: Seed of their draws.

        Raises:
            ShapeError: As for `compute`.
        """
        clips = self._clips()
        bootstrap = Bootstrap(torch.arange(len(clips["ids"])), resamples, seed)
        drawn = detection_draws({"": clips["scores"]}, clips["labels"].bool(), bootstrap)[""]
        return {type(self).__name__: Interval.of(drawn)}

    def _clips(self) -> Columns:
        """All clips, each once."""
        return each_once(
            {name: dim_zero_cat(getattr(self, name)) for name in ("scores", "labels", "ids")}
        )
