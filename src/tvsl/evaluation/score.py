"""Scores of predicted maps against the truth, pair by pair, and the figures made of them.

``PairScores`` are of one batch or of a head's validation clips, ``PairResults`` of all pairs of a
data set in its order; a ``Scorer`` has what is scored, and by which protocols.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.evaluation.batch import EncodedBatch, IndexedDataset, Truth
from tvsl.evaluation.predict import (
    NO_MAP,
    Counting,
    EvaluationConfig,
    Predictions,
    label_sources,
    predict,
)
from tvsl.evaluation.result_cache import BatchResult, Detected
from tvsl.methods.base import Centre, Method, Noise, Trivial, WholeFrame
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
    resize_maps,
)
from tvsl.metrics.intervals import Draws, Statistic, mean, ratio
from tvsl.metrics.maps import normalize_maps
from tvsl.metrics.pair_metric import Columns

SceneFigure = Figure | Literal["small IoU", "large IoU", "right twin", "detection"]
"""A figure of a protocol, or one that needs the exact truth of made-up scenes."""

NOT_ALWAYS: frozenset[SceneFigure] = frozenset(
    {"small IoU", "large IoU", "right twin", "detection"}
)
"""Figures that need enough sources, twins or a detector."""

Figures = dict[SceneFigure, float]
"""Figures in percent, by name."""

BASELINES: Mapping[str, type[Trivial]] = MappingProxyType(
    {"whole frame": WholeFrame, "centre": Centre, "random": Noise}
)
"""Baselines that look at nothing, by their names in tables."""

Key = tuple[str, LabelSource]
"""Name of a model in the table, and its label source."""

_CHUNK = 128


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

    def draws(
        self, several: bool, clusters: Sequence[int] | None = None
    ) -> dict[SceneFigure, Draws]:
        """The figures of ``summary`` on resamples of the clips, in percent.

        Args:
            several: Whether clips have several sources.
            clusters: Clips of one number are drawn together; each by itself when None.
        """
        metric = ProtocolMetric(self.protocol, several, normalize=False)
        frames, there = self.columns["frames"], self.columns["sounding"]
        drawn_together = frames if clusters is None else torch.tensor(clusters)[frames]
        found = metric.draws({"": self.columns}, drawn_together)[""]
        statistics: dict[SceneFigure, Statistic] = {}
        overlap, area, twins = (self.columns[one][there] for one in ("ciou", "area", "right twin"))
        if len(overlap) >= 3:
            statistics["small IoU"] = _third(overlap, area, largest=False)
            statistics["large IoU"] = _third(overlap, area, largest=True)
        if bool((~twins.isnan()).any()):
            statistics["right twin"] = mean(twins, ~twins.isnan())
        drawn: dict[SceneFigure, Draws] = {name: found[name] for name in metric.names}
        if statistics:
            drawn |= Bootstrap(drawn_together[there]).draw(statistics)
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
    return ScoredPixels(batch, step).score(maps, protocol)


class ScoredPixels:
    """Truth on every ``step``-th row and column, for maps of the same pairs to be scored against.

    Args:
        batch: The clips with their truth.
        step: Rows and columns from one to the next, as for ``score_maps``.
        twins: Whether to measure ``right twin`` where there are twins.
    """

    def __init__(self, batch: Truth, step: int = 1, twins: bool = True) -> None:
        self.targets = batch.targets[:, ::step, ::step].contiguous()
        self.twins: tuple[Tensor, Tensor] | None = None
        if twins and batch.twins is not None and batch.masks is not None:
            self.twins = batch.masks[:, ::step, ::step], batch.twins[:, ::step, ::step]
        self.size, self.step = batch.size, step
        self.columns: Columns = {
            "labels": batch.queries.label.cpu(),
            "frames": batch.queries.clip.cpu(),
            "sounding": batch.foreground,
            "area": (self.targets > 0).flatten(1).sum(dim=1).cpu(),
        }

    def score(self, maps: Tensor, protocol: Protocol = PAPER) -> PairScores:
        """Score one map for each pair.

        Args:
            maps: Maps after ``Method.postprocess``, (P, h, w), in the order of the batch's queries.
            protocol: The protocol.
        """
        measures = _measure(maps, torch.arange(len(maps)), self, protocol)
        return PairScores({**measures, **self.columns}, protocol)


def score(
    predictions: Predictions,
    batch: Truth,
    protocol: Protocol = PAPER,
    raw_confidence: bool = False,
) -> dict[LabelSource, PairScores]:
    """Score predictions by label source; a pair whose class was not detected scores 0.

    What nothing can be measured of stays NaN, with or without a map: the AP of an empty target, and
    ``right twin`` of a pair that has no twin, or of which nobody knows.

    Args:
        predictions: Predictions for the batch.
        batch: The clips with their truth.
        protocol: The protocol.
        raw_confidence: Whether the measure ``confidence`` is of maps as they are, not of
            normalized ones.
    """
    pixels = ScoredPixels(batch)
    measures = _measure(predictions.maps, predictions.pairs, pixels, protocol)
    if raw_confidence:
        full = resize_maps(predictions.maps, batch.size)
        measures["confidence"] = confidence(full).cpu()
    without = {"ap": ~batch.foreground, "right twin": ~_have_twins(batch)}
    scores: dict[LabelSource, PairScores] = {}
    for source, rows in predictions.rows.items():
        missing = rows == NO_MAP
        columns = {name: one[rows].masked_fill(missing, 0) for name, one in measures.items()}
        for name in without.keys() & columns.keys():
            columns[name] = columns[name].masked_fill(without[name], torch.nan)
        scores[source] = PairScores({**columns, **pixels.columns}, protocol)
    return scores


def _measure(maps: Tensor, pairs: Tensor, pixels: ScoredPixels, protocol: Protocol) -> Columns:
    """Measures of M maps, each against the target of its pair, (M,) each, on the CPU."""
    metric = ProtocolMetric(protocol, normalize=False)
    parts: list[Columns] = []
    for chosen in torch.arange(len(maps)).split(_CHUNK):  # all in full size need much memory
        rows = pairs[chosen]
        targets = pixels.targets[rows.to(pixels.targets.device)].to(maps.device)
        some = maps[chosen.to(maps.device)].float()
        full = normalize_maps(some, pixels.size, pixels.step)
        columns = {name: one.cpu() for name, one in metric.pair_scores(full, targets).items()}
        columns["right twin"] = torch.full((len(rows),), torch.nan, dtype=torch.float64)
        if pixels.twins is not None:
            own, other = (masks[rows] for masks in pixels.twins)
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


def _have_twins(batch: Truth) -> Tensor:
    """Flags of the pairs that are known to have a twin, (P,) bool, on the CPU."""
    if batch.twins is None or batch.masks is None:
        return torch.zeros(len(batch.targets), dtype=torch.bool)
    return batch.twins.flatten(1).any(dim=1).cpu()


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
        """Figures in percent, by label source.

        Args:
            several: Whether clips have several sources.

        Returns:
            The figures; those with detected labels have ``detection``, the mean average precision
            of the detection scores.
        """
        figures = {source: one.summary(several) for source, one in self.pairs.items()}
        if self.detection is not None:
            precision = detection_mean_average_precision(*self.detection)
            figures["detected"]["detection"] = 100 * float(precision)
        return figures

    def draws(
        self, several: bool, clusters: Sequence[int] | None = None
    ) -> dict[LabelSource, dict[SceneFigure, Draws]]:
        """The same figures on resamples of the clips, the same for all heads.

        Args:
            several: Whether clips have several sources.
            clusters: Clips of one number are drawn together; each by itself when None.
        """
        drawn = {source: one.draws(several, clusters) for source, one in self.pairs.items()}
        if self.detection is not None:
            scores, labels = self.detection
            bootstrap = Bootstrap(torch.arange(len(scores)) if clusters is None else clusters)
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


class Scorer(ABC):
    """Base of scorers: methods, items, and the protocols that score maps.

    Attributes:
        data: The items.
        config: The settings.
        sources: Label sources of each model, by its name in the table.
        metrics: The metric of each protocol, by its name.
    """

    def __init__(self, data: IndexedDataset, config: EvaluationConfig) -> None:
        self.data = data
        self.config = config
        self.sources: Mapping[str, tuple[LabelSource, ...]] = {}
        self.metrics = {
            protocol.name: ProtocolMetric(protocol, data.dataset.several)
            for protocol in config.chosen
        }

    @property
    def keys(self) -> tuple[Key, ...]:
        """Rows of the table: models, then baselines."""
        rows = [(name, source) for name, sources in self.sources.items() for source in sources]
        return (*rows, *((name, "none") for name in BASELINES))

    @property
    @abstractmethod
    def methods(self) -> Mapping[str, tuple[str, str]]:
        """Name in the registry and fingerprint of each model, by its name in the table."""

    @property
    def runs(self) -> Mapping[str, tuple[str, ...]]:
        """Models that differ by their seeds alone, by what the row of their mean is called."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Source of the maps, ready for JSON."""

    @property
    @abstractmethod
    def note(self) -> tuple[str, str]:
        """Source of the maps, a term and its explanation."""

    @abstractmethod
    def detection_rule(self, name: str) -> str:
        """Classes that a model takes of an item, in words."""

    def add_baselines(
        self,
        result: BatchResult,
        truth: Truth,
        items: Sequence[int],
        grid: tuple[int, int],
        panels: int,
    ) -> None:
        """Add the scores of the trivial baselines to the result of a batch.

        Args:
            result: The result.
            truth: Truth of the pairs of some items.
            items: Places of these items in the data set; random maps are drawn by them.
            grid: Rows and columns of the maps, of all panels.
            panels: Number of frames side by side.
        """
        places = torch.tensor(items)[truth.queries.clip.cpu()]
        every = torch.arange(len(places))
        for name, baseline in BASELINES.items():
            maps = baseline().drawn(places, grid, panels, self.config.seed)
            found = Predictions(maps.to(truth.targets.device), every, {"none": every})
            self.add(result, name, found, truth)

    def add(self, result: BatchResult, name: str, predictions: Predictions, truth: Truth) -> None:
        """Add a model's scores of some items, and what it detected, to the result of their batch.

        Args:
            result: The result.
            name: Name of the model in the table.
            predictions: Its maps, and the classes that it took where labels are detected.
            truth: Truth of the pairs of these items.
        """
        by_source = result.scores.setdefault(name, {})
        for protocol in self.config.chosen:
            for source, scores in score(predictions, truth, protocol).items():
                measures = by_source.setdefault(source, {}).setdefault(protocol.name, {})
                for measure in protocol.score_names:
                    values = measures.setdefault(measure, [])
                    values += scores.columns[measure].tolist()
        if "detected" in predictions.rows:
            detected = result.detected.setdefault(name, Detected())
            detected.taken += [list(labels) for labels in predictions.detected]
            if predictions.scores is not None and self.data.labelled:
                detected.scores.append(packed(predictions.scores))


