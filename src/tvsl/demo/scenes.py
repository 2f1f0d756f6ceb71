"""The scenes of the demo, and the made-up ones: of each kind the first one of the test split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl.scenes import PixelBox, Scene
from tvsl.synthetic.export import describe, scene_id
from tvsl.synthetic.vocabulary import ClassSplit
from tvsl.synthetic.world import World, WorldScene


@dataclass(frozen=True)
class DemoKind:
    """Kind of a scene of the demo.

    Attributes:
        name: Short name, of letters and hyphens; no two kinds share one.
        title: Heading of the scene.
        description: What is to be seen and heard, in a sentence or two.
    """

    name: str
    title: str
    description: str


@dataclass(frozen=True)
class WorldKind(DemoKind):
    """Kind of a made-up scene.

    Attributes:
        sources: K, the number of sources.
        classes: The classes that models train on, or the held-out ones.
        twin: Whether there is a silent object of a sounding class.
        off_screen: Whether there is a sound that no picture shows.
    """

    sources: int
    classes: ClassSplit = "seen"
    twin: bool = False
    off_screen: bool = False

    def fits(self, scene: WorldScene) -> bool:
        """Tell whether a scene is of this kind and of no other."""
        twin = any(panel.twin is not None for panel in scene.panels)
        off_screen = scene.off_screen is not None
        return (twin, off_screen) == (self.twin, self.off_screen)


_SIDE_BY_SIDE = "{} pictures side by side, a sounding object in each; their sounds are mixed."

KINDS = (
    WorldKind(
        "one", "One source", "One object sounds; whatever else is in the picture is silent.", 1
    ),
    WorldKind("two", "Two sources", _SIDE_BY_SIDE.format("Two"), 2),
    WorldKind("three", "Three sources", _SIDE_BY_SIDE.format("Three"), 3),
    WorldKind("four", "Four sources", _SIDE_BY_SIDE.format("Four"), 4),
    WorldKind(
        "twin",
        "A silent twin",
        "Two objects of one class and of different size, but only one of them sounds. How fast "
        "its sound pulses, and how bright it is, tells which.",
        1,
        twin=True,
    ),
    WorldKind(
        "off-screen",
        "A sound off screen",
        "One object sounds; a second sound is of a class that the picture does not show.",
        1,
        off_screen=True,
    ),
    WorldKind(
        "unseen",
        "Two unseen classes",
        "As with two sources, but of classes that are held out from training: new combinations "
        "of known surfaces and shapes.",
        2,
        classes="unseen",
    ),
)
"""Kinds of made-up scenes that the demo shows, in this order."""


@dataclass(frozen=True)
class Credit:
    """Author of something that a scene is made of.

    Attributes:
        kind: ``photo`` or ``sound``.
        label: What it is of.
        attribution: Author and source.
        licence: Its licence.
        licence_page: Address of the licence.
        changes: What was done to it.
    """

    kind: str
    label: str
    attribution: str
    licence: str
    licence_page: str
    changes: str


@dataclass(frozen=True, eq=False)
class DemoScene:
    """A scene of the demo with its ground truth.

    Attributes:
        kind: What it shall show.
        id: Its name.
        scene: Pictures and sound.
        names: Classes among which it is detected what sounds.
        truth: Ground truth as plain values.
        export: Command that writes the scene's files into a folder; empty where they exist.
        credits: Authors of what it is made of.
    """

    kind: DemoKind
    id: str
    scene: Scene
    names: tuple[str, ...]
    truth: Mapping[str, Any]
    export: str = ""
    credits: tuple[Credit, ...] = ()

    @property
    def folder(self) -> str:
        """Folder that ``export`` writes."""
        return f"world-{self.kind.name}"

    @property
    def boxes(self) -> tuple[PixelBox, ...]:
        """Box of each source: left, top, right, bottom in the whole picture, ends exclusive."""
        return tuple(
            self._moved(panel.boxes[panel.source], place)
            for place, panel in enumerate(self.scene.panels)
        )

    @property
    def twins(self) -> tuple[PixelBox | None, ...]:
        """Box of each source's silent twin, None where it has none."""
        return tuple(
            None if panel.twin is None else self._moved(panel.boxes[panel.twin], place)
            for place, panel in enumerate(self.scene.panels)
        )

    @property
    def off_screen_sound(self) -> NDArray[np.float32] | None:
        """Sound beside the sources that is never seen, (S,), up to rounding to 16 bits."""
        if self.scene.off_screen is None:
            return None
        seen = np.sum([panel.waveform for panel in self.scene.panels], axis=0)
        rest: NDArray[np.float32] = (self.scene.waveform - seen).astype(np.float32)
        return rest

    def _moved(self, box: PixelBox, place: int) -> PixelBox:
        left, top, right, bottom = box
        shift = place * self.scene.panels[place].picture.shape[1]
        return left + shift, top, right + shift, bottom


def made_up_scenes(seed: int = 0) -> tuple[DemoScene, ...]:
    """Choose made-up scenes without looking at what any model makes of them.

    Args:
        seed: Of the world; 0 is the world of the tables.

    Returns:
        For each of ``KINDS`` the scene with the lowest index that is of this kind.
    """
    return tuple(_first(kind, World("test", kind.classes, seed)) for kind in KINDS)


def _first(kind: WorldKind, world: World) -> DemoScene:
    scenes = (world.scene(index, kind.sources) for index in count())
    scene = next(scene for scene in scenes if kind.fits(scene))
    export = f"tvsl synthetic export world-{kind.name} --sources {kind.sources}"
    export += f" --scenes {scene.index + 1}"
    if world.classes != "seen":
        export += f" --classes {world.classes}"
    if world.seed:
        export += f" --seed {world.seed}"
    truth = describe(world, scene, {})
    return DemoScene(kind, scene_id(world, scene), scene, world.names, truth, export)
