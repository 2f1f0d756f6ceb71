"""The numbers of an evaluation with all that is needed to tell what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tvsl.errors import UsageError
from tvsl.metrics.checks import number_of
from tvsl.metrics.protocols import find_protocol

LabelSource = Literal["given", "detected", "none"]
"""Whether labels were given to the model, detected by it, or not used: by a class-agnostic model,
or by one whose maps are assigned to the sources by the truth."""


def hash_ids(ids: Iterable[str]) -> str:
    """The SHA-256 of a set of item names: what was evaluated, in whatever order.

    Args:
        ids: Names of the items, without line breaks.

    Returns:
        64 hexadecimal digits.

    Raises:
        UsageError: They are no such names.
    """
    several = isinstance(ids, Iterable) and not isinstance(ids, str)
    names = set(ids) if several else set()
    if not several or not all(isinstance(name, str) and "\n" not in name for name in names):
        raise UsageError("These are no names of items.", "Give strings without line breaks.")
    # A file's name may hold bytes that are no text; they have a hash like others.
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Scores:
    """The numbers of one evaluation.

    Attributes:
        protocol: The name of the protocol.
        label_source: Whether labels were given, detected or not used.
        values: The protocol's numbers, each in [0, 1].
        found: How many of the listed items were there and readable.
        listed: How many items the benchmark lists.
        left_out: How many pairs were left out, because their target is empty.
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
        values = {name: number_of(value, name) for name, value in self.values.items()}
        object.__setattr__(self, "values", values)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "protocol": self.protocol,
            "label_source": self.label_source,
            "values": dict(self.values),
            "found": self.found,
            "listed": self.listed,
            "left_out": self.left_out,
            "ids_hash": self.ids_hash,
        }