def packed(scores: Tensor) -> str:
    """Detection scores as text that keeps every digit."""
    return base64.b64encode(scores.numpy().astype("<f4").tobytes()).decode()


def detection_scores(detected: Detected, classes: int) -> Tensor:
    """Detection scores of a batch's items: (items, N) float32.

    Args:
        detected: Detections in them.
        classes: N, the number of classes.
    """
    content = b"".join(base64.b64decode(part) for part in detected.scores)
    return torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, classes))


@dataclass(frozen=True, eq=False)
class Detections:
    """Classes that a model detected in the items whose classes are known.

    Attributes:
        scores: Detection scores, (B, N) float32.
        taken: Classes that were taken, (B, N) bool.
        truth: Classes that are there, (B, N) bool.
    """

    scores: Tensor
    taken: Tensor
    truth: Tensor

    def figures(self) -> dict[str, float]:
        """Precision, recall and false classes per item."""
        right = int((self.taken & self.truth).sum())
        taken = int(self.taken.sum())
        return {
            "precision": right / taken,
            "recall": right / int(self.truth.sum()),
            "false_per_item": (taken - right) / len(self.truth),
        }


@dataclass(frozen=True, eq=False)
class PairResults:
    """Scores of all P pairs, in the order of the data set.

    Attributes:
        numbers: Number of each pair in the data set, (P,).
        items: Place of each pair's item in the data set, (P,).
        labels: Class of each pair in the vocabulary, (P,); -1 without one.
        sounding: Whether its source is anywhere, (P,) bool.
        clusters: Number of what is drawn together with each pair, (P,): its item, or the recording
            that several items are of.
        measures: By model and label source, then by protocol: (P,) for each measure.
        found: By model: whether the pair's class was detected, (P,) bool.
        detections: By model that gives detection scores, over the items whose classes are known.
        known: Place of each of these items in the data set, (B,).
    """

    numbers: Tensor
    items: Tensor
    labels: Tensor
    sounding: Tensor
    clusters: Tensor
    measures: Mapping[Key, Mapping[str, Columns]]
    found: Mapping[str, Tensor] = field(default_factory=dict)
    detections: Mapping[str, Detections] = field(default_factory=dict)
    known: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    @classmethod
    def of(cls, scorer: Scorer, results: Sequence[BatchResult]) -> PairResults:
        """Put the pairs of all batches in order.

        Args:
            scorer: Scorer of the batches.
            results: Its results, in any order.
        """
        data = scorer.data
        pairs = [pair for one in results for item in one.items for pair in data.pairs(item)]
        items = [item for one in results for item in one.items for _ in data.pairs(item)]
        numbers, order = torch.tensor(pairs).sort()

        def in_order(values: Iterable[float], dtype: torch.dtype) -> Tensor:
            return torch.tensor(list(values), dtype=dtype)[order]

        def measures(key: Key, protocol: str) -> Columns:
            parts = [one.scores[key[0]][key[1]][protocol] for one in results if one.items]
            names = scorer.metrics[protocol].score_names
            return {
                name: in_order((value for part in parts for value in part[name]), torch.float64)
                for name in names
            }

        def found(model: str) -> Iterator[bool]:
            for one in results:
                taken = one.detected[model].taken if one.items else []
                for item, labels in zip(one.items, taken, strict=True):
                    yield from (data.labels[pair] in labels for pair in data.pairs(item))

        detecting = [
            name for name in scorer.sources if any(name in one.detected for one in results)
        ]
        detections, known = _detections(scorer, results, detecting)
        places = in_order(items, torch.int64)
        return cls(
            numbers=numbers,
            items=places,
            labels=torch.tensor(data.labels)[numbers],
            sounding=in_order((one for some in results for one in some.sounding), torch.bool),
            clusters=torch.tensor(data.clusters)[places],
            measures={
                key: {protocol: measures(key, protocol) for protocol in scorer.metrics}
                for key in scorer.keys
            },
            found={model: in_order(found(model), torch.bool) for model in detecting},
            detections=detections,
            known=known,
        )

    def columns(self, key: Key, protocol: str) -> Columns:
        """Columns that a metric of a protocol sums up: (P,) each.

        Args:
            key: Model and label source.
            protocol: Name of the protocol.
        """
        return {
            **self.measures[key][protocol],
            "labels": self.labels,
            "frames": self.items,
            "ids": self.numbers,
            "sounding": self.sounding,
        }

    def draws(
        self, protocol: str, metric: ProtocolMetric, seed: int = 0
    ) -> dict[Key, dict[str, Draws]]:
        """Figures of a protocol on resamples of the items, the same for all rows.

        Args:
            protocol: Name of the protocol.
            metric: Its metric.
            seed: Seed of the resamples.
        """
        rows = {key: self.columns(key, protocol) for key in self.measures}
        return metric.draws(rows, self.clusters, seed=seed)

    def detection_draws(self, seed: int = 0) -> dict[str, dict[str, Draws]]:
        """Figures of detection on resamples of the items, by model."""
        if not self.detections:
            return {}
        cluster_of = torch.zeros(int(self.items.max()) + 1, dtype=torch.int64)
        cluster_of[self.items] = self.clusters
        bootstrap = Bootstrap(cluster_of[self.known], seed=seed)
        truth = next(iter(self.detections.values())).truth
        scores = {name: one.scores for name, one in self.detections.items()}
        precision = detection_draws(scores, truth, bootstrap)
        statistics = {}
        for name, one in self.detections.items():
            right, taken = (one.taken & truth).sum(dim=1), one.taken.sum(dim=1)
            statistics[name, "precision"] = ratio(right, taken)
            statistics[name, "recall"] = ratio(right, truth.sum(dim=1))
            statistics[name, "false_per_item"] = ratio(taken - right, torch.ones(len(truth)))
        drawn = bootstrap.draw(statistics)
        figures = ("precision", "recall", "false_per_item")
        return {
            name: {
                "mean_average_precision": precision[name],
                **{figure: drawn[name, figure] for figure in figures},
            }
            for name in self.detections
        }

    def silent(self) -> int:
        """Number of pairs whose source is nowhere in the picture."""
        return int((~self.sounding).sum())


