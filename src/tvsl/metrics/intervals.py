"""Intervals of figures: a bootstrap in which what belongs together is drawn together.

A figure is measured on items that were drawn by chance; others would have given another number.
The percentile bootstrap (Efron, 1979) draws as many items again with replacement, many times, and
gives the figure of each resample: 95 % of them lie in the interval. Sources of one mixture are one
cluster and are drawn together, since what one of them gets says something about the others.

A resample is a row of counts, how often each pair was drawn. Means need one matrix product for all
resamples; figures that are no means are computed again on each, and centred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.errors import UsageError
from tvsl.metrics.maps import Array, as_tensor, require

RESAMPLES = 1000
LEVEL = 0.95
FEW_ITEMS = 50
"""Below so many items an interval is itself a rough estimate, and is said to be one."""

_BLOCK = 1 << 22  # counts at a time

Draws = NDArray[np.float64]
"""A figure of each of the R resamples, (R,); NaN where a resample has nothing to be counted."""

Statistic = Callable[[NDArray[np.float64]], Draws]
"""A figure as a function of counts, how often each row was drawn in each resample, (r, P) to
(r,)."""

Verdict = Literal["better", "worse", "no difference"]

Name = TypeVar("Name")


@dataclass(frozen=True)
class Interval:
    """Range that holds 95 % of the resamples.

    Attributes:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float

    @classmethod
    def of(cls, draws: Draws) -> Interval:
        """The interval of a figure from its resamples; those that are not a number do not count."""
        if bool(np.isnan(draws).all()):
            return cls(float("nan"), float("nan"))
        low, high = np.nanpercentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
        return cls(float(low), float(high))

    def holds(self, value: float) -> bool:
        """Tell whether a value is in it."""
        return self.low <= value <= self.high

    def times(self, factor: float) -> Interval:
        """The interval of a figure that is so many times as large, as percent of a share."""
        return Interval(factor * self.low, factor * self.high)

    def text(self, digits: int = 1) -> str:
        """The ends in words, such as ``52.1 to 62.6``."""
        return f"{self.low:.{digits}f} to {self.high:.{digits}f}"


def verdict(difference: Interval, low_is_good: bool = False) -> Verdict:
    """Verdict of the interval of a difference on the first of two.

    Args:
        difference: Interval of the first's figure minus the second's.
        low_is_good: Whether lower is better.

    Returns:
        ``no difference`` where the interval holds 0, or is not known.

    Examples:
        >>> verdict(Interval(0.1, 2.0)), verdict(Interval(-1.0, 2.0))
        ('better', 'no difference')
    """
    if difference.low > 0:
        return "worse" if low_is_good else "better"
    if difference.high < 0:
        return "better" if low_is_good else "worse"
    return "no difference"


