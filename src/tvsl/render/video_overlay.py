"""Overlay of the frames of a video: maps, boxes and names between the analysed moments."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from tvsl.boxes import Box, box_around_peak, min_max, reduced_size, scaled_box, upscale
from tvsl.errors import UsageError
from tvsl.render.colors import HeatMap, RGBImage, certainty, color_layer, label_colors
from tvsl.render.drawing import corner_place, draw_box, draw_legend, draw_tags, legend_corner
from tvsl.render.overlay import Annotation, line_width

if TYPE_CHECKING:
    from tvsl.localization import Localization

# The colours are mixed at this size and the mixture scaled up: each source then costs little.
_MIXING_SIDE = 160
# Large enough that a box moves in steps of few pixels only.
_BOX_SIDE = 320
# Maps are drawn anew so often a second: finer steps are not seen, and each costs as much as many
# frames.
_STEPS_A_SECOND = 10
# Rows that are blended at once: what they need stays in the processor's cache.
_ROWS = 16
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

    def step_at(self, time: float) -> float:
        """The time at which the maps of a frame are drawn: the nearest step between two moments.

        At a moment and outside of all moments it is the frame's own time.
        """
        time = min(max(time, self.times[0]), self.times[-1])
        after = min(bisect_right(self.times, time), len(self.times) - 1)
        before = max(after - 1, 0)
        start, length = self.times[before], self.times[after] - self.times[before]
        if length <= 0:
            return time
        steps = max(1, round(length * _STEPS_A_SECOND))
        step = round((time - start) / length * steps)
        return self.times[after] if step == steps else start + step * length / steps

    def maps_at(self, time: float) -> list[InterpolatedMap]:
        """Interpolate the maps at a time.

        A label that only one of two moments has keeps that moment's map and fades half-way to the
        other: beyond that lie frames nearer to a moment without it.

        Args:
            time: Seconds; before the first and after the last moment, that moment alone counts.
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


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Layer over a frame, ready to be laid over many.

    Attributes:
        kept: Share of the frame that shows through, in 256ths, (H, W * 3), uint16.
        added: Colour, in 256ths, (H, W * 3), uint16.
        places: Numbers of the pixels that lines, boxes and names cover.
        colors: Their colours, (n, 3), uint8.
        legend: Names without a box, RGBA, and where they are written.
    """

    kept: NDArray[np.uint16]
    added: NDArray[np.uint16]
    places: NDArray[np.intp]
    colors: NDArray[np.uint8]
    legend: tuple[Image.Image, tuple[int, int]] | None

    def over(self, image: RGBImage) -> RGBImage:
        """The frame with all that is drawn."""
        height, width, _ = image.shape
        result = np.empty((height, width * 3), np.uint8)
        frame = np.ascontiguousarray(image).reshape(height, width * 3)
        for row in range(0, height, _ROWS):
            rows = slice(row, row + _ROWS)
            blended = frame[rows].astype(np.uint16)
            blended *= self.kept[rows]
            blended += self.added[rows]
            blended >>= 8
            result[rows] = blended
        drawn = result.reshape(height, width, 3)
        drawn.reshape(-1, 3)[self.places] = self.colors
        if self.legend is None:
            return drawn
        written = Image.fromarray(drawn)
        names, place = self.legend
        written.paste(names, place, names)
        return np.array(written)


class VideoOverlay:
    """Draws the maps of all sources, with boxes and names, into frames of one size.

    A label keeps its colour throughout the video. Maps move in steps of a tenth of a second; what
    is drawn for one step is kept for its frames.

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
        self._drawing: _Drawing | None = None

    def draw(self, image: RGBImage, time: float) -> RGBImage:
        """Draw into one frame.

        Args:
            image: The frame, (H, W, 3), uint8, of the overlay's size.
            time: Its time in the video in seconds.

        Returns:
            The frame with the sources, (H, W, 3), uint8; the same array where nothing sounds.
        """
        time = self._keyframes.step_at(time)
        if time != self._drawn_time:
            maps = self._keyframes.maps_at(time)
            self._drawing = self._prepared(maps) if maps else None
            self._drawn_time = time
        return image if self._drawing is None else self._drawing.over(image)

    def _prepared(self, maps: Sequence[InterpolatedMap]) -> _Drawing:
        kept, added = self._mixture(maps)
        height, width = self.size
        annotations: list[Annotation] = []
        places: list[NDArray[np.intp]] = []
        colors: list[NDArray[np.uint8]] = []
        for one in maps:
            if one.presence >= _NAMED_FROM:
                heat = min_max(upscale(one.grid, reduced_size(self.size, _BOX_SIDE)))
                color = self.colors[one.label]
                annotations.append((one.label, color, self._box(heat)))
                places.append(self._line(heat))
                colors.append(np.full((len(places[-1]), 3), color, np.uint8))
        boxed = [(name, color, box) for name, color, box in annotations if box is not None]
        names_and_boxes = Image.new("RGBA", (width, height))
        for _, color, box in boxed:
            draw_box(names_and_boxes, box, color)
        draw_tags(names_and_boxes, boxed)
        drawn = np.asarray(names_and_boxes).reshape(-1, 4)
        places.append(np.flatnonzero(drawn.view(np.uint32)))
        colors.append(drawn[places[-1], :3])
        names = tuple((name, color) for name, color, box in annotations if box is None)
        legend = draw_legend(names, height, width)
        place = (0, 0)
        if legend is not None:
            size = legend.size[::-1]
            corner = legend_corner(self.size, size, [box for *_, box in boxed])
            place = corner_place(self.size, size, corner)
        return _Drawing(
            kept,
            added,
            np.concatenate(places),
            np.concatenate(colors),
            None if legend is None else (legend, place),
        )

    def _mixture(
        self, maps: Sequence[InterpolatedMap]
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """The colours of all maps at the size of the frame, mixed at a smaller one."""
        height = self.size[0]
        mixing_size = reduced_size(self.size, _MIXING_SIDE)
        heatmaps = [upscale(one.grid, mixing_size) * (one.presence * one.certainty) for one in maps]
        layer = color_layer(heatmaps, [self.colors[one.label] for one in maps])
        shares = np.repeat(255 * (1 - layer[3:]), 3, axis=0)
        kept = _scaled_up(shares, self.size).reshape(height, -1).astype(np.uint16)
        kept += kept >> 7  # 255 to 256
        added = _scaled_up(layer[:3], self.size).reshape(height, -1).astype(np.uint16)
        added <<= 8
        added += 128  # so that the shift rounds
        return kept, added

    def _box(self, heat: HeatMap) -> Box | None:
        box = box_around_peak(heat)
        return (
            None if box is None else scaled_box(box, reduced_size(self.size, _BOX_SIDE), self.size)
        )

    def _line(self, heat: HeatMap) -> NDArray[np.intp]:
        """Numbers of the pixels of the line at half height; none at the edges of the frame."""
        levels = Image.fromarray(np.rint(255 * heat).astype(np.uint8))
        large = levels.resize(self.size[::-1], Image.Resampling.BILINEAR)
        region = np.asarray(large) >= 128
        inner, width = region.copy(), line_width(self.size)
        inner[width:] &= region[:-width]
        inner[:-width] &= region[width:]
        inner[:, width:] &= region[:, :-width]
        inner[:, :-width] &= region[:, width:]
        return np.flatnonzero(region & ~inner)


def _scaled_up(planes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Three planes (3, h, w) in 0 to 255 at a larger size, (H, W, 3).

    Torch does this with vector instructions where the channels lie side by side.
    """
    small = torch.from_numpy(np.rint(planes).astype(np.uint8))[None]
    small = small.contiguous(memory_format=torch.channels_last)
    large = F.interpolate(small, size, mode="bilinear", align_corners=False)
    scaled: NDArray[np.uint8] = large[0].permute(1, 2, 0).contiguous().numpy()
    return scaled
