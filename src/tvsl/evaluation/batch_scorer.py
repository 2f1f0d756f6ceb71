"""Everything that is measured of a batch: all methods and the trivial maps, by all protocols."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from tvsl.evaluation.batches import Group, ReadBatch, encode_groups
from tvsl.evaluation.config import Conditions, label_sources
from tvsl.evaluation.indexed import Listing
from tvsl.evaluation.models import Entries
from tvsl.evaluation.predict import NOT_DETECTED, Asked, Detection, ask
from tvsl.evaluation.result_cache import Detected, Measured, MeasuredGroup, Part
from tvsl.evaluation.score import stretched
from tvsl.methods.trivial import Centre, Noise, Trivial, WholeFrame
from tvsl.metrics import LabelSource, ProtocolMetric

TRIVIAL: Mapping[str, type[Trivial]] = MappingProxyType(
    {"whole frame": WholeFrame, "centre": Centre, "random": Noise}
)
"""The baselines that look at nothing, by what tables call them."""

Key = tuple[str, LabelSource]
"""Name of an entry, and where its labels come from."""


class Measurer:
    """Measures batch after batch under fixed conditions.

    Args:
        entries: The methods and their encoder.
        listing: The items.
        conditions: The conditions.

    Raises:
        UsageError: A method cannot be evaluated under them.
    """

    def __init__(self, entries: Entries, listing: Listing, conditions: Conditions) -> None:
        self.entries = entries
        self.listing = listing
        self.conditions = conditions
        labelled, complete = listing.labelled, min(listing.labels) >= 0
        self.sources: Mapping[str, tuple[LabelSource, ...]] = {
            entry.name: label_sources(entry.method, labelled, conditions.labels, complete)
            for entry in entries.methods
        }
        self.metrics, self.trivial_metrics = (
            {
                protocol.name: ProtocolMetric(protocol, listing.data.several, normalize)
                for protocol in conditions.chosen
            }
            for normalize in (True, False)
        )

    @property
    def keys(self) -> tuple[Key, ...]:
        """All that is measured, in the order of the table."""
        of_methods = [(name, one) for name, sources in self.sources.items() for one in sources]
        return (*of_methods, *((name, "none") for name in TRIVIAL))

    def measure(self, batch: ReadBatch) -> Part:
        """Encode a batch and measure all of it.

        Args:
            batch: The batch.

        Returns:
            What was measured.
        """
        groups = encode_groups(batch.items, self.listing, self.entries.encoder)
        return Part(
            batch=batch.number,
            failures={failure.number: failure.reason for failure in batch.failures},
            groups=[self._group(group) for group in groups],
        )

    def ask(self, name: str, group: Group) -> Asked:
        """Ask one of the methods for its maps.

        Args:
            name: Its name in the table.
            group: The items.

        Returns:
            The maps.
        """
        (entry,) = (entry for entry in self.entries.methods if entry.name == name)
        vocabulary, counting = self.listing.vocabulary, self.conditions.counting
        return ask(entry.method, group, vocabulary, self.sources[name], counting)

    def _group(self, group: Group) -> MeasuredGroup:
        measured: dict[str, dict[str, Measured]] = {}
        detected = {}
        targets = group.targets.to(group.tokens.visual.device)
        for entry in self.entries.methods:
            asked = self.ask(entry.name, group)
            maps, truth = asked.maps, targets[asked.pairs.to(targets.device)]
            columns = _measured(self.metrics, maps, truth)
            measured[entry.name] = {
                source: _by_pair(columns, rows) for source, rows in asked.rows.items()
            }
            if asked.detection is not None:
                detected[entry.name] = self._detected(asked.detection)
        for name, maps in self._trivial(group).items():
            columns = _measured(self.trivial_metrics, maps.to(targets.device), targets)
            measured[name] = {"none": _by_pair(columns, torch.arange(len(maps)))}
        return MeasuredGroup(
            items=list(group.items),
            sounding=group.sounding.tolist(),
            measured=measured,
            detected=detected,
        )

    def _trivial(self, group: Group) -> dict[str, Tensor]:
        """Maps of the size of the targets, as they are scored."""
        height, width = group.targets.shape[1:]
        items = torch.tensor(group.items, dtype=torch.int64)[group.clip.cpu()]
        tokens, seed = group.tokens, self.conditions.seed
        return {
            name: stretched(kind().drawn(items, tokens.grid, tokens.panels, seed), (height, width))
            for name, kind in TRIVIAL.items()
        }

    def _detected(self, detection: Detection) -> Detected:
        scores = None
        if self.listing.labelled:
            content = detection.scores.numpy().astype("<f4").tobytes()
            scores = base64.b64encode(content).decode()
        return Detected(scores=scores, chosen=[list(labels) for labels in detection.chosen])


def detection_scores(detected: Detected, classes: int) -> Tensor:
    """The scores of a group's items, (items, N) float32; there must be some."""
    content = base64.b64decode(detected.scores or "")
    return torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, classes))


def _measured(
    metrics: Mapping[str, ProtocolMetric], maps: Tensor, targets: Tensor
) -> dict[str, dict[str, Tensor]]:
    return {
        protocol: {name: column.cpu() for name, column in metric.pair_scores(maps, targets).items()}
        for protocol, metric in metrics.items()
    }


def _by_pair(columns: Mapping[str, Mapping[str, Tensor]], rows: Tensor) -> Measured:
    """The measures of each pair; 0 where its class was not detected."""
    assert NOT_DETECTED == -1  # the zero at the end

    def values(column: Tensor) -> list[float]:
        found: list[float] = torch.cat([column, column.new_zeros(1)])[rows].tolist()
        return found

    return {
        protocol: {name: values(column) for name, column in measures.items()}
        for protocol, measures in columns.items()
    }
