"""What all metrics of (clip, source) pairs share: measured once, summed up at the end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from tvsl.errors import UsageError
from tvsl.metrics.maps import count, foreground, minmax, resize_maps
from tvsl.metrics.validation import Array, flags_of, maps_of, require, targets_of, whole_numbers

Columns = dict[str, Tensor]
"""One value per pair under each name, (P,): measured ones in float64, ``labels`` and ``frames``."""

_NUMBERS = ("labels", "frames", "ids", "sounding")
_PIXELS = 1 << 19  # few enough at a time to stay in a processor's cache

Result = TypeVar("Result", Tensor, dict[str, Tensor])
"""What `compute` gives: a scalar, or one under each of several names."""

UNKNOWN = -1
"""The number of a pair, class or frame that was not given."""


def each_once(columns: Columns) -> Columns:
    """Rows in the order of their ``ids``, each once; as they are where an id is unknown."""
    ids, order = columns["ids"].sort(stable=True)
    if len(ids) == 0 or int(ids[0]) <= UNKNOWN:
        return columns
    new = torch.ones_like(ids, dtype=torch.bool)
    new[1:] = ids[1:] != ids[:-1]
    return {name: column[order[new]] for name, column in columns.items()}


class PairMetric(Metric, Generic[Result]):
    """A metric that scores every pair when it is seen and sums up when asked.

    The scores of all pairs are kept, a few bytes each, and gathered from all processes. So the
    result does not depend on how pairs are spread over batches and processes, and a pair that is
    seen twice, as when a distributed sampler fills up its last batch, counts once if ``ids`` are
    given; then it is also the same bit for bit.

    Args:
        normalize: Whether maps are raw and are to be stretched to [0, 1] each.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    score_names: tuple[str, ...]
    """The columns that `score` gives."""
    needs: tuple[str, ...] = ()
    """Which of ``labels`` and ``frames`` must be given."""
    include_empty: bool = False
    """Whether pairs with an empty target count; else they are left out."""

    def __init__(self, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize
        for name in self._columns():
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def _columns(self) -> tuple[str, ...]:
        return (*self.score_names, *_NUMBERS)

    def reset(self) -> None:
        """Forget all pairs."""
        super().reset()
        for name in self._columns():
            # A process that sees no pair has to send columns of the right type all the same.
            dtype = torch.int64 if name in _NUMBERS else torch.float64
            getattr(self, name).append(torch.empty(0, dtype=dtype, device=self.device))

    def update(
        self,
        maps: Array,
        targets: Array,
        labels: Array | None = None,
        frames: Array | None = None,
        ids: Array | None = None,
        detected: Array | None = None,
    ) -> None:
        """ScoreName some pairs, given as tensors, NumPy arrays or lists.

        Args:
            maps: (P, h, w), floating, of any size: they are brought to the size of the targets.
            targets: (P, H, W), bool or a consensus in [0, 1].
            labels: The class of each pair, (P,) int64.
            frames: The number of each pair's frame in the data set, (P,) int64.
            ids: The number of each pair in the data set, (P,) int64, not negative.
            detected: (P,) bool; with detected labels, a source that was not detected scores 0.

        Raises:
            ShapeError: The shapes or types do not agree, a map is not finite, or labels or frames
                are needed and not given.
        """
        maps, targets = self._pairs_of(maps, targets)
        given = {"labels": labels, "frames": frames, "ids": ids}
        columns: Columns = {name: self._numbers(one, maps, name) for name, one in given.items()}
        columns["sounding"] = count(foreground(targets).flatten(1)) > 0
        of_frames = None if frames is None else columns["frames"]
        measured = self.pair_scores(maps, targets, of_frames)
        if detected is not None:
            taken = flags_of(detected, maps, "detected")
            measured = {name: column * taken for name, column in measured.items()}
        columns |= measured
        for name, column in columns.items():  # only now: an update that fails leaves no trace
            dtype = torch.int64 if name in _NUMBERS else torch.float64
            getattr(self, name).append(column.detach().to(self.device, dtype))

    def _pairs_of(self, maps: Array, targets: Array) -> tuple[Tensor, Tensor]:
        checked = maps_of(maps)
        drawn = targets_of(targets, checked)
        require(
            len(drawn) == len(checked),
            f"There are {len(checked)} maps, but {len(drawn)} targets.",
            "Give one per (clip, source) pair.",
        )
        return checked, drawn

    def _numbers(self, given: Array | None, maps: Tensor, name: str) -> Tensor:
        require(
            given is not None or name not in self.needs,
            f"{type(self).__name__} needs {name}.",
            f"Give the {name} of the pairs.",
        )
        if given is None:
            return torch.full((len(maps),), UNKNOWN, device=maps.device)
        return whole_numbers(given, maps, name)

    def pair_scores(self, maps: Array, targets: Array, frames: Array | None = None) -> Columns:
        """ScoreName pairs without keeping them.

        Args:
            maps: As for `update`.
            targets: As for `update`.
            frames: As for `update`.

        Returns:
            One (P,) float64 tensor for each of ``score_names``.

        Raises:
            ShapeError: The shapes do not agree.
        """
        maps, targets = self._pairs_of(maps, targets)
        frames = None if frames is None else whole_numbers(frames, maps, "frames")
        size = (targets.shape[1], targets.shape[2])
        count = max(1, _PIXELS // (size[0] * size[1]))
        parts = []
        for some in self._parts(len(maps), count):
            full = maps[some]
            full = full if full.shape[1:] == targets.shape[1:] else resize_maps(full, size)
            full = minmax(full) if self.normalize else full
            parts.append(self.score(full, targets[some], None if frames is None else frames[some]))
        return {name: torch.cat([part[name] for part in parts]) for name in self.score_names}

    def _parts(self, pairs: int, count: int) -> list[slice]:
        return [slice(start, start + count) for start in range(0, max(pairs, 1), count)]

    def pairs(self) -> Columns:
        """The scores of all pairs seen by this process, or by all where it is synchronised.

        Returns:
            one (P,) tensor for each score, and ``labels``, ``frames``, ``ids``, ``sounding``; in
            the order of the ids, each once, where all are given.
        """
        columns = {name: dim_zero_cat(getattr(self, name)) for name in self._columns()}
        columns["sounding"] = columns["sounding"].bool()
        return each_once(columns)

    def compute(self) -> Result:
        """Sum up.

        Returns:
            A float64 scalar, or one for each of several names.

        Raises:
            ShapeError: No pair was seen, or none with a target.
        """
        return self.compute_from(self.pairs())

    def compute_from(self, columns: Columns) -> Result:
        """Sum up pairs that were measured before, here or in another run.

        Args:
            columns: As `pairs` gives them; what the metric does not need may be missing.

        Returns:
            As `compute`.

        Raises:
            ShapeError: There is no pair, or none with a target.
            UsageError: A column is missing.
        """
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
        return self.aggregate(columns)

    @abstractmethod
    def score(self, maps: Tensor, targets: Tensor, frames: Tensor | None) -> Columns:
        """Score each pair: maps of the size of their targets, in [0, 1] where stretched."""

    @abstractmethod
    def aggregate(self, columns: Columns) -> Result:
        """Average the scores of all pairs that count."""
