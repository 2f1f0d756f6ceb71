"""Evaluate methods on a data set: measure what is still to be measured, then sum up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.data.dataset import DataSet
from tvsl.errors import OutputError
from tvsl.evaluation.conditions import Conditions, label_sources
from tvsl.evaluation.entries import Entries
from tvsl.evaluation.listing import Listing, are_labelled, require_files, require_items
from tvsl.evaluation.measuring import Measurer
from tvsl.evaluation.parts import PartFiles
from tvsl.evaluation.processes import Processes
from tvsl.evaluation.results import Evaluation, summed_up
from tvsl.evaluation.samples import Reader
from tvsl.loading import check_classes
from tvsl.methods.base import Method
from tvsl.metrics import hash_ids
from tvsl.tokens import rows_among
from tvsl.vocabularies import everyday_sounds

Report = Callable[[int, "int | None"], None]


class Run:
    """An evaluation whose progress is kept in a folder.

    Args:
        entries: The methods and their encoder.
        data: The data set.
        conditions: The conditions.
        folder: Where results go; what is measured is kept in a hidden folder there.
        workers: Threads that read media.
        skip: Whether items that cannot be read are left out and listed, or end the evaluation.

    Raises:
        UsageError: The data set has no item, or a method cannot be evaluated so.
        DataError: The data set's lists cannot be used.
        VocabularyError: A class of the data set is not in the vocabulary, or the model has no
            words for one.
    """

    def __init__(
        self,
        entries: Entries,
        data: DataSet,
        conditions: Conditions,
        folder: Path,
        workers: int = 4,
        skip: bool = False,
    ) -> None:
        require_items(data)
        self.entries = entries
        self.conditions = conditions
        encoder = entries.encoder
        names = conditions.vocabulary or data.names or encoder.classes or everyday_sounds()
        self.listing = Listing(data, encoder.vocabulary(names))
        self.listing.labels  # noqa: B018  (a class that cannot be asked for ends it here)
        self.measurer = Measurer(entries, self.listing, conditions)
        square = data.square or entries.square
        self.reader = Reader(data, encoder, square, conditions.batch, workers, skip)
        self.files = PartFiles(folder)

    @property
    def record(self) -> dict[str, Any]:
        """Everything that decides what is measured."""
        encoder = self.entries.encoder
        return {
            **known_record(self.listing.data, self.conditions),
            "encoder": encoder.fingerprint,
            "image tokens": encoder.image_tokens,
            "flip average": encoder.flip_average,
            "precision": encoder.precision,
            "device": encoder.device.type,
            "methods": {entry.name: entry.sha256 for entry in self.entries.methods},
            "vocabulary": _hash(self.listing.vocabulary.names),
            "square pictures": self.reader.square,
        }

    def measure(
        self,
        processes: Processes = Processes(),  # noqa: B008  (frozen)
        force: bool = False,
        report: Report | None = None,
    ) -> None:
        """Measure this process's share of the batches that are still to be measured.

        Args:
            processes: This process among others; batch b is done by process b modulo their number.
            force: Whether to begin anew, whatever the folder holds.
            report: Called with the items of this share that are done and that there are.

        Raises:
            OutputError: The folder holds something else and ``force`` is not set, or it cannot be
                written.
            TvslError: An item cannot be read, and none may be left out.
        """
        if processes.leads:
            self.files.begin(self.record, force)
        processes.meet()
        share = range(processes.rank, self.reader.count, processes.count)
        done = self.files.done()
        rest = [number for number in share if number not in done]
        if not self.reader.skip:
            items = self.listing.items
            members = (place for number in rest for place in self.reader.members(number))
            require_files(items[place] for place in members)
        sizes = {number: len(self.reader.members(number)) for number in share}
        so_far = sum(size for number, size in sizes.items() if number in done)
        told = report or _silent
        told(so_far, sum(sizes.values()))
        with self.files.writer(processes.rank) as writer:
            for batch in self.reader.batches(rest):
                writer.write(self.measurer.measure(batch))
                so_far += sizes[batch.number]
                told(so_far, sum(sizes.values()))
        processes.meet()

    def sum_up(self) -> Evaluation:
        """Sum up what all processes have measured.

        Returns:
            The numbers.

        Raises:
            OutputError: Something is missing.
            DataError: No item could be read.
        """
        parts = self.files.all()
        missing = self.reader.count - len(parts)
        if missing:
            raise OutputError(
                f"{missing} of {self.reader.count} batches have not been measured.",
                "All processes must see the same folder; run the command again.",
                self.files.results,
            )
        return summed_up(self.measurer, parts.values())


def known_record(data: DataSet, conditions: Conditions) -> dict[str, Any]:
    """As much of an evaluation's record as needs no weights.

    Args:
        data: The data set.
        conditions: The conditions.
    """
    listed = [(item.id, item.labels, item.panels, len(item.sources)) for item in data.items]
    return {
        "tvsl": __version__,
        "data set": data.name,
        "options of the data set": data.model_dump(mode="json"),
        "items": hash_ids(item.id for item in data.items),
        "lists": _hash(listed),
        "conditions": conditions.model_dump(mode="json"),
    }


def check_methods(
    data: DataSet, conditions: Conditions, methods: Mapping[str, type[Method]]
) -> None:
    """Let through only methods that can be evaluated under these conditions.

    Args:
        data: The data set.
        conditions: The conditions.
        methods: The methods by what the table calls them.

    Raises:
        UsageError: A method cannot.
        DataError: Some sources of the data set have a class and others have none.
    """
    labelled = are_labelled(data.items)
    complete = all(label is not None for item in data.items for label in item.labels)
    for method in methods.values():
        label_sources(method, labelled, conditions.labels, labelled and complete)


def check_classes_of(data: DataSet, conditions: Conditions, model: str | Path) -> None:
    """Look at the classes of an evaluation, as far as that needs no weights.

    Args:
        data: The data set.
        conditions: The conditions.
        model: Name or path of the encoder.

    Raises:
        UsageError: The data set has no item.
        DataError: Its lists cannot be used.
        VocabularyError: A class of it is not in the vocabulary, or the model has no words for one.
    """
    require_items(data)
    names = conditions.vocabulary or data.names
    if not names:
        return
    check_classes(model, names)
    labels = [label for item in data.items for label in item.labels if label is not None]
    rows_among(names, list(dict.fromkeys(labels)))


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _silent(done: int, total: int | None) -> None:
    """Report nothing."""
