"""Results of an evaluation: the rows of its tables, and what must be said of their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tvsl import __version__
from tvsl.data.base import DataSet
from tvsl.errors import DataError
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow, beside
from tvsl.evaluation.predict import EvaluationConfig
from tvsl.evaluation.result_cache import BatchResult
from tvsl.evaluation.score import Key, PairResults, Scorer
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

LOW_IS_GOOD = frozenset({"false_per_item"})
"""Figures of detection of which less is better; of all other figures more is."""

PAPER_HEADER = "paper"
_NOTHING = ""
_MARK = "*"
_ASSIGNED = (
    "the method's maps carry no names: those of an item are assigned to its sources by the "
    "permutation that "
    "fits the truth best (PIAP), as its authors do. No other row is told where the sources are."
)
_UNTRAINED = (
    "nothing of it was trained, and no validation data decided how its maps are shown: polarity, "
    "clamp and exponent are the defaults."
)


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


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        title: Title.
        headers: Names of the columns.
        rows: Cells, row by row.
        words: Number of columns from the left with words; the others hold numbers.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int

    @property
    def numbers(self) -> tuple[str, ...]:
        """Heads of the columns of numbers."""
        return self.headers[self.words :]


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    Args:
        headers: Titles of the columns.
        rows: Cells, row by row.

    Returns:
        The table; columns of numbers to the right.
    """
    numbers = [all(_is_number(row[place]) for row in rows) for place in range(len(headers))]
    rules = ["---:" if rows and one else "---" for one in numbers]
    cells = [[text.replace("|", "\\|") for text in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in (headers, rules, *cells))


def _is_number(cell: str) -> bool:
    """Tell whether a cell begins with a number, or is empty."""
    return re.match(r"$|[-+]?\d", cell) is not None


def result_tables(evaluation: Evaluation) -> list[TextTable]:
    """A table for each protocol, in percent, with the paper's numbers beside ours."""
    return [_table(evaluation, name) for name in evaluation.scorer.config.protocols]


def _table(evaluation: Evaluation, protocol: str) -> TextTable:
    rows = [row for row in evaluation.rows if row.scores.protocol == protocol]
    in_paper = {name for row in rows if row.paper is not None for name in row.paper.values}
    names = list(rows[0].scores.values)
    headers: list[str] = []
    for name in names:
        headers += [name, PAPER_HEADER] if name in in_paper else [name]
    cells = tuple(tuple(_cells(row, names, in_paper)) for row in rows)
    title = f"Protocol {protocol}, {_found(evaluation)} items"
    return TextTable(title, ("method", "labels", *headers), cells, 2)


def _cells(row: ResultRow, names: Sequence[str], in_paper: set[str]) -> Iterator[str]:
    yield row.name
    yield row.scores.label_source
    for name in names:
        scores = row.scores
        yield _cell(name, scores.values[name], scores.intervals[name], row.deviations)
        if name in in_paper:
            yield _paper_cell(row.paper, name)


def _cell(name: str, value: float, interval: Interval, deviations: Mapping[str, float]) -> str:
    """A figure with its deviation and interval, in percent where it is a share."""
    factor, digits = (1, 2) if name in LOW_IS_GOOD else (100, 1)
    spread = f" ± {factor * deviations[name]:.{digits}f}" if name in deviations else ""
    return f"{factor * value:.{digits}f}{spread} ({interval.times(factor).text(digits)})"


def _paper_cell(paper: PaperRow | None, name: str) -> str:
    if paper is None or name not in paper.values:
        return _NOTHING
    return f"{paper.values[name]:.1f}{_NOTHING if paper.same_data else _MARK}"


def detection_table(evaluation: Evaluation) -> TextTable | None:
    """Table of the detected classes, in percent; None where none were detected."""
    if not evaluation.detection:
        return None
    titles = {
        "mean_average_precision": "mAP",
        "precision": "precision",
        "recall": "recall",
        "false_per_item": "false per item",
    }
    rows = tuple(
        (
            row.name,
            *(_cell(one, row.values[one], row.intervals[one], row.deviations) for one in titles),
        )
        for row in evaluation.detection
    )
    return TextTable("Detected classes", ("method", *titles.values()), rows, 1)


def notes(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Notes on the numbers: a term and its explanation, each."""
    scorer = evaluation.scorer
    found = [
        ("Data", _data(scorer.data.dataset)),
        ("Items", _items(evaluation)),
        *scorer.data.dataset.notes,
        scorer.note,
        ("Protocols", "; ".join(f"{one.name}: {one.source}" for one in scorer.config.chosen) + "."),
        ("Intervals", _intervals(evaluation)),
    ]
    found += [("Few items", warning) for warning in evaluation.warnings]
    of_methods = [row for row in evaluation.rows if row.method is not None]
    sources = {row.scores.label_source for row in of_methods}
    if "given" in sources:
        found.append(("Labels given", "the method is asked for the true classes of each item."))
    if "detected" in sources:
        found.append(("Labels detected", _detected(evaluation)))
    if "none" in sources:
        found.append(("Labels none", "the method knows no classes: one map for all sources."))
    assigned = [row for row in of_methods if row.scores.label_source == "assigned"]
    if assigned:
        found.append(("Labels assigned", _ASSIGNED))
    fresh = [name for name in scorer.sources if name.endswith("(untrained)")]
    if fresh:
        found.append((", ".join(fresh), _UNTRAINED))
    found.append(
        ("whole frame, centre, random", "what maps reach that look at nothing; scored as they are.")
    )
    paper = next((row.paper for row in evaluation.rows if row.paper is not None), None)
    if paper is not None:
        found.append((PAPER_HEADER, _paper(paper)))
    return found


def _data(data: DataSet) -> str:
    options = data.model_dump(mode="json", exclude_none=True)
    return f"{data.title} ({data.name}): {', '.join(f'{k} {v}' for k, v in options.items())}."


def _intervals(evaluation: Evaluation) -> str:
    found, recordings = evaluation.found, evaluation.clusters
    items = f"{found} items" + (f" of {recordings} recordings" if recordings < found else "")
    means = ""
    if evaluation.scorer.runs:
        means = " Of a mean of several heads the heads are drawn, too; ± is their deviation."
    return (
        f"in brackets: {100 * LEVEL:.0f} % of {RESAMPLES:,} resamples of the {items}, all "
        f"sources of an item together, seed {evaluation.scorer.config.seed}.{means}"
    )


def _items(evaluation: Evaluation) -> str:
    count, silent = len(evaluation.pairs.numbers), evaluation.pairs.silent()
    sources = "1 source" if count == 1 else f"{count} sources"
    nowhere = ""
    if silent:
        nowhere = f", of which {silent} {'is' if silent == 1 else 'are'} nowhere in the picture"
        nowhere += _left_out(evaluation.scorer.config)
    return (
        f"{_found(evaluation)} found, with {sources}{nowhere}; SHA-256 of the ids "
        f"{evaluation.rows[0].scores.ids_hash}."
    )


def _found(evaluation: Evaluation) -> str:
    return f"{evaluation.found:,} of {evaluation.listed:,}"


def _left_out(config: EvaluationConfig) -> str:
    """Protocols that leave out sources that are nowhere, in words."""
    including = [one.name for one in config.chosen if one.include_empty]
    if len(including) == len(config.chosen):
        return ""
    return " and left out" + (f", but by {', '.join(including)}" if including else "")


def _detected(evaluation: Evaluation) -> str:
    scorer = evaluation.scorer
    if not scorer.data.labelled:
        count = len(scorer.data.vocabulary)
        return f"the method takes the class that it detects first, of {count}."
    detecting = [name for name, sources in scorer.sources.items() if "detected" in sources]
    taken = "; ".join(sorted({scorer.detection_rule(name) for name in detecting}))
    # Of another program nobody knows among which classes it looked.
    among = f", of {len(scorer.data.vocabulary)}" if evaluation.detection else ""
    return f"the method takes {taken}{among}. A source whose class is not taken scores 0."


def _paper(paper: PaperRow) -> str:
    where = f"{BENCHMARKS[paper.benchmark]}, Table {paper.table}"
    mark = "" if paper.same_data else f"; {_MARK} measured on other data"
    return f"what the paper reports for the method that its authors trained ({where}){mark}."
