"""An evaluation of models on a data set, batch after batch; an interrupted one goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tvsl.data.base import MISSING_OR_SKIP, DataSet, are_labelled, require_files, require_items
from tvsl.encoder import Encoder, FlipAverage
from tvsl.errors import OutputError, UsageError
from tvsl.evaluation.batch import (
    EncodedBatch,
    IndexedDataset,
    ReadBatch,
    Reader,
    encode_read_items,
)
from tvsl.evaluation.predict import EvaluationConfig, Predictions, label_sources, predict
from tvsl.evaluation.record import hash_files, hash_of, hash_present_files, known_record
from tvsl.evaluation.result_cache import BatchResult, ResultCache
from tvsl.evaluation.results import Evaluation, summarize
from tvsl.evaluation.score import Scorer
from tvsl.loading import UntrainedHead, check_classes, load_encoder, model_name, own_head
from tvsl.methods import METHODS
from tvsl.methods.base import Method, MethodConfig, Trivial
from tvsl.methods.checkpoint_io import StoredHead, read_head
from tvsl.methods.tvsl import TVSL
from tvsl.tokens import rows_among
from tvsl.utils.devices import PrecisionChoice
from tvsl.utils.model_folder import fingerprint
from tvsl.utils.processes import Processes, Progress, no_progress
from tvsl.vocabularies import everyday_sounds

# What these say of the encoder must be one thing for all heads that are evaluated on it.
_ENCODER_FIELDS = ("image_tokens", "waveform_scale", "flip_average", "square_pictures")

_TRAINING_NOTES = frozenset({"recipe", "training"})
"""Notes in which `tvsl train` and `tvsl reproduce` keep how a head was trained."""


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A method in the table.

    Attributes:
        name: Name in the table.
        method: The head, in evaluation mode.
        trained: Whether it was trained.
        training: Notes on its training, without its seed; empty where there are none.
    """

    name: str
    method: Method
    trained: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """Method, hyperparameters and training: heads that share them differ by their seeds alone.

        What validation decides is no part of it.
        """
        fixed = self.method.config.model_dump_json(exclude=set(self.method.tunable))
        return f"{self.method.name} {fixed} {json.dumps(self.training, sort_keys=True)}"

    @property
    def sha256(self) -> str:
        """Fingerprint of the head with all its hyperparameters, as they are now."""
        described = f"{self.method.name} {self.method.config.model_dump_json()}"
        return fingerprint(described, self.method.state_dict())


@dataclass(frozen=True, eq=False)
class EvaluatedModels:
    """All that is evaluated in one pass over an encoder's tokens.

    Attributes:
        model: Name of the encoder.
        encoder: The encoder.
        methods: The methods, the one first that cases are chosen by.
    """

    model: str
    encoder: Encoder
    methods: tuple[EvaluatedModel, ...]

    @property
    def square(self) -> bool:
        """Tell whether the heads want pictures squeezed into a square."""
        return self.methods[0].method.config.square_pictures


_Sources = dict[str, "StoredHead | UntrainedHead"]


def load_models(
    model: str | Path | Encoder,
    heads: Sequence[str | Path] = (),
    methods: Sequence[str | type[Method]] = (),
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
) -> EvaluatedModels:
    """Load an encoder with all heads that are to be evaluated on it, trained ones first.

    Args:
        model: Name, path or reference of the encoder, or itself.
        heads: Folders of trained heads; the model's own when there are none, if it has one that
            goes with the methods.
        methods: Methods that need no training, or their names or references; ``tvsl``, the
            zero-shot head, where there would be nothing else.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: Average with the flipped picture's tokens; the heads' choice when None.
        progress: Called with bytes so far and in all while weights are fetched.

    Raises:
        UsageError: There is no such method, it needs training, one comes twice, or the heads want
            different encoders.
        WeightsError: The encoder or a head cannot be had or used.
        VocabularyError: The vocabulary file is missing.
    """
    sources, config = _chosen(model, heads, methods, flip_average)
    encoder = load_encoder(model, config, device, precision, flip_average, progress)
    built = tuple(
        EvaluatedModel(name, source.build(encoder), True, _training(source.notes))
        if isinstance(source, StoredHead)
        else EvaluatedModel(name, source.build(encoder))
        for name, source in sources.items()
    )
    return EvaluatedModels(model_name(model), encoder, built)


