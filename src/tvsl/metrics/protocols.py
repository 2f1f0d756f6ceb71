"""Protocols with a name: how maps are cut, which numbers come of it, and their record.

Public evaluators give different numbers for the same maps, because they cut them differently and
average different things. So a number never appears without the name of its protocol, and the
protocols are frozen: a changed rule is a new name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from tvsl.errors import UsageError
from tvsl.metrics.intervals import Interval, Statistic, class_mean, mean
from tvsl.metrics.maps import check_number, foreground
from tvsl.metrics.negatives import (
    confidence,
    negatives_average_precision,
    negatives_max_f1,
    resampled_negatives,
)
from tvsl.metrics.overlap import (
    Cut,
    cut_maps,
    iou,
    mask_ciou,
    success_areas,
    success_auc,
    success_rate,
)
from tvsl.metrics.pair_metric import Columns, PairMetric, Resampled, class_average, group_minimum
from tvsl.metrics.precision import average_precision
from tvsl.registry import Registry

LabelSource = Literal["given", "detected", "none", "assigned"]
"""Source of the labels: given to the model, detected by it, none for a class-agnostic model, or
assigned: maps without labels are assigned to the sources by the truth."""


def hash_ids(ids: Iterable[str]) -> str:
    """SHA-256 of a set of item names, in whatever order: a record of what was evaluated.

    Args:
        ids: Names of the items, without line breaks.

    Returns:
        64 hexadecimal digits.

    Raises:
        UsageError: They are no such names.

    Examples:
        >>> hash_ids(["b", "a"]) == hash_ids({"a", "b"})
        True
    """
    several = isinstance(ids, Iterable) and not isinstance(ids, str)
    names = set(ids) if several else set()
    if not several or not all(isinstance(name, str) and "\n" not in name for name in names):
        raise UsageError("These are no names of items.", "Give strings without line breaks.")
    # A file's name may hold bytes that are no text; they have a hash like others.
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Scores:
    """Numbers of one evaluation, and what they are of.

    Attributes:
        protocol: Name of the protocol.
        label_source: Source of the labels.
        values: The protocol's numbers, each in [0, 1].
        intervals: Their 95 % intervals; empty where none were computed.
        found: Number of listed items that were there and readable.
        listed: Number of items that the benchmark lists.
        left_out: Number of pairs that were left out, because their target is empty.
        ids_hash: `hash_ids` of the items found.

    Raises:
        UsageError: The protocol or label source is unknown, a value is no number, or more was found
            than is listed.
    """

    protocol: str
    label_source: LabelSource
    values: Mapping[str, float]
    found: int
    listed: int
    left_out: int
    ids_hash: str
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        find_protocol(self.protocol)
        if self.label_source not in get_args(LabelSource):
            raise UsageError(
                f"There is no label source '{self.label_source}'.",
                f"Choose one of {', '.join(get_args(LabelSource))}.",
            )
        counts = (self.found, self.listed, self.left_out)
        whole = all(isinstance(count, int) for count in counts)
        if not whole or not 0 <= self.found <= self.listed or self.left_out < 0:
            raise UsageError(
                f"{self.found} of {self.listed} items and {self.left_out} left out cannot be.",
                "Count each listed item once.",
            )
        if not isinstance(self.values, Mapping):
            raise UsageError("These are no scores.", "Give each number with its name.")
        values = {name: check_number(value, name) for name, value in self.values.items()}
        object.__setattr__(self, "values", values)

    def to_dict(self) -> dict[str, Any]:
        """All attributes, ready for JSON."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        intervals = {name: asdict(interval) for name, interval in self.intervals.items()}
        return {**plain, "values": dict(self.values), "intervals": intervals}


ScoreName = Literal["ciou", "iou", "ap", "confidence"]
"""Names of the scores of a pair."""

Figure = Literal[
    "AP",
    "CAP",
    "IoU@0.1",
    "IoU@0.3",
    "IoU@0.5",
    "CIoU@0.1",
    "CIoU@0.3",
    "CIoU@0.5",
    "cIoU@0.1",
    "cIoU@0.3",
    "cIoU@0.5",
    "IIoU@0.5",
    "AUC",
    "IAUC",
    "mean cIoU",
    "mean IoU",
    "confident AP",
    "max-F1",
    "LocAcc",
]
"""Names of all numbers of the protocols, one for each."""

