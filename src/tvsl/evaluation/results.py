"""Results of an evaluation: from the scores of all pairs to rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tvsl import __version__
from tvsl.errors import DataError, OutputError
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow, beside
from tvsl.evaluation.result_cache import BatchResult
from tvsl.evaluation.score import BatchScorer, Key, detection_scores
from tvsl.metrics import PAPER, Scores, detection_mean_average_precision, hash_ids
from tvsl.metrics.pair_metric import Columns
from tvsl.utils.files import write_rows


@dataclass(frozen=True, eq=False)
class PairResults:
    """Scores of all P pairs, in the order of the data set.

    Attributes:
        numbers: Number of each pair in the data set, (P,).
        items: Place of each pair's item in the data set, (P,).
        labels: Class of each pair in the vocabulary, (P,); -1 without one.
        sounding: Whether its source is anywhere, (P,) bool.
        measures: By model and label source, then by protocol: (P,) for each measure.
        found: By model: whether the pair's class was detected, (P,) bool.
    """

    numbers: Tensor
    items: Tensor
    labels: Tensor
    sounding: Tensor
    measures: Mapping[Key, Mapping[str, Columns]]
    found: Mapping[str, Tensor]

    @classmethod
    def of(cls, scorer: BatchScorer, results: Sequence[BatchResult]) -> PairResults:
        """Put the pairs of all batches in order.

        Args:
            scorer: Scorer of the batches.
            results: Its results, in any order.

        Returns:
            The pairs.
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

        return cls(
            numbers=numbers,
            items=in_order(items, torch.int64),
            labels=torch.tensor(data.labels)[numbers],
            sounding=in_order((one for some in results for one in some.sounding), torch.bool),
            measures={
                key: {protocol: measures(key, protocol) for protocol in scorer.metrics}
                for key in scorer.keys
            },
            found={
                model: in_order(found(model), torch.bool)
                for model, sources in scorer.sources.items()
                if "detected" in sources
            },
        )

    def columns(self, key: Key, protocol: str) -> Columns:
        """Columns that a metric of a protocol sums up.

        Args:
            key: Model and label source.
            protocol: Name of the protocol.

        Returns:
            (P,) each.
        """
        return {
            **self.measures[key][protocol],
            "labels": self.labels,
            "frames": self.items,
            "ids": self.numbers,
            "sounding": self.sounding,
        }

    def silent(self) -> int:
        """Number of pairs whose source is nowhere in the picture."""
        return int((~self.sounding).sum())


@dataclass(frozen=True)
class ResultRow:
    """A row of the table of results.

    Attributes:
        name: Name of the model in the table.
        method: Its name in the registry; None for a baseline.
        sha256: Fingerprint of the head; None for a baseline.
        scores: The figures, with their protocol, label source and items.
        paper: The paper's figures beside them; None where it has none.
    """

    name: str
    method: str | None
    sha256: str | None
    scores: Scores
    paper: PaperRow | None

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        paper = None
        if self.paper is not None:
            title = BENCHMARKS[self.paper.benchmark]
            paper = {**asdict(self.paper), "benchmark": title, "unit": "percent"}
        model = {"name": self.name, "method": self.method, "sha256": self.sha256}
        return {**model, **self.scores.to_dict(), "paper": paper}


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
    """

    name: str
    rule: str
    mean_average_precision: float
    precision: float
    recall: float
    false_per_item: float


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

    scorer: BatchScorer
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

    def to_dict(self) -> dict[str, Any]:
        """All but the single pairs, ready for JSON."""
        scorer = self.scorer
        models, data = scorer.models, scorer.data.dataset
        encoder, config = models.encoder, scorer.config
        return {
            "tvsl": __version__,
            "model": models.model,
            "encoder": {
                "sha256": encoder.fingerprint,
                "image_tokens": encoder.image_tokens,
                "flip_average": encoder.flip_average,
                "precision": encoder.precision,
                "device": encoder.device.type,
            },
            "data": {"name": data.name, "title": data.title, **data.model_dump(mode="json")},
            "config": config.model_dump(mode="json"),
            "protocols": {one.name: asdict(one) for one in config.chosen},
            "found": self.found,
            "listed": self.listed,
            "left_out": None if data.left_out is None else data.left_out.to_dict(),
            "dropped": dict(data.dropped),
            "lists": [asdict(one) for one in data.used_lists],
            "skipped": [{"id": name, "reason": reason} for name, reason in self.skipped],
            "results": [row.to_dict() for row in self.rows],
            "detection": [asdict(row) for row in self.detection],
        }


def summarize(scorer: BatchScorer, results: Iterable[BatchResult]) -> Evaluation:
    """Sum up the scores of all batches.

    Args:
        scorer: Scorer of the batches.
        results: The results of all batches.

    Returns:
        The evaluation.

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
    return Evaluation(scorer, pairs, rows, tuple(_detection_rows(scorer, results)), failures)


