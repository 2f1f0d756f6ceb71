"""Mixtures: items of one source each, side by side, with added sounds (Sec. 4.1).

The draws do not depend on the number of workers, processes or machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tvsl.data.base import Item, Source
from tvsl.data.targets import Nowhere, SideBySide
from tvsl.encoder import MOST_SOURCES
from tvsl.errors import UsageError

_PASSES = 40

Indices = NDArray[np.int64]


def draw_mixtures(labels: Indices, sources: int, rounds: int = 1, seed: int = 0) -> Indices:
    """Draw mixtures of clips of different classes, each clip about equally often.

    Every clip is in ``rounds`` mixtures, plus or minus one. Only if a class has more than a K-th of
    all clips, its clips are used less often, for lack of partners, but equally often among
    themselves. For K = 1 each clip is alone, once.

    Args:
        labels: Class of each clip, (N,).
        sources: K, from 1 to 8.
        rounds: Number of uses of each clip.
        seed: Seed of the draw.

    Returns:
        Clip numbers of each mixture, (M, K), in random order.

    Raises:
        UsageError: Another K, or clips of fewer than K classes.
    """
    if not 1 <= sources <= MOST_SOURCES or rounds < 1:
        raise UsageError(
            f"Mixtures of {sources} sources in {rounds} rounds cannot be drawn.",
            f"Give 1 to {MOST_SOURCES} sources and at least one round.",
        )
    check_mixed(labels, sources)
    if sources == 1:
        return np.arange(len(labels), dtype=np.int64)[:, None]
    used = np.zeros(len(labels), dtype=np.int64)
    drawn = []
    for number in range(rounds):
        rng = np.random.default_rng((seed, sources, number))
        mixtures = _draw_round(rng, labels, sources, used)
        used += np.bincount(mixtures.ravel(), minlength=len(labels))
        drawn.append(mixtures)
    return np.concatenate(drawn)


def check_mixed(labels: Indices, sources: int) -> None:
    """Check that clips have enough classes to be mixed.

    Args:
        labels: Class of each clip, (N,).
        sources: K, the number of sources.

    Raises:
        UsageError: There are fewer than K classes.
    """
    found = len(np.unique(labels))
    if found < sources:
        raise UsageError(
            f"Mixtures of {sources} classes need clips of as many, and there are {found}.",
            "Give more clips, or mix fewer sources.",
        )


def split_clips(count: int, size: int, seed: int = 0) -> list[Indices]:
    """Split clips at random into groups of about equal size; in increasing order.

    Args:
        count: Number of clips.
        size: Maximum number of clips of a group.
        seed: Seed of the split.
    """
    order = np.random.default_rng((seed, count)).permutation(count).astype(np.int64)
    return [np.sort(group) for group in np.array_split(order, -(-count // size))]


def _draw_round(rng: np.random.Generator, labels: Indices, sources: int, used: Indices) -> Indices:
    """Draw mixtures in which each clip occurs at most once, the least used clips first."""
    count = _most_mixtures(np.unique(labels, return_counts=True)[1], sources)
    order = np.lexsort((rng.random(len(labels)), used))
    order = order[_ranks(labels[order]) < count][: count * sources]
    # Sorted by class and dealt out in columns, a class never meets itself, as it fills at most one
    # column. Random exchanges that preserve this then decide which classes meet.
    key = rng.permutation(labels.max() + 1)
    dealt = order[np.argsort(key[labels[order]], kind="stable")].reshape(sources, count).T
    mixtures = np.ascontiguousarray(dealt, dtype=np.int64)
    for _ in range(_PASSES):
        _exchange(rng, mixtures, labels)
    return rng.permutation(rng.permuted(mixtures, axis=1))


def _most_mixtures(counts: Indices, sources: int) -> int:
    """Maximum number of mixtures of different classes that use no clip twice."""
    count = int(counts.sum()) // sources
    while (possible := int(np.minimum(counts, count).sum()) // sources) < count:
        count = possible
    return count


def _ranks(classes: Indices) -> Indices:
    """Number of earlier elements of the same class, for each element."""
    order = np.argsort(classes, kind="stable")
    ranks = np.empty(len(classes), dtype=np.int64)
    starts = np.searchsorted(classes[order], classes[order], side="left")
    ranks[order] = np.arange(len(classes)) - starts
    return ranks


def _exchange(rng: np.random.Generator, mixtures: Indices, labels: Indices) -> None:
    """Exchange clips between pairs of mixtures, where classes still differ afterwards."""
    count, sources = mixtures.shape
    rows = rng.permutation(count)[: count // 2 * 2].reshape(2, -1)
    columns = rng.integers(sources, size=rows.shape)
    classes = labels[mixtures]
    given = classes[rows, columns]
    remaining = classes[rows]
    np.put_along_axis(remaining, columns[..., None], -1, axis=-1)
    clash = (remaining == given[::-1, :, None]).any(axis=(0, -1))
    rows, columns = rows[:, ~clash], columns[:, ~clash]
    mixtures[rows, columns] = mixtures[rows[::-1], columns[::-1]]


def mix(items: Sequence[Item]) -> Item:
    """Put items of one panel and one source side by side; their sounds are added when read.

    Sources of one class become one source with a target in each of their panels, as a query for the
    class must find all of them. 22 pairs of VGGSound-Duet are of one class.

    Returns:
        One item of K panels, with a source for each class, in the order of their first panels.
    """
    panels: dict[str | None, list[int]] = {}
    for place, item in enumerate(items):
        panels.setdefault(item.sources[0].label, []).append(place)
    return Item(
        id="+".join(item.id for item in items),
        frames=tuple(item.frames[0] for item in items),
        sounds=tuple(item.sounds[0] for item in items),
        sources=tuple(_source(items, label, places) for label, places in panels.items()),
        panels=len(items),
        expected=tuple(expected for item in items for expected in item.expected or (None,)),
        recording=_recording(items),
        members=tuple(name for item in items for name in item.ids),
    )


def _recording(items: Sequence[Item]) -> str | None:
    """Id of the recordings of a mixture: mixtures of the same ones belong together."""
    if all(item.recording is None for item in items):
        return None
    return "+".join(sorted(item.group for item in items))


def _source(items: Sequence[Item], label: str | None, places: Sequence[int]) -> Source:
    if len(places) == 1:
        return Source(label, items[places[0]].sources[0].target, places[0])
    targets = (
        item.sources[0].target if place in places else Nowhere() for place, item in enumerate(items)
    )
    return Source(label, SideBySide(tuple(targets)))


def with_further_sounds(scenes: Sequence[Item], singles: Sequence[Item]) -> list[Item]:
    """Add to each scene a sound of a class that is none of its own.

    Args:
        scenes: The scenes.
        singles: Items whose sounds may be added.

    Returns:
        The scenes to which one can be added; each takes the next that fits.
    """
    found = []
    for place, scene in enumerate(scenes):
        order = (singles[(place + 1 + step) % len(singles)] for step in range(len(singles)))
        other = next((item for item in order if item.labels[0] not in scene.labels), None)
        if other is not None:
            sounds = (*scene.sounds, *other.sounds)
            found.append(replace(scene, id=f"{scene.id}~{other.id}", sounds=sounds))
    return found
