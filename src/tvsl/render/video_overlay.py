"""Overlay of the frames of a video: maps, boxes and names between the analysed moments."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvsl.boxes import Box, box_around_peak, min_max, reduced_size, scaled_box, upscale
from tvsl.errors import UsageError
from tvsl.render.colors import (
    Color,
    HeatMap,
    Layer,
    RGBImage,
    blend,
    certainty,
    color_layer,
    half_height_line,
    label_colors,
)
from tvsl.render.overlay import Annotation, draw_labels, line_width

if TYPE_CHECKING:
    from tvsl.localization import Localization

# The colours are mixed at this size and the mixture scaled up: each source then costs little.
_MIXING_SIDE = 160
# Large enough that a box moves in steps of few pixels only.
_BOX_SIDE = 480
# A fading source has its name and box as long as it is more there than not.
_NAMED_FROM = 0.5


@dataclass(frozen=True, eq=False)
class InterpolatedMap:
    """The map of one label at one time.

    Attributes:
        label: The class name.
        grid: Map, (h, w), float32 in [0, 1].
        presence: 1 where the source is found both before and after, less while it fades, over 0.
        certainty: Share of its full strength at which it is drawn.
    """

    label: str
    grid: HeatMap
    presence: float
    certainty: float = 1.0


class Keyframes:
    """The analysed moments of a video in the order of time, and the maps between them.

    Every map is normalized to [0, 1] before maps are mixed over time: normalizing the mixture
    instead would make its brightness pump between two moments.

    Args:
        localizations: The moments, in any order. All need a time, unless there is only one.

    Attributes:
        times: Their times in seconds, ascending.
        labels: Every label that occurs, in the order of its first appearance.

    Raises:
        UsageError: There is no moment, or one of several lacks its time.
    """

    def __init__(self, localizations: Sequence[Localization]) -> None:
        if not localizations:
            raise UsageError("There is nothing to draw.", "Give at least one localization.")
        if len(localizations) > 1 and any(found.time is None for found in localizations):
            raise UsageError(
                "One of several localizations has no time.",
                "Give each the time in the video where its picture stands.",
            )
        moments = sorted(localizations, key=lambda found: found.time or 0.0)
        self.times = [found.time or 0.0 for found in moments]
        # Of two sources with the same label the first, more certain one is drawn.
        self._maps: list[dict[str, tuple[HeatMap, float]]] = [
            {
                source.label: (min_max(source.grid), certainty(source.score, found.threshold))
                for source in reversed(found.sources)
            }
            for found in moments
        ]
        self.labels = tuple(
            dict.fromkeys(source.label for found in moments for source in found.sources)
        )

    def maps_at(self, time: float) -> list[InterpolatedMap]:
        """Interpolate the maps at a time.

        A label that only one of two moments has keeps that moment's map and fades half-way to the
        other: beyond that lie frames nearer to a moment without it.

        Args:
            time: Seconds; before the first and after the last moment, that moment alone counts.

        Returns:
            The maps of the labels that are there at all, in the order of ``labels``.
        """
        after = min(bisect_right(self.times, time), len(self.times) - 1)
        before = max(bisect_right(self.times, time) - 1, 0)
        start, end = self.times[before], self.times[after]
        share = (time - start) / (end - start) if before < after else 0.0
        earlier, later = self._maps[before], self._maps[after]
        maps = []
        for label in self.labels:
            first, second = earlier.get(label), later.get(label)
            if first is not None and second is not None:
                grid = _interpolated(first[0], second[0], share)
                certain = first[1] + (second[1] - first[1]) * share
                maps.append(InterpolatedMap(label, grid, 1.0, certain))
            elif first is not None and share < 0.5:
                maps.append(InterpolatedMap(label, first[0], 1.0 - 2 * share, first[1]))
            elif second is not None and share > 0.5:
                maps.append(InterpolatedMap(label, second[0], 2 * share - 1.0, second[1]))
        return maps


def _interpolated(first: HeatMap, second: HeatMap, share: float) -> HeatMap:
    if share <= 0.0:
        return first
    if second.shape != first.shape:
        second = upscale(second, (first.shape[0], first.shape[1]))
    mixed: HeatMap = first + (second - first) * share
    return mixed.astype(first.dtype, copy=False)


class VideoOverlay:
    """Draws the maps of all sources, with boxes and names, into frames of one size.

    A label keeps its colour throughout the video.

    Args:
        localizations: The analysed moments.
        size: Height and width of the frames in pixels.

    Attributes:
        size: As given.
        colors: The colour of each label.

    Raises:
        UsageError: There is no moment, or one of several lacks its time.
    """

    def __init__(self, localizations: Sequence[Localization], size: tuple[int, int]) -> None:
        self._keyframes = Keyframes(localizations)
        self.size = size
        self.colors = label_colors(sorted(localizations, key=lambda found: found.time or 0.0))
        self._drawn_time: float | None = None
        self._layer: Layer | None = None
        self._annotations: list[Annotation] = []
        self._lines: list[tuple[NDArray[np.bool_], Color]] = []

    def draw(self, image: RGBImage, time: float) -> RGBImage:
        """Draw into one frame.

        Args:
            image: The frame, (H, W, 3), uint8, of the overlay's size.
            time: Its time in the video in seconds.

        Returns:
            The frame with the sources, (H, W, 3), uint8; the same array where nothing sounds.
        """
        # Before the first and after the last moment every frame has the same layer.
        time = min(max(time, self._keyframes.times[0]), self._keyframes.times[-1])
        if time != self._drawn_time:
            self._prepare(time)
        if self._layer is None:
            return image
        drawn = blend(image, self._layer)
        for line, color in self._lines:
            drawn[line] = color
        return draw_labels(drawn, self._annotations) if self._annotations else drawn

    def _prepare(self, time: float) -> None:
        maps = self._keyframes.maps_at(time)
        self._drawn_time = time
        self._layer = self._mixture(maps) if maps else None
        self._annotations, self._lines = [], []
        for one in maps:
            if one.presence >= _NAMED_FROM:
                heat = min_max(upscale(one.grid, reduced_size(self.size, _BOX_SIDE)))
                color = self.colors[one.label]
                self._annotations.append((one.label, color, self._box(heat)))
                self._lines.append((self._line(heat), color))

    def _mixture(self, maps: Sequence[InterpolatedMap]) -> Layer:
        mixing_size = reduced_size(self.size, _MIXING_SIDE)
        heatmaps = [upscale(one.grid, mixing_size) * (one.presence * one.certainty) for one in maps]
        layer = color_layer(heatmaps, [self.colors[one.label] for one in maps])
        return np.stack([upscale(plane, self.size) for plane in layer])

    def _box(self, heat: HeatMap) -> Box | None:
        box = box_around_peak(heat)
        return (
            None if box is None else scaled_box(box, reduced_size(self.size, _BOX_SIDE), self.size)
        )

    def _line(self, heat: HeatMap) -> NDArray[np.bool_]:
        """The line at half height, found in a smaller map."""
        height, width = self.size
        smooth = Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR)
        return half_height_line(np.asarray(smooth), line_width(self.size))
