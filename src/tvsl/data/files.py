"""Data sets whose items lie in files under a root that the user gives."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tvsl.data.dataset import DataSet, DecisionItems, Item, LeftOut, Sample, Source, Split
from tvsl.data.file_clips import FileClips
from tvsl.data.mixed import mix
from tvsl.data.mixing import draw_mixtures
from tvsl.data.stated import Stated
from tvsl.data.targets import Nowhere, loaded
from tvsl.errors import DataError, UnreadableMediaError, UsageError, shown
from tvsl.id_lists import Names, read_id_list
from tvsl.media import load_audio, load_image, require_sound, sound_middle
from tvsl.media.panels import cut_panels
from tvsl.small_files import LARGEST_LIST, read_small

_HELD_OUT = 20


class FileDataSet(DataSet):
    """A data set in files.

    Class attributes:
        splits: The parts that it has.

    Attributes:
        root: Folder of the media, in a layout that the data set knows.
        leave_out: List of ids that are left out, one a line, as `tvsl data check -o` writes. They
            still count as listed, and every result tells of them.
        window: Seconds of sound that are heard, around the middle; all of it when None.
        side: Height and width of a panel, in pixels, that maps are scored at.
    """

    splits: ClassVar[tuple[Split, ...]] = ("test", "train")
    root: Path
    leave_out: Path | None = None
    window: float | None = Field(5.0, gt=0, le=3600)
    side: int = Field(224, gt=0, le=4096)

    @property
    @abstractmethod
    def layout(self) -> str:
        """What lies under the root, for people.

        Raises:
            DataError: Nothing that is known.
        """

    @abstractmethod
    def listed(self, split: Split) -> Iterable[Item]:
        """What the lists hold of a split, whether or not the files are there.

        Args:
            split: One of ``splits``.

        Returns:
            The items.

        Raises:
            DataError: A list cannot be used.
        """

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All items of the split but those to leave out; see the base class."""
        return self._parted[0]

    @cached_property
    def left_out(self) -> LeftOut | None:
        """What the option ``leave_out`` leaves out; see the base class."""
        return self._parted[1]

    @cached_property
    def _parted(self) -> tuple[tuple[Item, ...], LeftOut | None]:
        return self._items(self.split)

    def read(self, item: Item, sample_rate: int) -> Sample:
        """Read an item's files; see the base class."""
        stated = item.stated or (None,) * len(item.frames)
        pictures = tuple(
            panel
            for path, told in zip(item.frames, stated, strict=True)
            for panel in _panels(path, item.panels // len(item.frames), told)
        )
        for path, told in zip(item.sounds, item.stated, strict=False):
            if told is not None:
                told.check_sound(path)
        # A pair that is not meant to match may be silent too (the extended sets).
        audible = any(not isinstance(source.target, Nowhere) for source in item.sources)
        sounds = [self._sound(path, sample_rate, audible) for path in item.sounds]
        drawn = replace(item, sources=_loaded(item, pictures))
        return Sample(pictures, add_up(sounds), self.targets(drawn, pictures))

    def targets(self, item: Item, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:  # noqa: ARG002
        """Where each source of an item is.

        Args:
            item: The item.
            pictures: Its panels, for data sets that score at the picture's own size.

        Returns:
            (P, H, K * W) float32 in [0, 1].
        """
        return draw_targets(item.sources, item.panels, self.side, self.side)

    def clips(self, count: int | None, seed: int) -> FileClips:
        """Clips of the training split; see the base class.

        Raises:
            DataError: A list cannot be used.
            MissingFileError: Files of listed clips are missing; the message says how many.
            UsageError: There are no such clips, or fewer, or sounds have no common length.
        """
        found = self._training_items
        if not found or (count is not None and count > len(found)):
            raise UsageError(
                f"The data set '{self.name}' has {len(found)} clips of one labelled source to "
                f"train on.",
                "Ask for no more clips than there are, or choose another data set.",
            )
        if self.window is None:
            raise UsageError(
                "Clips to train on have one length.", "Give the option window, in seconds."
            )
        clips = FileClips(
            data=self, items=found, window=self.window, count=count or len(found), seed=seed
        )
        clips.require_files()
        return clips

    def decision_items(self, sources: int, count: int) -> DecisionItems:
        """Items of the validation split, else some of the training split.

        Their mixtures are drawn as those of training are; see the base class.
        """
        found = self._held_out or self._validation_items
        if sources > 1:
            rows = {name: row for row, name in enumerate(self.names)}
            labels = np.array([rows[str(item.labels[0])] for item in found], dtype=np.int64)
            enough = len(np.unique(labels)) >= sources
            drawn = draw_mixtures(labels, sources, seed=self.seed) if enough else ()
            found = tuple(mix([found[number] for number in members]) for members in drawn)
        return DecisionItems(self, found[:count], self.side, self.window)

    @cached_property
    def _training_items(self) -> tuple[Item, ...]:
        return _of_one_source(self._items("train")[0])

    @cached_property
    def _validation_items(self) -> tuple[Item, ...]:
        """Items that the lists keep for validation alone."""
        if not self.has_items("validation"):
            return ()
        others = {item.id for split in ("test", "train") for item in self._listed_or_none(split)}
        found = (item for item in self._items("validation")[0] if item.id not in others)
        return _of_one_source(tuple(found))

    @cached_property
    def _held_out(self) -> tuple[Item, ...]:
        """A twentieth of the training items, at least two, where nothing is for validation."""
        if self._validation_items:
            return ()
        items = self._training_items
        order = np.random.default_rng((self.seed, len(items), 1)).permutation(len(items))
        count = min(max(2, len(items) // _HELD_OUT), len(items) // 2)
        return tuple(items[number] for number in order[:count])

    def _listed_or_none(self, split: Split) -> Iterable[Item]:
        return self.listed(split) if self.has_items(split) else ()

    def has_items(self, split: Split) -> bool:
        """Whether the lists hold anything of a split."""
        return split in self.splits

    def _items(self, split: Split) -> tuple[tuple[Item, ...], LeftOut | None]:
        """The items of a split that stay, and those that are left out."""
        if split not in self.splits:
            raise UsageError(
                f"The data set '{self.name}' has no split '{split}'.",
                f"Splits: {', '.join(self.splits)}.",
            )
        items: dict[str, Item] = {}
        for item in self.listed(split):
            if item.id in items:
                raise DataError(
                    f"A list of the data set '{self.name}' holds '{item.id}' twice.",
                    "Correct the list, or get it again.",
                    self.root,
                )
            items[item.id] = item
        if self.leave_out is None:
            return tuple(items.values()), None
        left_out = _left_out(self.leave_out, items)
        gone = {item.id for item in left_out.items}
        return tuple(item for item in items.values() if item.id not in gone), left_out

    def _sound(self, path: Path, sample_rate: int, audible: bool) -> NDArray[np.float32]:
        if self.window is None:
            sound = load_audio(path, sample_rate)
        else:
            sound = sound_middle(path, self.window, sample_rate)
        return (require_sound(sound, path) if audible else sound).samples


def _of_one_source(items: Sequence[Item]) -> tuple[Item, ...]:
    """Items of one panel and one labelled source."""
    return tuple(
        item
        for item in items
        if item.panels == 1 and len(item.sources) == 1 and item.labels[0] is not None
    )


def _left_out(path: Path, items: Mapping[str, Item]) -> LeftOut:
    """The items that a file leaves out: ids in any form in which lists write them.

    Raises:
        DataError: It cannot be read, or none of its ids is one of the items'.
    """
    content = read_small(path, LARGEST_LIST, DataError, "Check the option leave_out.")
    names = Names(items)
    gone: dict[str, Item] = {}
    unknown = []
    for listed in read_id_list(path, DataError):
        name = names.find(listed)
        if name is not None:
            gone[name] = items[name]
        elif not listed.optional:
            unknown.append(listed.text)
    if unknown and not gone:
        raise DataError(
            f"No id in the file is one of the data set: it has {shown(unknown[0])}, the data set "
            f"{shown(names.example)}.",
            "Check that it is for this data set and split.",
            path,
        )
    digest = hashlib.sha256(content).hexdigest()
    return LeftOut(path, digest, tuple(gone.values()), tuple(unknown))


def add_up(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """A mixture: the sum of some sounds (Sec. 4.1), shorter ones with silence behind them.

    Args:
        sounds: Mono waveforms, each (S,).

    Returns:
        Their sum, as long as the longest.
    """
    mixture = np.zeros(max(len(sound) for sound in sounds), dtype=np.float32)
    for sound in sounds:
        mixture[: len(sound)] += sound
    return mixture


def draw_targets(
    sources: Sequence[Source], panels: int, height: int, width: int
) -> NDArray[np.float32]:
    """Draw the targets of all sources of an item.

    Args:
        sources: P sources.
        panels: K, how many panels stand side by side.
        height: H, height of a panel.
        width: W, width of a panel.

    Returns:
        (P, H, K * W) float32 in [0, 1].
    """
    drawn = np.zeros((len(sources), height, panels * width), dtype=np.float32)
    for row, source in enumerate(sources):
        if source.panel is None:
            drawn[row] = source.target.draw(height, panels * width)
        else:
            start = source.panel * width
            drawn[row, :, start : start + width] = source.target.draw(height, width)
    return drawn


def _loaded(item: Item, pictures: Sequence[NDArray[np.uint8]]) -> tuple[Source, ...]:
    """An item's sources with targets that hold what their files do, of the pictures' shapes."""
    panels = [(one.shape[0], one.shape[1]) for one in pictures]
    whole = panels[0][0], sum(width for _, width in panels)
    return tuple(
        replace(
            source,
            target=loaded(
                source.target, whole if source.panel is None else panels[source.panel], panels
            ),
        )
        for source in item.sources
    )


def _panels(path: Path, count: int, stated: Stated | None) -> list[NDArray[np.uint8]]:
    picture = load_image(path)
    if stated is not None:
        stated.check_picture(path, (picture.shape[0], picture.shape[1]))
    try:
        return cut_panels(picture, count, path)
    except UsageError as error:
        raise UnreadableMediaError(error.problem, "Correct the number of panels.", path) from error
