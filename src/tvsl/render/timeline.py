"""Maps between the moments that were analysed: what each source's map is at any time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tvsl.errors import UsageError
from tvsl.localization import Localization, min_max, upscale
from tvsl.render.colors import HeatMap


@dataclass(frozen=True, eq=False)
class TimedMap:
    """The map of one label at one time.

    Attributes:
        label: The class name.
        grid: Map, (h, w), float32 in [0, 1].
        presence: 1 where the source is found both before and after, less while it fades, over 0.
    """

    label: str
    grid: HeatMap
    presence: float


@dataclass(frozen=True)
class Position:
    """A time as a mixture of two analysed moments.

    Attributes:
        before: Number of the earlier moment.
        after: Number of the later moment; the same one where its maps are held.
        share: Share of the later moment, 0 to less than 1.
    """

    before: int
    after: int
    share: float


class MapTimeline:
    """The analysed moments of a video in the order of time.

    Every map is stretched to [0, 1] before maps are mixed over time: stretching the mixture
    instead would make its brightness pump between two moments.

    Args:
        localizations: The moments, in any order. All need a time, unless there is only one.

    Attributes:
        labels: Every label that occurs, in the order of its first appearance.

    Raises:
        UsageError: There is no moment, or one of several lacks its time.
    """

    def __init__(self, localizations: Sequence[Localization]) -> None:
        if not localizations:
            raise UsageError("There is nothing to draw.", "Give at least one localization.")
        timed = []
        for localization in localizations:
            if localization.time is None and len(localizations) > 1:
                raise UsageError(
                    "One of several localizations has no time.",
                    "Give each the time in the video where its picture stands.",
                )
            timed.append((localization.time or 0.0, localization))
        timed.sort(key=lambda moment: moment[0])
        self._times = [time for time, _ in timed]
        # Of two sources with the same label the first, more certain one is drawn.
        self._moments: list[dict[str, HeatMap]] = [
            {source.label: min_max(source.grid) for source in reversed(localization.sources)}
            for _, localization in timed
        ]
        self.labels: tuple[str, ...] = tuple(
            dict.fromkeys(source.label for _, moment in timed for source in moment.sources)
        )

    def __len__(self) -> int:
        """How many moments were analysed."""
        return len(self._times)

    def position(self, time: float) -> Position:
        """Where a time lies between the analysed moments.

        Args:
            time: Seconds.

        Returns:
            The position; before the first and after the last moment, that moment alone.
        """
        after = bisect_right(self._times, time)
        if after == 0:
            return Position(0, 0, 0.0)
        before = after - 1
        if after == len(self._times):
            return Position(before, before, 0.0)
        start, end = self._times[before], self._times[after]
        return Position(before, after, (time - start) / (end - start))

    def maps_at(self, position: Position) -> list[TimedMap]:
        """The maps at a position.

        A label that only one of the two moments has keeps that moment's map and fades half-way
        to the other: beyond that lie pictures nearer to a moment without it.

        Args:
            position: From ``position``.

        Returns:
            The maps of the labels that are there at all, in the order of ``labels``.
        """
        earlier, later = self._moments[position.before], self._moments[position.after]
        share = position.share
        maps = []
        for label in self.labels:
            first, second = earlier.get(label), later.get(label)
            if first is not None and second is not None:
                maps.append(TimedMap(label, _mixed(first, second, share), 1.0))
            elif first is not None and share < 0.5:
                maps.append(TimedMap(label, first, 1.0 - 2 * share))
            elif second is not None and share > 0.5:
                maps.append(TimedMap(label, second, 2 * share - 1.0))
        return maps

    def moment(self, number: int) -> list[TimedMap]:
        """The maps of one analysed moment.

        Args:
            number: Number of the moment in the order of time, from 0.

        Returns:
            Its maps, in the order of ``labels``.
        """
        return self.maps_at(Position(number, number, 0.0))


def _mixed(first: HeatMap, second: HeatMap, share: float) -> HeatMap:
    if share <= 0.0:
        return first
    if second.shape != first.shape:
        second = upscale(second, (first.shape[0], first.shape[1]))
    mixed: HeatMap = first + (second - first) * share
    return mixed.astype(first.dtype, copy=False)
