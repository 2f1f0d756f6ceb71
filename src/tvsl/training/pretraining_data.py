"""Batches of pre-training: pictures, mixtures of sounds, captions of both.

A batch is a function of the seed and the step alone, whatever the number of workers, so that a
resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from itertools import cycle, islice, pairwise
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.utils.data import IterableDataset

from tvsl.audioclip.image_encoder import normalise
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLES
from tvsl.synthetic.vocabulary import (
    FILLER_WORDS,
    SHAPES,
    SIZE_WORDS,
    SURFACES,
    size_word,
    surface_and_shape,
)
from tvsl.synthetic.world import World
from tvsl.utils.processes import ALONE, Processes, Progress, connected, no_progress

MOST_OBJECTS = 3
_CHUNK = 200


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """N clips of one source each.

    Attributes:
        pictures: (N, 112, 112, 3) uint8.
        waveforms: (N, 20480) int16.
        objects: Surface, shape and size word of up to three objects, (N, 3, 3) int8, the one that
            sounds first, -1 where there is none.
        boxes: Box of the object that sounds, (N, 4) int16: left, top, right, bottom.
    """

    pictures: NDArray[np.uint8]
    waveforms: NDArray[np.int16]
    objects: NDArray[np.int8]
    boxes: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, index: NDArray[np.intp]) -> ClipArrays:
        """Some of the clips, in the order given."""
        return ClipArrays(
            self.pictures[index], self.waveforms[index], self.objects[index], self.boxes[index]
        )

    @property
    def classes(self) -> NDArray[np.int64]:
        """A number for the class that sounds, equal for equal classes, (N,)."""
        wide = self.objects[:, 0].astype(np.int64)
        return wide[:, 0] * len(SHAPES) + wide[:, 1]


_FIELDS = tuple(one.name for one in fields(ClipArrays))


def make_clips(world: World, indices: Sequence[int]) -> ClipArrays:
    """Make clips of a world.

    Args:
        world: The split.
        indices: Numbers of the scenes.
    """
    count = len(indices)
    pictures = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    waveforms = np.empty((count, SAMPLES), dtype=np.int16)
    objects = np.full((count, MOST_OBJECTS, 3), -1, dtype=np.int8)
    boxes = np.empty((count, 4), dtype=np.int16)
    for row, index in enumerate(indices):
        scene = world.scene(index)
        panel = scene.panels[0]
        pictures[row] = panel.picture
        waveforms[row] = np.rint(scene.waveform * 32768)
        boxes[row] = panel.boxes[panel.source]
        ordered = sorted(panel.objects, key=lambda thing: not thing.sounds)
        for place, thing in enumerate(ordered):
            surface, shape = surface_and_shape(thing.label)
            objects[row, place] = (
                SURFACES.index(surface),
                SHAPES.index(shape),
                SIZE_WORDS.index(size_word(thing.radius)),
            )
    return ClipArrays(pictures, waveforms, objects, boxes)


def make_many_clips(
    world: World,
    count: int,
    progress: Progress = no_progress,
    workers: int | None = None,
    team: Processes = ALONE,
) -> ClipArrays:
    """Make the first clips of a world; several processes make a part each and exchange them.

    Args:
        world: The split.
        count: Number of clips.
        progress: Called with clips so far and clips in all.
        workers: Worker processes of this process; one for each of its cores when None.
        team: The processes, each of which calls this and gets all clips.

    Returns:
        The clips; the number of processes makes no difference to them.

    Raises:
        LostProcessError: Another process has ended.
    """
    bounds = [count * rank // team.count for rank in range(team.count + 1)]
    first, end = bounds[team.rank : team.rank + 2]
    chunks = [range(start, min(start + _CHUNK, end)) for start in range(first, end, _CHUNK)]
    made, done = [make_clips(world, ())], team.counter()
    for arrays in _in_workers(world, chunks, workers or team.cores):
        made.append(arrays)
        progress(done(len(arrays)), count)
    parts = (np.concatenate([getattr(one, name) for one in made]) for name in _FIELDS)
    if team.count == 1:
        return ClipArrays(*parts)
    every = ClipArrays(*(_exchanged(part, bounds, team) for part in parts))
    progress(count, count)
    return every


def _in_workers(world: World, chunks: list[range], workers: int) -> Iterator[ClipArrays]:
    """Clips of each chunk, in order."""
    worlds = [world] * len(chunks)
    if workers == 1 or len(chunks) < 2:
        yield from map(make_clips, worlds, chunks)
        return
    # Not forked: the parent holds threads of torch.
    with ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent) as pool:
        yield from pool.map(make_clips, worlds, chunks)


def _end_with_parent() -> None:
    """Let this worker end with the process that started it, also where that is killed."""

    def follow() -> None:
        wait([cast("Any", parent_process()).sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _exchanged(part: NDArray[Any], bounds: list[int], team: Processes) -> NDArray[Any]:
    """Rows of all processes, of which this one has its own; they lie between ``bounds``."""
    every = np.empty((bounds[-1], *part.shape[1:]), part.dtype)
    every[bounds[team.rank] : bounds[team.rank + 1]] = part
    data = torch.from_numpy(every).view(torch.uint8)  # gloo has no int16
    for sender, (first, end) in enumerate(pairwise(bounds)):
        for start in range(first, end, _CHUNK):
            connected(distributed.broadcast, data[start : min(start + _CHUNK, end)], sender)
    return every


MIXTURE_SHARES = (0.5, 0.25, 0.15, 0.1)
MOST_LEAD = 32
"""Most words before a caption: as many as the longest learned prompts of Table 6."""
_SHIFT = 6
_PART_ONLY = 0.25
_WITH_SIZE = 0.4
_LONG_EVERY = 4


@dataclass(frozen=True, eq=False)
class PretrainingBatch:
    """B clips, B mixtures of them, and a caption for each picture and each mixture.

    Attributes:
        frames: Normalised pictures, (B, 3, 112, 112).
        waveforms: Mixtures, (B, S); mixture i holds the sound of clip i.
        members: Clips that sound in each mixture, (B clips, B mixtures) bool.
        seen: Surface, shape and size of every object of each picture, (B, 3, 3).
        heard: The same of every source of each mixture, (B, 4, 3).
        picture_captions: Words of the captions of the pictures, (B, 3), -1 where silent.
        mixture_captions: Words of the captions of the mixtures, (B, 3).
        leads: Number of meaningless words before each caption, those of the pictures
            first, (2 B,).
    """

    frames: Tensor
    waveforms: Tensor
    members: Tensor
    seen: Tensor
    heard: Tensor
    picture_captions: Tensor
    mixture_captions: Tensor
    leads: Tensor


def caption_text(caption: Sequence[int], lead: int = 0) -> str:
    """Words of a caption (surface, shape, size), such as "small red ring", "striped", "disc".

    Args:
        caption: Surface, shape and size that it names, -1 where it is silent.
        lead: Number of meaningless words before them.
    """
    surface, shape, size = caption
    words = (
        *islice(cycle(FILLER_WORDS), lead),
        SIZE_WORDS[size] if size >= 0 else "",
        SURFACES[surface] if surface >= 0 else "",
        SHAPES[shape] if shape >= 0 else "",
    )
    return " ".join(word for word in words if word)


class PretrainingBatches(IterableDataset[PretrainingBatch]):
    """Batches from ``start`` to ``steps``.

    Args:
        clips: A set of clips, or the world to make new ones from in each step.
        steps: One past the last step.
        batch: B, the number of clips.
        classes: Number of classes that sound in a batch of a set of clips: few, so that the clips
            of a class differ in looks and sound otherwise. New clips are of any class.
        seed: Decides everything that is drawn.
        start: First step, for a run that is resumed.
    """

    def __init__(
        self,
        clips: ClipArrays | World,
        steps: int,
        batch: int = 96,
        classes: int = 9,
        seed: int = 0,
        start: int = 0,
    ) -> None:
        self.clips = clips
        self.steps = steps
        self.batch = batch
        self.classes = classes
        self.seed = seed
        self.start = start
        self._by_class: list[NDArray[np.intp]] | None = None

    def __iter__(self) -> Iterator[PretrainingBatch]:
        """Yield this worker's share of the batches."""
        worker = torch.utils.data.get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for number in range(self.start + first, self.steps, step):
            yield self.make(number)

    def __len__(self) -> int:
        return max(0, self.steps - self.start)

    def make(self, step: int) -> PretrainingBatch:
        """The batch of a step."""
        rng = np.random.default_rng((self.seed, 1, step))
        clips = self._draw(rng, step)
        waveforms, members, heard = _mix(rng, clips)
        captions = [
            np.stack([_caption(rng, row[row[:, 0] >= 0]) for row in things])
            for things in (clips.objects, heard)
        ]
        return PretrainingBatch(
            frames=normalise(_augmented(rng, clips.pictures)),
            waveforms=torch.from_numpy(waveforms),
            members=torch.from_numpy(members),
            seen=torch.from_numpy(clips.objects),
            heard=torch.from_numpy(heard),
            picture_captions=torch.from_numpy(captions[0]),
            mixture_captions=torch.from_numpy(captions[1]),
            leads=torch.from_numpy(_leads(rng, step, 2 * len(clips))),
        )

    def _draw(self, rng: np.random.Generator, step: int) -> ClipArrays:
        if isinstance(self.clips, World):
            first = step * self.batch
            return make_clips(self.clips, range(first, first + self.batch))
        if self._by_class is None:
            numbers = self.clips.classes
            self._by_class = [np.flatnonzero(numbers == n) for n in np.unique(numbers)]
        chosen = rng.permutation(len(self._by_class))[: self.classes]
        share = np.array_split(np.arange(self.batch), len(chosen))
        rows = [
            rng.choice(self._by_class[number], size=len(part))
            for number, part in zip(chosen, share, strict=True)
        ]
        return self.clips.take(np.concatenate(rows))


