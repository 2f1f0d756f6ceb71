"""Comparison of two evaluations on the same items: differences with paired intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tvsl.errors import DataError, UsageError, first_few, shown
from tvsl.evaluation.results import LOW_IS_GOOD, TextTable
from tvsl.evaluation.score import Detections, PairResults
from tvsl.evaluation.stored_results import StoredScores, read_scores
from tvsl.metrics import (
    Interval,
    LabelSource,
    Protocol,
    ProtocolMetric,
    detection_mean_average_precision,
    verdict,
)
from tvsl.metrics.intervals import FEW_ITEMS, LEVEL, RESAMPLES, Draws, Verdict, over_runs

NO_DIFFERENCE = f"no difference that {100 * LEVEL:.0f} % intervals would show"
_DETECTION = "detection"
_SHOWN_IDS = 5


@dataclass(frozen=True)
class Difference:
    """A figure of two methods on the same items.

    Attributes:
        protocol: Name of the protocol; ``detection`` for figures of the detected classes.
        labels: Label sources of the first method and of the second.
        figure: The figure.
        first: Its value for the first method.
        second: Its value for the second.
        interval: Interval of the first's minus the second's.
        verdict: What this says of the first.
    """

    protocol: str
    labels: tuple[LabelSource, LabelSource]
    figure: str
    first: float
    second: float
    interval: Interval
    verdict: Verdict

    @property
    def value(self) -> float:
        """The first's figure minus the second's."""
        return self.first - self.second

    @property
    def words(self) -> str:
        """Verdict of the interval on the first method, in words."""
        return NO_DIFFERENCE if self.verdict == "no difference" else self.verdict


@dataclass(frozen=True)
class Comparison:
    """Differences of two methods.

    Attributes:
        first: Name of the first method.
        second: Name of the second.
        paths: Files of their scores.
        items: Number of items that both have.
        clusters: Number of recordings that were drawn for the intervals.
        only: Ids of items that one of the two lacks: those of the first alone, of the second alone.
        notes: Settings in which the two evaluations differ.
        seed: Seed of the resamples.
        differences: The differences.
    """

    first: str
    second: str
    paths: tuple[Path, Path]
    items: int
    clusters: int
    only: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...]
    seed: int
    differences: tuple[Difference, ...]

    @property
    def lines(self) -> list[str]:
        """Sentences on the items that were compared, and on what must be known of them."""
        what = "items" if self.clusters == self.items else f"{self.clusters:,} recordings"
        paired = (
            f"{self.items:,} items, paired. In brackets: {100 * LEVEL:.0f} % of {RESAMPLES:,} "
            f"resamples of the {what}, all sources of an item together, seed {self.seed}."
        )
        notes = [
            f"First: {self.first}, of {self.paths[0]}.",
            f"Second: {self.second}, of {self.paths[1]}.",
            paired,
        ]
        for name, ids in zip(("first", "second"), self.only, strict=True):
            if ids:
                some = ", ".join(first_few([shown(one) for one in ids], _SHOWN_IDS))
                notes.append(f"In the {name} only, and left out: {len(ids):,} items: {some}.")
        notes += self.notes
        if self.clusters < FEW_ITEMS:
            notes.append(f"{self.clusters} items are few: below {FEW_ITEMS} intervals are rough.")
        return notes

    @property
    def table(self) -> TextTable:
        """The differences as texts, in percent but for false classes per item."""
        headers = ("protocol", "labels", "figure", "first", "second", "difference", "the first is")
        return TextTable(
            "Differences",
            headers,
            tuple(_cells(one) for one in self.differences),
            3,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            **asdict(self),
            "paths": [str(path) for path in self.paths],
            "level": LEVEL,
            "resamples": RESAMPLES,
            "differences": [{**asdict(one), "value": one.value} for one in self.differences],
        }


def _cells(one: Difference) -> tuple[str, ...]:
    factor, digits = (1, 2) if one.figure in LOW_IS_GOOD else (100, 1)
    numbers = [f"{factor * value:.{digits}f}" for value in (one.first, one.second)]
    first, second = one.labels
    labels = first if first == second else f"{first}, {second}"
    difference = round(factor * one.value, digits) + 0.0  # no minus before a zero
    interval = one.interval.times(factor).text(digits)
    return (
        one.protocol,
        labels,
        one.figure,
        *numbers,
        f"{difference:+.{digits}f} ({interval})",
        one.words,
    )


def compare(
    first: str | Path,
    second: str | Path,
    *,
    methods: tuple[str | None, str | None] = (None, None),
    seed: int = 0,
) -> Comparison:
    """Compare a method of one evaluation with a method of another, item by item.

    Args:
        first: Folder of an evaluation, or a file in it.
        second: The other one; the same to compare two methods of it.
        methods: Names of the methods in their tables; the only one, or the mean of several heads,
            when None.
        seed: Seed of the resamples.

    Returns:
        The differences of all figures that both have.

    Raises:
        DataError: A folder has no scores, or the two are of different data.
        UsageError: A method is not there, or more than one could be meant.
    """
    one, other = read_scores(Path(first)), read_scores(Path(second))
    _require_same_data(one, other)
    names = _chosen(one, methods[0], "first"), _chosen(other, methods[1], "second")
    if one.path.resolve() == other.path.resolve() and names[0] == names[1]:
        raise UsageError(
            f"'{names[0]}' would be compared with itself.", "Name two methods of the table."
        )
    known = set(other.ids)
    shared = [name for name in one.ids if name in known]
    if not shared:
        raise DataError(
            "The two evaluations have no item in common.", "Evaluate on the same items.", other.path
        )
    _require_same_sources(one, other, shared)
    left, right = (
        _only(each, shared, _members(each, name))
        for each, name in zip((one, other), names, strict=True)
    )
    # One numbering of classes: vocabularies may differ.
    right = replace(right, labels=left.labels, clusters=left.clusters)
    sides = _Side(one, left, names[0], 0), _Side(other, right, names[1], 1)
    differences = [*_figures(*sides, seed), *_detection_figures(*sides, seed)]
    both = set(shared)
    only = tuple(tuple(name for name in each.ids if name not in both) for each in (one, other))
    return Comparison(
        *names,
        (one.path, other.path),
        len(shared),
        len(left.clusters.unique()),
        (only[0], only[1]),
        tuple(_settings(one, other)),
        seed,
        tuple(differences),
    )


def _require_same_data(one: StoredScores, other: StoredScores) -> None:
    ours, theirs = one.header["data"], other.header["data"]
    if ours["name"] != theirs["name"]:
        differing = [f"data set {shown(ours['name'])} and {shown(theirs['name'])}"]
    else:
        differing = [
            f"{name} {ours.get(name)!r} and {theirs.get(name)!r}"
            for name in sorted({*ours, *theirs})
            if ours.get(name) != theirs.get(name)
        ]
    mine, others = one.header["protocols"], other.header["protocols"]
    shared = [name for name in mine if name in others]
    differing += [f"protocol {shown(name)}" for name in shared if mine[name] != others[name]]
    if not shared:
        differing.append(f"protocols {', '.join(mine)} and {', '.join(others)}")
    if differing:
        raise DataError(
            f"These evaluations are of different data or protocols: {'; '.join(differing)}. "
            f"The other is {one.path}.",
            "Compare evaluations with the same options of the data set.",
            other.path,
        )


def _require_same_sources(one: StoredScores, other: StoredScores, shared: Sequence[str]) -> None:
    ours, theirs = (dict(zip(each.ids, each.labels(), strict=True)) for each in (one, other))
    for name in shared:
        if ours[name] != theirs[name]:
            raise DataError(
                f"The item {shown(name)} has other sources here: {', '.join(theirs[name])}, not "
                f"{', '.join(ours[name])} as in {one.path}.",
                "Compare evaluations of the same lists.",
                other.path,
            )


def _chosen(stored: StoredScores, wanted: str | None, which: str) -> str:
    """Name of the method that is compared."""
    header = stored.header
    every = [*dict.fromkeys(name for name, _ in stored.pairs.measures), *header["runs"]]
    if wanted is not None:
        if wanted not in every:
            raise UsageError(
                f"There is no method {shown(wanted)} in {stored.path}.",
                f"It has {', '.join(shown(name) for name in every)}.",
            )
        return wanted
    single = {name for runs in header["runs"].values() for name in runs}
    possible = [*header["runs"], *(name for name in header["models"] if name not in single)]
    if len(possible) != 1:
        raise UsageError(
            f"{stored.path} has several methods.",
            f"Name one with --{which}: {', '.join(shown(name) for name in possible)}.",
        )
    return str(possible[0])


def _members(stored: StoredScores, name: str) -> tuple[str, ...]:
    """The heads that a method is the mean of, or itself."""
    return tuple(stored.header["runs"].get(name, (name,)))


def _only(stored: StoredScores, ids: Sequence[str], methods: Sequence[str]) -> PairResults:
    """The scores of some methods on some items, in their order."""
    place = {name: number for number, name in enumerate(ids)}
    new = torch.tensor([place.get(name, -1) for name in stored.ids])
    pairs = stored.pairs
    rows = _ordered(new[pairs.items])
    known = _ordered(new[pairs.known]) if len(pairs.known) else pairs.known
    return PairResults(
        numbers=torch.arange(len(rows)),
        items=new[pairs.items][rows],
        labels=pairs.labels[rows],
        sounding=pairs.sounding[rows],
        clusters=pairs.clusters[rows],
        measures={
            key: {
                protocol: {name: column[rows] for name, column in columns.items()}
                for protocol, columns in by_protocol.items()
            }
            for key, by_protocol in pairs.measures.items()
            if key[0] in methods
        },
        detections={
            name: Detections(one.scores[known], one.taken[known], one.truth[known])
            for name, one in pairs.detections.items()
            if name in methods
        },
        known=new[pairs.known][known] if len(pairs.known) else pairs.known,
    )


def _ordered(places: Tensor) -> Tensor:
    """Rows whose item is kept, in the order of the items."""
    order = places.argsort(stable=True)
    return order[places[order] >= 0]


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two methods that are compared."""

    stored: StoredScores
    pairs: PairResults
    name: str
    number: int

    @property
    def members(self) -> tuple[str, ...]:
        """The heads that it is the mean of, or the method itself."""
        return _members(self.stored, self.name)

    @property
    def sources(self) -> list[LabelSource]:
        """Its label sources."""
        return [source for name, source in self.pairs.measures if name == self.members[0]]

    def mean(self, values: Mapping[str, float], draws: Mapping[str, Draws]) -> tuple[float, Draws]:
        """Value and draws over its heads."""
        each = np.stack([draws[name] for name in self.members])
        return float(np.mean([values[name] for name in self.members])), over_runs(each, self.number)


