"""Scenes of the world, each made from (seed, split, sources, index) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tvsl.encoder import MOST_SOURCES
from tvsl.errors import UsageError
from tvsl.scenes import Scene, ScenePanel
from tvsl.synthetic.pictures import (
    WorldObject,
    draw_other,
    draw_places,
    draw_radius,
    render_picture,
)
from tvsl.synthetic.sounds import (
    LOUDNESS,
    SAMPLE_RATE,
    Wave,
    background,
    decibels,
    quantised,
    voice,
)
from tvsl.synthetic.vocabulary import CLASSES, ClassSplit, WorldSplit

MOST_OBJECTS = 3
_SPLITS: tuple[WorldSplit, ...] = ("train", "validation", "test")
_GAIN = 6.0
_OFF_SCREEN_GAIN = (-6.0, 3.0)


@dataclass(frozen=True, eq=False)
class WorldPanel(ScenePanel):
    """One picture of a scene, (112, 112): one object that sounds and up to two that are silent.

    Its sound, (20480,), holds the picture's noise.
    """

    objects: tuple[WorldObject, ...]


@dataclass(frozen=True, eq=False)
class WorldScene(Scene):
    """K sources in panels of 112 x 112 pixels, and 1.28 s of sound at 16 kHz, (20480,)."""

    panels: tuple[WorldPanel, ...]
    sample_rate: int = SAMPLE_RATE


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
        """Make a scene of 1 to 8 sources; see ``SceneMaker``."""
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
