"""Overlay of the frames of a video: maps, boxes and names between the analysed moments.

Frames are drawn on as they are stored, in luma and colour differences: these depend linearly on
red, green and blue, so that blending gives the same, for half the values and without conversions.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvsl.boxes import BOX_CUT, Box, box_around_peak, min_max, reduced_size, scaled_box, upscale
from tvsl.errors import UsageError
from tvsl.media.planes import BLACK_LEVELS, BT601, ColorMatrix, Planes, split_planes
from tvsl.render.colors import HeatMap, Layer, certainty, color_layer, label_colors
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
STEPS_A_SECOND = 10
# Values that are blended at once: what they need stays in the processor's cache.
_BLOCK = 32_768
_ROWS = 32
# Least range of a map with contrast; what rounding leaves is less.
_ROUNDING = 1e-6
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
        steps = max(1, round(length * STEPS_A_SECOND))
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


class _Layer:
    """Drawing to be laid over frames of one size, in the form of their planes.

    Args:
        size: Even height and width of the frames in pixels.
        matrix: Matrix of the frames' colours.
        layer: What covers all of the frame, as ``color_layer`` gives it, of any size.

    Attributes:
        kept: Share of a frame that shows through, in 256ths, uint16.
        added: Luma and colour differences of what covers it, in 256ths, uint16.
    """

    def __init__(self, size: tuple[int, int], matrix: ColorMatrix, layer: Layer) -> None:
        height, self._width = size
        self._weights = matrix.weights
        self.kept = np.empty((height * 3 // 2, self._width), np.uint16)
        self.added = np.empty_like(self.kept)
        shares = 256 * (1 - layer[3]) + 0.5  # the cast to whole numbers cuts the rest off
        luma, first, second = split_planes(self.kept)
        for target in (luma, first):
            _scale_up(shares, target)
            np.right_shift(target, 7, out=target)
        second[:] = first
        values = np.einsum("kc,chw->khw", self._weights, layer[:3])
        values += BLACK_LEVELS[:, None, None] * layer[3]
        for value, target in zip(values, split_planes(self.added), strict=True):
            # Half a step of 256 more, because the shift in ``over`` cuts the rest off. Not rounded
            # up here: with what is kept, the sum must stay under 2 ** 16.
            _scale_up(2 * value + 1, target)

    def cover(
        self,
        places: NDArray[np.intp],
        colors: NDArray[np.uint8],
        opacity: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Cover single pixels.

        Args:
            places: Their numbers, each once.
            colors: Red, green and blue of all, (3,), or of each, (n, 3).
            opacity: Of each, (n,); 1 when None.
        """
        # Not by ``@``, whose threads would wait for work that is so small.
        values = np.einsum("...c,kc->...k", colors.astype(np.float32), self._weights)
        values += BLACK_LEVELS
        kept_luma, *kept_differences = (plane.reshape(-1) for plane in split_planes(self.kept))
        luma, *differences = (plane.reshape(-1) for plane in split_planes(self.added))
        _lay_over(kept_luma, luma, places, opacity, values[..., 0])
        # A colour difference covers four pixels, some of which may be drawn on.
        rows = places // self._width
        cells = rows // 2 * (self._width // 2) + (places - rows * self._width) // 2
        quarters = np.full(len(places), 0.25) if opacity is None else opacity / 4
        shares = np.bincount(cells, quarters).astype(np.float64, copy=False)
        covered = np.flatnonzero(shares > 0)
        shares = shares[covered]
        planes = zip(kept_differences, differences, strict=True)
        for number, (kept, added) in enumerate(planes, start=1):
            mean = values[..., number]
            if mean.ndim:
                mean = np.bincount(cells, quarters * mean)[covered] / shares
            _lay_over(kept, added, covered, shares, mean)

    def over(self, planes: Planes) -> Planes:
        """A frame with all that is drawn."""
        result = np.empty_like(planes)
        frame, drawn = np.ascontiguousarray(planes).reshape(-1), result.reshape(-1)
        kept, added = self.kept.reshape(-1), self.added.reshape(-1)
        for first in range(0, frame.size, _BLOCK):
            block = slice(first, first + _BLOCK)
            blended = frame[block].astype(np.uint16)
            blended *= kept[block]
            blended += added[block]
            blended >>= 8
            drawn[block] = blended
        return result