def _mix(
    rng: np.random.Generator, clips: ClipArrays
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int8]]:
    """Sums of one to four sounds of different classes; mixture i begins with clip i."""
    count = len(clips)
    numbers = clips.classes
    members = np.eye(count, dtype=np.bool_)
    heard = np.full((count, len(MIXTURE_SHARES), 3), -1, dtype=np.int8)
    waveforms: NDArray[np.float32] = clips.waveforms.astype(np.float32) * np.float32(1 / 32768)
    mixtures = waveforms.copy()
    sizes = 1 + rng.choice(len(MIXTURE_SHARES), size=count, p=MIXTURE_SHARES)
    for row, size in enumerate(sizes):
        heard[row, 0] = clips.objects[row, 0]
        taken = {numbers[row]}
        for other in rng.permutation(count):
            if len(taken) == size:
                break
            if numbers[other] in taken:
                continue
            heard[row, len(taken)] = clips.objects[other, 0]
            taken.add(numbers[other])
            members[other, row] = True
            mixtures[row] += waveforms[other]
    return mixtures, members, heard


def _caption(rng: np.random.Generator, things: NDArray[np.int8]) -> NDArray[np.int8]:
    """Caption of one of the things: all, surface or shape alone, with its size or without."""
    caption: NDArray[np.int8] = things[int(rng.integers(len(things)))].copy()
    draw = rng.random()
    if draw < _PART_ONLY:
        caption[1] = -1
    elif draw < 2 * _PART_ONLY:
        caption[0] = -1
    if rng.random() >= _WITH_SIZE:
        caption[2] = -1
    return caption


