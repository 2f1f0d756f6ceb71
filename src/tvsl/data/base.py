"""The base class of data sets: items with ground truth, and clips to train on."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue

from tvsl.data.layouts import absent
from tvsl.data.lists import ExpectedMedia, line_error
from tvsl.data.targets import Boxes, Nowhere, Target, files_of
from tvsl.encoder import MOST_SOURCES
from tvsl.errors import DataError, MissingFileError, UsageError, printable, shown
from tvsl.utils.strict_model import StrictModel

MISSING_REMEDY: Final = (
    "Check the path and the root; `tvsl data check … -o FILE` writes what to give as --option "
    "leave_out=FILE."
)
"""Remedy for missing files in runs that leave no item out."""
OR_SKIP: Final = "With `--on-error skip` such items are left out, counted and listed."
MISSING_OR_SKIP: Final = f"Check the path and the root. {OR_SKIP}"
"""Remedy for missing files in evaluations."""


def normal_form(name: str) -> str:
    """Normal form of a name, equal for all its spellings: lower case, words joined by underscores.

    Composed and decomposed letters are one: some file systems take accents apart.
    "female speech, woman speaking" and "female_speech_woman_speaking" are one name. Never compare
    classes by their position in a sorted list: underscores do not sort as spaces and commas do
    ("cattle, bovinae cowbell" and "cattle mooing" change places).
    """
    composed = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return re.sub(r"[\W_]+", "_", composed).strip("_")


class ClassNames:
    """The classes of a data set, found by any spelling.

    Args:
        names: Their natural names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_form = {normal_form(name): name for name in names}

    def find(self, name: str, path: Path, line: int | str) -> str:
        """The data set's own name of a class with this natural name.

        Args:
            name: A name from a list.
            path: The list.
            line: Line of the list with the name, or a description of its place.

        Raises:
            DataError: There is no such class.
        """
        found = self._by_form.get(normal_form(name))
        if found is None:
            raise line_error(path, line, f"names a class that there is not: {name!r}")
        return found


class ClipBatch(NamedTuple):
    """A batch of clips.

    Attributes:
        pictures: RGB, each (H, W, 3) uint8.
        waveforms: Mono in [-1, 1], all of one length, (n, S) float32.
        labels: Class of each clip's source, (n,) int64.
    """

    pictures: Sequence[NDArray[np.uint8]]
    waveforms: NDArray[np.float32]
    labels: NDArray[np.int64]


class ClipSet(StrictModel, ABC):
    """Clips of one source each to train on; the fields are the options that identify them.

    Attributes:
        count: Number of clips.
        seed: Seed of random draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    count: int = Field(gt=0)
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Class names; labels count in their order."""

    @abstractmethod
    def description(self) -> dict[str, JsonValue]:
        """Everything that determines the clips, content included; part of a token store's key."""

    def without(self, ids: Collection[str]) -> ClipSet:  # noqa: ARG002
        """The clips without those of some items; all of them where synthetic clips have no ids."""
        return self

    def require_files(self) -> None:
        """Check that all files of the clips exist; synthetic clips have none.

        Raises:
            MissingFileError: Files are missing; the message counts them.
        """

    def labels(self) -> NDArray[np.int64] | None:
        """Class of each clip, (count,), or None where it is not known without reading."""
        return None

    @abstractmethod
    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Read some clips; may be called by several threads.

        Args:
            numbers: Numbers of the clips, from 0 to ``count`` - 1.
            sample_rate: Samples per second of the sounds.

        Returns:
            The clips, in the given order.

        Raises:
            MediaError: A file cannot be used; it is never replaced by another.
        """


Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Source:
    """One sound source of an item.

    Attributes:
        label: Its class, one of the data set's names; None where it is not known or the data set
            has no classes.
        target: Ground truth of its location.
        panel: The panel of ``target``; the whole picture when None.
    """

    label: str | None
    target: Target
    panel: int | None = None


@dataclass(frozen=True)
class Item:
    """One item of a data set, as its lists describe it; media files are not opened for it.

    Attributes:
        id: Unique id in the data set.
        frames: Picture files, from left to right, or one file with several panels; none for
            synthetic items.
        sounds: Sound files, to be added up; none for synthetic items.
        sources: Its sources; at least one.
        panels: K, the number of frames side by side.
        expected: Properties that the lists state for each picture and its sound; empty where they
            state none.
        recording: Id of the recording that it is of with other items, which intervals then draw
            together; its own when None.
        members: Ids of the items that it is mixed of; empty where it is no mixture.
    """

    id: str
    frames: tuple[Path, ...]
    sounds: tuple[Path, ...]
    sources: tuple[Source, ...]
    panels: int = 1
    expected: tuple[ExpectedMedia | None, ...] = ()
    recording: str | None = None
    members: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the items that it is made of: its members, or itself."""
        return self.members or (self.id,)

    @property
    def group(self) -> str:
        """Id of its recording; items of one group say little more than one of them alone."""
        return self.recording or self.id

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The classes of its sources."""
        return tuple(source.label for source in self.sources)

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files: pictures, sounds and annotations; none for synthetic items."""
        annotations = (path for source in self.sources for path in files_of(source.target))
        return (*self.frames, *self.sounds, *annotations)


