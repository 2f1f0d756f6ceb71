"""An evaluation of methods on a data set, from which an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.data.base import MISSING_OR_SKIP, DataSet, are_labelled, require_files, require_items
from tvsl.errors import OutputError
from tvsl.evaluation.batch import IndexedDataset, Reader
from tvsl.evaluation.config import EvaluationConfig
from tvsl.evaluation.models import EvaluatedModels
from tvsl.evaluation.predict import label_sources
from tvsl.evaluation.result_cache import ResultCache, ResultsInMemory
from tvsl.evaluation.results import Evaluation, summarize
from tvsl.evaluation.scorers import BatchScorer
from tvsl.loading import check_classes
from tvsl.methods.base import Method
from tvsl.metrics import hash_ids
from tvsl.tokens import rows_among
from tvsl.utils.processes import Processes
from tvsl.utils.progress import Progress, no_progress
from tvsl.vocabularies import everyday_sounds


class Evaluator:
    """Scores of all batches of a data set, and the results made of them.

    Args:
        models: The models on their encoder.
        data: The data set.
        config: The settings.
        folder: Folder of the results; scores of batches are kept in a hidden folder in it, in
            memory when None.
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
        models: EvaluatedModels,
        data: DataSet,
        config: EvaluationConfig,
        folder: Path | None = None,
        workers: int = 4,
        skip: bool = False,
    ) -> None:
        require_items(data)
        self.models = models
        self.config = config
        encoder = models.encoder
        names = config.vocabulary or data.names or encoder.classes or everyday_sounds()
        self.data = IndexedDataset(data, encoder.vocabulary(names))
        self.data.labels  # noqa: B018  (a class that cannot be asked for ends it here)
        self.scorer = BatchScorer(models, self.data, config)
        square = data.square or models.square
        self.reader = Reader(data, encoder, square, config.batch, workers, skip)
        self.cache = ResultsInMemory() if folder is None else ResultCache(folder)

    @property
    def record(self) -> dict[str, Any]:
        """Everything that decides the scores, as it is kept beside them."""
        encoder = self.models.encoder
        return {
            **known_record(self.data.dataset, self.config),
            "encoder": encoder.fingerprint,
            "image tokens": encoder.image_tokens,
            "flip average": encoder.flip_average,
            "precision": encoder.precision,
            "device": encoder.device.type,
            "methods": {model.name: model.sha256 for model in self.models.methods},
            "vocabulary": _hash(self.data.vocabulary.names),
            "square pictures": self.reader.square,
        }

    def run(
        self,
        processes: Processes = Processes(),  # noqa: B008  (frozen)
        force: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        """Score this process's share of the batches that have no result yet.

        Args:
            processes: This process among others; of n, number r scores batches r, r + n, ...
            force: Whether to begin anew, whatever the folder holds.
            progress: Called with the items of this share that are done and that there are.

        Raises:
            OutputError: The folder holds something else and ``force`` is not set, or it cannot be
                written.
            TvslError: An item cannot be read, and none may be left out.
        """
        if processes.leads:
            self.cache.begin(self.record, force)
        processes.meet()
        share = range(processes.rank, self.reader.count, processes.count)
        done = self.cache.done()
        rest = [number for number in share if number not in done]
        if not self.reader.skip:
            members = (place for number in rest for place in self.reader.members(number))
            require_files((self.data.items[place] for place in members), MISSING_OR_SKIP)
        sizes = {number: len(self.reader.members(number)) for number in share}
        so_far = sum(size for number, size in sizes.items() if number in done)
        progress(so_far, sum(sizes.values()))
        with self.cache.writer(processes.rank) as writer:
            for batch in self.reader.batches(rest):
                writer.write(self.scorer.score(batch))
                so_far += sizes[batch.number]
                progress(so_far, sum(sizes.values()))
        processes.meet()

    def summarize(self) -> Evaluation:
        """Results of the batches of all processes.

        Raises:
            OutputError: A batch has no result.
            DataError: No item could be read.
        """
        results = self.cache.all()
        missing = self.reader.count - len(results)
        if missing:
            raise OutputError(
                f"{missing} of {self.reader.count} batches have not been scored.",
                "All processes must see the same folder; run the command again.",
                self.cache.output,
            )
        return summarize(self.scorer, results.values())


def known_record(data: DataSet, config: EvaluationConfig) -> dict[str, Any]:
    """The part of an evaluation's record that needs no weights.

    Args:
        data: The data set.
        config: The settings.
    """
    listed = [(item.id, item.labels, item.panels, len(item.sources)) for item in data.items]
    return {
        "tvsl": __version__,
        "data set": data.name,
        "options of the data set": data.model_dump(mode="json"),
        "items": hash_ids(item.id for item in data.items),
        "lists": _hash(listed),
        "config": config.model_dump(mode="json"),
    }


def check_methods(
    data: DataSet, config: EvaluationConfig, methods: Mapping[str, type[Method]]
) -> None:
    """Check that methods can be evaluated with these settings.

    Args:
        data: The data set.
        config: The settings.
        methods: The methods by what the table calls them.

    Raises:
        UsageError: A method cannot.
        DataError: Some sources of the data set have a class and others have none.
    """
    labelled = are_labelled(data.items)
    complete = all(label is not None for item in data.items for label in item.labels)
    for method in methods.values():
        label_sources(method, labelled, config.labels, labelled and complete)


def check_classes_of(data: DataSet, config: EvaluationConfig, model: str | Path) -> None:
    """Check the classes of an evaluation as far as that needs no weights.

    Args:
        data: The data set.
        config: The settings.
        model: Name or path of the encoder.

    Raises:
        UsageError: The data set has no item.
        DataError: Its lists cannot be used.
        VocabularyError: A class of it is not in the vocabulary, or the model has no words for one.
    """
    require_items(data)
    names = config.vocabulary or data.names
    if not names:
        return
    check_classes(model, names)
    labels = [label for item in data.items for label in item.labels if label is not None]
    rows_among(names, list(dict.fromkeys(labels)))


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
