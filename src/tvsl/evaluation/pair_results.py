"""Scores of all pairs of an evaluation: in order, drawn again for intervals, and kept in a file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tvsl.errors import DataError
from tvsl.evaluation.result_cache import SCORES, BatchResult
from tvsl.evaluation.scorers import Key, Scorer, detection_scores
from tvsl.metrics import Bootstrap, ProtocolMetric, detection_draws
from tvsl.metrics.intervals import Draws, ratio
from tvsl.metrics.pair_metric import Columns
from tvsl.vocabularies import same_names

LOW_IS_GOOD = frozenset({"false_per_item"})
"""Figures of detection of which less is better; of all other figures more is."""

_FORMAT = 1
_HEADER = "header"
_LARGEST = 1 << 33  # bytes, unpacked
_NOTHING = "Name the folder of an evaluation, or its scores.npz."


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
    path = place / SCORES if place.is_dir() else place.with_name(SCORES)
    if not path.is_file():
        raise DataError("There are no scores of an evaluation.", _NOTHING, path)
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(one.file_size for one in packed.infolist())
        if size > _LARGEST:
            raise DataError("These scores are larger than any evaluation's.", _NOTHING, path)
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
        raise DataError(f"These are no scores of an evaluation ({e}).", _NOTHING, path) from e


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
