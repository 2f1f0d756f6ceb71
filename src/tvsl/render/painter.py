"""Painting the sources into the frames of a video, fast enough for every frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tvsl.localization import (
    Box,
    Localization,
    box_around_peak,
    min_max,
    reduced_size,
    scaled_box,
    upscale,
)
from tvsl.render.captions import Corner, legend_corner, legend_patch
from tvsl.render.colormap import Color, HeatMap, Picture, label_colors
from tvsl.render.overlay import draw_labels
from tvsl.render.timeline import MapTimeline, Position, TimedMap
from tvsl.render.tint import blend_layer, mix_tints

Entry = tuple[str, Color, Box | None]

# The tints are mixed at this size and the mixture scaled up: each source then costs little.
_MIXING_SIDE = 160
# Large enough that a box moves in steps of few pixels only.
_BOX_SIDE = 480
# A fading source has its name and box as long as it is more there than not.
_NAMED_FROM = 0.5
_MOMENTS_FOR_CORNER = 64


class OverlayPainter:
    """Paints the maps of all sources, with boxes and a legend, into frames of one size.

    A label keeps its colour, and the legend its corner, throughout the video.

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
        self._timeline = MapTimeline(localizations)
        self.size = size
        self.colors = label_colors(sorted(localizations, key=lambda found: found.time or 0.0))
        self._corner = self._quiet_corner()
        self._painted_position: Position | None = None
        self._layer: HeatMap | None = None
        self._entries: list[Entry] = []

    def paint(self, image: Picture, time: float) -> Picture:
        """Paint one frame.

        Args:
            image: The frame, (H, W, 3), uint8, of the painter's size.
            time: Its time in the video in seconds.

        Returns:
            The painted frame, (H, W, 3), uint8; the same array where nothing sounds.
        """
        position = self._timeline.position(time)
        if position != self._painted_position:
            self._prepare(position)
        if self._layer is None:
            return image
        painted = blend_layer(image, self._layer)
        return draw_labels(painted, self._entries, self._corner) if self._entries else painted

    def _prepare(self, position: Position) -> None:
        maps = self._timeline.maps_at(position)
        self._painted_position = position
        self._layer = self._mixture(maps) if maps else None
        self._entries = [
            (timed.label, self.colors[timed.label], self._box(timed))
            for timed in maps
            if timed.presence >= _NAMED_FROM
        ]

    def _mixture(self, maps: Sequence[TimedMap]) -> HeatMap:
        mixing_size = reduced_size(self.size, _MIXING_SIDE)
        heatmaps = [upscale(timed.grid, mixing_size) * timed.presence for timed in maps]
        layer = mix_tints(heatmaps, [self.colors[timed.label] for timed in maps])
        return np.stack([upscale(plane, self.size) for plane in layer])

    def _box(self, timed: TimedMap) -> Box | None:
        size = reduced_size(self.size, _BOX_SIDE)
        box = box_around_peak(min_max(upscale(timed.grid, size)))
        return None if box is None else scaled_box(box, size, self.size)

    def _quiet_corner(self) -> Corner | None:
        """The corner where a legend of all labels hides least of the boxes of all moments."""
        names = tuple(self.colors.items())
        legend = legend_patch(names, *self.size)
        if legend is None:
            return None
        step = max(1, len(self._timeline) // _MOMENTS_FOR_CORNER)
        found = [
            self._box(timed)
            for number in range(0, len(self._timeline), step)
            for timed in self._timeline.moment(number)
        ]
        boxes = [box for box in found if box is not None]
        return legend_corner(self.size, (legend.height, legend.width), boxes)