class Bootstrap:
    """Resamples of P rows with replacement, whole clusters at a time.

    The same seed draws the same resamples of as many clusters: figures of two methods on the same
    items are paired, resample by resample.

    Args:
        clusters: The cluster of each row, (P,) whole numbers, such as the number of its item.
        resamples: R, the number of resamples.
        seed: Seed of the draws.

    Raises:
        ShapeError: There is no row.
        UsageError: There cannot be so many resamples.

    Examples:
        >>> bootstrap = Bootstrap([0, 0, 1, 2], resamples=500)
        >>> draws = bootstrap.draw({"mean": mean([0.1, 0.3, 0.5, 0.9])})["mean"]
        >>> Interval.of(draws).holds(0.45)
        True
    """

    def __init__(self, clusters: Array, resamples: int = RESAMPLES, seed: int = 0) -> None:
        numbers = as_tensor(clusters, "Clusters")
        require(
            numbers.ndim == 1 and len(numbers) > 0 and not numbers.is_floating_point(),
            f"Clusters must be whole numbers (P,), got {tuple(numbers.shape)} {numbers.dtype}.",
            "Give the number of each pair's item.",
        )
        if not isinstance(resamples, int) or resamples < 1:
            raise UsageError(f"There cannot be {resamples!r} resamples.", "Give 1 or more.")
        kept, self._place = np.unique(numbers.cpu().numpy(), return_inverse=True)
        self.clusters = len(kept)
        self.resamples = resamples
        self.seed = seed

    def draw(self, statistics: Mapping[Name, Statistic]) -> dict[Name, Draws]:
        """R figures of all resamples, for each statistic."""
        parts: dict[Name, list[Draws]] = {name: [] for name in statistics}
        for counts in self._counts():
            rows = counts[:, self._place]
            with np.errstate(divide="ignore", invalid="ignore"):  # nothing to be counted: NaN
                for name, statistic in statistics.items():
                    parts[name].append(statistic(rows))
        return {name: np.concatenate(some) for name, some in parts.items()}

    def _counts(self) -> Iterator[NDArray[np.float64]]:
        """Counts of the draws of each cluster, (r, C), some resamples at a time."""
        generator = np.random.default_rng(self.seed)
        at_once = max(1, _BLOCK // max(self.clusters, len(self._place)))
        for start in range(0, self.resamples, at_once):
            number = min(at_once, self.resamples - start)
            drawn = generator.integers(self.clusters, size=(number, self.clusters))
            drawn += np.arange(number)[:, None] * self.clusters
            counts = np.bincount(drawn.ravel(), minlength=number * self.clusters)
            yield counts.reshape(number, self.clusters).astype(np.float64)


def _array(values: Array) -> NDArray[np.float64]:
    return as_tensor(values, "Values").detach().cpu().double().numpy()


def mean(values: Array, kept: Array | None = None) -> Statistic:
    """The mean of a value over rows.

    Args:
        values: (P,); what is not kept may be anything.
        kept: The rows that count, (P,) bool; all of them when None.
    """
    given = _array(values)
    rows = np.arange(len(given)) if kept is None else np.flatnonzero(_array(kept))

    def of(counts: NDArray[np.float64]) -> Draws:
        chosen = counts if kept is None else counts[:, rows]
        found: Draws = (chosen @ given[rows]) / chosen.sum(axis=1)
        return found

    return of


def class_mean(values: Array, labels: Array) -> Statistic:
    """The mean within each class, then over the classes that a resample has: CAP.

    Args:
        values: (P,).
        labels: The class of each row, (P,) whole numbers.
    """
    given, (_, place) = _array(values), np.unique(_array(labels), return_inverse=True)
    members = np.zeros((len(given), int(place.max()) + 1))
    members[np.arange(len(given)), place] = 1

    def of(counts: NDArray[np.float64]) -> Draws:
        number = counts @ members
        means = (counts @ (members * given[:, None])) / number
        found: Draws = np.where(number > 0, means, 0).sum(axis=1) / (number > 0).sum(axis=1)
        return found

    return of


def detection_precision(scores: Array, labels: Array) -> Statistic:
    """Mean over classes of average precision over clips: the detection mAP.

    Precision at a positive's own score is the share of positives among all clips of that score or
    more, each as often as it was drawn; a class counts in a resample where it has a positive.

    Args:
        scores: (B, N), higher = more likely heard and seen.
        labels: (B, N) bool, the true classes.
    """
    scored, truth = _array(scores), _array(labels) > 0

    def of(counts: NDArray[np.float64]) -> Draws:
        total, classes = np.zeros(len(counts)), np.zeros(len(counts))
        for column in np.flatnonzero(truth.any(axis=0)):
            there = np.flatnonzero(truth[:, column])
            reached = (scored[:, column][:, None] >= scored[there, column]).astype(np.float64)
            weights = counts[:, there]
            precision = (weights @ reached[there]) / (counts @ reached)
            number = weights.sum(axis=1)
            found = np.where(weights > 0, weights * precision, 0).sum(axis=1) / number
            total += np.where(number > 0, found, 0)
            classes += number > 0
        return total / classes

    return of


def ratio(parts: Array, wholes: Array) -> Statistic:
    """The quotient of two sums over rows, such as the precision of the classes taken.

    Args:
        parts: (P,).
        wholes: (P,).
    """
    above, below = _array(parts), _array(wholes)
    return lambda counts: (counts @ above) / (counts @ below)


def again(
    function: Callable[[dict[str, Tensor]], float], columns: Mapping[str, Tensor]
) -> Statistic:
    """A figure that is no mean: it is computed once more on each resample.

    Args:
        function: Makes the figure of columns.
        columns: (P,) each. Frames that are drawn twice are two frames, and ids are left out.
    """
    fixed = {name: column for name, column in columns.items() if name != "ids"}

    def of_one(counts: NDArray[np.float64]) -> float:
        times = torch.from_numpy(counts.astype(np.int64))
        rows = torch.arange(len(times)).repeat_interleave(times)
        if not len(rows):
            return float("nan")
        drawn = {name: column[rows] for name, column in fixed.items()}
        if "frames" in drawn:
            first = times.cumsum(0) - times
            copy = torch.arange(len(rows)) - first[rows]
            frames = drawn["frames"]
            drawn["frames"] = frames + copy * (int(frames.max()) + 1)
        return function(drawn)

    return lambda counts: np.array([of_one(one) for one in counts])


def centred(draws: Draws, value: float) -> Draws:
    """Draws of a figure that is no mean, without the bias that drawing items twice brings.

    A clip and its copy stand side by side in every ranking, so that an average precision is higher
    on resamples than on as many new clips. By how much, the resamples tell: their mean against the
    figure itself.

    Args:
        draws: The figure of each resample, in [0, 1].
        value: The figure itself.

    Returns:
        The draws around the figure, in [0, 1].
    """
    if bool(np.isnan(draws).all()):
        return draws
    shifted: Draws = (draws - (np.nanmean(draws) - value)).clip(0, 1)
    return shifted


def over_runs(draws: NDArray[np.float64], seed: int = 0) -> Draws:
    """The mean over several runs of one method, drawn again as well.

    Runs differ by their seeds as items differ by chance: each resample also draws the runs with
    replacement. A draw of H runs varies less than H new ones would, by (H - 1) / H; its deviation
    is stretched by the root of it.

    Args:
        draws: A figure of H runs on the same resamples, (H, R).
        seed: Seed of the runs that are drawn; that of another method's must be another.

    Returns:
        (R,); of one run its own draws.
    """
    runs, resamples = draws.shape
    average: Draws = draws.mean(axis=0)
    if runs == 1:
        return average
    drawn = np.random.default_rng((seed, runs)).integers(runs, size=(runs, resamples))
    chosen: Draws = np.take_along_axis(draws, drawn, axis=0).mean(axis=0)
    stretched: Draws = average + np.sqrt(runs / (runs - 1)) * (chosen - average)
    return stretched
