"""Encoded clips with the truth of their sources: what every method is evaluated on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.data.base import (
    OR_SKIP,
    DataSet,
    Item,
    Sample,
    ValidationItems,
    are_labelled,
    draw_targets,
)
from tvsl.data.files import of_length
from tvsl.encoder import Encoder
from tvsl.errors import DataError, TvslError
from tvsl.media.waveform import resampled
from tvsl.scenes import Scene, SceneMaker
from tvsl.tokens import TENSORS, Queries, Tokens, Vocabulary
from tvsl.utils.processes import ALONE, Processes

_CLIPS = 32
"""Clips that are encoded at once: more need more memory and are no faster."""


@dataclass(frozen=True, eq=False)
class IndexedDataset:
    """The items of a data set with their (item, source) pairs numbered.

    Attributes:
        dataset: The data set.
        vocabulary: The classes.
    """

    dataset: DataSet
    vocabulary: Vocabulary

    @property
    def items(self) -> tuple[Item, ...]:
        """All listed items."""
        return self.dataset.items

    @cached_property
    def labelled(self) -> bool:
        """Tell whether sources have classes; see ``are_labelled``."""
        return are_labelled(self.items)

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """Class of each pair in the vocabulary, -1 without one.

        Raises:
            VocabularyError: A class is not in the vocabulary.
        """
        if not self.labelled:
            return (-1,) * self.starts[-1]
        labels = [label for item in self.items for label in item.labels]
        names = tuple(dict.fromkeys(label for label in labels if label is not None))
        rows: dict[str | None, int] = {None: -1}
        rows.update(zip(names, self.vocabulary.indices(names), strict=True))
        return tuple(rows[label] for label in labels)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of each item's first pair, and at the end the number of pairs."""
        return (0, *accumulate(len(item.sources) for item in self.items))

    @cached_property
    def clusters(self) -> tuple[int, ...]:
        """Number of each item's recording; see ``number_recordings``."""
        return number_recordings(self.items)

    def pairs(self, item: int) -> range:
        """Numbers of an item's pairs."""
        return range(self.starts[item], self.starts[item + 1])


def number_recordings(items: Iterable[Item]) -> tuple[int, ...]:
    """Number the recordings of items: items of one say little more than one of them alone.

    Returns:
        The number of each item's recording; an item of none is one by itself.
    """
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(item.group, len(numbers)) for item in items)


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth of P (clip, source) pairs.

    Attributes:
        queries: Clip and class of each pair; class -1 for a source without one.
        targets: Masks of the sources, (P, H, W): bool, or float32 in [0, 1] where annotators
            disagree. Empty for a source that is nowhere in the picture.
        masks: The exact outlines where they are known, (P, H, W) bool.
        twins: Masks of a silent object of the pair's class, (P, H, W) bool, if known.
    """

    queries: Queries
    targets: Tensor
    masks: Tensor | None = None
    twins: Tensor | None = None

    @cached_property
    def foreground(self) -> Tensor:
        """Flags of the sources that are anywhere in the picture, (P,) bool, on the CPU."""
        return (self.targets > 0).flatten(1).any(dim=1).cpu()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the targets in pixels."""
        return self.targets.shape[1], self.targets.shape[2]


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodedBatch(Truth):
    """B encoded clips with the truth of their P (clip, source) pairs.

    Attributes:
        tokens: The clips.
        vocabulary: N classes.
        clip_ids: Number of each clip in its data set, (B,).
        pair_ids: Number of each pair in its data set, (P,).
    """

    tokens: Tokens
    vocabulary: Vocabulary
    clip_ids: tuple[int, ...] = ()
    pair_ids: tuple[int, ...] = ()

    @cached_property
    def counts(self) -> Tensor:
        """Number of sources of each class in each clip, (B, N) int64, for losses."""
        clip, label = self.queries.clip.cpu(), self.queries.label.cpu()
        known = label >= 0
        counts = torch.zeros(self.tokens.batch, len(self.vocabulary), dtype=torch.int64)
        return counts.index_put_((clip[known], label[known]), torch.tensor(1), accumulate=True)

    @property
    def labels(self) -> Tensor:
        """Classes of the sources of each clip, (B, N) bool."""
        return self.counts > 0

    @property
    def sources(self) -> int:
        """Largest number of sources of a clip."""
        return int(torch.bincount(self.queries.clip).max())

    def chosen(self, clips: range) -> EncodedBatch:
        """Some of the clips with their pairs.

        Args:
            clips: Numbers of the clips, one after the other.
        """
        if len(clips) == self.tokens.batch:
            return self
        rows = slice(clips.start, clips.stop)
        tokens = {name: getattr(self.tokens, name)[rows] for name in TENSORS}
        clip = self.queries.clip
        pairs = ((clip >= clips.start) & (clip < clips.stop)).nonzero()[:, 0]
        here = pairs.to(self.targets.device)
        return EncodedBatch(
            Queries(clip[pairs] - clips.start, self.queries.label[pairs]),
            self.targets[here],
            None if self.masks is None else self.masks[here],
            None if self.twins is None else self.twins[here],
            tokens=Tokens(**tokens, grid=self.tokens.grid, panels=self.tokens.panels),
            vocabulary=self.vocabulary,
            clip_ids=self.clip_ids[rows],
            pair_ids=tuple(self.pair_ids[number] for number in pairs.tolist() if self.pair_ids),
        )


