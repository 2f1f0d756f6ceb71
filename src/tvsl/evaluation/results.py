"""Results of an evaluation: from the scores of all pairs to rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tvsl import __version__
from tvsl.errors import DataError, OutputError
from tvsl.evaluation.pair_results import PairResults, write_scores
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow, beside
from tvsl.evaluation.result_cache import FIGURES, RESULTS, SAMPLES, SCORES, BatchResult
from tvsl.evaluation.scorers import Key, Scorer
from tvsl.metrics import (
    PAPER,
    Interval,
    LabelSource,
    ProtocolMetric,
    Scores,
    detection_mean_average_precision,
    hash_ids,
)
from tvsl.metrics.intervals import FEW_ITEMS, LEVEL, RESAMPLES, Draws, over_runs
from tvsl.utils.atomic import writable
from tvsl.utils.files import write_json, write_rows


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


def write_results(evaluation: Evaluation, folder: Path) -> None:
    """Write figures and scores: results.json, results.csv, samples.csv and scores.npz.

    Args:
        evaluation: The evaluation.
        folder: An empty folder.

    Raises:
        OutputError: They cannot be written.
    """
    with writable(folder):
        write_figures(evaluation, folder / FIGURES)
        write_scores(evaluation.pairs, evaluation.header(), folder / SCORES)
    write_samples(evaluation, folder / SAMPLES)
    write_json(evaluation.to_dict(), folder / RESULTS)


def write_figures(evaluation: Evaluation, path: Path) -> None:
    """Write the figures as CSV: a line for each protocol, method, label source and figure.

    Args:
        evaluation: The evaluation.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    heads = ("protocol", "method", "labels", "figure", "value", "low", "high", "deviation")
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [heads])
        for row in evaluation.rows:
            first = (row.scores.protocol, row.name, row.scores.label_source)
            write_rows(file, _figure_lines(first, row.scores.values, row.scores.intervals, row))
        for one in evaluation.detection:
            first = ("detection", one.name, "detected")
            write_rows(file, _figure_lines(first, one.values, one.intervals, one))


def _figure_lines(
    first: tuple[str, ...],
    values: Mapping[str, float],
    intervals: Mapping[str, Interval],
    row: ResultRow | DetectionRow,
) -> Iterator[list[object]]:
    for figure, value in values.items():
        interval = intervals[figure]
        deviation = row.deviations.get(figure, "")
        yield [*first, figure, value, interval.low, interval.high, deviation]


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
