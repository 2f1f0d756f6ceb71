"""Scores of predicted maps against the truth, pair by pair, and the figures made of them."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.config import Counting
from tvsl.evaluation.predict import NO_MAP, Predictions, label_sources, predict
from tvsl.methods.base import Method
from tvsl.metrics import (
    PAPER,
    Bootstrap,
    Figure,
    LabelSource,
    Protocol,
    ProtocolMetric,
    confidence,
    detection_draws,
    detection_mean_average_precision,
    minmax,
    resize_maps,
)
from tvsl.metrics.intervals import Draws, Statistic, mean
from tvsl.metrics.pair_metric import Columns
from tvsl.tokens import Queries

SceneFigure = Figure | Literal["small IoU", "large IoU", "right twin", "detection"]
"""A figure of a protocol, or one that needs the exact truth of made-up scenes."""

NOT_ALWAYS: frozenset[SceneFigure] = frozenset(
    {"small IoU", "large IoU", "right twin", "detection"}
)
"""Figures that need enough sources, twins or a detector."""

Figures = dict[SceneFigure, float]
"""Figures in percent, by name."""

_CHUNK = 128


class Grid(typing.Protocol):
    """Grid of the maps of some items."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns, of all panels."""

    @property
    def panels(self) -> int:
        """Number of frames side by side."""


