"""The page of an evaluation: tables, what they mean, and its best, median and worst items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tvsl.boxes import reduced_size
from tvsl.data.base import Item, Sample
from tvsl.evaluation.batch import encode_read_items
from tvsl.evaluation.evaluator import Evaluator
from tvsl.evaluation.predict import NO_MAP
from tvsl.evaluation.result_cache import PAGE, RESULTS, earlier_outputs
from tvsl.evaluation.results import Evaluation, detection_table, notes, result_tables
from tvsl.evaluation.score import Key
from tvsl.evaluation.stored_results import write_results
from tvsl.html.page import (
    distinct_maps,
    heat_uri,
    jpeg_uri,
    outline_uri,
    sound_values,
    table_values,
)
from tvsl.html.rendering import Values, render_page
from tvsl.localization import SoundSource
from tvsl.media.waveform import resampled
from tvsl.metrics import LabelSource
from tvsl.render.colors import RGBImage, source_color
from tvsl.render.overlay import LONGEST_DRAWING
from tvsl.utils.atomic import staged, write_text

MEASURES = {"ap": "AP", "ciou": "cIoU", "iou": "IoU", "confidence": "confidence"}
_SHOWN_HEIGHT = 336
_SHOWN_RATE = 16_000
_UNNAMED = "the source"

Maps = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CaseSource:
    """A true source of an item, and what was found of it.

    Attributes:
        label: Its class; None where the data set has none.
        target: Its mask, (H, W), in [0, 1].
        maps: By the source of labels, as scored, (h, w); without one where its class was not
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
        tuple(_localized(evaluator, evaluation, key[0], place, scores[place]) for place in part)
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


def _localized(
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


def write_report(run: Evaluator, evaluation: Evaluation, cases: int, folder: Path) -> None:
    """Write figures, scores and the page: all files, or none.

    Args:
        run: The evaluation's run.
        evaluation: Its numbers.
        cases: How many best, median and worst items the page shows.
        folder: Where to; earlier files of these names are replaced.

    Raises:
        OutputError: The folder cannot be written.
        TvslError: An item that shall be shown cannot be read any more.
    """
    page = evaluation_page(evaluation, show_cases(run, evaluation, cases))
    with staged(folder, RESULTS, True, earlier_outputs) as work:
        write_text(work / PAGE, page)
        write_results(evaluation, work)


def evaluation_page(evaluation: Evaluation, cases: Cases) -> str:
    """Write the page.

    Args:
        evaluation: The numbers.
        cases: The items to be shown.

    Returns:
        The HTML, the same for the same evaluation. It asks no network for anything.
    """
    scorer = evaluation.scorer
    detection = detection_table(evaluation)
    tables = [*result_tables(evaluation), *([] if detection is None else [detection])]
    rate = cases.sample_rate
    shown = {"Best": cases.best, "Median": cases.median, "Worst": cases.worst}
    values: Values = {
        "title": scorer.data.dataset.title,
        "model": scorer.describe()["model"],
        "found": evaluation.found,
        "listed": evaluation.listed,
        "tables": [table_values(table) for table in tables],
        "notes": notes(evaluation),
        "skipped": evaluation.skipped,
        "method": cases.model,
        "chosen_by": cases.chosen_by,
        "labels": scorer.sources[cases.model],
        "groups": [
            (title, [_case(case, f"{title.lower()}-{n}", rate) for n, case in enumerate(group)])
            for title, group in shown.items()
            if group
        ],
    }
    return render_page(
        "evaluation.html",
        values,
        styles=["page.css", "evaluation.css"],
        colors=max((len(case.sources) for case in cases.all), default=1),
        script="page.js",
    )


def _case(case: Case, name: str, sample_rate: int) -> Values:
    true = {source.label for source in case.sources}
    return {
        "name": name,
        "id": case.item.id,
        "score": f"{100 * case.score:.1f}",
        "panels": case.item.panels,
        "picture": jpeg_uri(_side_by_side(case.sample.pictures)),
        "labels": [source.label or _UNNAMED for source in case.sources],
        "outlines": [outline_uri(source.target > 0) for source in case.sources],
        "sound": _sound(case.sample.waveform, sample_rate),
        "columns": _columns(case.sources[0]),
        "sources": [_source(source, number) for number, source in enumerate(case.sources)],
        "no_classes": true == {None},
        "others": [label for label in case.detected if label not in true],
    }


def _side_by_side(pictures: Sequence[RGBImage]) -> RGBImage:
    """Panels as high as is shown, each as wide as the first.

    Very wide ones are less high: none has more than 2048 pixels along a side.
    """
    height, width = pictures[0].shape[:2]
    wanted = (_SHOWN_HEIGHT, max(round(_SHOWN_HEIGHT * width / height), 1))
    high, wide = reduced_size(wanted, LONGEST_DRAWING)
    panels = (
        Image.fromarray(picture).resize((wide, high), Image.Resampling.LANCZOS)
        for picture in pictures
    )
    return np.concatenate([np.array(panel) for panel in panels], axis=1)


def _sound(waveform: NDArray[np.float32], sample_rate: int) -> Values:
    rate = min(sample_rate, _SHOWN_RATE)
    wave = resampled(waveform, sample_rate, rate)
    loudest = max(float(np.abs(wave).max()), 1.0)  # the sum of several sounds may be too loud
    samples = np.rint(wave / loudest * 32767).astype(np.int16)
    return sound_values(wave, samples, rate, "The sound")


def _columns(source: CaseSource) -> list[str]:
    """Titles of the columns of a case's table, which are the same for all of its sources."""
    if source.measures.keys() == {"none"}:
        return [MEASURES[measure] for measure in source.measures["none"]]
    return [
        f"{MEASURES[measure]}, {labels}"
        for labels, measures in source.measures.items()
        for measure in measures
    ]


def _source(source: CaseSource, number: int) -> Values:
    height, width = source.target.shape
    maps: dict[str, SoundSource] = {
        labels: SoundSource(source.label or "", 0.0, grid, (height, width))
        for labels, grid in source.maps.items()
    }
    values = [value for measures in source.measures.values() for value in measures.values()]
    texts = ["-" if np.isnan(value) else f"{100 * value:.1f}" for value in values]
    return {
        "label": source.label or _UNNAMED,
        "missed": "detected" in source.measures and "detected" not in source.maps,
        "layers": [
            {"labels": labels, "image": heat_uri(found, source_color(number))}
            for labels, found in distinct_maps(maps)
        ],
        "numbers": list(zip(_columns(source), texts, strict=True)),
    }