def _leads(rng: np.random.Generator, step: int, count: int) -> NDArray[np.int64]:
    """Words before each caption, (count,): none or one, and in some steps up to as many as fit.

    A name then means the same wherever it stands in a text, so that learned prompts (Sec. 4.6) of
    any length can be put before it. Long texts cost time, so few steps have them.
    """
    most = MOST_LEAD if step % _LONG_EVERY == 0 else 1
    return rng.integers(0, most, count, endpoint=True)


def _augmented(rng: np.random.Generator, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Flip, shift and light pictures (B, H, W, 3); what is shifted in is mirrored."""
    padded = np.pad(pictures, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), "reflect")
    side = pictures.shape[1]
    result = np.empty_like(pictures)
    for row, picture in enumerate(padded):
        down, right = rng.integers(2 * _SHIFT + 1, size=2)
        view = picture[down : down + side, right : right + side]
        up, left = rng.integers(2, size=2) * -2 + 1
        view = view[::up, ::left]
        if rng.random() < 0.5:
            view = view.transpose(1, 0, 2)
        contrast = np.float32(0.85 + 0.3 * rng.random())
        light = np.float32(20 * (rng.random() - 0.5) + 128 * (1 - contrast))
        result[row] = np.clip(view * contrast + light, 0, 255)
    return result
