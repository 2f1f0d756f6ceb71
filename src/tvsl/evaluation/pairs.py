"""What was measured of every pair, brought together from all batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tvsl.evaluation.listing import Listing
from tvsl.evaluation.measuring import Key, Measurer
from tvsl.evaluation.parts import MeasuredGroup
from tvsl.metrics.pair_metric import Columns


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
                protocol: measures(key, protocol, metric.measures)
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