_RELEASED_SMOOTHING = 1e-4


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A frozen way to score maps.

    Attributes:
        name: The name that stands beside its numbers.
        source: The evaluator that it follows.
        cut: Rule by which maps, resized and normalized to [0, 1], are cut for the cIoU.
        level: Of the cut ``value``.
        score_names: Scores of each pair.
        single: Numbers for one source per clip.
        multiple: Numbers for several sources per clip.
        include_empty: Whether pairs with an empty target count.
    """

    name: str
    source: str
    cut: Cut = "value"
    level: float = 0.5
    score_names: tuple[ScoreName, ...]
    single: tuple[Figure, ...]
    multiple: tuple[Figure, ...]
    include_empty: bool = False


PAPER = Protocol(
    name="paper",
    source="T-VSL, Sec. 4.1; the cut at half of a map's range is ours, the paper is silent on it",
    score_names=("ciou", "ap"),
    single=("AP", "IoU@0.1", "IoU@0.3", "IoU@0.5", "AUC"),
    multiple=("CAP", "CIoU@0.1", "CIoU@0.3", "CIoU@0.5", "AUC"),
)
MEDIAN = Protocol(
    name="median",
    source="EZ-VSL, `test.py`; LVS but for one pixel at the median",
    cut="median",
    score_names=("ciou",),
    single=("cIoU@0.3", "cIoU@0.5", "mean cIoU", "AUC"),
    multiple=("cIoU@0.1", "cIoU@0.3", "cIoU@0.5", "mean cIoU", "AUC"),
)
ADAPTIVE = Protocol(
    name="adaptive",
    source="SSLalignment, `cal_CIOU_adap`, `finalize_cIoU`, `finalize_IAUC`",
    cut="area",
    score_names=("ciou",),
    single=("cIoU@0.5", "mean cIoU", "AUC"),
    multiple=("cIoU@0.5", "mean cIoU", "AUC", "IIoU@0.5", "IAUC"),
)
FIXED = Protocol(
    name="fixed",
    source="the released T-VSL, `EvaluatorNew`: means, no success rates, at a cut of 0.3 (IoU 0.5)",
    level=0.3,
    score_names=("ciou", "iou", "ap"),
    single=("AP", "mean cIoU", "mean IoU", "AUC"),
    multiple=("AP", "mean cIoU", "mean IoU", "AUC"),
)
NEGATIVES = Protocol(
    name="negatives",
    source="SLAVC, `EvaluatorFull`, with silent or off-screen sounds among the pairs",
    score_names=("ciou", "confidence"),
    single=("confident AP", "max-F1", "LocAcc", "AUC"),
    multiple=("confident AP", "max-F1", "LocAcc", "AUC"),
    include_empty=True,
)

PROTOCOLS: Registry[Protocol] = Registry(
    "protocol",
    "tvsl.protocols",
    {protocol.name: protocol for protocol in (PAPER, MEDIAN, ADAPTIVE, FIXED, NEGATIVES)},
    "a tvsl.metrics.Protocol",
    lambda thing: isinstance(thing, Protocol),
)
"""All protocols by their names."""

PAPER_THRESHOLDS: Mapping[str, Figure] = MappingProxyType(
    {
        "music-solo": "IoU@0.5",
        "music-duet": "CIoU@0.3",
        "vgg-instruments-single": "IoU@0.3",
        "vgg-instruments-multi": "CIoU@0.1",
        "vggsound-single": "IoU@0.5",
        "vggsound-duet": "CIoU@0.3",
    }
)
"""Success rate that the paper gives for each of its benchmarks (Sec. 4.1)."""


def find_protocol(name: str) -> Protocol:
    """Find a protocol by its name.

    Raises:
        UsageError: There is none of this name.

    Examples:
        >>> find_protocol("paper").single
        ('AP', 'IoU@0.1', 'IoU@0.3', 'IoU@0.5', 'AUC')
    """
    return PROTOCOLS.find(name)


class ProtocolMetric(PairMetric[dict[str, Tensor]]):
    """All numbers of a protocol in one go.

    Args:
        protocol: The protocol, or its name.
        several_sources: Whether clips have several sources, which have numbers of their own. CAP
            needs ``labels``, IIoU needs ``frames``.
        normalize: Whether maps are raw; False for those that are in [0, 1] and scored as they are.
        kwargs: Arguments of `torchmetrics.Metric`.

    Raises:
        UsageError: There is no protocol of this name.

    Examples:
        >>> metric = ProtocolMetric("negatives")
        >>> metric.update([[[0.9, 0.1]], [[0.2, 0.8]]], [[[True, False]], [[True, False]]])
        >>> {name: round(value.item(), 4) for name, value in metric.compute().items()}
        {'confident AP': 0.0, 'max-F1': 0.6667, 'LocAcc': 0.5, 'AUC': 0.5125}
    """

    def __init__(
        self,
        protocol: Protocol | str,
        several_sources: bool = False,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        protocol = protocol if isinstance(protocol, Protocol) else find_protocol(protocol)
        self.score_names = protocol.score_names
        self.include_empty = protocol.include_empty
        super().__init__(normalize, **kwargs)
        self.protocol = protocol
        self.names = protocol.multiple if several_sources else protocol.single
        self.needs = tuple(sorted({_NEEDS[name] for name in self.names if name in _NEEDS}))

    def score(self, maps: Tensor, targets: Tensor) -> Columns:
        """Scores of each pair; see the base class."""
        cut = cut_maps(maps, targets, self.protocol.cut, self.protocol.level)
        columns = {"ciou": mask_ciou(cut, targets)}
        if "iou" in self.score_names:
            columns["iou"] = iou(maps, targets, 0.5, _RELEASED_SMOOTHING)
        if "ap" in self.score_names:
            columns["ap"] = average_precision(maps, foreground(targets))
        if "confidence" in self.score_names:
            columns["confidence"] = confidence(maps)
        return columns

    def aggregate(self, columns: Columns) -> dict[str, Tensor]:
        """Numbers of the protocol by their names, each a float64 scalar in [0, 1]."""
        return {name: self._number(name, columns) for name in self.names}

    def statistics(self, columns: Columns) -> dict[str, Resampled]:
        """Figures as they are drawn again, nearly all of them means; see the base class."""
        return {name: self._resampled(name, columns) for name in self.names}

    @staticmethod
    def _resampled(name: Figure, columns: Columns) -> Resampled:
        if name in _NO_MEANS:
            return Resampled(_NO_MEANS[name](columns), biased=True)
        if name in _MEANS:
            return Resampled(_MEANS[name](columns))
        return Resampled(mean(columns["ciou"] >= float(name.partition("@")[2])))

    @staticmethod
    def _number(name: Figure, columns: Columns) -> Tensor:
        if name in _NUMBERS:
            return _NUMBERS[name](columns)
        return success_rate(columns["ciou"], float(name.partition("@")[2]))  # IoU@τ and the like


def _worst_of_frames(columns: Columns) -> tuple[Tensor, Tensor]:
    """At each pair the worst cIoU of its frame, and whether it is the first pair of it."""
    frames, place = columns["frames"].unique(return_inverse=True)
    number = torch.arange(len(place), device=place.device)
    first = torch.full((len(frames),), len(place), device=place.device)
    first = first.scatter_reduce(0, place, number, reduce="amin")
    return _worst(columns)[place], number == first[place]


def _mean_of_frames(columns: Columns, value: Callable[[Tensor], Tensor]) -> Statistic:
    worst, first = _worst_of_frames(columns)
    return mean(value(worst), first)


def _sounding(columns: Columns) -> Tensor:
    return columns["ciou"][columns["sounding"]]


def _worst(columns: Columns) -> Tensor:
    return group_minimum(columns["ciou"], columns["frames"])


_NEEDS: Mapping[Figure, str] = MappingProxyType(
    {"CAP": "labels", "IIoU@0.5": "frames", "IAUC": "frames"}
)

_NUMBERS: dict[Figure, Callable[[Columns], Tensor]] = {
    "AP": lambda columns: columns["ap"].mean(),
    "CAP": lambda columns: class_average(columns["ap"], columns["labels"]),
    "IIoU@0.5": lambda columns: success_rate(_worst(columns), 0.5),
    "AUC": lambda columns: success_auc(_sounding(columns)),
    "IAUC": lambda columns: success_auc(_worst(columns)),
    "mean cIoU": lambda columns: columns["ciou"].mean(),
    "mean IoU": lambda columns: columns["iou"].mean(),
    "LocAcc": lambda columns: (_sounding(columns) > 0.5).double().mean(),
    "confident AP": lambda columns: negatives_average_precision(
        columns["confidence"], columns["ciou"], columns["sounding"]
    ),
    "max-F1": lambda columns: negatives_max_f1(
        columns["confidence"], columns["ciou"], columns["sounding"]
    ),
}

_NO_MEANS: dict[Figure, Callable[[Columns], Statistic]] = {
    "confident AP": lambda columns: resampled_negatives(
        columns["confidence"], columns["ciou"], columns["sounding"], falling=True
    ),
    "max-F1": lambda columns: resampled_negatives(
        columns["confidence"], columns["ciou"], columns["sounding"], falling=False
    ),
}
"""Figures that are no means, as they are drawn again."""

_MEANS: dict[Figure, Callable[[Columns], Statistic]] = {
    "AP": lambda columns: mean(columns["ap"]),
    "CAP": lambda columns: class_mean(columns["ap"], columns["labels"]),
    "mean cIoU": lambda columns: mean(columns["ciou"]),
    "mean IoU": lambda columns: mean(columns["iou"]),
    "AUC": lambda columns: mean(success_areas(columns["ciou"]), columns["sounding"]),
    "LocAcc": lambda columns: mean(columns["ciou"] > 0.5, columns["sounding"]),
    "IIoU@0.5": lambda columns: _mean_of_frames(columns, lambda worst: worst >= 0.5),
    "IAUC": lambda columns: _mean_of_frames(columns, success_areas),
}
"""Figures that are means, or means of means, as they are drawn again; so are success rates."""