def _alike(first: _Side, second: _Side) -> list[tuple[LabelSource, LabelSource]]:
    """Label sources that are compared: the same, or any with that of a method without labels."""
    ours, theirs = first.sources, second.sources
    same: list[tuple[LabelSource, LabelSource]] = [(one, one) for one in ours if one in theirs]
    if same:
        return same
    if ours == ["none"] or theirs == ["none"]:
        return [(one, other) for one in ours for other in theirs]
    return []


def _figures(first: _Side, second: _Side, seed: int) -> Iterator[Difference]:
    mine, others = first.stored.header, second.stored.header
    pairs = _alike(first, second)
    if not pairs:
        raise UsageError(
            f"'{first.name}' was evaluated with labels {', '.join(first.sources)}, "
            f"'{second.name}' with {', '.join(second.sources)}.",
            "Evaluate both with the same --label-source.",
        )
    for protocol in mine["protocols"]:
        if protocol not in others["protocols"]:
            continue
        metric = ProtocolMetric(_protocol(mine["protocols"][protocol]), mine["several"])
        drawn = [side.pairs.draws(protocol, metric, seed) for side in (first, second)]
        for sources in pairs:
            values = [
                {name: _values(metric, side.pairs, name, source, protocol) for name in side.members}
                for side, source in zip((first, second), sources, strict=True)
            ]
            for figure in metric.names:
                ends = [
                    side.mean(
                        {name: one[figure] for name, one in some.items()},
                        {name: draws[name, source][figure] for name in side.members},
                    )
                    for side, some, draws, source in zip(
                        (first, second), values, drawn, sources, strict=True
                    )
                ]
                yield _difference(protocol, sources, figure, ends)


