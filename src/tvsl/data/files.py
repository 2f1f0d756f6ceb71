"""Data sets of files under a root folder."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, InstanceOf, JsonValue, PrivateAttr
from typing_extensions import Self

from tvsl.data.base import (
    ClipBatch,
    ClipSet,
    DataSet,
    Item,
    LeftOut,
    Sample,
    Source,
    Split,
    UsedList,
    ValidationItems,
    draw_targets,
)
from tvsl.data.layouts import (
    FRAME_SUFFIXES,
    PLAIN,
    SOUND_SUFFIXES,
    Folders,
    MediaLayout,
    digest_of,
    find_layout,
    require_present,
    require_root,
)
from tvsl.data.lists import PUBLIC_LISTS, ExpectedMedia, find_list
from tvsl.data.mixtures import draw_mixtures, mix
from tvsl.data.targets import Nowhere, loaded
from tvsl.errors import DataError, UnreadableMediaError, UsageError, shown
from tvsl.media import crop_center, load_audio, load_image, require_sound
from tvsl.media.image import cut_panels
from tvsl.utils.files import LARGEST_LIST, read_small
from tvsl.utils.id_lists import NameIndex, read_id_list


class FileClips(ClipSet):
    """Items of one labelled source each, in an order that depends on the seed.

    Attributes:
        data: The data set that reads them.
        items: All such items of the data set.
        window: Seconds of sound of every clip; shorter sounds are padded with silence.
    """

    name: ClassVar[str] = "files"
    data: InstanceOf[DataSet]
    items: InstanceOf[tuple[Item, ...]] = Field(repr=False)
    window: float = Field(gt=0)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names of the data set."""
        return self.data.names

    @cached_property
    def chosen(self) -> tuple[Item, ...]:
        """The items of the clips, in the order of the clips."""
        order = np.random.default_rng((self.seed, len(self.items))).permutation(len(self.items))
        return tuple(self.items[number] for number in order[: self.count])

    def without(self, ids: Collection[str]) -> FileClips:
        """The clips without those of some items, which others replace as far as there are any.

        Clips of their recordings go with them: frames of one video are nearly one clip.
        """
        gone = {item.group for item in self.items if item.id in ids}
        items = tuple(item for item in self.items if item.group not in gone)
        return FileClips(
            data=self.data,
            items=items,
            window=self.window,
            count=min(self.count, len(items)),
            seed=self.seed,
        )

    def require_files(self) -> None:
        """Check that the files of all clips exist; see the base class."""
        paths = (path for item in self.chosen for path in (*item.frames, *item.sounds))
        require_present(paths, f"the {self.count} clips to train on", self.data.name)

    def description(self) -> dict[str, JsonValue]:
        """Hashes of ids and labels and of the first clip's files, and the window of sound.

        Paths are no part of it: a data set may be moved.
        """
        listed = "".join(f"{item.id},{item.labels[0]}\n" for item in self.chosen)
        return {
            "data": self.data.name,
            "count": self.count,
            "window": self.window,
            "list": hashlib.sha256(listed.encode()).hexdigest(),
            "sample": digest_of(*self.chosen[0].frames, *self.chosen[0].sounds),
        }

    def labels(self) -> NDArray[np.int64]:
        """Class of each clip, (count,)."""
        return class_indices(self.chosen, self.names)

    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Read some clips; see the base class."""
        items = [self.chosen[int(number)] for number in numbers]
        samples = [self.data.read(item, sample_rate) for item in items]
        length = round(self.window * sample_rate)
        return ClipBatch(
            pictures=[sample.pictures[0] for sample in samples],
            waveforms=np.stack([of_length(sample.waveform, length) for sample in samples]),
            labels=class_indices(items, self.names),
        )


def class_indices(items: Sequence[Item], names: Sequence[str]) -> NDArray[np.int64]:
    """Class of the first source of each item, (N,), as places in ``names``.

    Args:
        items: N items.
        names: Class names of the data set.
    """
    rows = {name: row for row, name in enumerate(names)}
    return np.array([rows[str(item.labels[0])] for item in items], dtype=np.int64)


def of_length(waveform: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Cut a sound off, or pad it with silence, to a length: (length,).

    Args:
        waveform: Mono, (S,).
        length: Samples of the result.
    """
    part = waveform[:length]
    return np.pad(part, (0, length - len(part)))


