"""Scorers of a whole evaluation: what is evaluated on which items, batch after batch."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tvsl.evaluation.batch import EncodedBatch, IndexedDataset, ReadBatch, encode_read_items
from tvsl.evaluation.config import EvaluationConfig
from tvsl.evaluation.models import EvaluatedModels
from tvsl.evaluation.predict import Predictions, label_sources, predict
from tvsl.evaluation.result_cache import BatchResult, Detected
from tvsl.evaluation.score import Grid, Truth, score
from tvsl.methods.trivial import Centre, Noise, Trivial, WholeFrame
from tvsl.metrics import LabelSource, ProtocolMetric

BASELINES: Mapping[str, type[Trivial]] = MappingProxyType(
    {"whole frame": WholeFrame, "centre": Centre, "random": Noise}
)
"""Baselines that look at nothing, by their names in tables."""

Key = tuple[str, LabelSource]
"""Name of a model in the table, and its label source."""


class Scorer(ABC):
    """Base of scorers: methods, items, and the protocols that score maps.

    Attributes:
        data: The items.
        config: The settings.
        sources: Label sources of each model, by its name in the table.
        metrics: The metric of each protocol, by its name.
    """

    def __init__(self, data: IndexedDataset, config: EvaluationConfig) -> None:
        self.data = data
        self.config = config
        self.sources: Mapping[str, tuple[LabelSource, ...]] = {}
        self.metrics = {
            protocol.name: ProtocolMetric(protocol, data.dataset.several)
            for protocol in config.chosen
        }

    @property
    def keys(self) -> tuple[Key, ...]:
        """Rows of the table: models, then baselines."""
        rows = [(name, source) for name, sources in self.sources.items() for source in sources]
        return (*rows, *((name, "none") for name in BASELINES))

    @property
    @abstractmethod
    def methods(self) -> Mapping[str, tuple[str, str]]:
        """Name in the registry and fingerprint of each model, by its name in the table."""

    @property
    def runs(self) -> Mapping[str, tuple[str, ...]]:
        """Models that differ by their seeds alone, by what the row of their mean is called."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Source of the maps, ready for JSON."""

    @property
    @abstractmethod
    def note(self) -> tuple[str, str]:
        """Source of the maps, a term and its explanation."""

    @abstractmethod
    def detection_rule(self, name: str) -> str:
        """Number of classes that a model takes of an item, in words."""

    def add_baselines(
        self, result: BatchResult, truth: Truth, items: Sequence[int], tokens: Grid
    ) -> None:
        """Add the scores of the trivial baselines to the result of a batch.

        Args:
            result: The result.
            truth: Truth of the pairs of some items.
            items: Places of these items in the data set; random maps are drawn by them.
            tokens: Grid and panels of the maps.
        """
        places = torch.tensor(items)[truth.queries.clip.cpu()]
        every = torch.arange(len(places))
        for name, baseline in BASELINES.items():
            maps = baseline().drawn(places, tokens.grid, tokens.panels, self.config.seed)
            found = Predictions(maps.to(truth.targets.device), every, {"none": every})
            self.add(result, name, found, truth)

    def add(self, result: BatchResult, name: str, predictions: Predictions, truth: Truth) -> None:
        """Add a model's scores of some items to the result of their batch.

        Args:
            result: The result.
            name: Name of the model in the table.
            predictions: Its maps.
            truth: Truth of the pairs of these items.
        """
        by_source = result.scores.setdefault(name, {})
        for protocol in self.config.chosen:
            for source, scores in score(predictions, truth, protocol).items():
                measures = by_source.setdefault(source, {}).setdefault(protocol.name, {})
                for measure in protocol.score_names:
                    values = measures.setdefault(measure, [])
                    values += scores.columns[measure].tolist()


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
        """Hashing a head takes a moment: it is done once."""
        return {model.name: (model.method.name, model.sha256) for model in self.models.methods}

    @cached_property
    def runs(self) -> Mapping[str, tuple[str, ...]]:
        """Trained heads of one method and recipe; see the base class."""
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
        """Number of classes that a model takes of an item; see the base class."""
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
                predictions = self.predict(model.name, encoded)
                self.add(result, model.name, predictions, encoded)
                if predictions.scores is not None:
                    detected = result.detected.setdefault(model.name, Detected())
                    detected.taken += [list(labels) for labels in predictions.detected]
                    if self.data.labelled:
                        detected.scores.append(_packed(predictions.scores))
            self.add_baselines(result, encoded, encoded.clip_ids, encoded.tokens)
        return result

    def predict(self, name: str, batch: EncodedBatch) -> Predictions:
        """Predict the maps of one model.

        Args:
            name: Its name in the table.
            batch: The clips.
        """
        (method,) = (model.method for model in self.models.methods if model.name == name)
        return predict(method, batch, self.sources[name], self.config.counting)


def _packed(scores: Tensor) -> str:
    """Detection scores as text that keeps every digit."""
    return base64.b64encode(scores.numpy().astype("<f4").tobytes()).decode()


def detection_scores(detected: Detected, classes: int) -> Tensor:
    """Detection scores of a batch's items: (items, N) float32.

    Args:
        detected: Detections in them.
        classes: N, the number of classes.
    """
    content = b"".join(base64.b64decode(part) for part in detected.scores)
    return torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, classes))