def _rows(
    scorer: BatchScorer, pairs: PairResults, failures: Mapping[int, str]
) -> Iterator[ResultRow]:
    dataset = scorer.data.dataset
    found = [item.id for place, item in enumerate(dataset.items) if place not in failures]
    ids_hash = hash_ids(found)
    # Hashing a head takes a moment: not once for each row.
    heads = {model.name: (model.method.name, model.sha256) for model in scorer.models.methods}
    for protocol, metric in scorer.metrics.items():
        for name, source in scorer.keys:
            values = metric.compute_from(pairs.columns((name, source), protocol))
            scores = Scores(
                protocol=protocol,
                label_source=source,
                values={figure: float(value) for figure, value in values.items()},
                found=len(found),
                listed=dataset.listed_count,
                left_out=0 if metric.include_empty else pairs.silent(),
                ids_hash=ids_hash,
            )
            method, sha256 = heads.get(name, (None, None))
            paper = None
            if method is not None and protocol == PAPER.name:
                paper = beside(method, dataset, len(found))
            yield ResultRow(name, method, sha256, scores, paper)


def _detection_rows(scorer: BatchScorer, results: Sequence[BatchResult]) -> Iterator[DetectionRow]:
    data = scorer.data
    if not data.labelled:
        return
    items = [item for one in results for item in one.items]
    classes = [{data.labels[pair] for pair in data.pairs(item)} for item in items]
    known = [row for row, there in enumerate(classes) if -1 not in there]
    there = [classes[row] for row in known]
    truth = torch.zeros(len(known), len(data.vocabulary), dtype=torch.bool)
    for row, labels in enumerate(there):
        truth[row, list(labels)] = True
    for name, sources in scorer.sources.items():
        if "detected" not in sources:
            continue
        detected = [one.detected[name] for one in results if one.items]
        scores = torch.cat([detection_scores(one, truth.shape[1]) for one in detected])[known]
        every = [labels for one in detected for labels in one.taken]
        taken = [set(every[row]) for row in known]
        right = sum(len(some & true) for some, true in zip(taken, there, strict=True))
        total = sum(len(some) for some in taken)
        yield DetectionRow(
            name=name,
            rule=detection_rule(name, scorer),
            mean_average_precision=float(detection_mean_average_precision(scores, truth)),
            precision=right / total,
            recall=right / sum(len(some) for some in there),
            false_per_item=(total - right) / len(known),
        )


def detection_rule(name: str, scorer: BatchScorer) -> str:
    """Number of classes that a model takes of an item, in words.

    Args:
        name: Name of the model in the table.
        scorer: Models and settings.

    Returns:
        A phrase.
    """
    if scorer.config.counting == "oracle":
        return "as many classes as the item has"
    (method,) = (one.method for one in scorer.models.methods if one.name == name)
    threshold = method.config.detection_threshold
    if threshold is None:
        return "classes that stand out of the vocabulary, no threshold was calibrated"
    return f"classes with a score of {threshold:.3f} or more, calibrated on validation data"


def write_samples(evaluation: Evaluation, path: Path) -> None:
    """Write the scores of every pair as CSV: a line for each pair, model and label source.

    Args:
        evaluation: The evaluation.
        path: The file.

    Raises:
        OutputError: The file cannot be written.
    """
    metrics, pairs = evaluation.scorer.metrics, evaluation.pairs
    measures = [(protocol, name) for protocol, one in metrics.items() for name in one.score_names]
    heads = ("id", "source", "label", "sounding", "method", "labels", "detected")
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            write_rows(file, [(*heads, *(f"{protocol} {name}" for protocol, name in measures))])
            for row in range(len(pairs.numbers)):
                write_rows(file, _lines(evaluation, row, measures))
    except OSError as error:
        raise OutputError(
            f"The samples cannot be written ({error.strerror}).",
            "Check the place and the free space.",
            path,
        ) from error


def _lines(
    evaluation: Evaluation, row: int, measures: Sequence[tuple[str, str]]
) -> Iterator[list[str]]:
    data, pairs = evaluation.scorer.data, evaluation.pairs
    place = int(pairs.items[row])
    number = int(pairs.numbers[row]) - data.starts[place]
    item = data.items[place]
    sounding = "yes" if pairs.sounding[row] else "no"
    pair = [item.id, str(number), item.labels[number] or "", sounding]
    for (name, source), by_protocol in pairs.measures.items():
        found = ""
        if source == "detected":
            found = "yes" if pairs.found[name][row] else "no"
        values = [float(by_protocol[protocol][measure][row]) for protocol, measure in measures]
        yield [*pair, name, source, found, *("" if one != one else repr(one) for one in values)]
