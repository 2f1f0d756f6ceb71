"""Results of an evaluation: the scores of all pairs in order, and the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tvsl import __version__
from tvsl.errors import DataError
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow, beside
from tvsl.evaluation.result_cache import BatchResult
from tvsl.evaluation.scorers import Key, Scorer, detection_scores
from tvsl.metrics import (
    PAPER,
    Bootstrap,
    Interval,
    LabelSource,
    ProtocolMetric,
    Scores,
    detection_draws,
    detection_mean_average_precision,
    hash_ids,
)
from tvsl.metrics.intervals import FEW_ITEMS, LEVEL, RESAMPLES, Draws, over_runs, ratio
from tvsl.metrics.pair_metric import Columns

LOW_IS_GOOD = frozenset({"false_per_item"})
"""Figures of detection of which less is better; of all other figures more is."""


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
        detections: By model, over the items whose classes are known.
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


@dataclass(frozen=True)
class ResultRow:
    """A row of the table of results.

    Attributes:
        name: Name of the model in the table.
        method: Its name in the registry; None for a baseline.
        sha256: Fingerprint of the head; None for a baseline.
        scores: The figures, with their protocol, label source and items.
        paper: The paper's figures beside them; None where it has none.
        runs: Models whose mean it is; none of one model by itself.
        deviations: Standard deviation of each figure over these.
    """

    name: str
    method: str | None
    sha256: str | None
    scores: Scores
    paper: PaperRow | None
    runs: tuple[str, ...] = ()
    deviations: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        paper = None
        if self.paper is not None:
            title = BENCHMARKS[self.paper.benchmark]
            paper = {**asdict(self.paper), "benchmark": title, "unit": "percent"}
        model = {"name": self.name, "method": self.method, "sha256": self.sha256}
        runs = {"runs": list(self.runs), "deviations": dict(self.deviations)} if self.runs else {}
        return {**model, **self.scores.to_dict(), **runs, "paper": paper}


@dataclass(frozen=True)
class DetectionRow:
    """Quality of the detected classes, over the items whose classes are known.

    Attributes:
        name: Name of the model in the table.
        rule: Number of classes that are taken, in words.
        mean_average_precision: Of the scores, over the classes that occur.
        precision: Share of the classes taken that are there.
        recall: Share of the classes there that were taken.
        false_per_item: Classes taken of an item that are not there, on average.
        intervals: Their 95 % intervals.
        runs: Models whose mean it is; none of one model by itself.
        deviations: Standard deviation of each figure over these.
    """

    name: str
    rule: str
    mean_average_precision: float
    precision: float
    recall: float
    false_per_item: float
    intervals: Mapping[str, Interval]
    runs: tuple[str, ...] = ()
    deviations: Mapping[str, float] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """The figures by their names."""
        return {name: getattr(self, name) for name in self.intervals}

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        plain = asdict(self)
        if not self.runs:
            del plain["runs"], plain["deviations"]
        return plain


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of an evaluation.

    Attributes:
        scorer: Models, data and settings.
        pairs: Scores of every pair.
        rows: The table, by protocol, then by model.
        detection: Quality of the detected classes.
        failures: Errors of items that were left out, by their places in the data set.
    """

    scorer: Scorer
    pairs: PairResults
    rows: tuple[ResultRow, ...]
    detection: tuple[DetectionRow, ...]
    failures: Mapping[int, str]

    @property
    def found(self) -> int:
        """Number of items that were found."""
        return len(self.scorer.data.items) - len(self.failures)

    @property
    def listed(self) -> int:
        """Number of items that the data set lists, whatever the user leaves out of them."""
        return self.scorer.data.dataset.listed_count

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Name and error of each item that was left out."""
        items = self.scorer.data.items
        return [(items[place].id, reason) for place, reason in sorted(self.failures.items())]

    @property
    def clusters(self) -> int:
        """Number of recordings that were drawn for the intervals."""
        return len(self.pairs.clusters.unique())

    @property
    def warnings(self) -> list[str]:
        """Reasons why the numbers mean less than they seem to."""
        if self.clusters >= FEW_ITEMS:
            return []
        few = (
            f"{self.clusters} items are few: below {FEW_ITEMS} the intervals themselves are rough, "
            "and where every item succeeds or fails they have no width at all."
        )
        return [few]

    def header(self) -> dict[str, Any]:
        """Record of the items and methods that the scores of the pairs are of."""
        data, config = self.scorer.data, self.scorer.config
        places = sorted(set(self.pairs.items.tolist()))
        # Where media and lists lie is no part of what they are.
        paths = {name for name, value in data.dataset if isinstance(value, Path)}
        return {
            "tvsl": __version__,
            "data": {
                "name": data.dataset.name,
                **data.dataset.model_dump(mode="json", exclude=paths),
            },
            "several": data.dataset.several,
            "protocols": {one.name: asdict(one) for one in config.chosen},
            "counting": config.counting,
            "seed": config.seed,
            "names": list(data.vocabulary.names),
            "ids": [data.items[place].id for place in places],
            "models": list(self.scorer.sources),
            "runs": {name: list(runs) for name, runs in self.scorer.runs.items()},
        }

    def to_dict(self) -> dict[str, Any]:
        """All but the single pairs, ready for JSON."""
        scorer = self.scorer
        data, config = scorer.data.dataset, scorer.config
        return {
            "tvsl": __version__,
            **scorer.describe(),
            "data": {"name": data.name, "title": data.title, **data.model_dump(mode="json")},
            "config": config.model_dump(mode="json"),
            "protocols": {one.name: asdict(one) for one in config.chosen},
            "found": self.found,
            "listed": self.listed,
            "left_out": None if data.left_out is None else data.left_out.to_dict(),
            "dropped": dict(data.dropped),
            "lists": [asdict(one) for one in data.used_lists],
            "skipped": [{"id": name, "reason": reason} for name, reason in self.skipped],
            "intervals": {
                "level": LEVEL,
                "resamples": RESAMPLES,
                "seed": config.seed,
                "clusters": self.clusters,
            },
            "warnings": self.warnings,
            "results": [row.to_dict() for row in self.rows],
            "detection": [row.to_dict() for row in self.detection],
        }


def summarize(scorer: Scorer, results: Iterable[BatchResult]) -> Evaluation:
    """Sum up the scores of all batches.

    Args:
        scorer: Scorer of the batches.
        results: The results of all batches.

    Raises:
        DataError: No item could be read.
        ShapeError: No source of any item is anywhere.
    """
    results = list(results)
    failures = {place: reason for one in results for place, reason in one.failures.items()}
    if not any(one.items for one in results):
        first = min(failures)
        raise DataError(
            f"None of the {len(failures)} items could be read.",
            f"Check the root and the files. What was said of the first: {failures[first]}",
        )
    pairs = PairResults.of(scorer, results)
    rows = tuple(_rows(scorer, pairs, failures))
    return Evaluation(scorer, pairs, rows, tuple(_detection_rows(scorer, pairs)), failures)


@dataclass(frozen=True)
class _Figures:
    """Figures of a row with what the resamples say of them."""

    values: dict[str, float]
    draws: dict[str, Draws]
    deviations: dict[str, float] = field(default_factory=dict)

    @property
    def intervals(self) -> dict[str, Interval]:
        return {name: Interval.of(draws) for name, draws in self.draws.items()}

    @classmethod
    def mean(cls, runs: Sequence[_Figures]) -> _Figures:
        """Mean and deviation over several runs, which are drawn again as the items are."""
        values = {name: [one.values[name] for one in runs] for name in runs[0].values}
        return cls(
            {name: float(np.mean(some)) for name, some in values.items()},
            {name: over_runs(np.stack([one.draws[name] for one in runs])) for name in values},
            {name: float(np.std(some, ddof=1)) for name, some in values.items()},
        )


def _rows(scorer: Scorer, pairs: PairResults, failures: Mapping[int, str]) -> Iterator[ResultRow]:
    dataset = scorer.data.dataset
    found = [item.id for place, item in enumerate(dataset.items) if place not in failures]
    ids_hash = hash_ids(found)
    for protocol, metric in scorer.metrics.items():
        drawn = pairs.draws(protocol, metric, scorer.config.seed)

        def figures(
            key: Key,
            protocol: str = protocol,
            metric: ProtocolMetric = metric,
            drawn: Mapping[Key, dict[str, Draws]] = drawn,
        ) -> _Figures:
            values = metric.compute_from(pairs.columns(key, protocol))
            return _Figures({name: float(one) for name, one in values.items()}, drawn[key])

        for name, source, runs in _lines_of(scorer):
            row = (
                _Figures.mean([figures((one, source)) for one in runs])
                if runs
                else figures((name, source))
            )
            scores = Scores(
                protocol=protocol,
                label_source=source,
                values=row.values,
                found=len(found),
                listed=dataset.listed_count,
                left_out=0 if metric.include_empty else pairs.silent(),
                ids_hash=ids_hash,
                intervals=row.intervals,
            )
            method, sha256 = scorer.methods.get(runs[0] if runs else name, (None, None))
            paper = None
            if method is not None and protocol == PAPER.name:
                paper = beside(method, dataset, len(found))
            yield ResultRow(
                name, method, None if runs else sha256, scores, paper, runs, row.deviations
            )


def _lines_of(scorer: Scorer) -> Iterator[tuple[str, LabelSource, tuple[str, ...]]]:
    """Lines of the table, that of a mean behind those of its runs: name, labels and runs."""
    last = {runs[-1]: (title, runs) for title, runs in scorer.runs.items()}
    for name, sources in scorer.sources.items():
        for source in sources:
            yield name, source, ()
        if name in last:
            title, runs = last[name]
            for source in sources:
                yield title, source, runs
    for name, source in scorer.keys:
        if name not in scorer.sources:
            yield name, source, ()


def _detection_rows(scorer: Scorer, pairs: PairResults) -> Iterator[DetectionRow]:
    drawn = pairs.detection_draws(scorer.config.seed)

    def figures(name: str) -> _Figures:
        one = pairs.detections[name]
        precision = float(detection_mean_average_precision(one.scores, one.truth))
        return _Figures({"mean_average_precision": precision, **one.figures()}, drawn[name])

    for name, source, runs in _lines_of(scorer):
        known = runs or (name,)
        if source != "detected" or not all(one in pairs.detections for one in known):
            continue
        each = [figures(one) for one in known]
        row = _Figures.mean(each) if runs else each[0]
        yield DetectionRow(
            name=name,
            rule=scorer.detection_rule(known[0]),
            **row.values,
            intervals=row.intervals,
            runs=runs,
            deviations=row.deviations,
        )
