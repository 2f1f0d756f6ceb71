"""Clips of the synthetic world as arrays: a set that is made once and kept, or always new ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.layout import SIDE
from tvsl.synthetic.sounds import SAMPLES
from tvsl.synthetic.vocabulary import SHAPES, SIZE_WORDS, SURFACES, parts, size_word
from tvsl.synthetic.world import World

MOST_OBJECTS = 3
_CHUNK = 200

Progress = Callable[[int, int | None], None]


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


def make_clips(world: World, indices: Sequence[int]) -> ClipArrays:
    """Make clips of a world.

    Args:
        world: The split.
        indices: Which scenes.

    Returns:
        The clips.
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
            surface, shape = parts(thing.label)
            objects[row, place] = (
                SURFACES.index(surface),
                SHAPES.index(shape),
                SIZE_WORDS.index(size_word(thing.radius)),
            )
    return ClipArrays(pictures, waveforms, objects, boxes)


def make_many_clips(
    world: World, count: int, progress: Progress | None = None, workers: int | None = None
) -> ClipArrays:
    """Make the first clips of a world on all cores.

    Args:
        world: The split.
        count: How many.
        progress: Called with clips so far and clips in all.
        workers: Processes; as many as there are cores when None.

    Returns:
        The clips; the number of processes makes no difference to them.
    """
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    workers = workers or os.cpu_count() or 1
    made: list[ClipArrays] = []
    if workers == 1 or len(chunks) == 1:
        results = map(make_clips, [world] * len(chunks), chunks)
        return _joined(results, made, count, progress)
    # Not forked: the parent holds threads of torch.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _joined(pool.map(make_clips, [world] * len(chunks), chunks), made, count, progress)


def _joined(
    results: object, made: list[ClipArrays], count: int, progress: Progress | None
) -> ClipArrays:
    done = 0
    for arrays in results:  # type: ignore[attr-defined]
        made.append(arrays)
        done += len(arrays)
        if progress is not None:
            progress(done, count)
    return ClipArrays(
        np.concatenate([arrays.pictures for arrays in made]),
        np.concatenate([arrays.waveforms for arrays in made]),
        np.concatenate([arrays.objects for arrays in made]),
        np.concatenate([arrays.boxes for arrays in made]),
    )
