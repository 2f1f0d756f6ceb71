"""What every data set offers: items with their truth, read one by one, and clips to train on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue

from tvsl.data.clips import ClipSet
from tvsl.data.stated import Stated
from tvsl.data.targets import Target
from tvsl.errors import printable, shown
from tvsl.strict_model import StrictModel

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Source:
    """One sound source of an item.

    Attributes:
        label: Its class, one of the data set's names; None where it is not known or the data set
            has no classes.
        target: Where it is.
        panel: The panel that ``target`` is drawn in; the whole of the picture when None.
    """

    label: str | None
    target: Target
    panel: int | None = None


@dataclass(frozen=True)
class Item:
    """One item of a data set, as its lists tell; no media file has been looked at.

    Attributes:
        id: Its name, different from all others of the data set.
        frames: Picture files, from left to right; one that holds several panels, or none where
            items are made.
        sounds: Sound files, added up; none where items are made.
        sources: Its sources; at least one.
        panels: K, how many frames stand side by side.
        stated: What the lists state about each picture and the sound of the same place; empty
            where they state nothing.
    """

    id: str
    frames: tuple[Path, ...]
    sounds: tuple[Path, ...]
    sources: tuple[Source, ...]
    panels: int = 1
    stated: tuple[Stated | None, ...] = ()

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The classes of its sources."""
        return tuple(source.label for source in self.sources)


@dataclass(frozen=True, eq=False)
class Sample:
    """What an item's files hold.

    Attributes:
        pictures: The K panels, RGB, each (H, W, 3) uint8.
        waveform: The mixture, mono, (S,) float32.
        targets: Where each of the P sources is, (P, H', K * W') float32 in [0, 1].
    """

    pictures: tuple[NDArray[np.uint8], ...]
    waveform: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class LeftOut:
    """What a file of the user leaves out of the items that are listed.

    Attributes:
        file: The file.
        sha256: Of its bytes.
        items: The items that it leaves out.
        unknown: Its ids that are none of the split's.
    """

    file: Path
    sha256: str
    items: tuple[Item, ...]
    unknown: tuple[str, ...]

    def told(self, listed: int) -> str:
        """What is left out, of so many items that are listed, in words."""
        strange = ""
        if self.unknown:
            strange = f"; {len(self.unknown):,} of its ids are no items, such as "
            strange += shown(self.unknown[0])
        where = f"{printable(str(self.file))} (SHA-256 {self.sha256})"
        return f"{len(self.items):,} of {listed:,} listed items by {where}{strange}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain JSON types, without the single ids."""
        return {
            "file": str(self.file),
            "sha256": self.sha256,
            "items": len(self.items),
            "unknown_ids": len(self.unknown),
        }


@dataclass(frozen=True)
class UsedList:
    """A public list or annotation file that items are taken from.

    Attributes:
        file: Its name.
        sha256: Of its bytes.
        published: Whether it is the published one, byte for byte; None where none is public.
    """

    file: str
    sha256: str
    published: bool | None


class DataSet(StrictModel, ABC):
    """A data set: what identifies it are its fields, the options that a user may set.

    Class attributes:
        name: What the registry calls it.
        title: What tables call it.

    Attributes:
        split: Which part of it.
        seed: Decides what is drawn, where anything is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    title: ClassVar[str]
    split: Split = "test"
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    def square(self) -> bool:
        """Whether pictures are squeezed into a square, as the benchmarks do."""
        return True

    @property
    def several(self) -> bool:
        """Whether its items have several sources: which numbers of a protocol are meant."""
        return False

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Class names among which to detect; empty for a data set without classes.

        Raises:
            DataError: A list cannot be used.
        """

    @cached_property
    @abstractmethod
    def items(self) -> tuple[Item, ...]:
        """All listed items of the split but those left out, whether or not their files are there.

        Raises:
            DataError: A list cannot be used.
            UsageError: The data set has no such split.
        """

    @cached_property
    def left_out(self) -> LeftOut | None:
        """What the user leaves out of the listed items; None where nothing could be."""
        return None

    @property
    def listed_count(self) -> int:
        """How many items the lists hold of the split, whatever is left out of them."""
        return len(self.items) + (0 if self.left_out is None else len(self.left_out.items))

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """How much of the lists makes up no item of the split, by what it is."""
        return {}

    @cached_property
    def used_lists(self) -> tuple[UsedList, ...]:
        """The public lists that the items of the split are taken from."""
        return ()

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What must be known of its items beside their number: a few words and a sentence each."""
        told = []
        if self.left_out is not None:
            told.append(("Left out", f"{self.left_out.told(self.listed_count)}."))
        dropped = [f"{count:,} {what}" for what, count in self.dropped.items() if count]
        if dropped:
            told.append(("Not used", f"{', '.join(dropped)}."))
        others = [one for one in self.used_lists if one.published is False]
        if others:
            names = ", ".join(f"{one.file} (SHA-256 {one.sha256})" for one in others)
            told.append(("Lists", f"not those that were published, nor is their count: {names}."))
        return told

    @abstractmethod
    def read(self, item: Item, sample_rate: int) -> Sample:
        """Read an item; may be called by several threads and processes.

        Args:
            item: One of ``items``.
            sample_rate: Samples per second that the sound shall have.

        Returns:
            What its files hold.

        Raises:
            MediaError: A file cannot be used; nothing is ever put in its place.
        """

    @abstractmethod
    def clips(self, count: int | None, seed: int) -> ClipSet:
        """Clips of one labelled source each, to train heads on.

        Args:
            count: How many; all there are when None.
            seed: Decides which, and their order.

        Returns:
            Clips of the training split.

        Raises:
            UsageError: The data set has no clips to train on, or fewer.
        """

    def decision_items(self, sources: int, count: int) -> DecisionItems:  # noqa: ARG002
        """Items that decisions about heads are made on, never of the test split.

        Where nothing is kept for validation they are clips, which must then not be trained on
        (``ClipSet.without``).

        Args:
            sources: K, the number of sources of each.
            count: How many at most.

        Returns:
            The items; none where there are too few classes for K sources, or none to train on.
        """
        return DecisionItems(self, (), 1, None)


class DecisionItems(NamedTuple):
    """Items of as many panels each, to be squeezed into squares.

    Attributes:
        data: The data set, which reads them.
        items: The items.
        side: Height and width of a panel, in pixels, that maps are scored at.
        window: Seconds of sound; None where all are of one length.
    """

    data: DataSet
    items: tuple[Item, ...]
    side: int
    window: float | None
