"""The scenes of the demo: made-up ones, of each kind the first of the test split, and real ones.

The real ones come with the package. ``scripts/demo_mixtures.py`` made their files of photographs
and sounds under CC BY and CC0, and says how they were chosen; ``real/NOTICE`` names the authors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tvsl.data.composites import PEAK
from tvsl.data.file_index import load_sound
from tvsl.media import load_image
from tvsl.media.image import load_object_map
from tvsl.scenes import PixelBox, Scene, ScenePanel
from tvsl.synthetic.export import describe, scene_id
from tvsl.synthetic.vocabulary import ClassSplit
from tvsl.synthetic.world import World, WorldScene
from tvsl.vocabularies import everyday_sounds


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


FOLDER: Final = Path(__file__).with_name("real")
LIST: Final = "scenes.json"
SAMPLE_RATE: Final = 16_000


@dataclass(frozen=True)
class RealObject:
    """An object of a panel; see ``tvsl.scenes.SceneObject``."""

    label: str
    sounds: bool
    twin: bool


def real_scenes(folder: Path = FOLDER) -> tuple[DemoScene, ...]:
    """Read the real scenes; what sounds in them is detected among ``real_names``."""
    content, names = _content(folder), real_names(folder)
    return tuple(_case(content, line, _scene(folder, line), names) for line in content["scenes"])


def real_names(folder: Path = FOLDER) -> tuple[str, ...]:
    """The everyday names and those of what sounds in the real scenes."""
    panels = [panel for line in _content(folder)["scenes"] for panel in line["panels"]]
    things = [thing for panel in panels for thing in panel["things"]]
    labels = (thing["label"] for thing in things if thing["sounds"])
    return tuple(dict.fromkeys((*everyday_sounds(), *labels)))


def _content(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return content


def _case(
    content: Mapping[str, Any], line: Mapping[str, Any], scene: Scene, names: tuple[str, ...]
) -> DemoScene:
    kind = DemoKind(line["name"], line["title"], line["description"])
    drawn = {"split": content["split"], "seed": content["seed"]}
    name = "{split}-s{seed}-k{0}-{1:06d}".format(len(scene.panels), scene.index, **drawn)
    truth = {
        "id": name,
        "panels": len(scene.panels),
        "rate": scene.sample_rate,
        "labels": list(scene.labels),
        "twins": [panel.label for panel in scene.panels if panel.twin is not None],
        "off_screen": scene.off_screen,
        "real": {**drawn, "sources": len(scene.panels), "index": scene.index},
        "credits": line["credits"],
    }
    credit = tuple(Credit(**one) for one in line["credits"])
    return DemoScene(kind, name, scene, names, truth, credits=credit)


def _scene(folder: Path, line: Mapping[str, Any]) -> Scene:
    panels = [_panel(folder, panel) for panel in line["panels"]]
    mixture = np.sum([panel.waveform for panel in panels], axis=0)
    other = line["off_screen"]
    if other is not None:
        mixture = mixture + load_sound(folder / other["sound"], SAMPLE_RATE, None)
    mixture = mixture / max(1.0, float(np.abs(mixture).max()) / PEAK)
    label = None if other is None else other["label"]
    return Scene(panels, mixture.astype(np.float32), label, line["index"], SAMPLE_RATE)


def _panel(folder: Path, panel: Mapping[str, Any]) -> ScenePanel:
    objects = load_object_map(folder / panel["objects"])
    things = [RealObject(**thing) for thing in panel["things"]]
    masks = np.stack([objects == value for value in range(1, len(things) + 1)])
    sound = load_sound(folder / panel["sound"], SAMPLE_RATE, None)
    return ScenePanel(load_image(folder / panel["picture"]), things, masks, sound)
