"""Clips to train on, from the items of a data set in files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, InstanceOf, JsonValue

from tvsl.data.clips import ClipBatch, ClipSet
from tvsl.data.dataset import DataSet, Item
from tvsl.data.layouts import absent
from tvsl.errors import MissingFileError
from tvsl.media.limits import check_file

_AT_ONCE = 1 << 20


class FileClips(ClipSet):
    """Items of one labelled source each, in an order that the seed decides.

    Attributes:
        data: The data set, which reads them.
        items: All that it has of them.
        window: Seconds of sound of every clip; shorter sounds are followed by silence.
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
        """The items that are clips, in the clips' order."""
        order = np.random.default_rng((self.seed, len(self.items))).permutation(len(self.items))
        return tuple(self.items[number] for number in order[: self.count])

    def without(self, ids: Collection[str]) -> FileClips:
        """The same clips but some; as many others take their places as there are."""
        items = tuple(item for item in self.items if item.id not in ids)
        return FileClips(
            data=self.data,
            items=items,
            window=self.window,
            count=min(self.count, len(items)),
            seed=self.seed,
        )

    def require_files(self) -> None:
        """Look for the files of all clips; see the base class."""
        missing = absent(path for item in self.chosen for path in (*item.frames, *item.sounds))
        if missing:
            raise MissingFileError(
                f"{len(missing)} files of the {self.count} clips to train on are missing.",
                f"Run `tvsl data check {self.data.name} ROOT --option split=train -o FILE` and "
                f"give --option leave_out=FILE.",
                min(missing),
            )

    def description(self) -> dict[str, JsonValue]:
        """Hashes of ids and labels and of the first clip's files, and how sounds are cut.

        Where the files lie is no part of it: a data set may be moved.
        """
        listed = "".join(f"{item.id},{item.labels[0]}\n" for item in self.chosen)
        return {
            "data": self.data.name,
            "count": self.count,
            "window": self.window,
            "list": hashlib.sha256(listed.encode()).hexdigest(),
            "sample": _files_digest(self.chosen[0]),
        }

    def labels(self) -> NDArray[np.int64]:
        """Class of each clip, (count,)."""
        rows = {name: row for row, name in enumerate(self.names)}
        return np.array([rows[str(item.labels[0])] for item in self.chosen], dtype=np.int64)

    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Read some clips; see the base class."""
        items = [self.chosen[int(number)] for number in numbers]
        samples = [self.data.read(item, sample_rate) for item in items]
        length = round(self.window * sample_rate)
        rows = {name: row for row, name in enumerate(self.names)}
        return ClipBatch(
            pictures=[sample.pictures[0] for sample in samples],
            waveforms=np.stack([of_length(sample.waveform, length) for sample in samples]),
            labels=np.array([rows[str(item.labels[0])] for item in items], dtype=np.int64),
        )


def of_length(waveform: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """A sound of a length: cut off, or with silence behind it.

    Args:
        waveform: Mono, (S,).
        length: Samples of the result.

    Returns:
        (length,).
    """
    part = waveform[:length]
    return np.pad(part, (0, length - len(part)))


def _files_digest(item: Item) -> str:
    digest = hashlib.sha256()
    for path in (*item.frames, *item.sounds):
        try:
            with check_file(path).open("rb") as stream:
                while part := stream.read(_AT_ONCE):
                    digest.update(part)
        except OSError as error:
            raise MissingFileError(
                f"The file cannot be read ({error.strerror}).", "Check the data set's root.", path
            ) from error
    return digest.hexdigest()
