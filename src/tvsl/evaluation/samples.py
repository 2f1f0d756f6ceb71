"""Items of a data set, read in the background and encoded in batches that never change.

Batch b holds the items from b * B on, whoever reads it and when, so that numbers do not depend on
how many processes there are or on where an evaluation was interrupted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.data.dataset import DataSet, Sample
from tvsl.encoder import Encoder
from tvsl.errors import DataError, TvslError
from tvsl.evaluation.listing import OR_SKIP, Listing
from tvsl.tokens import Tokens

_AHEAD = 2  # batches that are read while one is encoded


@dataclass(frozen=True, eq=False)
class ReadItem:
    """An item, ready to be encoded.

    Attributes:
        number: Its place in the data set.
        frames: Its K panels, (K, 3, h, w).
        waveform: Its sound, (S,).
        targets: Where its sources are, (P, H, W), bool, or float32 where annotators disagree.
    """

    number: int
    frames: Tensor
    waveform: NDArray[np.float32]
    targets: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """What items must share to be encoded and scored together."""
        return (*self.frames.shape, *self.waveform.shape, *self.targets.shape[1:])


@dataclass(frozen=True)
class Failure:
    """An item that could not be read.

    Attributes:
        number: Its place in the data set.
        reason: Why.
    """

    number: int
    reason: str


@dataclass(frozen=True, eq=False)
class ReadBatch:
    """A batch as it was read.

    Attributes:
        number: Which one.
        items: What could be read, in order.
        failures: What could not.
    """

    number: int
    items: tuple[ReadItem, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """Items of a batch that share their shapes, encoded.

    Attributes:
        items: Their places in the data set, B of them.
        tokens: B clips.
        targets: Where each of their P sources is, (P, H, W).
        clip: Which clip of the group each pair belongs to, (P,).
        pairs: Number of each pair in the data set, (P,).
        labels: Class of each pair in the vocabulary, (P,); -1 without one.
    """

    items: tuple[int, ...]
    tokens: Tokens
    targets: Tensor
    clip: Tensor
    pairs: Tensor
    labels: Tensor

    @cached_property
    def sounding(self) -> Tensor:
        """Whether each pair's source is anywhere, (P,) bool."""
        return (self.targets > 0).flatten(1).any(dim=1).cpu()


class Reader:
    """Reads items in threads, some batches ahead of whoever encodes them.

    Args:
        data: The data set.
        encoder: What the items are prepared for.
        square: Whether pictures are squeezed into a square.
        batch: Items of a batch.
        workers: Threads.
        skip: Whether items that cannot be read are noted, or end everything.
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
        """How many batches there are."""
        return -(-len(self.data.items) // self.batch)

    def members(self, number: int) -> range:
        """Places of a batch's items in the data set."""
        return range(number * self.batch, min((number + 1) * self.batch, len(self.data.items)))

    def batches(self, numbers: Iterable[int]) -> Iterator[ReadBatch]:
        """Read batches.

        Args:
            numbers: Which of them.

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
                    yield self._gathered(*waiting.popleft())
            while waiting:
                yield self._gathered(*waiting.popleft())
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

    def _gathered(self, number: int, futures: Sequence[Future[ReadItem]]) -> ReadBatch:
        items, failures = [], []
        for place, future in zip(self.members(number), futures, strict=True):
            try:
                items.append(future.result())
            except TvslError as error:
                if not self.skip:
                    remedy = f"{error.remedy} {OR_SKIP}"
                    raise type(error)(error.problem, remedy, error.path) from error
                failures.append(Failure(place, str(error)))
        return ReadBatch(number, tuple(items), tuple(failures))


def _compact(targets: NDArray[np.float32]) -> Tensor:
    """Targets as bool where annotators agree: a quarter of the memory, and counted faster."""
    drawn = targets > 0
    agreed = bool((targets[drawn] == 1).all())
    return torch.from_numpy(drawn if agreed else targets)


def encode_groups(batch: Sequence[ReadItem], listing: Listing, encoder: Encoder) -> Iterator[Group]:
    """Encode a batch, items of one shape together.

    Args:
        batch: Its items.
        listing: The data set that they are from.
        encoder: The encoder.

    Yields:
        The groups, in the order of their first items.
    """
    apart: dict[tuple[int, ...], list[ReadItem]] = {}
    for item in batch:
        apart.setdefault(item.shape, []).append(item)
    for items in apart.values():
        frames = torch.stack([item.frames for item in items])
        waveforms = torch.from_numpy(np.stack([item.waveform for item in items]))
        numbers = [listing.pairs(item.number) for item in items]
        pairs = [pair for some in numbers for pair in some]
        yield Group(
            items=tuple(item.number for item in items),
            tokens=encoder.encode(frames, waveforms),
            targets=torch.cat([item.targets for item in items]),
            clip=torch.tensor([clip for clip, some in enumerate(numbers) for _ in some]),
            pairs=torch.tensor(pairs),
            labels=torch.tensor([listing.labels[pair] for pair in pairs]),
        )
