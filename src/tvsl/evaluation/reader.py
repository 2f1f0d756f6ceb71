"""Items of a data set, read in threads, in batches that never change.

Batch b holds the items from b * B on, so that results depend neither on the number of processes
nor on where an evaluation was interrupted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.data.base import DataSet, Sample
from tvsl.encoder import Encoder
from tvsl.errors import DataError, TvslError
from tvsl.evaluation.indexed import OR_SKIP

_AHEAD = 2  # batches that are read while one is encoded


@dataclass(frozen=True, eq=False)
class ReadItem:
    """An item, ready to be encoded.

    Attributes:
        number: Its place in the data set.
        frames: K panels, (K, 3, h, w).
        waveform: The sound, (S,).
        targets: Where its sources are, (P, H, W): bool, or float32 where annotators disagree.
    """

    number: int
    frames: Tensor
    waveform: NDArray[np.float32]
    targets: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shapes that items must share to be encoded and scored together."""
        return (*self.frames.shape, *self.waveform.shape, *self.targets.shape[1:])


@dataclass(frozen=True, eq=False)
class ReadBatch:
    """A batch as it was read.

    Attributes:
        number: Number of the batch.
        items: Items that could be read, in order.
        failures: Errors of the others, by their places in the data set.
    """

    number: int
    items: tuple[ReadItem, ...]
    failures: dict[int, str]


class Reader:
    """Items of a data set, read in threads some batches ahead of the encoder.

    Args:
        data: The data set.
        encoder: What the items are prepared for.
        square: Whether pictures are squeezed into a square.
        batch: Items of a batch.
        workers: Threads.
        skip: Whether an item that cannot be read is noted, or raises its error.
    """

    def __init__(
        self,
        data: DataSet,
        encoder: Encoder,
        square: bool,
        batch: int,
        workers: int = 4,
        skip: bool = False,
    ) -> None:
        self.data = data
        self.encoder = encoder
        self.square = square
        self.batch = batch
        self.workers = workers
        self.skip = skip

    @property
    def count(self) -> int:
        """Number of batches."""
        return -(-len(self.data.items) // self.batch)

    def members(self, number: int) -> range:
        """Places of a batch's items in the data set."""
        return range(number * self.batch, min((number + 1) * self.batch, len(self.data.items)))

    def batches(self, numbers: Iterable[int]) -> Iterator[ReadBatch]:
        """Read batches.

        Args:
            numbers: Numbers of the batches.

        Yields:
            The batches, in this order.

        Raises:
            TvslError: An item cannot be read, and none may be left out.
        """
        waiting: deque[tuple[int, list[Future[ReadItem]]]] = deque()
        pool = ThreadPoolExecutor(self.workers)
        try:
            for number in numbers:
                futures = [pool.submit(self.read, item) for item in self.members(number)]
                waiting.append((number, futures))
                if len(waiting) > _AHEAD:
                    yield self._collect(*waiting.popleft())
            while waiting:
                yield self._collect(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def read(self, number: int) -> ReadItem:
        """Read one item.

        Args:
            number: Its place in the data set.

        Returns:
            The item.

        Raises:
            TvslError: It cannot be read.
        """
        item = self.data.items[number]
        sample = self.data.read(item, self.encoder.sample_rate)
        return self.prepared(number, sample)

    def prepared(self, number: int, sample: Sample) -> ReadItem:
        """Prepare what was read of an item for the encoder.

        Raises:
            DataError: Its panels differ in shape.
        """
        frames = [self.encoder.prepare(picture, self.square) for picture in sample.pictures]
        if len({frame.shape for frame in frames}) > 1:
            raise DataError(
                f"The panels of '{self.data.items[number].id}' differ in shape.",
                "Pictures that stand side by side must have one shape.",
            )
        return ReadItem(number, torch.stack(frames), sample.waveform, _compact(sample.targets))

    def _collect(self, number: int, futures: Sequence[Future[ReadItem]]) -> ReadBatch:
        items, failures = [], {}
        for place, future in zip(self.members(number), futures, strict=True):
            try:
                items.append(future.result())
            except TvslError as error:
                if not self.skip:
                    remedy = f"{error.remedy} {OR_SKIP}"
                    raise type(error)(error.problem, remedy, error.path) from error
                failures[place] = str(error)
        return ReadBatch(number, tuple(items), failures)


def _compact(targets: NDArray[np.float32]) -> Tensor:
    """Targets as bool where annotators agree: a quarter of the memory, and counted faster."""
    drawn = targets > 0
    agreed = bool((targets[drawn] == 1).all())
    return torch.from_numpy(drawn if agreed else targets)