class Truth(typing.Protocol):
    """Truth of P pairs, as ``EncodedBatch`` has it."""

    @property
    def queries(self) -> Queries:
        """Clip and class of each pair."""

    @property
    def targets(self) -> Tensor:
        """Masks of the sources, (P, H, W)."""

    @property
    def masks(self) -> Tensor | None:
        """Exact outlines where they are known, (P, H, W) bool."""

    @property
    def twins(self) -> Tensor | None:
        """Masks of a silent object of the pair's class where they are known, (P, H, W) bool."""

    @property
    def foreground(self) -> Tensor:
        """Flags of the sources that are anywhere, (P,) bool."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the targets in pixels."""


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of P pairs under one protocol.

    Attributes:
        columns: The protocol's measures in [0, 1]; ``right twin``, whether the map is higher on the
            object than on its silent twin, 0 or 1, NaN for a pair without a twin; ``labels``;
            ``frames``, the number of the clip; ``sounding``, whether the source is anywhere; and
            ``area``, the pixels of its truth. (P,) each.
        protocol: The protocol.
    """

    columns: Columns
    protocol: Protocol = PAPER

    @classmethod
    def joined(cls, parts: Sequence[PairScores]) -> PairScores:
        """The scores of several sets of pairs, whose frames are numbered on."""
        columns, before = [], 0
        for part in parts:
            frames = part.columns["frames"]
            columns.append({**part.columns, "frames": frames + before})
            before += int(frames.max()) + 1 if len(frames) else 0
        return cls(
            {name: torch.cat([one[name] for one in columns]) for name in columns[0]},
            parts[0].protocol,
        )

    def summary(self, several: bool) -> Figures:
        """The protocol's figures in percent, and the mean cIoU of small and of large sources.

        Small and large: the third of the pairs with the smallest truth, and with the largest.

        Args:
            several: Whether clips have several sources, which decides the protocol's figures.

        Returns:
            The figures. Pairs with an empty target count only where the protocol says so.
        """
        metric = ProtocolMetric(self.protocol, several, normalize=False)
        values = metric.compute_from(self.columns)
        figures: Figures = {name: 100 * float(values[name]) for name in metric.names}
        there = self.columns["sounding"]
        overlap, area, twins = (self.columns[one][there] for one in ("ciou", "area", "right twin"))
        small, _, large = overlap[area.argsort(stable=True)].tensor_split(3)
        if len(large):  # three pairs at least
            figures["small IoU"] = 100 * float(small.mean())
            figures["large IoU"] = 100 * float(large.mean())
        twins = twins[~twins.isnan()]
        if len(twins):
            figures["right twin"] = 100 * float(twins.mean())
        return figures

    def draws(self, several: bool) -> dict[SceneFigure, Draws]:
        """The figures of ``summary`` on resamples of the frames, in percent.

        Args:
            several: Whether clips have several sources.
        """
        metric = ProtocolMetric(self.protocol, several, normalize=False)
        frames, there = self.columns["frames"], self.columns["sounding"]
        found = metric.draws({"": self.columns}, frames)[""]
        statistics: dict[SceneFigure, Statistic] = {}
        overlap, area, twins = (self.columns[one][there] for one in ("ciou", "area", "right twin"))
        if len(overlap) >= 3:
            statistics["small IoU"] = _third(overlap, area, largest=False)
            statistics["large IoU"] = _third(overlap, area, largest=True)
        if bool((~twins.isnan()).any()):
            statistics["right twin"] = mean(twins, ~twins.isnan())
        drawn: dict[SceneFigure, Draws] = {name: found[name] for name in metric.names}
        if statistics:
            drawn |= Bootstrap(frames[there]).draw(statistics)
        return {name: 100 * draws for name, draws in drawn.items()}


def _third(values: Tensor, area: Tensor, largest: bool) -> Statistic:
    """Mean over the third of the drawn pairs with the smallest area, or with the largest."""
    order = area.argsort(stable=True).numpy()
    ordered = values.numpy()[order]

    def of(counts: NDArray[np.float64]) -> Draws:
        drawn = counts[:, order]
        running = drawn.cumsum(axis=1)
        total = running[:, -1:]
        size = total // 3 if largest else -(-total // 3)
        reached = running - (total - size) if largest else size - (running - drawn)
        found: Draws = (np.clip(reached, 0, drawn) @ ordered) / size[:, 0]
        return found

    return of


def score_maps(maps: Tensor, batch: Truth, protocol: Protocol = PAPER, step: int = 1) -> PairScores:
    """Score one map for each pair.

    Args:
        maps: Maps after ``Method.postprocess``, (P, h, w), in the order of the batch's queries.
        batch: The clips with their truth.
        protocol: The protocol.
        step: Rows and columns that are scored: every one, every second, ... Published figures need
            all; a choice among a hundred candidates needs fewer.
    """
    measures = _measure(maps, torch.arange(len(maps)), batch, protocol, step)
    return PairScores({**measures, **_truth(batch, step)}, protocol)


def score(
    predictions: Predictions,
    batch: Truth,
    protocol: Protocol = PAPER,
    raw_confidence: bool = False,
) -> dict[LabelSource, PairScores]:
    """Score predictions by label source; a pair whose class was not detected scores 0.

    Args:
        predictions: Predictions for the batch.
        batch: The clips with their truth.
        protocol: The protocol.
        raw_confidence: Whether the measure ``confidence`` is of maps as they are, not of
            normalized ones.
    """
    measures = _measure(predictions.maps, predictions.pairs, batch, protocol)
    if raw_confidence:
        full = resize_maps(predictions.maps, batch.size)
        measures["confidence"] = confidence(full).cpu()
    truth = _truth(batch)
    scores: dict[LabelSource, PairScores] = {}
    for source, rows in predictions.rows.items():
        missing = rows == NO_MAP
        columns = {name: one[rows].masked_fill(missing, 0) for name, one in measures.items()}
        if batch.twins is not None:
            alone = ~batch.twins.flatten(1).any(dim=1)
            columns["right twin"] = columns["right twin"].masked_fill(alone, torch.nan)
        scores[source] = PairScores({**columns, **truth}, protocol)
    return scores


def normalize_maps(maps: Tensor, size: tuple[int, int], step: int = 1) -> Tensor:
    """Maps in full size and in [0, 1], as all protocols score them.

    Args:
        maps: Maps after ``Method.postprocess``, (P, h, w).
        size: Height and width in pixels.
        step: Rows and columns that are wanted, from the first on: every one, every second, ...

    Returns:
        (P, H, W) of the wanted pixels, which reach from 0 to 1. A constant map means all of the
        frame where it is positive, else nothing.
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    resized = resize_maps(maps, size) if step == 1 else _resize_some(maps, size, step)
    return torch.where(low == high, (high > 0).float(), minmax(resized))


def _resize_some(maps: Tensor, size: tuple[int, int], step: int) -> Tensor:
    """Some rows and columns of ``resize_maps``; those in between are not computed."""
    down, across = (
        interpolate(torch.eye(cells, device=maps.device)[None], pixels, mode="linear")[0, :, ::step]
        for cells, pixels in zip(maps.shape[1:], size, strict=True)
    )
    return down.T @ maps @ across