def encode_scenes(
    encoder: Encoder,
    maker: SceneMaker,
    sources: int,
    count: int,
    start: int = 0,
) -> EncodedBatch:
    """Make and encode scenes with exact truth.

    Args:
        encoder: The frozen encoder.
        maker: A split of the made-up world, or of composites; its classes are the vocabulary.
        sources: K, the number of sources of each scene.
        count: B, the number of scenes.
        start: Number of the first scene.

    Returns:
        The scenes, K pairs each, panel by panel; boxes are the targets.
    """
    vocabulary = encoder.vocabulary(maker.names)
    tokens, labels, truth = [], [], []
    for first in range(start, start + count, _CLIPS):
        numbers = range(first, min(first + _CLIPS, start + count))
        scenes = [maker.scene(number, sources) for number in numbers]
        pictures = [[panel.picture for panel in scene.panels] for scene in scenes]
        sounds = [resampled(one.waveform, one.sample_rate, encoder.sample_rate) for one in scenes]
        tokens.append(_encode(encoder, pictures, sounds))
        labels += [vocabulary.indices(scene.labels) for scene in scenes]
        truth += [scene_truth(scene) for scene in scenes]
    boxes, masks, twins = (
        torch.from_numpy(np.concatenate(parts)) for parts in zip(*truth, strict=True)
    )
    queries, encoded = Queries.from_lists(labels), _joined(tokens)
    return EncodedBatch(queries, boxes, masks, twins, tokens=encoded, vocabulary=vocabulary)


def encode_items(
    wanted: ValidationItems, encoder: Encoder, vocabulary: Vocabulary, team: Processes = ALONE
) -> EncodedBatch:
    """Read and encode labelled items that have the same number of panels.

    Pictures are squeezed into squares and sounds cut to the window, as for training.

    Args:
        wanted: The items, at least one.
        encoder: The frozen encoder.
        vocabulary: The classes.
        team: Processes that share the work; each gets all items.

    Returns:
        The items; a pixel is in the target where at least half of the annotators see the source.

    Raises:
        MediaError: A file cannot be used.
    """
    items, side, rate = wanted.items, wanted.side, encoder.sample_rate
    tokens: list[tuple[int, Tokens]] = []
    for start in team.share(range(0, len(items), _CLIPS)):
        samples = [wanted.data.read(item, rate) for item in items[start : start + _CLIPS]]
        sounds = [sample.waveform for sample in samples]
        if wanted.window is not None:
            sounds = [of_length(sound, round(wanted.window * rate)) for sound in sounds]
        pictures = [sample.pictures for sample in samples]
        tokens.append((start, _encode(encoder, pictures, sounds, square=True).to("cpu")))
    tokens = sorted((part for some in team.gather(tokens) for part in some), key=itemgetter(0))
    drawn = (draw_targets(item.sources, item.panels, side, side) for item in items)
    targets = torch.from_numpy(np.concatenate([target >= 0.5 for target in drawn]))
    rows = [vocabulary.indices([str(label) for label in item.labels]) for item in items]
    encoded, queries = _joined([part for _, part in tokens]), Queries.from_lists(rows)
    return EncodedBatch(queries, targets, tokens=encoded, vocabulary=vocabulary)


