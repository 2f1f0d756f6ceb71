"""Scores of (clip, source) pairs: the base class of their metrics, and averages over groups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from tvsl.errors import UsageError
from tvsl.metrics.intervals import (
    RESAMPLES,
    Bootstrap,
    Draws,
    Interval,
    Name,
    Statistic,
    again,
    centred,
)
from tvsl.metrics.maps import (
    Array,
    check_flags,
    check_integers,
    check_maps,
    check_targets,
    check_values,
    count,
    foreground,
    minmax,
    require,
    resize_maps,
)

Columns = dict[str, Tensor]
"""One value per pair under each name, (P,): scores in float64, ``labels``, ``frames``, ``ids`` in
int64, and ``sounding``."""


Result = TypeVar("Result", Tensor, dict[str, Tensor])
"""Type of `compute`: a scalar, or one under each of several names."""

UNKNOWN = -1
"""The number of a pair, class or frame that was not given."""


class Resampled(NamedTuple):
    """A figure as it is drawn again.

    Attributes:
        statistic: The figure as a function of counts.
        biased: Whether it is no mean, so that its draws must be centred.
    """

    statistic: Statistic
    biased: bool = False


_INTEGERS = ("labels", "frames", "ids", "sounding")
_PIXELS = 1 << 19  # few enough at a time to stay in a processor's cache


def group_mean(values: Array, groups: Array) -> Tensor:
    """Mean of each group.

    With frames as groups and cIoUs as values it is what DSOL and CoarsetoFine decide success on:
    the mean over the sources of a frame.

    Args:
        values: (P,), such as cIoUs.
        groups: The group of each pair, such as its frame, (P,) int64.

    Returns:
        (G,), float64, one for each group that occurs, in the order of their numbers.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.

    Examples:
        >>> group_mean([0.2, 0.4, 0.5], [3, 3, 8]).tolist()
        [0.30000000000000004, 0.5]
    """
    values, place, number = _grouped(values, groups)
    exact = values.double()
    sums = exact.new_zeros(number).index_add_(0, place, exact)
    return torch.div(sums, place.bincount(minlength=number))


def group_minimum(values: Array, groups: Array) -> Tensor:
    """Minimum of each group: a frame succeeds only if all of its sources do.

    With frames as groups and cIoUs as values, `success_rate` of this is IIoU and `success_auc` of
    it IAUC (`finalize_cIoU` and `finalize_IAUC` of SSLalignment).

    Args:
        values: As for `group_mean`.
        groups: As for `group_mean`.

    Returns:
        (G,), in the order of the groups' numbers.

    Raises:
        ShapeError: As for `group_mean`.

    Examples:
        >>> group_minimum([0.2, 0.4, 0.5], [3, 3, 8]).tolist()
        [0.2, 0.5]
    """
    values, place, number = _grouped(values, groups)
    return values.new_full((number,), torch.inf).scatter_reduce(0, place, values, reduce="amin")


def _grouped(values: Array, groups: Array) -> tuple[Tensor, Tensor, int]:
    """Validated values, the place of each one's group among all groups, and their number."""
    values = check_values(values)
    kept, place = check_integers(groups, values, "groups").unique(return_inverse=True)
    return values, place, len(kept)


def class_average(values: Array, labels: Array) -> Tensor:
    """Mean within each class, then over the classes that occur: CAP out of APs (design, Sec. 7).

    Args:
        values: (P,), such as the average precision of each (clip, source) pair.
        labels: The class of each pair, (P,) int64.

    Returns:
        A scalar, float64; frequent classes weigh no more than rare ones.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.

    Examples:
        >>> class_average([1.0, 1.0, 0.5], [0, 0, 1]).item()
        0.75
    """
    return group_mean(values, labels).mean()


def each_once(columns: Columns) -> Columns:
    """Rows in the order of their ``ids``, each once; as they are where an id is unknown."""
    ids, order = columns["ids"].sort(stable=True)
    if len(ids) == 0 or int(ids[0]) <= UNKNOWN:
        return columns
    new = torch.ones_like(ids, dtype=torch.bool)
    new[1:] = ids[1:] != ids[:-1]
    return {name: column[order[new]] for name, column in columns.items()}


def check_pairs(maps: Array, targets: Array) -> tuple[Tensor, Tensor]:
    """Validate maps and their targets, which may be larger.

    Args:
        maps: (P, h, w), floating.
        targets: (P, H, W), bool or a consensus in [0, 1].

    Returns:
        Both as tensors on one device.

    Raises:
        ShapeError: Not maps, not targets, or not as many.
    """
    maps = check_maps(maps)
    targets = check_targets(targets, maps)
    require(
        len(targets) == len(maps),
        f"There are {len(maps)} maps, but {len(targets)} targets.",
        "Give one per (clip, source) pair.",
    )
    return maps, targets


