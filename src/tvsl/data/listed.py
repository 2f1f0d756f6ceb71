"""Benchmarks: public lists of ids, and media in one of several layouts."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from tvsl.data.base import Item, Source, UsedList
from tvsl.data.files import FileDataSet
from tvsl.data.layouts import (
    FRAME_SUFFIXES,
    PLAIN,
    SOUND_SUFFIXES,
    Folders,
    MediaLayout,
    find_layout,
    require_root,
)
from tvsl.data.lists import PUBLIC_LISTS, ExpectedMedia, find_list
from tvsl.errors import DataError
from tvsl.utils.files import LARGEST_LIST, read_small


class ListedData(FileDataSet):
    """A benchmark.

    Class attributes:
        layouts: Possible layouts of its media; the first that exists is used for all of them.
        files: Lists and annotations of the test split.
        train_files: Further lists of the training split.

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

    def item(self, name: str, *sources: Source, expected: ExpectedMedia | None = None) -> Item:
        """An item of one picture and its own sound.

        Args:
            name: Its id.
            sources: Its sources.
            expected: Properties of the media that the annotations state.
        """
        stated = () if expected is None else (expected,)
        return Item(name, (self.frame(name),), (self.sound(name),), sources, expected=stated)
