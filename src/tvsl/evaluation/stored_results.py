"""Files of an evaluation: figures, and the scores of every pair, which another one reads."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tvsl.errors import DataError, OutputError
from tvsl.evaluation.result_cache import (
    FIGURES,
    RESULTS,
    SAMPLES,
    SCORES,
    SCORES_REMEDY,
    scores_file,
)
from tvsl.evaluation.results import DetectionRow, Evaluation, ResultRow
from tvsl.evaluation.score import Detections, PairResults
from tvsl.metrics import Interval
from tvsl.utils.atomic import writable
from tvsl.utils.files import write_json, write_rows
from tvsl.vocabularies import same_names

_FORMAT = 1
_HEADER = "header"
_LARGEST = 1 << 33  # bytes, unpacked


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


@dataclass(frozen=True, eq=False)
class StoredScores:
    """Scores of an evaluation as its folder keeps them.

    Attributes:
        path: The file.
        header: Data, settings, protocols, ``ids`` of the items, ``names`` of the classes, and
            ``runs``: the heads of each mean row.
        pairs: The scores; items and pairs are numbered as the file has them.
    """

    path: Path
    header: Mapping[str, Any]
    pairs: PairResults

    @property
    def ids(self) -> list[str]:
        """Ids of the items, by the numbers that pairs have for them."""
        return list(self.header["ids"])

    def labels(self) -> list[tuple[str, ...]]:
        """Classes of each item's sources, spelled in one way; empty names without classes."""
        names = [*same_names(self.header["names"]), ""]
        found: list[list[str]] = [[] for _ in self.ids]
        for item, label in zip(self.pairs.items.tolist(), self.pairs.labels.tolist(), strict=True):
            found[item].append(names[label])
        return [tuple(labels) for labels in found]


def write_scores(pairs: PairResults, header: Mapping[str, Any], path: Path) -> None:
    """Write the scores of all pairs, the same bytes for the same scores.

    Args:
        pairs: The scores.
        header: What they are of; see ``StoredScores``.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    places, items = pairs.items.unique(return_inverse=True)
    arrays: dict[str, Any] = {
        "items": items.int(),
        "labels": pairs.labels.int(),
        "sounding": pairs.sounding,
        "clusters": pairs.clusters.int(),
        "known": torch.searchsorted(places, pairs.known).int(),
    }
    keys = list(pairs.measures)
    for number, key in enumerate(keys):
        for protocol, columns in pairs.measures[key].items():
            arrays |= {f"{number}/{protocol}/{name}": one for name, one in columns.items()}
    for number, one in enumerate(pairs.detections.values()):
        arrays |= {f"detection/{number}/scores": one.scores, f"detection/{number}/taken": one.taken}
        arrays["truth"] = one.truth
    stated = {
        **header,
        "format": _FORMAT,
        "rows": keys,
        "measures": {name: list(one) for name, one in next(iter(pairs.measures.values())).items()},
        "detecting": list(pairs.detections),
    }
    arrays[_HEADER] = np.frombuffer(json.dumps(stated).encode(), np.uint8)
    with path.open("wb") as file:
        packed: dict[str, Any] = {name: np.asarray(one) for name, one in arrays.items()}
        np.savez_compressed(file, **packed)


def read_scores(place: Path) -> StoredScores:
    """Read the scores that an evaluation kept.

    Raises:
        DataError: There are none, or they are damaged.
    """
    path = scores_file(place)
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(one.file_size for one in packed.infolist())
        if size > _LARGEST:
            raise DataError("These scores are larger than any evaluation's.", SCORES_REMEDY, path)
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(arrays[_HEADER].tobytes())
            if header["format"] != _FORMAT:
                raise DataError(
                    f"Scores of the form {header['format']} are not known to this version.",
                    "Evaluate again.",
                    path,
                )
            return StoredScores(path, header, _unpacked(header, arrays))
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
    ) as e:
        raise DataError(f"These are no scores of an evaluation ({e}).", SCORES_REMEDY, path) from e


def _unpacked(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> PairResults:
    def tensor(name: str, dtype: torch.dtype) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(arrays[name])).to(dtype)

    items = tensor("items", torch.int64)
    truth = tensor("truth", torch.bool) if header["detecting"] else None
    detections = {
        name: Detections(
            tensor(f"detection/{number}/scores", torch.float32),
            tensor(f"detection/{number}/taken", torch.bool),
            truth,
        )
        for number, name in enumerate(header["detecting"])
        if truth is not None
    }
    return PairResults(
        numbers=torch.arange(len(items)),
        items=items,
        labels=tensor("labels", torch.int64),
        sounding=tensor("sounding", torch.bool),
        clusters=tensor("clusters", torch.int64),
        measures={
            (name, source): {
                protocol: {
                    measure: tensor(f"{number}/{protocol}/{measure}", torch.float64)
                    for measure in names
                }
                for protocol, names in header["measures"].items()
            }
            for number, (name, source) in enumerate(header["rows"])
        },
        detections=detections,
        known=tensor("known", torch.int64),
    )