def _training(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Notes on a head's training, without its seed and what has no effect."""
    found: dict[str, Any] = {}
    for key in _TRAINING_NOTES & notes.keys():
        of = notes[key]
        if isinstance(of, dict):
            unused = {"seed", "epochs"} if of.get("steps") is not None else {"seed"}
            of = {name: value for name, value in of.items() if name not in unused}
        found[key] = of
    return found


def chosen_methods(
    model: str | Path | Encoder,
    heads: Sequence[str | Path] = (),
    methods: Sequence[str | type[Method]] = (),
    flip_average: FlipAverage | None = None,
) -> dict[str, type[Method]]:
    """Methods that would be evaluated, by their names in the table; no weights are read.

    Args:
        model: As for ``load_models``.
        heads: As for ``load_models``.
        methods: As for ``load_models``.
        flip_average: As for ``load_models``.

    Raises:
        UsageError: As for ``load_models``.
        WeightsError: A head cannot be used.
    """
    sources, _ = _chosen(model, heads, methods, flip_average)
    return {name: source.method for name, source in sources.items()}


def _chosen(
    model: str | Path | Encoder,
    heads: Sequence[str | Path],
    methods: Sequence[str | type[Method]],
    flip_average: FlipAverage | None,
) -> tuple[_Sources, MethodConfig]:
    """The heads by what the table calls them, and the config that their encoder shall have."""
    sources: _Sources = {}
    wanted = set(_ENCODER_FIELDS) - ({"flip_average"} if flip_average is not None else set())
    fresh = [_fresh(method) for method in methods]
    own = None if heads else own_head(model)
    # Nobody named it: it gives way to a method that was named and wants another encoder.
    if own is not None and all(_difference(own, one, wanted) is None for one in fresh):
        sources[f"{own.method.name} (own head)"] = own
    for path in heads:
        head = read_head(path)
        _put(sources, f"{head.method.name} ({path})", head)
    for one in fresh:
        _put(sources, f"{one.method.name} (untrained)", one)
    if not sources:
        _put(sources, f"{TVSL.name} (untrained)", _fresh(TVSL.name))
    return sources, _agreed(sources, wanted)


def _put(sources: _Sources, name: str, source: StoredHead | UntrainedHead) -> None:
    if name in sources:
        raise UsageError(f"'{name}' is to be evaluated twice.", "Name each head once.")
    sources[name] = source


def _fresh(given: str | type[Method]) -> UntrainedHead:
    method = METHODS.resolve(given) if isinstance(given, str) else given
    if issubclass(method, Trivial):
        raise UsageError(f"The baseline '{method.name}' is in every table.", "Leave it out.")
    return UntrainedHead.of(method)


def _agreed(sources: _Sources, wanted: Set[str]) -> MethodConfig:
    """The config of the first head, if all want the same encoder."""
    leader, first = next(iter(sources.items()))
    for name, source in sources.items():
        hyperparameter = _difference(first, source, wanted)
        if hyperparameter is not None:
            ours, theirs = (
                getattr(first.config, hyperparameter),
                getattr(source.config, hyperparameter),
            )
            raise UsageError(
                f"'{leader}' wants the encoder with {hyperparameter} {ours!r}, "
                f"'{name}' {theirs!r}.",
                "Evaluate them one by one, or give --flip-average where it is this.",
            )
    return first.config


def _difference(
    first: StoredHead | UntrainedHead, other: StoredHead | UntrainedHead, wanted: Set[str]
) -> str | None:
    """The hyperparameter in which two heads want different encoders, if there is one."""
    for hyperparameter in sorted(wanted):
        theirs = getattr(other.config, hyperparameter)
        # Without training a head goes with whatever a trained one wants, where it leaves it open.
        open_to_all = isinstance(other, UntrainedHead) and not isinstance(first, UntrainedHead)
        if open_to_all and theirs == MethodConfig.model_fields[hyperparameter].default:
            continue
        if theirs != getattr(first.config, hyperparameter):
            return hyperparameter
    return None


class BatchScorer(Scorer):
    """Scores of batch after batch with the same settings.

    Args:
        models: The models on one encoder.
        data: The items.
        config: The settings.

    Raises:
        UsageError: A model cannot be evaluated with them.
    """

    def __init__(
        self, models: EvaluatedModels, data: IndexedDataset, config: EvaluationConfig
    ) -> None:
        super().__init__(data, config)
        self.models = models
        labelled, complete = data.labelled, min(data.labels) >= 0
        self.sources = {
            model.name: label_sources(model.method, labelled, config.labels, complete)
            for model in models.methods
        }

    @cached_property
    def methods(self) -> Mapping[str, tuple[str, str]]:
        """Method and fingerprint of each model by its name, hashed once; see the base class."""
        return {model.name: (model.method.name, model.sha256) for model in self.models.methods}

    @cached_property
    def runs(self) -> Mapping[str, tuple[str, ...]]:
        """Trained heads of one method that were trained alike; see the base class."""
        alike: dict[str, list[str]] = {}
        for model in self.models.methods:
            if model.trained:
                alike.setdefault(model.recipe, []).append(model.name)
        several = [names for names in alike.values() if len(names) > 1]
        runs: dict[str, tuple[str, ...]] = {}
        for names in several:
            title = f"{self.methods[names[0]][0]}, mean of {len(names)} heads"
            while title in runs:  # of another recipe
                title += "'"
            runs[title] = tuple(names)
        return runs

    def describe(self) -> dict[str, Any]:
        """The encoder; see the base class."""
        encoder = self.models.encoder
        return {
            "model": self.models.model,
            "encoder": {
                "sha256": encoder.fingerprint,
                "image_tokens": encoder.image_tokens,
                "flip_average": encoder.flip_average,
                "precision": encoder.precision,
                "device": encoder.device.type,
            },
        }

    @property
    def note(self) -> tuple[str, str]:
        """The encoder; see the base class."""
        encoder = self.models.encoder
        return "Encoder", (
            f"{self.models.model}, image tokens {encoder.image_tokens}, flip average "
            f"{encoder.flip_average}, {encoder.precision} on {encoder.device.type}; SHA-256 "
            f"{encoder.fingerprint}."
        )

    def detection_rule(self, name: str) -> str:
        """Classes that a model takes of an item; see the base class."""
        if self.config.counting == "oracle":
            return "as many classes as the item has"
        (method,) = (one.method for one in self.models.methods if one.name == name)
        threshold = method.config.detection_threshold
        if threshold is None:
            return "classes that stand out of the vocabulary, no threshold was calibrated"
        return f"classes with a score of {threshold:.3f} or more, calibrated on validation data"

    def score(self, batch: ReadBatch) -> BatchResult:
        """Encode a batch and score all models on its pairs, item by item."""
        result = BatchResult(batch=batch.number, failures=batch.failures)
        for encoded in encode_read_items(batch.items, self.data, self.models.encoder):
            result.items += encoded.clip_ids
            result.sounding += encoded.foreground.tolist()
            for model in self.models.methods:
                self.add(result, model.name, self.predict(model.name, encoded), encoded)
            self.add_baselines(
                result, encoded, encoded.clip_ids, encoded.tokens.grid, encoded.tokens.panels
            )
        return result

    def predict(self, name: str, batch: EncodedBatch) -> Predictions:
        """Predict the maps of one model.

        Args:
            name: Its name in the table.
            batch: The clips.
        """
        (method,) = (model.method for model in self.models.methods if model.name == name)
        return predict(method, batch, self.sources[name], self.config.counting)


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
        self.cache = None if folder is None else ResultCache(folder)
        self._results: dict[int, BatchResult] = {}

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
            "vocabulary": hash_of(self.data.vocabulary.names),
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
        share = range(processes.rank, self.reader.count, processes.count)
        done = self._begin(processes, force)
        rest = [number for number in share if number not in done]
        if not self.reader.skip:
            members = (place for number in rest for place in self.reader.members(number))
            require_files((self.data.items[place] for place in members), MISSING_OR_SKIP)
        sizes = {number: len(self.reader.members(number)) for number in share}
        so_far = sum(size for number, size in sizes.items() if number in done)
        progress(so_far, sum(sizes.values()))
        with nullcontext() if self.cache is None else self.cache.writer(processes.rank) as writer:
            for batch in self.reader.batches(rest):
                result = self.scorer.score(batch)
                if writer is None:
                    self._results[batch.number] = result
                else:
                    result.files = hash_files(self.data.dataset, result.items)
                    writer.write(result)
                so_far += sizes[batch.number]
                progress(so_far, sum(sizes.values()))
        processes.meet()

    def _begin(self, processes: Processes, force: bool) -> set[int]:
        """Numbers of the batches that need not be done again; one with failures is done again."""
        if self.cache is None:
            whole = {} if force else self._results
            self._results = {number: one for number, one in whole.items() if not one.failures}
            return set(self._results)
        if processes.leads:
            self.cache.begin(self.record, force)
            self.cache.require_files(partial(hash_present_files, self.data.dataset))
        processes.meet()
        return self.cache.done()

    def summarize(self) -> Evaluation:
        """Results of the batches of all processes.

        Raises:
            OutputError: A batch has no result.
            DataError: No item could be read.
        """
        results = dict(sorted(self._results.items())) if self.cache is None else self.cache.all()
        missing = self.reader.count - len(results)
        if missing:
            raise OutputError(
                f"{missing} of {self.reader.count} batches have not been scored.",
                "All processes must see the same folder; run the command again.",
                None if self.cache is None else self.cache.output,
            )
        return summarize(self.scorer, results.values())


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
