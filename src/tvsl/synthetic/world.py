"""Scenes of the world, each made from (seed, split, sources, index) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UsageError
from tvsl.synthetic.pictures import (
    WorldObject,
    box_of,
    draw_other,
    draw_places,
    draw_radius,
    render_picture,
)
from tvsl.synthetic.sounds import LOUDNESS, Wave, background, decibels, quantised, voice
from tvsl.synthetic.vocabulary import CLASSES, ClassSplit

WorldSplit = Literal["train", "validation", "test"]
PixelBox = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, ends exclusive."""

MOST_SOURCES = 8
MOST_OBJECTS = 3
_SPLITS: tuple[WorldSplit, ...] = ("train", "validation", "test")
_GAIN = 6.0
_OFF_SCREEN_GAIN = (-6.0, 3.0)


@dataclass(frozen=True, eq=False)
class WorldPanel:
    """One picture of a scene: one object that sounds and up to two that are silent.

    Attributes:
        picture: (112, 112, 3) uint8 RGB.
        objects: Its objects, in random order.
        masks: Their masks, (n, 112, 112) bool.
        waveform: Sound of this picture's object, noise included, (20480,).
    """

    picture: NDArray[np.uint8]
    objects: tuple[WorldObject, ...]
    masks: NDArray[np.bool_]
    waveform: Wave

    @cached_property
    def source(self) -> int:
        """Index of the object that sounds."""
        return next(number for number, thing in enumerate(self.objects) if thing.sounds)

    @property
    def label(self) -> str:
        """Class of the object that sounds."""
        return self.objects[self.source].label

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Mask of the object that sounds, (112, 112)."""
        mask: NDArray[np.bool_] = self.masks[self.source]
        return mask

    @property
    def boxes(self) -> tuple[PixelBox, ...]:
        """Bounding box of every object."""
        return tuple(box_of(mask) for mask in self.masks)

    @property
    def twin(self) -> int | None:
        """Index of the silent twin of the object that sounds, if there is one."""
        silent = (n for n, thing in enumerate(self.objects) if thing.twin and not thing.sounds)
        return next(silent, None)


@dataclass(frozen=True, eq=False)
class WorldScene:
    """K sources: K panels side by side, and all their sounds together.

    Attributes:
        panels: K pictures; each holds one source, the K classes differ.
        waveform: The mixture in [-1, 1], (20480,) at 16 kHz.
        off_screen: Class of a sound that no panel shows, or None.
        index: The scene's number in its split.
    """

    panels: tuple[WorldPanel, ...]
    waveform: Wave
    off_screen: str | None
    index: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that sound and are seen, panel by panel."""
        return tuple(panel.label for panel in self.panels)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The panels side by side, (112, K * 112, 3) uint8 RGB."""
        return np.concatenate([panel.picture for panel in self.panels], axis=1)

    def mask(self, number: int) -> NDArray[np.bool_]:
        """Mask of a source over the whole width.

        Args:
            number: Index of the source, 0 to K - 1.

        Returns:
            The mask, (112, K * 112) bool.

        Raises:
            UsageError: There is no such source.
        """
        if not 0 <= number < len(self.panels):
            raise UsageError(
                f"The scene has no source {number}.", f"Give 0 to {len(self.panels) - 1}."
            )
        masks = [panel.mask & (number == place) for place, panel in enumerate(self.panels)]
        return np.concatenate(masks, axis=1)


@dataclass(frozen=True)
class World:
    """A split of the world.

    Attributes:
        split: ``train``, ``validation`` or ``test``; their seeds are disjoint.
        classes: Classes of all objects and sounds: ``seen``, ``unseen`` or ``all``.
        seed: Another world of the same kind.
        twins: Share of the panels that show a silent twin: same class, another size.
        off_screen: Share of the scenes with a sound whose class no panel shows.

    Raises:
        UsageError: No such split or classes, or a share outside 0 to 1.
    """

    split: WorldSplit = "train"
    classes: ClassSplit = "seen"
    seed: int = 0
    twins: float = 0.2
    off_screen: float = 0.15

    def __post_init__(self) -> None:
        for name, value, known in (
            ("split", self.split, _SPLITS),
            ("classes", self.classes, tuple(CLASSES)),
        ):
            if value not in known:
                raise UsageError(f"There is no {name} '{value}'.", f"Known: {', '.join(known)}.")
        if not (0 <= self.twins <= 1 and 0 <= self.off_screen <= 1):
            raise UsageError("A share must lie between 0 and 1.", "Correct twins or off_screen.")
        if not 0 <= self.seed < 2**63:
            raise UsageError("A seed has 0 to 63 bits.", "Give 0 or more, below 2^63.")

    @property
    def names(self) -> tuple[str, ...]:
        """The class names of this split."""
        return CLASSES[self.classes]

    def scene(self, index: int, sources: int = 1) -> WorldScene:
        """Make a scene; the same arguments make the same scene on every machine.

        Args:
            index: Number of the scene, from 0.
            sources: K, the number of sources.

        Returns:
            The scene.

        Raises:
            UsageError: Not 1 to 8 sources.
        """
        if not 1 <= sources <= MOST_SOURCES or index < 0:
            raise UsageError(
                f"Scene {index} with {sources} sources cannot be made.",
                f"Give an index from 0 and 1 to {MOST_SOURCES} sources.",
            )
        rng = np.random.default_rng((self.seed, _SPLITS.index(self.split), sources, index))
        order = [self.names[number] for number in rng.permutation(len(self.names))]
        labels = order[:sources]
        # If the silent objects could show every class, one class is left for a sound off screen.
        crowded = sources * MOST_OBJECTS >= len(order)
        hidden = order[: sources + 1] if crowded else labels
        panels = tuple(self._panel(rng, label, hidden) for label in labels)
        waveform = sum((panel.waveform for panel in panels[1:]), start=panels[0].waveform)
        off_screen = None
        if rng.random() < self.off_screen:
            off_screen, unseen = self._off_screen(rng, panels)
            waveform = waveform + unseen
        return WorldScene(panels, quantised(waveform), off_screen, index)

    def _panel(self, rng: np.random.Generator, label: str, hidden: Sequence[str]) -> WorldPanel:
        """Make a panel whose silent objects, a twin apart, are of none of the hidden classes."""
        twin, silent = rng.random() < self.twins, int(rng.integers(MOST_OBJECTS))
        silent = max(silent, 1) if twin else silent
        taken, labels = set(hidden), [label]
        for number in range(silent):
            labels.append(label if twin and number == 0 else draw_other(rng, self.names, taken))
            taken.add(labels[-1])
        places = draw_places(rng, 1 + silent, twin)
        objects = [
            WorldObject(
                name, x, y, radius, rng.random(), sounds=number == 0, twin=twin and number < 2
            )
            for number, (name, (x, y, radius)) in enumerate(zip(labels, places, strict=True))
        ]
        radius = objects[0].radius
        ordered = tuple(objects[number] for number in rng.permutation(len(objects)))
        picture, masks = render_picture(rng, ordered)
        gain = LOUDNESS * decibels(_GAIN * (2 * rng.random() - 1))
        noisy = voice(rng, label, radius) + background(rng)
        return WorldPanel(picture, ordered, masks, noisy * np.float32(gain))

    def _off_screen(
        self, rng: np.random.Generator, panels: Sequence[WorldPanel]
    ) -> tuple[str, Wave]:
        visible = {thing.label for panel in panels for thing in panel.objects}
        label = draw_other(rng, self.names, visible)
        low, high = _OFF_SCREEN_GAIN
        gain = LOUDNESS * decibels(low + (high - low) * rng.random())
        return label, voice(rng, label, draw_radius(rng)) * np.float32(gain)
