"""Sources over time: segments, duplicates, and maps that do not jump.

These work on the moments of a video after they are localized. Metrics never see them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl.boxes import Box, box_iou
from tvsl.errors import UsageError
from tvsl.localization import Localization, SoundSource

SAME_OBJECT_IOU = 0.8
# Of a picture that stands still longer, the moments so far are given out, averaged over all so far.
_LONGEST_HELD = 60


@dataclass(frozen=True)
class Segment:
    """One source from when it begins to sound until it ends.

    Attributes:
        label: Its class name; of names that are one to the model, the one that most moments tell.
        start: Its first second.
        end: The second at which it is over.
        moments: Number of its moments.
        score: Mean of its scores.
        peak: Largest of its scores.
        peak_time: Time of that moment in seconds; None for a picture.
        box: Mean of its boxes, corner by corner; None where it has none.
        also: The other names.
        duplicate_of: The label that it is marked with as a duplicate at most of its moments.
    """

    label: str
    start: float
    end: float
    moments: int
    score: float
    peak: float
    peak_time: float | None
    box: Box | None
    duplicate_of: str | None
    also: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The segment as plain JSON types."""
        return {
            "label": self.label,
            "also": list(self.also),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "moments": self.moments,
            "score": round(self.score, 6),
            "peak": round(self.peak, 6),
            "peak_time": None if self.peak_time is None else round(self.peak_time, 3),
            "box": None if self.box is None else self.box.to_list(),
            "duplicate_of": self.duplicate_of,
        }


def find_segments(
    moments: Sequence[Localization],
    step: float | None,
    end: float | None = None,
    start: float = 0.0,
) -> list[Segment]:
    """Join the moments at which a label sounds without a break.

    A moment stands for half a step to either side; one moment alone, and a picture, for the sound
    that was heard.

    Args:
        moments: The moments of one input in the order of time.
        step: Seconds from moment to moment; None for one moment.
        end: Seconds at which the last moment is over at the latest.
        start: Seconds at which the first moment begins at the earliest.

    Returns:
        The segments by their starts.
    """
    runs: list[list[tuple[Localization, SoundSource]]] = []
    open_runs: dict[str, list[tuple[Localization, SoundSource]]] = {}
    for found in moments:
        going_on: dict[str, list[tuple[Localization, SoundSource]]] = {}
        for source in found.sources:
            group = min((source.label, *source.also))  # the same, whichever of its names is best
            run = going_on.get(group) or open_runs.get(group)
            if run is None:
                run = []
                runs.append(run)
            if not run or run[-1][0] is not found:  # a label that comes twice counts once
                run.append((found, source))
            going_on[group] = run
        open_runs = going_on
    segments = [_segment(run, step, start, end) for run in runs]
    return sorted(segments, key=lambda segment: (segment.start, segment.label))


def _segment(
    run: Sequence[tuple[Localization, SoundSource]],
    step: float | None,
    earliest: float,
    latest: float | None,
) -> Segment:
    first, last = run[0][0], run[-1][0]
    if step is None or first.time is None or last.time is None:
        start, end = run[0][1].time_range or (0.0, 0.0)
    else:
        start, end = first.time - step / 2, last.time + step / 2
        start = min(max(start, earliest), first.time)
        end = end if latest is None else max(min(end, latest), last.time)
    scores = [source.score for _, source in run]
    best = int(np.argmax(scores))
    label = Counter(source.label for _, source in run).most_common(1)[0][0]
    names = dict.fromkeys(name for _, one in run for name in (one.label, *one.also))
    doubled = Counter(s.duplicate_of for _, s in run if s.duplicate_of is not None)
    return Segment(
        label=label,
        start=start,
        end=end,
        moments=len(run),
        score=float(np.mean(scores)),
        peak=scores[best],
        peak_time=run[best][0].time,
        box=_mean_box([source.box for _, source in run if source.box is not None]),
        duplicate_of=doubled.most_common(1)[0][0] if 2 * doubled.total() > len(run) else None,
        also=tuple(name for name in names if name != label),
    )