def _detections(
    scorer: Scorer, results: Sequence[BatchResult], names: Sequence[str]
) -> tuple[dict[str, Detections], Tensor]:
    """Detections of each model in the items whose classes are known, and these items' places."""
    data = scorer.data
    # What another program took is known, but not how sure it was of it and of the other classes.
    names = [
        name
        for name in names
        if any(name in one.detected and one.detected[name].scores for one in results)
    ]
    if not data.labelled or not names:
        return {}, torch.empty(0, dtype=torch.int64)
    items = [item for one in results for item in one.items]
    classes = [{data.labels[pair] for pair in data.pairs(item)} for item in items]
    # In the order of the data set: resamples must not depend on the number of processes.
    known = sorted((item, row) for row, item in enumerate(items) if -1 not in classes[row])
    rows = [row for _, row in known]
    shape = (len(rows), len(data.vocabulary))
    truth = _marked([sorted(classes[row]) for row in rows], shape)
    found = {}
    for name in names:
        detected = [one.detected[name] for one in results if one.items]
        every = [labels for one in detected for labels in one.taken]
        scores = torch.cat([detection_scores(one, shape[1]) for one in detected])[rows]
        found[name] = Detections(scores, _marked([every[row] for row in rows], shape), truth)
    return found, torch.tensor([item for item, _ in known], dtype=torch.int64)


def _marked(rows: Sequence[Sequence[int]], shape: tuple[int, int]) -> Tensor:
    marked = torch.zeros(shape, dtype=torch.bool)
    for row, labels in enumerate(rows):
        marked[row, list(labels)] = True
    return marked