def encode_read_items(
    items: Iterable[ReadItem], data: IndexedDataset, encoder: Encoder
) -> Iterator[EncodedBatch]:
    """Encode items that were read, those of one shape together.

    Args:
        items: The items.
        data: The data set that they are from.
        encoder: The frozen encoder.

    Yields:
        Batches, in the order of their first items.
    """
    by_shape: dict[tuple[int, ...], list[ReadItem]] = {}
    for item in items:
        by_shape.setdefault(item.shape, []).append(item)
    for alike in by_shape.values():
        frames = torch.stack([item.frames for item in alike])
        waveforms = torch.from_numpy(np.stack([item.waveform for item in alike]))
        pairs = [data.pairs(item.number) for item in alike]
        yield EncodedBatch(
            tokens=encoder.encode(frames, waveforms),
            vocabulary=data.vocabulary,
            queries=Queries.from_lists([[data.labels[pair] for pair in some] for some in pairs]),
            targets=torch.cat([item.targets for item in alike]),
            clip_ids=tuple(item.number for item in alike),
            pair_ids=tuple(pair for some in pairs for pair in some),
        )


def _encode(
    encoder: Encoder,
    pictures: Sequence[Sequence[NDArray[np.uint8]]],
    sounds: Sequence[NDArray[np.float32]],
    square: bool = False,
) -> Tokens:
    """Tokens of clips of as many panels each."""
    prepare: Callable[[NDArray[np.uint8]], Tensor] = lambda one: encoder.prepare(one, square)  # noqa: E731
    frames = torch.stack([torch.stack([prepare(one) for one in panels]) for panels in pictures])
    return encoder.encode(frames, torch.from_numpy(np.stack(sounds)))


def _joined(parts: Sequence[Tokens]) -> Tokens:
    """Batches of one grid as one batch."""
    tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in TENSORS}
    return Tokens(**tensors, grid=parts[0].grid, panels=parts[0].panels)


def scene_truth(scene: Scene) -> tuple[NDArray[np.bool_], ...]:
    """Filled boxes, masks and twins' masks of a scene, (K, H, K * W) each."""
    height, width = scene.panels[0].mask.shape
    shape = (len(scene.panels), height, width * len(scene.panels))
    boxes, masks, twins = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    for number, panel in enumerate(scene.panels):
        columns = slice(number * width, (number + 1) * width)
        left, top, right, bottom = panel.boxes[panel.source]
        boxes[number, top:bottom, columns.start + left : columns.start + right] = True
        masks[number][:, columns] = panel.mask
        if panel.twin is not None:
            twins[number][:, columns] = panel.masks[panel.twin]
    return boxes, masks, twins


_AHEAD = 2  # batches that are read while one is encoded


@dataclass(frozen=True, eq=False)
class ReadItem:
    """An item, ready to be encoded.

    Attributes:
        number: Its place in the data set.
        frames: K panels, (K, 3, h, w).
        waveform: The sound, (S,).
        targets: Masks of its sources, (P, H, W): bool, or float32 where annotators disagree.
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
        encoder: Encoder that the items are prepared for.
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

        Raises:
            TvslError: It cannot be read.
        """
        item = self.data.items[number]
        sample = self.data.read(item, self.encoder.sample_rate)
        return self.prepared(number, sample)

    def prepared(self, number: int, sample: Sample) -> ReadItem:
        """Prepare an item for the encoder.

        Args:
            number: Its place in the data set.
            sample: Its pictures, sound and targets.

        Raises:
            DataError: Its panels differ in shape.
        """
        frames = [self.encoder.prepare(picture, self.square) for picture in sample.pictures]
        if len({frame.shape for frame in frames}) > 1:
            raise DataError(
                f"The panels of '{self.data.items[number].id}' differ in shape.",
                "Pictures that stand side by side must have one shape.",
            )
        return ReadItem(number, torch.stack(frames), sample.waveform, compact(sample.targets))

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


def compact(targets: NDArray[np.float32]) -> Tensor:
    """Targets as bool where annotators agree: a quarter of the memory, and counted faster."""
    drawn = targets > 0
    agreed = bool((targets[drawn] == 1).all())
    return torch.from_numpy(drawn if agreed else targets)