def _mean_box(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    left, top, right, bottom = np.mean([box.to_list() for box in boxes], axis=0).round().astype(int)
    return Box(int(left), int(top), max(int(right), int(left) + 1), max(int(bottom), int(top) + 1))


def mark_duplicates(found: Localization, iou: float = SAME_OBJECT_IOU) -> Localization:
    """Mark the sources of a moment that have the box of a more certain one.

    Args:
        found: The moment.
        iou: Overlap of two boxes over which they are of one object.

    Returns:
        The moment with the label of the other source in ``duplicate_of``.
    """
    kept: list[SoundSource] = []
    marks: dict[int, str] = {}
    # Of equal scores the first one is kept: sorting is stable.
    for place in sorted(range(len(found.sources)), key=lambda n: -found.sources[n].score):
        source = found.sources[place]
        same = next((one for one in kept if _same_box(one, source, iou)), None)
        if same is None:
            kept.append(source)
        else:
            marks[place] = same.label
    if not marks:
        return found
    sources = tuple(
        _with(source, duplicate_of=marks[place]) if place in marks else source
        for place, source in enumerate(found.sources)
    )
    return replace(found, sources=sources)


def _same_box(first: SoundSource, second: SoundSource, iou: float) -> bool:
    if first.box is None or second.box is None:
        return False
    return box_iou(first.box, second.box) > iou


def steady(moments: Iterable[Localization]) -> Iterator[Localization]:
    """Average the maps of each label while the picture stands still, so that boxes do too.

    A sound that goes on changes the map of an object that does not move; where the picture is the
    same, the mean of all maps is the better estimate. Moments are held back until the picture
    changes, 60 at most; of a picture that stands longer the later ones are averaged with all
    before.

    Args:
        moments: The moments of a video in the order of time.

    Yields:
        The same moments; of moving pictures unchanged.
    """
    held: list[Localization] = []
    sums: dict[str, tuple[NDArray[np.float64], int]] = {}
    for found in moments:
        if held and not found.still:
            yield from _averaged(held, sums)
            held, sums = [], {}
        elif len(held) >= _LONGEST_HELD:
            yield from _averaged(held, sums)
            held = []
        elif not found.still:
            sums = {}
        held.append(found)
        for source in found.sources:
            _add(sums, source)
    yield from _averaged(held, sums)


def _add(sums: dict[str, tuple[NDArray[np.float64], int]], source: SoundSource) -> None:
    total, count = sums.get(source.label, (np.zeros(source.grid.shape), 0))
    if total.shape == source.grid.shape:
        sums[source.label] = total + source.grid, count + 1


def _averaged(
    held: Sequence[Localization], sums: dict[str, tuple[NDArray[np.float64], int]]
) -> Iterator[Localization]:
    for found in held:
        grids = {
            source.label: (sums[source.label][0] / sums[source.label][1]).astype(np.float32)
            for source in found.sources
            if sums[source.label][1] > 1
        }
        yield _with_grids(found, grids)


def smooth(moments: Iterable[Localization], seconds: float) -> Iterator[Localization]:
    """Average the maps of each label over time, weighted by a triangle.

    Args:
        moments: The moments of a video in the order of time; one without a time stays as it is.
        seconds: Length of the triangle's base. A moment at its ends has no weight.

    Yields:
        The same moments, held back by half of the seconds.

    Raises:
        UsageError: The length is not positive.
    """
    if not seconds > 0:
        raise UsageError(f"Maps cannot be smoothed over {seconds:g} s.", "Give a positive number.")
    half = seconds / 2
    near: deque[Localization] = deque()
    waiting: deque[Localization] = deque()

    def ready(found: Localization) -> Localization:
        while near and (near[0].time or 0.0) <= (found.time or 0.0) - half:
            near.popleft()
        return _smoothed(found, near, half)

    for later in moments:
        if later.time is None:
            yield later
            continue
        near.append(later)
        waiting.append(later)
        while (waiting[0].time or 0.0) + half <= later.time:
            yield ready(waiting.popleft())
    while waiting:
        yield ready(waiting.popleft())


def _smoothed(found: Localization, near: Iterable[Localization], half: float) -> Localization:
    grids: dict[str, NDArray[np.float32]] = {}
    for source in found.sources:
        total, weights = np.zeros(source.grid.shape), 0.0
        for other in near:
            weight = 1 - abs((other.time or 0.0) - (found.time or 0.0)) / half
            same = next((one for one in other.sources if one.label == source.label), None)
            if weight > 0 and same is not None and same.grid.shape == source.grid.shape:
                total += weight * same.grid
                weights += weight
        grids[source.label] = (total / weights).astype(np.float32)
    return _with_grids(found, grids)


def _with_grids(found: Localization, grids: dict[str, NDArray[np.float32]]) -> Localization:
    if not grids:
        return found
    sources = tuple(
        replace(source, grid=grids[source.label])
        if source.label in grids and grids[source.label].shape == source.grid.shape
        else source
        for source in found.sources
    )
    return replace(found, sources=sources)


def _with(source: SoundSource, duplicate_of: str) -> SoundSource:
    """The source with its mark, and with the box that was found already."""
    marked = replace(source, duplicate_of=duplicate_of)
    vars(marked)["box"] = source.box
    return marked
