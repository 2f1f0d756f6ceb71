"""Results of an evaluation: from the scores of all pairs to rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tvsl import __version__
from tvsl.data.base import DataSet
from tvsl.errors import DataError, OutputError
from tvsl.evaluation.batch_scorer import Key, Measurer, detection_scores
from tvsl.evaluation.indexed import Listing
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow, beside
from tvsl.evaluation.result_cache import MeasuredGroup, Part
from tvsl.methods.base import Method
from tvsl.metrics import PAPER, Scores, detection_mean_average_precision, hash_ids
from tvsl.metrics.pair_metric import Columns
from tvsl.utils.files import write_rows


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was measured of P pairs, in the order of the data set.

    Attributes:
        numbers: Number of each pair in the data set, (P,).
        items: Place of each pair's item in the data set, (P,).
        labels: Class of each pair in the vocabulary, (P,); -1 without one.
        sounding: Whether its source is anywhere, (P,) bool.
        measured: By entry and source of labels, then by protocol: (P,) for each measure.
        found: By entry: whether the pair's class was detected, (P,) bool.
    """

    numbers: Tensor
    items: Tensor
    labels: Tensor
    sounding: Tensor
    measured: Mapping[Key, Mapping[str, Columns]]
    found: Mapping[str, Tensor]

    def columns(self, key: Key, protocol: str) -> Columns:
        """What a metric of this protocol sums up."""
        return {
            **self.measured[key][protocol],
            "labels": self.labels,
            "frames": self.items,
            "ids": self.numbers,
            "sounding": self.sounding,
        }

    def silent(self) -> int:
        """How many pairs have nothing to be found."""
        return int((~self.sounding).sum())


def gather(measurer: Measurer, groups: Sequence[MeasuredGroup]) -> Pairs:
    """Bring together what was measured of all groups.

    Args:
        measurer: What measured it.
        groups: The groups, in any order.

    Returns:
        The pairs.
    """
    listing = measurer.listing
    numbers = torch.tensor([number for group in groups for number in _numbers(group, listing)])
    numbers, order = numbers.sort()

    def column(values: Callable[[MeasuredGroup], Iterable[float]], dtype: torch.dtype) -> Tensor:
        return torch.tensor([one for group in groups for one in values(group)], dtype=dtype)[order]

    def measures(key: Key, protocol: str, names: Sequence[str]) -> Columns:
        entry, source = key
        return {
            name: column(
                lambda group: group.measured[entry][source][protocol][name],  # noqa: B023
                torch.float64,
            )
            for name in names
        }

    return Pairs(
        numbers=numbers,
        items=column(lambda group: _items(group, listing), torch.int64),
        labels=torch.tensor(listing.labels)[numbers],
        sounding=column(lambda group: group.sounding, torch.bool),
        measured={
            key: {
                protocol: measures(key, protocol, metric.score_names)
                for protocol, metric in measurer.metrics.items()
            }
            for key in measurer.keys
        },
        found={
            entry: column(lambda group: _found(group, entry, listing), torch.bool)  # noqa: B023
            for entry, sources in measurer.sources.items()
            if "detected" in sources
        },
    )


def _numbers(group: MeasuredGroup, listing: Listing) -> Iterable[int]:
    return (number for item in group.items for number in listing.pairs(item))


def _items(group: MeasuredGroup, listing: Listing) -> Iterable[int]:
    return (item for item in group.items for _ in listing.pairs(item))


def _found(group: MeasuredGroup, entry: str, listing: Listing) -> Iterable[bool]:
    chosen = group.detected[entry].chosen
    return (
        listing.labels[number] in taken
        for item, taken in zip(group.items, chosen, strict=True)
        for number in listing.pairs(item)
    )


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
            values = metric.compute_from(pairs.columns(key, protocol))
            scores = Scores(
                protocol=protocol,
                label_source=key[1],
                values={name: float(value) for name, value in values.items()},
                found=len(found),
                listed=measurer.listing.data.listed_count,
                left_out=0 if metric.include_empty else pairs.silent(),
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


_NOTHING = ""


def write_samples(evaluation: Evaluation, path: Path) -> None:
    """Write what was measured of every pair, a line for each pair, method and source of labels.

    Args:
        evaluation: The evaluation.
        path: Where to.

    Raises:
        OutputError: The file cannot be written.
    """
    metrics, pairs = evaluation.measurer.metrics, evaluation.pairs
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
    listing, pairs = evaluation.measurer.listing, evaluation.pairs
    place = int(pairs.items[row])
    number = int(pairs.numbers[row]) - listing.starts[place]
    item = listing.items[place]
    sounding = "yes" if pairs.sounding[row] else "no"
    pair = [item.id, str(number), item.labels[number] or _NOTHING, sounding]
    for (entry, source), measured in pairs.measured.items():
        found = _NOTHING
        if source == "detected":
            found = "yes" if pairs.found[entry][row] else "no"
        values = [float(measured[protocol][name][row]) for protocol, name in measures]
        told = [_NOTHING if value != value else repr(value) for value in values]
        yield [*pair, entry, source, found, *told]
