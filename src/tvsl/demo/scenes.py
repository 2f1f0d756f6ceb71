"""The scenes of the demo: of each kind the first one of the test split, whatever comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np

from tvsl.scenes import PixelBox
from tvsl.synthetic.export import scene_id
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import Wave
from tvsl.synthetic.vocabulary import ClassSplit
from tvsl.synthetic.world import World, WorldScene


@dataclass(frozen=True)
class DemoKind:
    """Kind of a scene of the demo.

    Attributes:
        name: Short name, of letters and hyphens.
        title: What the scene is called.
        description: What is to be seen and heard, in a sentence or two.
        sources: K, the number of sources.
        classes: The classes that models train on, or the held-out ones.
        twin: Whether there is a silent object of a sounding class.
        off_screen: Whether there is a sound that no picture shows.
    """

    name: str
    title: str
    description: str
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
    DemoKind(
        "one", "One source", "One object sounds; whatever else is in the picture is silent.", 1
    ),
    DemoKind("two", "Two sources", _SIDE_BY_SIDE.format("Two"), 2),
    DemoKind("three", "Three sources", _SIDE_BY_SIDE.format("Three"), 3),
    DemoKind("four", "Four sources", _SIDE_BY_SIDE.format("Four"), 4),
    DemoKind(
        "twin",
        "A silent twin",
        "Two objects of one class and of different size, but only one of them sounds. How fast "
        "its sound pulses, and how bright it is, tells which.",
        1,
        twin=True,
    ),
    DemoKind(
        "off-screen",
        "A sound off screen",
        "One object sounds; a second sound is of a class that the picture does not show.",
        1,
        off_screen=True,
    ),
    DemoKind(
        "unseen",
        "Two unseen classes",
        "As with two sources, but of classes that are held out from training: new combinations "
        "of known surfaces and shapes.",
        2,
        classes="unseen",
    ),
)
"""What the demo shows, in this order."""


@dataclass(frozen=True, eq=False)
class DemoScene:
    """A scene of the demo with its ground truth.

    Attributes:
        kind: What it shall show.
        world: The split that it is from.
        scene: Pictures and sound.
    """

    kind: DemoKind
    world: World
    scene: WorldScene

    @property
    def id(self) -> str:
        """The scene's name, which ``tvsl synthetic export`` gives its files too."""
        return scene_id(self.world, self.scene)

    @property
    def boxes(self) -> tuple[PixelBox, ...]:
        """Box of each source: left, top, right, bottom in the whole picture, ends exclusive."""
        return tuple(
            _moved(panel.boxes[panel.source], place)
            for place, panel in enumerate(self.scene.panels)
        )

    @property
    def twins(self) -> tuple[PixelBox | None, ...]:
        """Box of each source's silent twin, None where it has none."""
        return tuple(
            None if panel.twin is None else _moved(panel.boxes[panel.twin], place)
            for place, panel in enumerate(self.scene.panels)
        )

    @property
    def off_screen_sound(self) -> Wave | None:
        """Sound beside the sources that is never seen, (20480,), up to rounding to 16 bits."""
        if self.scene.off_screen is None:
            return None
        seen = np.sum([panel.waveform for panel in self.scene.panels], axis=0)
        rest: Wave = (self.scene.waveform - seen).astype(np.float32)
        return rest


def _moved(box: PixelBox, place: int) -> PixelBox:
    left, top, right, bottom = box
    return left + place * SIDE, top, right + place * SIDE, bottom


def demo_scenes(seed: int = 0) -> tuple[DemoScene, ...]:
    """Choose the scenes without looking at what any model makes of them.

    Args:
        seed: Of the world; 0 is the world of the tables.

    Returns:
        For each of ``KINDS`` the scene with the lowest index that is of this kind.
    """
    return tuple(_first(kind, World("test", kind.classes, seed)) for kind in KINDS)


def _first(kind: DemoKind, world: World) -> DemoScene:
    scenes = (world.scene(index, kind.sources) for index in count())
    return DemoScene(kind, world, next(scene for scene in scenes if kind.fits(scene)))
