"""The best, the median and the worst items of an evaluation, localized once more to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.data.base import Item, Sample
from tvsl.evaluation.batch import encode_read_items
from tvsl.evaluation.evaluator import Evaluator
from tvsl.evaluation.predict import NO_MAP
from tvsl.evaluation.results import Evaluation
from tvsl.evaluation.scorers import Key
from tvsl.metrics import LabelSource

Maps = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CaseSource:
    """A true source of an item, and what was found of it.

    Attributes:
        label: Its class; None where the data set has none.
        target: Its mask, (H, W), in [0, 1].
        maps: By the source of labels, as scored, (h, w); without an model where its class was not
            detected.
        measures: By the source of labels, then by the name of the measure.
    """

    label: str | None
    target: Maps
    maps: Mapping[LabelSource, Maps]
    measures: Mapping[LabelSource, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Case:
    """An item that is shown.

    Attributes:
        item: The item.
        score: Score by which it was chosen, in [0, 1].
        sample: Its pictures and its sound.
        sources: Its true sources.
        detected: The classes that were detected, best first.
    """

    item: Item
    score: float
    sample: Sample
    sources: tuple[CaseSource, ...]
    detected: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cases:
    """Items of an evaluation, chosen by their scores alone.

    Attributes:
        model: The method that they are shown for.
        chosen_by: Name of the score by which they were chosen.
        best: The best ones, best first.
        median: Those around the middle.
        worst: The worst ones, worst last.
        sample_rate: Samples per second of their sounds.
    """

    model: str
    chosen_by: str
    best: tuple[Case, ...]
    median: tuple[Case, ...]
    worst: tuple[Case, ...]
    sample_rate: int

    @property
    def all(self) -> tuple[Case, ...]:
        """All of them."""
        return (*self.best, *self.median, *self.worst)


def show_cases(evaluator: Evaluator, evaluation: Evaluation, count: int) -> Cases:
    """Choose items by the first method of the table, and localize them once more.

    An item's score is the mean over its sources of the average precision (of the cIoU where the
    protocol has none), by the first protocol and the first source of labels.

    Args:
        evaluator: The evaluator, which can read items and predict again.
        evaluation: Its numbers.
        count: Number of best, median and worst ones each; fewer where there are fewer items.

    Raises:
        TvslError: An item cannot be read any more.
    """
    key, protocol = evaluation.scorer.keys[0], evaluation.scorer.config.protocols[0]
    measures = evaluation.pairs.measures[key][protocol]
    measure = "ap" if "ap" in measures else "ciou"
    scores = _item_scores(evaluation, measures[measure])
    ranked = sorted(scores, key=lambda place: (-scores[place], place))
    parts = thirds(ranked, count)
    shown = [
        tuple(_case(evaluator, evaluation, key[0], place, scores[place]) for place in part)
        for part in parts
    ]
    what = {"ap": "average precision", "ciou": "cIoU"}[measure]
    labels = "" if key[1] == "none" else f", labels {key[1]}"
    chosen_by = f"mean {what} of the item's sources, protocol {protocol}{labels}"
    best, median, worst = shown
    rate = evaluator.models.encoder.sample_rate
    return Cases(key[0], chosen_by, best, median, worst, rate)


def thirds(ranked: Sequence[int], count: int) -> tuple[list[int], list[int], list[int]]:
    """Some of the first, of the middle and of the last, none of them twice.

    Args:
        ranked: All of them.
        count: Number of each; a third of all, if that is fewer.
    """
    count = min(count, max(len(ranked) // 3, 1))
    first, rest = list(ranked[:count]), list(ranked[count:])
    kept = min(count, len(rest))
    middle, last = rest[: len(rest) - kept], rest[len(rest) - kept :]
    start = max(len(middle) - count, 0) // 2
    return first, middle[start : start + count], last


def _item_scores(evaluation: Evaluation, values: Tensor) -> dict[int, float]:
    """Mean over the sounding pairs of each item that has one, by its place in the data set."""
    pairs = evaluation.pairs
    sums: dict[int, list[float]] = {}
    places, sounding = pairs.items.tolist(), pairs.sounding.tolist()
    for place, value, counts in zip(places, values.tolist(), sounding, strict=True):
        if counts:
            sums.setdefault(place, []).append(value)
    return {place: sum(some) / len(some) for place, some in sums.items()}


def _case(
    evaluator: Evaluator, evaluation: Evaluation, model: str, place: int, score: float
) -> Case:
    data = evaluator.data
    item = data.items[place]
    sample = evaluator.reader.data.read(item, evaluator.models.encoder.sample_rate)
    read = evaluator.reader.prepared(place, sample)
    (batch,) = encode_read_items([read], data, evaluator.models.encoder)
    predictions = evaluator.scorer.predict(model, batch)
    maps = predictions.maps.cpu().numpy()
    rows = {source: rows.tolist() for source, rows in predictions.rows.items()}
    first = int(torch.searchsorted(evaluation.pairs.numbers, data.starts[place]))
    sources = tuple(
        CaseSource(
            label=source.label,
            target=sample.targets[number],
            maps={
                labels: maps[places[number]]
                for labels, places in rows.items()
                if places[number] != NO_MAP
            },
            measures={
                labels: _measures(evaluation, (model, labels), first + number) for labels in rows
            },
        )
        for number, source in enumerate(item.sources)
    )
    taken = predictions.detected[0] if predictions.detected else ()
    names = tuple(data.vocabulary.names[label] for label in taken)
    return Case(item, score, sample, sources, names)


def _measures(evaluation: Evaluation, key: Key, row: int) -> dict[str, float]:
    protocol = evaluation.scorer.config.protocols[0]
    columns = evaluation.pairs.measures[key][protocol]
    return {name: float(column[row]) for name, column in columns.items()}