_HELD_OUT = 20


class FileDataSet(DataSet):
    """A data set in files.

    Class attributes:
        - splits: Its splits.

    Attributes:
        root: Folder of the media, in one of the layouts of the data set.
        leave_out: File of ids to leave out, one a line, as `tvsl data check -o` writes it. They
            still count as listed, and every result reports them.
        window: Seconds of sound around the middle; the whole sound when None.
        side: Height and width of a panel at which maps are scored, in pixels.
    """

    splits: ClassVar[tuple[Split, ...]] = ("test", "train")
    root: Path
    leave_out: Path | None = None
    window: float | None = Field(5.0, gt=0, le=3600)
    side: int = Field(224, gt=0, le=4096)
    _beside: tuple[FileDataSet, ...] = PrivateAttr(())

    def beside(self, *others: FileDataSet) -> Self:
        """The same data set; a file of the option ``leave_out`` may hold ids of others, too."""
        found = self.model_copy()
        found._beside = others
        return found

    @property
    @abstractmethod
    def layout(self) -> str:
        """Description of the layout under the root.

        Raises:
            DataError: The root has no known layout.
        """

    @abstractmethod
    def listed(self, split: Split) -> Iterable[Item]:
        """Items of a split, as the lists name them; their files may be missing.

        Raises:
            DataError: A list cannot be used.
        """

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Items of the split without those left out; see the base class."""
        return self._split_items[0]

    @cached_property
    def left_out(self) -> LeftOut | None:
        """Items that the option ``leave_out`` excludes; see the base class."""
        return self._split_items[1]

    @cached_property
    def _split_items(self) -> tuple[tuple[Item, ...], LeftOut | None]:
        return self._items(self.split)

    def read(self, item: Item, sample_rate: int) -> Sample:
        """Read an item's files; see the base class."""
        expected = item.expected or (None,) * len(item.frames)
        pictures = tuple(
            panel
            for path, properties in zip(item.frames, expected, strict=True)
            for panel in _panels(path, item.panels // len(item.frames), properties)
        )
        for path, properties in zip(item.sounds, item.expected, strict=False):
            if properties is not None:
                properties.check_sound(path)
        # A pair without a visible source may be silent (the extended sets).
        audible = any(not isinstance(source.target, Nowhere) for source in item.sources)
        sounds = [self._sound(path, sample_rate, audible) for path in item.sounds]
        drawn = replace(item, sources=_loaded(item, pictures))
        return Sample(pictures, mix_sounds(sounds), self.targets(drawn, pictures))

    def targets(self, item: Item, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:  # noqa: ARG002
        """Draw the ground truth of each source of an item: (P, H, K * W) float32 in [0, 1].

        Args:
            item: The item.
            pictures: Its panels, for data sets that score at the picture's own size.
        """
        return draw_targets(item.sources, item.panels, self.side, self.side)

    def for_check(self) -> FileDataSet:
        """The data set whose items are checked in place of these: those of single files."""
        return self

    def clips(self, count: int | None, seed: int) -> FileClips:
        """Clips of the training split; see the base class.

        Raises:
            DataError: A list cannot be used.
            MissingFileError: Files of listed clips are missing; the message counts them.
            UsageError: There are fewer clips or none, or sounds have no common length.
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

    def validation_items(self, sources: int, count: int) -> ValidationItems:
        """Items of the validation split, else some of the training split.

        Their mixtures are drawn as those of training are; see the base class.
        """
        found = self._held_out or self._listed_for_validation
        if sources > 1:
            labels = class_indices(found, self.names)
            enough = len(np.unique(labels)) >= sources
            drawn = draw_mixtures(labels, sources, seed=self.seed) if enough else ()
            found = tuple(mix([found[number] for number in members]) for members in drawn)
        return ValidationItems(self, found[:count], self.side, self.window)

    @cached_property
    def _training_items(self) -> tuple[Item, ...]:
        return _of_one_source(self._items("train")[0])

    @cached_property
    def _listed_for_validation(self) -> tuple[Item, ...]:
        """Items that the lists name for validation alone, in an order that depends on the seed."""
        if not self.has_items("validation"):
            return ()
        splits: tuple[Split, ...] = ("test", "train")
        listed = (self.listed(split) for split in splits if self.has_items(split))
        others = {item.id for items in listed for item in items}
        found = (item for item in self._items("validation")[0] if item.id not in others)
        # Lists are often sorted by class, and those who ask take the first items.
        return _shuffled(_of_one_source(tuple(found)), self.seed)

    @cached_property
    def _held_out(self) -> tuple[Item, ...]:
        """Whole recordings of the training items, if no items are for validation.

        They are a twentieth of the items and at least two, or more where recordings are long, but
        at most half.
        """
        if self._listed_for_validation:
            return ()
        items = self._training_items
        recordings: dict[str, list[Item]] = {}
        for item in items:
            recordings.setdefault(item.group, []).append(item)
        groups = list(recordings.values())
        wanted, most = max(2, len(items) // _HELD_OUT), len(items) // 2
        held: list[Item] = []
        for number in np.random.default_rng((self.seed, len(groups), 1)).permutation(len(groups)):
            if len(held) >= wanted:
                break
            if len(held) + len(groups[number]) <= most:
                held += groups[number]
        # Those who ask take the first items, which are not to be of one recording alone.
        return _shuffled(held, self.seed)

    def has_items(self, split: Split) -> bool:
        """Tell whether the lists hold any item of a split."""
        return split in self.splits

    def _items(self, split: Split) -> tuple[tuple[Item, ...], LeftOut | None]:
        """The items of a split, and those that are left out."""
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
        left_out = _left_out(self.leave_out, items.values(), self._other_items(split))
        gone = {item.id for item in left_out.items}
        return tuple(item for item in items.values() if item.id not in gone), left_out

    def _other_items(self, split: Split) -> Iterator[Item]:
        """Items of the other splits and of data sets beside, as far as their lists are here."""
        others: list[tuple[FileDataSet, Split]] = [
            (self, other) for other in self.splits if other != split
        ]
        others += [(data, other) for data in self._beside for other in data.splits]
        for data, other in others:
            # A list that this run does not need may be missing.
            with suppress(DataError):
                if data.has_items(other):
                    yield from data.listed(other)

    def _sound(self, path: Path, sample_rate: int, audible: bool) -> NDArray[np.float32]:
        if self.window is None:
            sound = load_audio(path, sample_rate)
        else:
            sound = crop_center(path, self.window, sample_rate)
        return (require_sound(sound, path) if audible else sound).samples


def _shuffled(items: Sequence[Item], seed: int) -> tuple[Item, ...]:
    order = np.random.default_rng((seed, len(items), 2)).permutation(len(items))
    return tuple(items[number] for number in order)


def _of_one_source(items: Sequence[Item]) -> tuple[Item, ...]:
    """Items of one panel and one labelled source."""
    return tuple(
        item
        for item in items
        if item.panels == 1 and len(item.sources) == 1 and item.labels[0] is not None
    )


def _left_out(path: Path, items: Iterable[Item], others: Iterable[Item]) -> LeftOut:
    """Read which items a file leaves out; its ids may have any form that lists use.

    Mixtures of an item are left out with it.

    Args:
        path: The file.
        items: Items of the split.
        others: Items of other splits and data sets: a file for one does not hinder reading another.

    Raises:
        DataError: It cannot be read, or none of its ids is that of any item.
    """
    content = read_small(path, LARGEST_LIST, DataError, "Check the option leave_out.")
    known: dict[str, list[Item]] = {}
    for item in items:
        for name in dict.fromkeys((item.id, *item.members)):
            known.setdefault(name, []).append(item)
    names = NameIndex(known)
    gone: dict[str, Item] = {}
    unknown = []
    for listed in read_id_list(path, DataError):
        found = names.find(listed)
        if found is not None:
            gone.update((item.id, item) for item in known[found])
        elif not listed.optional:
            unknown.append(listed)
    if unknown and not gone:
        elsewhere = NameIndex(name for item in others for name in (item.id, *item.members))
        if all(elsewhere.find(listed) is None for listed in unknown):
            raise DataError(
                f"No id in the file is one of the data set: it has {shown(unknown[0].text)}, the "
                f"data set {shown(names.example)}.",
                "Check that it is for this data set.",
                path,
            )
    digest = hashlib.sha256(content).hexdigest()
    return LeftOut(path, digest, tuple(gone.values()), tuple(one.text for one in unknown))


def mix_sounds(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Mix mono sounds: their sum (Sec. 4.1), shorter ones padded with silence."""
    mixture = np.zeros(max(len(sound) for sound in sounds), dtype=np.float32)
    for sound in sounds:
        mixture[: len(sound)] += sound
    return mixture


def _loaded(item: Item, pictures: Sequence[NDArray[np.uint8]]) -> tuple[Source, ...]:
    """Sources of an item with the content of their files, checked against the pictures' shapes."""
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


def _panels(path: Path, count: int, expected: ExpectedMedia | None) -> list[NDArray[np.uint8]]:
    picture = load_image(path)
    if expected is not None:
        expected.check_picture(path, (picture.shape[0], picture.shape[1]))
    try:
        return cut_panels(picture, count, path)
    except UsageError as error:
        raise UnreadableMediaError(error.problem, "Correct the number of panels.", path) from error


class ListedData(FileDataSet):
    """A benchmark.

    Class attributes:
        - layouts: Possible layouts of its media; the first that exists is used for all of them.
        - files: Lists and annotations of the test split.
        - train_files: Further lists of the training split.

    Attributes:
        lists: Folder of the lists and annotations. They are searched there, in
            ``root/metadata``, in the root, and among the files of `tvsl data fetch-lists`.
    """

    layouts: ClassVar[tuple[MediaLayout, ...]] = (PLAIN,)
    files: ClassVar[tuple[str, ...]]
    train_files: ClassVar[tuple[str, ...]] = ()
    lists: Path | None = None

    @property
    def layout(self) -> str:
        """The layout of the media; see the base class."""
        return find_layout(self.root, self.layouts).title

    def find_list(self, *files: str) -> Path:
        """Find one of the lists.

        Args:
            files: Its file name, and names of alternatives.

        Raises:
            DataError: None of them is found, or the root is missing.
        """
        require_root(self.root)
        given = [] if self.lists is None else [self.lists]
        return find_list(files, [*given, self.root / "metadata", self.root], self.name)

    @cached_property
    def used_lists(self) -> tuple[UsedList, ...]:
        """The lists of the split; see the base class."""
        return tuple(
            used_list(self.find_list(file))
            for file in (self.train_files if self.split == "train" else self.files)
        )

    def media(self) -> Media:
        """Finder of the media of ids.

        Raises:
            DataError: The root has no known layout.
        """
        return Media(self.root, find_layout(self.root, self.layouts))


def used_list(path: Path) -> UsedList:
    """Name and checksum of a list, for results.

    Raises:
        DataError: It cannot be read.
    """
    digest = hashlib.sha256(
        read_small(path, LARGEST_LIST, DataError, "Get the list again.")
    ).hexdigest()
    public = PUBLIC_LISTS.get(path.name)
    return UsedList(path.name, digest, None if public is None else public.sha256 == digest)


class Media:
    """Finder of the pictures and sounds of ids; each folder is listed once.

    Args:
        root: The data set's folder.
        layout: Layout of its files.
    """

    def __init__(self, root: Path, layout: MediaLayout) -> None:
        self._layout, self._folders = layout, Folders(root)

    def frame(self, name: str) -> Path:
        """Path of the picture of an id; its expected path if it is missing."""
        return self._folders.find(self._layout.frame(name), FRAME_SUFFIXES)

    def sound(self, name: str) -> Path:
        """Path of the sound of an id; its expected path if it is missing."""
        return self._folders.find(self._layout.sound(name), SOUND_SUFFIXES)

    def item(
        self,
        name: str,
        *sources: Source,
        expected: ExpectedMedia | None = None,
        recording: str | None = None,
    ) -> Item:
        """An item of one picture and its own sound.

        Args:
            name: Its id.
            sources: Its sources.
            expected: Properties of the media that the annotations state.
            recording: Id of the video that it is cut from with others, if that is known.
        """
        return Item(
            name,
            (self.frame(name),),
            (self.sound(name),),
            sources,
            expected=() if expected is None else (expected,),
            recording=recording,
        )
