"""The numbers of an evaluation, summed up from what was measured of every pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tvsl import __version__
from tvsl.data.dataset import DataSet
from tvsl.errors import DataError
from tvsl.evaluation.measuring import Key, Measurer, detection_scores
from tvsl.evaluation.pairs import Pairs, gather
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow, beside
from tvsl.evaluation.parts import MeasuredGroup, Part
from tvsl.methods.base import Method
from tvsl.metrics import PAPER, Scores, detection_mean_average_precision, hash_ids


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        entry: Name of the method in the table.
        method: Its name in the registry; None for a trivial map.
        sha256: Fingerprint of the head; None for a trivial map.
        scores: The numbers, with their protocol, source of labels and items.
        assigned: Whether the method's maps carry no names and were assigned to the sources of
            their item by the best permutation against the truth (PIAP).
        paper: What the paper has to set beside them; None where it has nothing.
    """

    entry: str
    method: str | None
    sha256: str | None
    scores: Scores
    assigned: bool
    paper: PaperRow | None

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        paper = None
        if self.paper is not None:
            title = BENCHMARKS[self.paper.benchmark]
            paper = {**asdict(self.paper), "benchmark": title, "unit": "percent"}
        head = {"entry": self.entry, "method": self.method, "sha256": self.sha256}
        return {**head, **self.scores.to_dict(), "assigned": self.assigned, "paper": paper}


@dataclass(frozen=True)
class DetectionRow:
    """How well the classes of the items were detected, of those whose classes are known.

    Attributes:
        entry: Name of the method in the table.
        rule: How many classes were taken, in words.
        mean_average_precision: Of the scores, over the classes that occur.
        precision: Share of the classes taken that are there.
        recall: Share of the classes there that were taken.
        false_per_item: Classes taken of an item that are not there, on average.
    """

    entry: str
    rule: str
    mean_average_precision: float
    precision: float
    recall: float
    false_per_item: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An evaluation that is done.

    Attributes:
        measurer: What was evaluated, on what, under which conditions.
        pairs: What was measured of every pair.
        rows: The table, by protocol, then by entry.
        detection: How well classes were detected.
        failures: Why items were left out, by their places in the data set.
    """

    measurer: Measurer
    pairs: Pairs
    rows: tuple[Row, ...]
    detection: tuple[DetectionRow, ...]
    failures: Mapping[int, str]

    @property
    def found(self) -> int:
        """How many items were found."""
        return len(self.measurer.listing.items) - len(self.failures)

    @property
    def listed(self) -> int:
        """How many items the data set lists, whatever the user leaves out of them."""
        return self.measurer.listing.data.listed_count

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Name of each item that was left out, and why."""
        items = self.measurer.listing.items
        return [(items[place].id, reason) for place, reason in sorted(self.failures.items())]

    def to_dict(self) -> dict[str, Any]:
        """All but the single pairs, ready for JSON; the same whoever measured."""
        measurer = self.measurer
        entries, data = measurer.entries, measurer.listing.data
        encoder, conditions = entries.encoder, measurer.conditions
        return {
            "tvsl": __version__,
            "model": entries.model,
            "encoder": {
                "sha256": encoder.fingerprint,
                "image_tokens": encoder.image_tokens,
                "flip_average": encoder.flip_average,
                "precision": encoder.precision,
                "device": encoder.device.type,
            },
            "data": {"name": data.name, "title": data.title, **data.model_dump(mode="json")},
            "conditions": conditions.model_dump(mode="json"),
            "protocols": {one.name: asdict(one) for one in conditions.chosen},
            "found": self.found,
            "listed": self.listed,
            "left_out": None if data.left_out is None else data.left_out.to_dict(),
            "dropped": dict(data.dropped),
            "lists": [asdict(one) for one in data.used_lists],
            "skipped": [{"id": name, "reason": reason} for name, reason in self.skipped],
            "results": [row.to_dict() for row in self.rows],
            "detection": [asdict(row) for row in self.detection],
        }