@dataclass(frozen=True, eq=False)
class Sample:
    """Content of the files of an item.

    Attributes:
        pictures: The K panels, RGB, each (H, W, 3) uint8.
        waveform: The mixture, mono, (S,) float32.
        targets: Ground truth of each of the P sources, (P, H', K * W') float32 in [0, 1].
    """

    pictures: tuple[NDArray[np.uint8], ...]
    waveform: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class LeftOut:
    """Listed items that the option ``leave_out`` excludes.

    Attributes:
        file: The file.
        sha256: SHA-256 of its bytes.
        items: The excluded items.
        unknown: Ids of the file that are not in the split.
    """

    file: Path
    sha256: str
    items: tuple[Item, ...]
    unknown: tuple[str, ...]

    def describe(self, listed: int) -> str:
        """Describe the exclusion, out of ``listed`` items, in a clause."""
        unknown = ""
        if self.unknown:
            unknown = f"; {len(self.unknown):,} of its ids are no items of the split, such as "
            unknown += shown(self.unknown[0])
        where = f"{printable(str(self.file))} (SHA-256 {self.sha256})"
        return f"{len(self.items):,} of {listed:,} listed items by {where}{unknown}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain JSON types; items and unknown ids are counted."""
        return {
            "file": str(self.file),
            "sha256": self.sha256,
            "items": len(self.items),
            "unknown_ids": len(self.unknown),
        }


@dataclass(frozen=True)
class UsedList:
    """A public list or annotation file from which items are read.

    Attributes:
        file: Its name.
        sha256: SHA-256 of its bytes.
        published: Whether it equals the published file; None where none is published.
    """

    file: str
    sha256: str
    published: bool | None


class DataSet(StrictModel, ABC):
    """A data set; its fields are the options that identify it.

    Class attributes:
        - name: Name in the registry.
        - title: Title in tables.
        - has_mixtures: Value of ``several``.

    Attributes:
        split: Split of the data.
        seed: Seed of random draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    title: ClassVar[str]
    has_mixtures: ClassVar[bool] = False
    split: Split = "test"
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    def square(self) -> bool:
        """Tell whether pictures are squeezed into a square, as the benchmarks do."""
        return True

    @property
    def several(self) -> bool:
        """Tell whether its items have several sources; protocols then give other figures."""
        return self.has_mixtures

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
        """Listed items of the split without those left out; their files may be missing.

        Raises:
            DataError: A list cannot be used.
            UsageError: The data set has no such split.
        """

    @cached_property
    def left_out(self) -> LeftOut | None:
        """Items that the user leaves out; None without such a file."""
        return None

    @property
    def listed_count(self) -> int:
        """Number of listed items of the split, including those left out."""
        return len(self.items) + (0 if self.left_out is None else len(self.left_out.items))

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Numbers of listed entries that are not used as items of the split, by kind."""
        return {}

    @cached_property
    def used_lists(self) -> tuple[UsedList, ...]:
        """The public lists from which the items of the split are read."""
        return ()

    @property
    def notes(self) -> list[tuple[str, str]]:
        """Notes on its items, each a heading and a sentence."""
        notes = []
        if self.left_out is not None:
            notes.append(("Left out", f"{self.left_out.describe(self.listed_count)}."))
        dropped = [f"{count:,} {what}" for what, count in self.dropped.items() if count]
        if dropped:
            notes.append(("Not used", f"{', '.join(dropped)}."))
        others = [one for one in self.used_lists if one.published is False]
        if others:
            names = ", ".join(f"{one.file} (SHA-256 {one.sha256})" for one in others)
            notes.append(("Lists", f"not those that were published, nor is their count: {names}."))
        return notes

    @abstractmethod
    def read(self, item: Item, sample_rate: int) -> Sample:
        """Read an item; may be called by several threads and processes.

        Args:
            item: One of ``items``.
            sample_rate: Samples per second of the sound.

        Returns:
            Content of its files.

        Raises:
            MediaError: A file cannot be used; it is never replaced by another.
        """

    @abstractmethod
    def clips(self, count: int | None, seed: int) -> ClipSet:
        """Clips of one labelled source each, to train heads on.

        Args:
            count: Number of clips; all of them when None.
            seed: Seed of their choice and order.

        Returns:
            Clips of the training split.

        Raises:
            UsageError: The data set has no clips to train on, or fewer.
        """

    def validation_items(self, sources: int, count: int) -> ValidationItems:  # noqa: ARG002
        """Items to validate and calibrate heads on, never of the test split.

        Without a validation split they are training clips, or mixtures of them. All of these
        (``Item.ids``) must then be left out of training (``ClipSet.without``).

        Args:
            sources: K, the number of sources of each.
            count: Maximum number of items.

        Returns:
            The items; none where there are too few classes for K sources or no training clips.
        """
        return ValidationItems(self, (), 1, None)