def _lay_over(
    kept: NDArray[np.uint16],
    added: NDArray[np.uint16],
    places: NDArray[np.intp],
    opacity: NDArray[np.floating[Any]] | None,
    values: NDArray[np.floating[Any]],
) -> None:
    """Cover places of one plane of a layer."""
    if opacity is None:
        kept[places] = 0
        added[places] = 256 * values + 128
        return
    through = 1 - opacity
    kept[places] = kept[places] * through
    added[places] = added[places] * through + (256 * values + 128) * opacity


class VideoOverlay:
    """Draws the maps of all sources, with boxes and names, into frames of one size.

    A label keeps its colour throughout the video. Maps move in steps of a tenth of a second; what
    is drawn for one step is kept for its frames, and meanwhile a thread draws that for the next
    one: frames are best drawn in the order of time.

    Args:
        localizations: The analysed moments.
        size: Even height and width of the frames in pixels.
        matrix: Matrix of the frames' colours.

    Attributes:
        size: As given.
        colors: The colour of each label.

    Raises:
        UsageError: There is no moment, or one of several lacks its time.
    """

    def __init__(
        self,
        localizations: Sequence[Localization],
        size: tuple[int, int],
        matrix: ColorMatrix = BT601,
    ) -> None:
        self._keyframes = Keyframes(localizations)
        self.size = size
        self.colors = label_colors(sorted(localizations, key=lambda found: found.time or 0.0))
        self._matrix = matrix
        self._step: float | None = None
        self._layer: _Layer | None = None
        self._last_time = math.inf
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[float, Future[_Layer | None]] | None = None

    def draw(self, planes: Planes, time: float) -> Planes:
        """Draw into one frame.

        Args:
            planes: The frame, (H * 3 / 2, W), of the overlay's size.
            time: Its time in the video in seconds.

        Returns:
            The frame with the sources; the same array where nothing sounds.
        """
        step = self._keyframes.step_at(time)
        if step != self._step:
            ahead, self._next = self._next, None
            known = ahead is not None and ahead[0] == step
            self._layer = ahead[1].result() if ahead and known else self._prepared(step)
            self._step = step
            after = max(time - self._last_time, 1 / STEPS_A_SECOND)
            following = self._keyframes.step_at(time + after)
            if following != step:
                self._next = following, self._pool.submit(self._prepared, following)
        self._last_time = time
        return planes if self._layer is None else self._layer.over(planes)

    def _prepared(self, step: float) -> _Layer | None:
        """Drawing of a step; None where nothing sounds."""
        maps = self._keyframes.maps_at(step)
        if not maps:
            return None
        height, width = self.size
        mixing_size = reduced_size(self.size, _MIXING_SIDE)
        heatmaps = [
            _larger(one.grid, mixing_size) * np.float32(one.presence * one.certainty)
            for one in maps
        ]
        colors = [self.colors[one.label] for one in maps]
        layer = _Layer(self.size, self._matrix, color_layer(heatmaps, colors))
        annotations: list[Annotation] = []
        for one in maps:
            if one.presence >= _NAMED_FROM:
                heat = _larger(one.grid, reduced_size(self.size, _BOX_SIDE))
                low, high = float(heat.min()), float(heat.max())
                color, box = self.colors[one.label], None
                if high - low > _ROUNDING:
                    box = self._box((heat - low) / (high - low))
                    layer.cover(self._line(one.grid, low, high), np.array(color, np.uint8))
                annotations.append((one.label, color, box))
        boxed = [(name, color, box) for name, color, box in annotations if box is not None]
        canvas = Image.new("RGBA", (width, height))
        for _, color, box in boxed:
            draw_box(canvas, box, color)
        draw_tags(canvas, boxed)
        names = tuple((name, color) for name, color, box in annotations if box is None)
        legend = draw_legend(names, height, width)
        if legend is not None:
            size = legend.size[::-1]
            corner = legend_corner(self.size, size, [box for *_, box in boxed])
            canvas.alpha_composite(legend, corner_place(self.size, size, corner))
        pixels = np.asarray(canvas).view(np.uint32).reshape(-1)
        places = np.flatnonzero(pixels != 0)
        drawn = pixels[places].view(np.uint8).reshape(-1, 4)
        opacity = None if legend is None else drawn[:, 3] / 255
        layer.cover(places, drawn[:, :3], opacity)
        return layer

    def _box(self, heat: HeatMap) -> Box | None:
        box = box_around_peak(heat)
        return (
            None if box is None else scaled_box(box, reduced_size(self.size, _BOX_SIDE), self.size)
        )

    def _line(self, grid: HeatMap, low: float, high: float) -> NDArray[np.intp]:
        """Numbers of the pixels of the line at half height; none at the edges of the frame.

        Args:
            grid: Map, (h, w).
            low: Its lowest value at the size of the frame.
            high: Its highest value there.
        """
        height, width = self.size
        half = low + BOX_CUT * (high - low)
        hot = np.flatnonzero((grid >= half).any(axis=1))
        if not len(hot):
            return hot
        # A row is scaled up from the nearest two: what is hot ends a row further at most.
        scale = height / len(grid)
        first, last = math.floor((hot[0] - 1) * scale), math.ceil((hot[-1] + 2) * scale)
        first, last = max(first, 0), min(last, height)
        large = np.empty((last - first, width), np.uint16)
        _scale_up(np.clip((grid - low) * (256 / (high - low)), 0, 511), large, first, height)
        region = large >= round(256 * 128 * BOX_CUT)
        inner, step = region.copy(), line_width(self.size)
        inner[step:] &= region[:-step]
        inner[:-step] &= region[step:]
        inner[:, step:] &= region[:, :-step]
        inner[:, :-step] &= region[:, step:]
        places: NDArray[np.intp] = np.flatnonzero(region > inner) + first * width
        return places