def summed_up(measurer: Measurer, parts: Iterable[Part]) -> Evaluation:
    """Sum up everything that was measured.

    Args:
        measurer: What measured it.
        parts: All batches.

    Returns:
        The evaluation.

    Raises:
        DataError: No item could be read.
        ShapeError: No source of any item is anywhere.
    """
    parts = list(parts)
    groups = [group for part in parts for group in part.groups]
    failures = {place: reason for part in parts for place, reason in part.failures.items()}
    if not groups:
        first = min(failures)
        raise DataError(
            f"None of the {len(failures)} items could be read.",
            f"Check the root and the files. What was said of the first: {failures[first]}",
        )
    pairs = gather(measurer, groups)
    rows = tuple(_rows(measurer, pairs, failures))
    return Evaluation(measurer, pairs, rows, tuple(_detection(measurer, groups)), failures)


def _rows(measurer: Measurer, pairs: Pairs, failures: Mapping[int, str]) -> Iterator[Row]:
    items = measurer.listing.items
    found = [item.id for place, item in enumerate(items) if place not in failures]
    ids_hash = hash_ids(found)
    # Hashing a head takes a moment: not once for each row.
    heads = {entry.name: (entry.method, entry.sha256) for entry in measurer.entries.methods}
    for protocol, metric in measurer.metrics.items():
        for key in measurer.keys:
            values = metric.sum_up(pairs.columns(key, protocol))
            scores = Scores(
                protocol=protocol,
                label_source=key[1],
                values={name: float(value) for name, value in values.items()},
                found=len(found),
                listed=measurer.listing.data.listed_count,
                left_out=0 if metric.keeps_silent else pairs.silent(),
                ids_hash=ids_hash,
            )
            yield _row(key, heads.get(key[0]), scores, measurer.listing.data)


def _row(key: Key, head: tuple[Method, str] | None, scores: Scores, data: DataSet) -> Row:
    if head is None:
        return Row(key[0], None, None, scores, False, None)
    method, sha256 = head
    is_paper = scores.protocol == PAPER.name
    paper = beside(method.name, data, scores.found) if is_paper else None
    assigned = method.permutation_invariant and key[1] == "none"
    return Row(key[0], method.name, sha256, scores, assigned, paper)


def _detection(measurer: Measurer, groups: Sequence[MeasuredGroup]) -> Iterator[DetectionRow]:
    listing = measurer.listing
    if not listing.labelled:
        return
    items = [item for group in groups for item in group.items]
    classes = [{listing.labels[pair] for pair in listing.pairs(item)} for item in items]
    known = [row for row, there in enumerate(classes) if -1 not in there]
    there = [classes[row] for row in known]
    truth = torch.zeros(len(known), len(listing.vocabulary), dtype=torch.bool)
    for row, labels in enumerate(there):
        truth[row, list(labels)] = True
    for entry, sources in measurer.sources.items():
        if "detected" not in sources:
            continue
        detected = [group.detected[entry] for group in groups]
        scores = torch.cat([detection_scores(one, truth.shape[1]) for one in detected])[known]
        chosen = [taken for one in detected for taken in one.chosen]
        taken = [set(chosen[row]) for row in known]
        right = sum(len(some & true) for some, true in zip(taken, there, strict=True))
        total = sum(len(some) for some in taken)
        yield DetectionRow(
            entry=entry,
            rule=detection_rule(entry, measurer),
            mean_average_precision=float(detection_mean_average_precision(scores, truth)),
            precision=right / total,
            recall=right / sum(len(some) for some in there),
            false_per_item=(total - right) / len(known),
        )


def detection_rule(entry: str, measurer: Measurer) -> str:
    """How many classes of an item are taken, in words."""
    if measurer.conditions.counting == "true":
        return "as many classes as the item has"
    (method,) = (one.method for one in measurer.entries.methods if one.name == entry)
    threshold = method.config.detection_threshold
    if threshold is None:
        return "classes that stand out of the vocabulary, no threshold was calibrated"
    return f"classes with a score of {threshold:.3f} or more, calibrated on validation data"
