"""The real scenes of the demo, which come with the package.

``scripts/demo_mixtures.py`` made their files of photographs and sounds under CC BY and CC0, and
says how they were chosen; ``real/NOTICE`` names the authors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tvsl.data.composites import PEAK
from tvsl.data.file_index import load_sound
from tvsl.demo.scenes import Credit, DemoKind, DemoScene
from tvsl.media import load_image
from tvsl.media.image import load_object_map
from tvsl.scenes import Scene, ScenePanel
from tvsl.vocabularies import everyday_sounds

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