def _scale_up(
    plane: NDArray[np.float32],
    target: NDArray[np.uint16],
    first: int = 0,
    height: int | None = None,
) -> None:
    """Scale a plane up bilinearly, in 128ths.

    Args:
        plane: (h, w), from 0 to below 512; rests are cut off.
        target: Rows of the scaled plane, which are filled.
        first: Number of the first of these rows.
        height: Rows of the whole scaled plane; those of the target when None.
    """
    above, below, down = _neighbours(plane.shape[0], height or len(target))
    before, after, across = _neighbours(plane.shape[1], target.shape[1])
    wide = plane[:, before] * (1 - across) + plane[:, after] * across
    values = wide.astype(np.uint16, order="C")  # the next step takes whole rows
    share = np.rint(128 * down).astype(np.uint16)[:, None]
    for row in range(0, len(target), _ROWS):
        upper = target[row : row + _ROWS]
        rows = slice(first + row, first + row + len(upper))
        lower = values.take(below[rows], axis=0)
        values.take(above[rows], axis=0, out=upper, mode="clip")
        upper *= 128 - share[rows]
        lower *= share[rows]
        upper += lower


def _larger(grid: HeatMap, size: tuple[int, int]) -> HeatMap:
    """The same as ``upscale``, without torch: its threads would wait for work that is so small."""
    above, below, down = _neighbours(grid.shape[0], size[0])
    before, after, across = _neighbours(grid.shape[1], size[1])
    wide = np.ascontiguousarray(grid[:, before] * (1 - across) + grid[:, after] * across)
    larger: HeatMap = wide.take(above, axis=0) * (1 - down[:, None])
    larger += wide.take(below, axis=0) * down[:, None]
    return larger


@lru_cache(maxsize=16)
def _neighbours(
    small: int, large: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each place of a long side the two places of a short one, and the share of the second."""
    places = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    first = places.astype(np.intp)
    return first, np.minimum(first + 1, small - 1), (places - first).astype(np.float32)