class SceneData(DataSet):
    """Base of data sets whose scenes are made when they are read, with exact truth.

    Attributes:
        count: Number of scenes.
        sources: K, the number of sources of each scene.
        truth: Ground truth of the scores: ``boxes``, or ``masks``.
    """

    count: int = Field(500, gt=0, le=1_000_000)
    sources: int = Field(1, ge=1, le=MOST_SOURCES)
    truth: Literal["boxes", "masks"] = "boxes"

    @property
    def square(self) -> bool:
        """Pictures keep their shape; each panel is square."""
        return False

    @property
    def several(self) -> bool:
        """Tell whether scenes have several sources."""
        return self.sources > 1


class ValidationItems(NamedTuple):
    """Validation items with the same number of panels; pictures are squeezed into squares.

    Attributes:
        data: The data set that reads them.
        items: The items.
        side: Height and width of a panel at which maps are scored, in pixels.
        window: Seconds of sound; None where all sounds have one length.
    """

    data: DataSet
    items: tuple[Item, ...]
    side: int
    window: float | None


def draw_targets(
    sources: Sequence[Source], panels: int, height: int, width: int
) -> NDArray[np.float32]:
    """Draw the targets of all sources of an item: (P, H, K * W) float32 in [0, 1].

    Args:
        sources: P sources.
        panels: K, the number of panels side by side.
        height: H, height of a panel.
        width: W, width of a panel.
    """
    drawn = np.zeros((len(sources), height, panels * width), dtype=np.float32)
    for row, source in enumerate(sources):
        if source.panel is None:
            drawn[row] = source.target.draw(height, panels * width)
        else:
            start = source.panel * width
            drawn[row, :, start : start + width] = source.target.draw(height, width)
    return drawn


def require_files(items: Iterable[Item], remedy: str) -> None:
    """Check that all files of some items exist.

    Args:
        items: The items.
        remedy: Remedy for missing files, for the message.

    Raises:
        MissingFileError: Files are missing; the message counts them and names the first.
    """
    wanted = [path for item in items for path in item.files]
    missing = absent(wanted) if wanted else set()
    if missing:
        first = next(path for path in wanted if path in missing)
        raise MissingFileError(
            f"This file is missing, as are {len(missing)} of {len(set(wanted))} in all."
            if len(missing) > 1
            else "This file is missing.",
            remedy,
            first,
        )


def are_labelled(items: Iterable[Item]) -> bool:
    """Tell whether items have classes.

    Args:
        items: The items of a data set.

    Raises:
        DataError: Some sources have and others have not. Those that are nowhere in the picture may
            be without.
    """
    sources = [source for item in items for source in item.sources]
    seen = [source for source in sources if not isinstance(source.target, Nowhere)]
    labels = [source.label for source in seen or sources]
    known = {label is not None for label in labels}
    if len(known) > 1:
        raise DataError(
            "Some sources of this data set have a class and others have none.",
            "Give all of them a class, or none.",
        )
    return known == {True}


def require_items(data: DataSet) -> None:
    """Check that a data set has an item to evaluate on.

    Raises:
        UsageError: It lists no item, all are left out, or none says where its sources are.
        DataError: Its lists cannot be used.
    """
    if not data.items:
        if data.left_out is not None and data.left_out.items:
            raise UsageError(
                f"All {data.listed_count} items of the data set '{data.name}' are left out.",
                "Mend the files, and take their ids out of the list of the option leave_out.",
                data.left_out.file,
            )
        raise UsageError(f"The data set '{data.name}' lists no item.", "Choose another part of it.")
    targets = (source.target for item in data.items for source in item.sources)
    if all(target in (Nowhere(), Boxes(())) for target in targets):
        raise UsageError(
            f"No item of the data set '{data.name}' says where its sources are.",
            "No map can be scored: give boxes or masks, or choose another part of it.",
        )