def _measure(
    maps: Tensor, pairs: Tensor, batch: Truth, protocol: Protocol, step: int = 1
) -> Columns:
    """Measures of M maps, each against the target of its pair, (M,) each, on the CPU."""
    metric = ProtocolMetric(protocol, normalize=False)
    seen = (slice(None), slice(None, None, step), slice(None, None, step))
    parts: list[Columns] = []
    for chosen in torch.arange(len(maps)).split(_CHUNK):  # all in full size need much memory
        rows = pairs[chosen]
        targets = batch.targets[rows.to(batch.targets.device)][seen].to(maps.device)
        full = normalize_maps(maps[chosen.to(maps.device)].float(), batch.size, step)
        columns = {name: one.cpu() for name, one in metric.pair_scores(full, targets).items()}
        columns["right twin"] = torch.full((len(rows),), torch.nan, dtype=torch.float64)
        if batch.twins is not None and batch.masks is not None:
            own, other = batch.masks[rows][seen], batch.twins[rows][seen]
            columns["right twin"] = _right_twin(full.cpu(), own, other)
        parts.append(columns)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _right_twin(maps: Tensor, masks: Tensor, twins: Tensor) -> Tensor:
    """1 where the highest value lies on the object and not on its twin, NaN without a twin."""
    right = torch.full((len(maps),), torch.nan, dtype=torch.float64)
    pairs = twins.flatten(1).any(dim=1).nonzero()[:, 0]
    own = maps[pairs].masked_fill(~masks[pairs], -1).amax(dim=(1, 2))
    other = maps[pairs].masked_fill(~twins[pairs], -1).amax(dim=(1, 2))
    right[pairs] = (own > other).double()
    return right


def _truth(batch: Truth, step: int = 1) -> Columns:
    """Columns of each pair that do not depend on its map, (P,) each, on the CPU."""
    targets = batch.targets[:, ::step, ::step] > 0
    area = targets.flatten(1).sum(dim=1).cpu()
    return {
        "labels": batch.queries.label.cpu(),
        "frames": batch.queries.clip.cpu(),
        "sounding": batch.foreground,
        "area": area,
    }


def evaluate_batches(
    method: Method,
    batches: Iterable[EncodedBatch],
    several: bool,
    protocol: Protocol = PAPER,
    sources: Sequence[LabelSource] | None = None,
    counting: Counting = "oracle",
    raw_confidence: bool = False,
) -> dict[LabelSource, Figures]:
    """Figures of a head on labelled clips, by label source.

    Args:
        method: The head, in evaluation mode.
        batches: The clips; every source has a class.
        several: Whether clips have several sources.
        protocol: The protocol.
        sources: Label sources; all that the method has when None.
        counting: Number of detected classes, as for ``predict``.
        raw_confidence: As for ``score``.

    Returns:
        Figures in percent; those with detected labels have ``detection``, the mean average
        precision of the detection scores.
    """
    scores = score_batches(
        method, batches, protocol, sources, counting, raw_confidence=raw_confidence
    )
    return scores.figures(several)


@dataclass(frozen=True, eq=False)
class HeadScores:
    """Scores of a head on labelled clips.

    Attributes:
        pairs: Scores of all pairs, by label source.
        detection: Detection scores and true classes of the clips, (B, N) each; None where nothing
            was detected.
    """

    pairs: dict[LabelSource, PairScores]
    detection: tuple[Tensor, Tensor] | None

    def figures(self, several: bool) -> dict[LabelSource, Figures]:
        """Figures in percent, by label source; ``several``: whether clips have several sources."""
        figures = {source: one.summary(several) for source, one in self.pairs.items()}
        if self.detection is not None:
            precision = detection_mean_average_precision(*self.detection)
            figures["detected"]["detection"] = 100 * float(precision)
        return figures

    def draws(self, several: bool) -> dict[LabelSource, dict[SceneFigure, Draws]]:
        """The same figures on resamples of the clips, the same for all heads."""
        drawn = {source: one.draws(several) for source, one in self.pairs.items()}
        if self.detection is not None:
            scores, labels = self.detection
            bootstrap = Bootstrap(torch.arange(len(scores)))
            found = detection_draws({"": scores}, labels, bootstrap)[""]
            drawn["detected"]["detection"] = 100 * found
        return drawn


def score_batches(
    method: Method,
    batches: Iterable[EncodedBatch],
    protocol: Protocol = PAPER,
    sources: Sequence[LabelSource] | None = None,
    counting: Counting = "oracle",
    raw_confidence: bool = False,
) -> HeadScores:
    """Score a head on labelled clips.

    Args:
        method: The head, in evaluation mode.
        batches: The clips; every source has a class.
        protocol: The protocol.
        sources: Label sources; all that the method has when None.
        counting: Number of detected classes, as for ``predict``.
        raw_confidence: As for ``score``.
    """
    sources = label_sources(method) if sources is None else sources
    parts: dict[LabelSource, list[PairScores]] = {source: [] for source in sources}
    scores, labels = [], []
    for batch in batches:
        predictions = predict(method, batch, sources, counting)
        for source, found in score(predictions, batch, protocol, raw_confidence).items():
            parts[source].append(found)
        if predictions.scores is not None:
            scores.append(predictions.scores)
            labels.append(batch.labels)
    pairs = {source: PairScores.joined(some) for source, some in parts.items()}
    return HeadScores(pairs, (torch.cat(scores), torch.cat(labels)) if scores else None)
