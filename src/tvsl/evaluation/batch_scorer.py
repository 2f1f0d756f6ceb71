"""Scores of one batch: all models and the trivial baselines, by all protocols."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from tvsl.evaluation.batch import EncodedBatch, encode_read_items
from tvsl.evaluation.config import EvaluationConfig
from tvsl.evaluation.indexed import IndexedDataset
from tvsl.evaluation.models import EvaluatedModels
from tvsl.evaluation.predict import Predictions, label_sources, predict
from tvsl.evaluation.reader import ReadBatch
from tvsl.evaluation.result_cache import BatchResult, Detected
from tvsl.evaluation.score import score
from tvsl.methods.trivial import Centre, Noise, Trivial, WholeFrame
from tvsl.metrics import LabelSource, ProtocolMetric

BASELINES: Mapping[str, type[Trivial]] = MappingProxyType(
    {"whole frame": WholeFrame, "centre": Centre, "random": Noise}
)
"""Baselines that look at nothing, by their names in tables."""

Key = tuple[str, LabelSource]
"""Name of a model in the table, and its label source."""


class BatchScorer:
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
        self.models = models
        self.data = data
        self.config = config
        labelled, complete = data.labelled, min(data.labels) >= 0
        self.sources: Mapping[str, tuple[LabelSource, ...]] = {
            model.name: label_sources(model.method, labelled, config.labels, complete)
            for model in models.methods
        }
        self.metrics = {
            protocol.name: ProtocolMetric(protocol, data.dataset.several)
            for protocol in config.chosen
        }

    @property
    def keys(self) -> tuple[Key, ...]:
        """Rows of the table: models, then baselines."""
        rows = [(name, source) for name, sources in self.sources.items() for source in sources]
        return (*rows, *((name, "none") for name in BASELINES))

    def score(self, batch: ReadBatch) -> BatchResult:
        """Encode a batch and score all models on it.

        Args:
            batch: The batch.

        Returns:
            The scores of its pairs, item by item.
        """
        result = BatchResult(batch=batch.number, failures=batch.failures)
        for encoded in encode_read_items(batch.items, self.data, self.models.encoder):
            result.items += encoded.clip_ids
            result.sounding += encoded.foreground.tolist()
            for model in self.models.methods:
                predictions = self.predict(model.name, encoded)
                self._add(result, model.name, predictions, encoded)
                if predictions.scores is not None:
                    detected = result.detected.setdefault(model.name, Detected())
                    detected.taken += [list(labels) for labels in predictions.detected]
                    if self.data.labelled:
                        detected.scores.append(_packed(predictions.scores))
            for name in BASELINES:
                self._add(result, name, self._baseline(name, encoded), encoded)
        return result

    def predict(self, name: str, batch: EncodedBatch) -> Predictions:
        """Predict the maps of one model.

        Args:
            name: Its name in the table.
            batch: The clips.

        Returns:
            The predictions.
        """
        (method,) = (model.method for model in self.models.methods if model.name == name)
        return predict(method, batch, self.sources[name], self.config.counting)

    def _baseline(self, name: str, batch: EncodedBatch) -> Predictions:
        """Maps of a baseline; random ones are drawn by the number of the item."""
        tokens, clip = batch.tokens, batch.queries.clip.cpu()
        items = torch.tensor(batch.clip_ids)[clip]
        maps = BASELINES[name]().drawn(items, tokens.grid, tokens.panels, self.config.seed)
        every = torch.arange(len(maps))
        return Predictions(maps.to(batch.targets.device), every, {"none": every})

    def _add(
        self, result: BatchResult, name: str, predictions: Predictions, batch: EncodedBatch
    ) -> None:
        """Add a model's scores of some items to the result of their batch."""
        by_source = result.scores.setdefault(name, {})
        for protocol in self.config.chosen:
            for source, scores in score(predictions, batch, protocol).items():
                measures = by_source.setdefault(source, {}).setdefault(protocol.name, {})
                for measure in protocol.score_names:
                    values = measures.setdefault(measure, [])
                    values += scores.columns[measure].tolist()


def _packed(scores: Tensor) -> str:
    """Detection scores as text that keeps every digit."""
    return base64.b64encode(scores.numpy().astype("<f4").tobytes()).decode()


def detection_scores(detected: Detected, classes: int) -> Tensor:
    """Detection scores of a batch's items.

    Args:
        detected: What was detected in them.
        classes: N, the number of classes.

    Returns:
        (items, N) float32.
    """
    content = b"".join(base64.b64decode(part) for part in detected.scores)
    return torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, classes))