class PlottedMetric(Metric):
    """Base of metrics that torchmetrics plots."""

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Plot a value, or several in their order, as all metrics of torchmetrics do.

        Args:
            val: What `compute` gave, or a list of this; what it gives now when None.
            ax: Axes of matplotlib to draw into; new ones when None.

        Returns:
            Figure and axes.

        Raises:
            UsageError: matplotlib is not installed.
        """
        try:
            return self._plot(val, ax)
        except ModuleNotFoundError as error:
            raise UsageError(
                "matplotlib is not installed.", "Install it: pip install 'tvsl[plot]'."
            ) from error


class PairMetric(PlottedMetric, Generic[Result]):
    """A metric that scores each (clip, source) pair in `update` and aggregates in `compute`.

    The scores of all pairs are kept, a few bytes each, and gathered from all processes. So the
    result does not depend on how pairs are spread over batches and processes, and a pair that is
    seen twice, as when a distributed sampler fills up its last batch, counts once if ``ids`` are
    given; then it is also the same bit for bit.

    Args:
        normalize: Whether maps are raw and are to be normalized to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.

    Class attributes:
        - score_names: The columns that `score` gives.
        - needs: Which of ``labels`` and ``frames`` must be given.
        - include_empty: Whether pairs with an empty target count; else they are left out.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    score_names: tuple[str, ...]
    needs: tuple[str, ...] = ()
    include_empty: bool = False

    def __init__(self, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize
        for name in (*self.score_names, *_INTEGERS):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all pairs."""
        super().reset()
        # A process that sees no pair has to send columns of the right type all the same.
        for name in (*self.score_names, *_INTEGERS):
            self._append(name, torch.empty(0))

    def _append(self, name: str, column: Tensor) -> None:
        dtype = torch.int64 if name in _INTEGERS else torch.float64
        parts: list[Tensor] = getattr(self, name)
        parts.append(column.detach().to(self.device, dtype))
        # Many small tensors break up the memory that maps need. A part is joined to one that is no
        # longer, so that few are left and each value is copied log2(n) times at most.
        while len(parts) > 1 and len(parts[-2]) <= len(parts[-1]):
            parts[-2:] = [torch.cat(parts[-2:])]

    def update(
        self,
        maps: Array,
        targets: Array,
        labels: Array | None = None,
        frames: Array | None = None,
        ids: Array | None = None,
        detected: Array | None = None,
    ) -> None:
        """Score some pairs, given as tensors, NumPy arrays or lists.

        Args:
            maps: (P, h, w), floating, of any size: they are resized to the size of the targets.
            targets: (P, H, W), bool or a consensus in [0, 1].
            labels: The class of each pair, (P,) int64.
            frames: The number of each pair's frame in the data set, (P,) int64.
            ids: The number of each pair in the data set, (P,) int64, not negative.
            detected: (P,) bool; with detected labels, a source that was not detected scores 0.

        Raises:
            ShapeError: The shapes or types do not agree, a map is not finite, or labels or frames
                are needed and not given.
        """
        maps, targets = check_pairs(maps, targets)
        given = {"labels": labels, "frames": frames, "ids": ids}
        columns: Columns = {name: self._integers(one, maps, name) for name, one in given.items()}
        columns["sounding"] = count(foreground(targets).flatten(1)) > 0
        scores = self.pair_scores(maps, targets, None if frames is None else columns["frames"])
        if detected is not None:
            kept = check_flags(detected, maps, "detected")
            scores = {name: column * kept for name, column in scores.items()}
        for name, column in {**columns, **scores}.items():  # an update that fails leaves no trace
            self._append(name, column)

    def _integers(self, given: Array | None, maps: Tensor, name: str) -> Tensor:
        require(
            given is not None or name not in self.needs,
            f"{type(self).__name__} needs {name}.",
            f"Give the {name} of the pairs.",
        )
        if given is None:
            return torch.full((len(maps),), UNKNOWN, device=maps.device)
        return check_integers(given, maps, name)

    def pair_scores(self, maps: Array, targets: Array, frames: Array | None = None) -> Columns:  # noqa: ARG002
        """Score pairs without keeping them.

        Args:
            maps: As for `update`.
            targets: As for `update`.
            frames: As for `update`.

        Returns:
            One (P,) float64 tensor for each of ``score_names``.

        Raises:
            ShapeError: The shapes do not agree.
        """
        maps, targets = check_pairs(maps, targets)
        number = max(1, _PIXELS // targets[:1].numel()) if len(targets) else 1
        chunks = zip(maps.split(number), targets.split(number), strict=True)
        scores = [self.score(self.prepare(some, truth), truth) for some, truth in chunks]
        return {name: torch.cat([chunk[name] for chunk in scores]) for name in self.score_names}

    def prepare(self, maps: Tensor, targets: Tensor) -> Tensor:
        """Maps as `score` takes them.

        Args:
            maps: (P, h, w).
            targets: (P, H, W).

        Returns:
            (P, H, W), normalized to [0, 1] if the metric says so.
        """
        if maps.shape[1:] != targets.shape[1:]:
            maps = resize_maps(maps, (targets.shape[1], targets.shape[2]))
        return minmax(maps) if self.normalize else maps

    def pairs(self) -> Columns:
        """Scores of all pairs seen by this process, or by all where it is synchronised.

        Returns:
            One (P,) tensor for each score, and ``labels``, ``frames``, ``ids``, ``sounding``; in
            the order of the ids, each once, where all are given.
        """
        names = (*self.score_names, *_INTEGERS)
        columns = {name: dim_zero_cat(getattr(self, name)) for name in names}
        columns["sounding"] = columns["sounding"].bool()
        return each_once(columns)

    def compute(self) -> Result:
        """Aggregate the scores of all pairs.

        Returns:
            A float64 scalar, or one under each of several names.

        Raises:
            ShapeError: No pair was seen, or none with a target.
        """
        return self.compute_from(self.pairs())

    def compute_from(self, columns: Columns) -> Result:
        """Aggregate pairs that were scored before, here or in another run.

        Args:
            columns: As `pairs` gives them; what the metric does not need may be missing.

        Raises:
            ShapeError: There is no pair, or none with a target.
            UsageError: A column is missing.
        """
        return self.aggregate(self._counted(columns))

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
        """95 % intervals of what `compute` gives, by a bootstrap over frames.

        Args:
            resamples: Number of resamples.
            seed: Seed of their draws.

        Returns:
            The interval of each figure by its name; of a metric with a single one, by the name of
            its class. Pairs of one frame are drawn together if ``frames`` were given.

        Raises:
            ShapeError: As for `compute`.
        """
        columns = self.pairs()
        frames = columns["frames"]
        known = bool((frames > UNKNOWN).all())
        clusters = frames if known else torch.arange(len(frames))
        ((_, drawn),) = self.draws({"": columns}, clusters, resamples, seed).items()
        return {name: Interval.of(draws) for name, draws in drawn.items()}

    def draws(
        self,
        rows: Mapping[Name, Columns],
        clusters: Tensor,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> dict[Name, dict[str, Draws]]:
        """Figures of resamples of pairs that were scored before; the same for all methods.

        Args:
            rows: Columns as `pairs` gives them of each method, on the same pairs.
            clusters: What is drawn together, such as the number of each pair's item, (P,).
            resamples: Number of resamples.
            seed: Seed of their draws.

        Raises:
            ShapeError: There is no pair, or none with a target.
            UsageError: A column is missing.
        """
        counted = {name: self._counted(columns) for name, columns in rows.items()}
        statistics: dict[tuple[Name, str], Resampled] = {
            (name, figure): resampled
            for name, columns in counted.items()
            for figure, resampled in self.statistics(columns).items()
        }
        first = next(iter(rows.values()))
        kept = clusters if self.include_empty else clusters[first["sounding"].to(clusters.device)]
        bootstrap = Bootstrap(kept, resamples, seed)
        found = bootstrap.draw({key: one.statistic for key, one in statistics.items()})
        drawn: dict[Name, dict[str, Draws]] = {name: {} for name in rows}
        for name, columns in counted.items():
            values = self._named(columns)
            for figure in values:
                draws = found[name, figure]
                biased = statistics[name, figure].biased
                drawn[name][figure] = centred(draws, values[figure]) if biased else draws
        return drawn

    def statistics(self, columns: Columns) -> dict[str, Resampled]:
        """Figures of the pairs that count, as they are drawn again, in the quickest way."""

        def figure(name: str) -> Statistic:
            return again(lambda some: self._named(some)[name], columns)

        return {name: Resampled(figure(name), biased=True) for name in self._named(columns)}

    def _named(self, columns: Columns) -> dict[str, float]:
        """The figures of pairs that count, by their names."""
        found = self.aggregate(columns)
        named = found if isinstance(found, dict) else {type(self).__name__: found}
        return {name: float(value) for name, value in named.items()}

    def _counted(self, columns: Columns) -> Columns:
        """The pairs that count, at least one."""
        wanted = ("sounding", *self.score_names, *self.needs)
        missing = [name for name in wanted if name not in columns]
        if missing:
            raise UsageError(
                f"{type(self).__name__} needs the columns {', '.join(missing)}.",
                "Give what `pairs` of a metric of this kind gives.",
            )
        if not self.include_empty:
            sounding = columns["sounding"]
            columns = {name: column[sounding] for name, column in columns.items()}
        seen = len(columns["sounding"])
        require(seen > 0, "No pair was seen.", "Score at least one with a target.")
        return columns

    @abstractmethod
    def score(self, maps: Tensor, targets: Tensor) -> Columns:
        """Score each pair.

        Args:
            maps: (P, H, W), as `prepare` leaves them.
            targets: (P, H, W).

        Returns:
            One (P,) float64 tensor for each of ``score_names``.
        """

    @abstractmethod
    def aggregate(self, columns: Columns) -> Result:
        """Aggregate the scores of the pairs that count.

        Args:
            columns: As `pairs` gives them, without those left out; at least one pair.
        """