def _values(
    metric: ProtocolMetric, pairs: PairResults, name: str, source: LabelSource, protocol: str
) -> dict[str, float]:
    found = metric.compute_from(pairs.columns((name, source), protocol))
    return {figure: float(value) for figure, value in found.items()}


def _protocol(stored: Mapping[str, Any]) -> Protocol:
    """A protocol as it was kept with the scores."""
    lists = ("score_names", "single", "multiple")
    return Protocol(**{**stored, **{name: tuple(stored[name]) for name in lists}})


def _detection_figures(first: _Side, second: _Side, seed: int) -> Iterator[Difference]:
    sides = (first, second)
    if not all(name in side.pairs.detections for side in sides for name in side.members):
        return
    if not torch.equal(first.pairs.known, second.pairs.known):
        return
    drawn = [side.pairs.detection_draws(seed) for side in sides]
    for figure in next(iter(drawn[0].values())):
        ends = []
        for side, draws in zip(sides, drawn, strict=True):
            values = {name: _of_detection(side.pairs.detections[name]) for name in side.members}
            ends.append(
                side.mean(
                    {name: one[figure] for name, one in values.items()},
                    {name: draws[name][figure] for name in side.members},
                )
            )
        yield _difference(_DETECTION, ("detected", "detected"), figure, ends)


def _of_detection(one: Detections) -> dict[str, float]:
    precision = detection_mean_average_precision(one.scores, one.truth)
    return {"mean_average_precision": float(precision), **one.figures()}


def _difference(
    protocol: str,
    labels: tuple[LabelSource, LabelSource],
    figure: str,
    ends: Sequence[tuple[float, Draws]],
) -> Difference:
    (first, ours), (second, theirs) = ends
    interval = Interval.of(ours - theirs)
    return Difference(
        protocol,
        labels,
        figure,
        first,
        second,
        interval,
        verdict(interval, low_is_good=figure in LOW_IS_GOOD),
    )


def _settings(one: StoredScores, other: StoredScores) -> Iterator[str]:
    """Settings that differ without making the data other data, in sentences."""
    words = {"counting": "count of detected classes", "tvsl": "version of tvsl"}
    for name, title in words.items():
        ours, theirs = one.header[name], other.header[name]
        if ours != theirs:
            yield f"They differ in the {title}: {ours} and {theirs}."
    if one.header["names"] != other.header["names"]:
        yield "They differ in the classes among which is detected."
