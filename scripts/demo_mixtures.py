"""Make the real mixtures of ``tvsl demo`` from ``../shared/real`` (``make demo-mixtures``).

**Nobody chose them by what a model makes of them.** Of each kind below it is the first scene of
seed 0 of the validation split that is of this kind and of no other, and in which no class sounds
that sounds in two earlier scenes, and no photograph is the source that is one earlier; the maker is
that of ``tvsl data preview`` and ``tvsl evaluate --data real``. Only photographs and sounds under
CC BY or CC0 take part. Speech has no such licence here, so persons are seen and not heard: their
photographs, which are under CC BY, are among the silent objects.

Written are, for each panel, its picture as JPEG, its objects as a map of numbers and its sound as
Opus; ``scenes.json``, with credits and checksums; and ``NOTICE``. The mixture is the sum of the
sounds. The same files are made twice on one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tvsl.data.composites import Composites, ScenePlan
from tvsl.data.file_index import IndexedFile, has_licence, load_sound, read_index
from tvsl.data.files import of_length
from tvsl.media.writing import write_jpeg, write_png

sys.path.append(str(Path(__file__).with_name("everyday")))  # it is no package
from head import EVERYDAY_NAMES

SEED = 0
MOST_ALIKE = 2
LICENCES = ("CC-BY", "CC0")
PERSON = "person"
SIDE = 224
SECONDS = 5.0
RATE = 48_000  # Opus knows no other of full bandwidth
BITS = 24_000
QUALITY = 80
PEAK = 0.9  # what a lossy code adds must not clip
NAMES = {
    **EVERYDAY_NAMES,
    "person speaking": PERSON,
    "baby cry": "baby crying",
    "cello": "playing cello",
    "fire": "fire crackling",
    "flute": "playing flute",
    "rain": "rain falling",
    "sneeze": "person sneezing",
    "trumpet": "playing trumpet",
    "violin": "playing violin",
}
"""Everyday names, which ``tvsl localize`` knows, of the classes whose own name is another."""
HEAD = """The real mixtures of `tvsl demo` are made of photographs and sounds of others, under CC BY
and CC0. scripts/demo_mixtures.py made them, of scenes of a validation split, and says how they were
chosen. The photographs are of Caltech-101 (https://doi.org/10.22002/D1.20086), which CaltechDATA
gives out under CC BY 4.0; they were gathered by web image search. Nobody named here endorses tvsl.
"""
LICENCE_PAGES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
}
CUT, GROUND, WHOLE, SOUND = (
    "cut out, scaled, perhaps mirrored, laid on another photograph",
    "cropped to a square, scaled, perhaps mirrored, covered in part by other cut-outs",
    "squeezed into a square",
    "cut to 5 s, its level changed, mixed with others, coded as Opus",
)


@dataclass(frozen=True)
class Kind:
    """Kind of a scene.

    Attributes:
        name: Short name, of letters and hyphens.
        title: Heading of the scene.
        description: What is to be seen and heard.
        sources: K, the number of sources.
        whole: Whether panels are whole photographs.
        silent: Whether some panel has to show a silent object.
        twin: Whether there is a silent object of a sounding class.
        off_screen: Whether there is a sound that no picture shows.
        person: Whether a person is in a picture.
    """

    name: str
    title: str
    description: str
    sources: int
    whole: bool = False
    silent: bool = True
    twin: bool = False
    off_screen: bool = False
    person: bool = False

    def fits(self, plan: ScenePlan) -> bool:
        """Tell whether a scene is of this kind and of no other."""
        things = [thing for panel in plan.panels for thing in panel.objects]
        silent = [thing for thing in things if not thing.sounds]
        twin = any(thing.twin for thing in silent)
        person = any(thing.label == PERSON for thing in silent)
        off_screen = plan.off_screen is not None
        return (twin, off_screen, person) == (self.twin, self.off_screen, self.person) and (
            bool(silent) or not self.silent
        )


_CUT_OUTS = "cut-outs on photographs; some objects are silent."
KINDS = (
    Kind(
        "photograph",
        "A photograph",
        "One whole photograph of a thing, with a sound of its class.",
        1,
        whole=True,
        silent=False,
    ),
    Kind(
        "photographs",
        "Two photographs",
        "Two whole photographs side by side, with their sounds mixed.",
        2,
        whole=True,
        silent=False,
    ),
    Kind(
        "mixture-one", "One sound", "One panel of cut-outs on a photograph; one of them sounds.", 1
    ),
    Kind("mixture-two", "Two sounds", f"Two panels of {_CUT_OUTS}", 2),
    Kind("mixture-three", "Three sounds", f"Three panels of {_CUT_OUTS}", 3),
    Kind(
        "mixture-person",
        "A silent person",
        "Two panels; a person is in a picture, but is not heard.",
        2,
        person=True,
    ),
    Kind(
        "mixture-off-screen",
        "A sound from elsewhere",
        "One panel; a second sound is of a thing that is not in the picture.",
        1,
        off_screen=True,
    ),
    Kind(
        "mixture-twin",
        "Two of one kind",
        "Two things of one class, of which one sounds. Nothing in the sound tells which: a map "
        "that finds both has done what can be done.",
        1,
        twin=True,
    ),
)


def licensed(files: tuple[IndexedFile, ...]) -> tuple[IndexedFile, ...]:
    """Files under CC BY and CC0; photographs of persons count as silent objects."""
    allowed = (file for file in files if has_licence(file, LICENCES))
    return tuple(
        replace(file, label=PERSON, role="silent") if file.label == "person speaking" else file
        for file in allowed
    )


def maker_of(files: tuple[IndexedFile, ...], kind: Kind) -> Composites:
    """The maker of the scenes of a kind."""
    photographs, sounds = (
        {file.label for file in files if file.kind == one and file.role == "sounding"}
        for one in ("photo", "sound")
    )
    used = tuple(file for file in files if file.split == "validation")
    return Composites(
        used,
        "validation",
        tuple(sorted(photographs & sounds)),
        seed=SEED,
        twins=float(kind.twin),
        off_screen=float(kind.off_screen),
        whole=kind.whole,
        side=SIDE,
        window=SECONDS,
        hashes=True,
    )


def first(maker: Composites, kind: Kind, earlier: Sequence[ScenePlan]) -> ScenePlan:
    """The first scene that is of a kind and shows something else than the earlier ones.

    Args:
        maker: The maker of the scenes.
        kind: The kind.
        earlier: Scenes that were chosen before.
    """
    shown = [panel.source.file for plan in earlier for panel in plan.panels]
    classes = Counter(file.label for file in shown)

    def is_new(plan: ScenePlan) -> bool:
        files = [panel.source.file for panel in plan.panels]
        return all(classes[file.label] < MOST_ALIKE and file not in shown for file in files)

    plans = (maker.plan(number, kind.sources) for number in count())
    return next(plan for plan in plans if kind.fits(plan) and is_new(plan))


def natural(label: str) -> str:
    """The everyday name of a class."""
    return NAMES.get(label, label)


def write_opus(path: Path, wave: NDArray[np.float32]) -> None:
    """Write a mono sound as Opus in Ogg, the same bytes each time."""
    flags = {"fflags": "+bitexact"}  # or else the stream's number is drawn
    with av.open(str(path), "w", format="ogg", options=flags) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = BITS
        frame = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def sounds_of(plan: ScenePlan) -> list[NDArray[np.float32]]:
    """The sounds of a scene at the levels of its mixture: those of the panels, then another."""
    found = [(panel.sound, panel.decibels) for panel in plan.panels]
    if plan.off_screen is not None:
        found.append(plan.off_screen)
    waves = [
        of_length(load_sound(file.path, RATE, SECONDS), round(RATE * SECONDS))
        * np.float32(10 ** (decibels / 20))
        for file, decibels in found
    ]
    loudest = float(np.abs(np.sum(waves, axis=0)).max())
    return [wave * np.float32(min(1.0, PEAK / loudest)) for wave in waves]


def credits_of(plan: ScenePlan) -> Iterator[dict[str, str]]:
    """Author and source, licence and changes of each photograph and sound, each once."""
    found: dict[str, tuple[IndexedFile, str]] = {}
    for panel in plan.panels:
        for thing in panel.objects:
            found[thing.file.name] = (thing.file, WHOLE if panel.whole else CUT)
        if panel.ground is not None:
            found[panel.ground.name] = (panel.ground, GROUND)
    for file in plan.sounds:
        found[file.name] = (file, SOUND)
    for file, changes in found.values():
        yield {
            "kind": file.kind,
            "label": file.label,
            "attribution": file.attribution,
            "licence": file.licence,
            "licence_page": LICENCE_PAGES[file.licence],
            "changes": changes,
        }


def write_scene(folder: Path, kind: Kind, maker: Composites, plan: ScenePlan) -> dict[str, Any]:
    """Write the files of a kind's scene, and describe it."""
    scene = maker.make(replace(plan, off_screen=None), RATE)
    waves = sounds_of(plan)
    panels = []
    for number, panel in enumerate(scene.panels):
        stem = f"{kind.name}-{number + 1}"
        files = {"picture": f"{stem}.jpg", "objects": f"{stem}.png", "sound": f"{stem}.ogg"}
        objects = np.zeros((SIDE, SIDE), np.uint8)
        for value, mask in enumerate(panel.masks, start=1):
            objects[mask] = value
        write_jpeg(folder / files["picture"], panel.picture, QUALITY)
        write_png(folder / files["objects"], objects)
        write_opus(folder / files["sound"], waves[number])
        things = [
            {
                "label": natural(thing.label),
                "sounds": thing.sounds,
                "twin": thing.twin,
            }
            for thing in panel.objects
        ]
        panels.append({**files, "things": things})
    off_screen = None
    if plan.off_screen is not None:
        off_screen = {
            "label": natural(plan.off_screen[0].label),
            "sound": f"{kind.name}-off-screen.ogg",
        }
        write_opus(folder / off_screen["sound"], waves[-1])
    return {
        "name": kind.name,
        "title": kind.title,
        "description": kind.description,
        "index": plan.index,
        "panels": panels,
        "off_screen": off_screen,
        "credits": list(credits_of(plan)),
    }


def notice(scenes: list[dict[str, Any]]) -> str:
    """The text of the notice."""
    lines = [HEAD.rstrip()]
    for scene in scenes:
        lines += ["", f"{scene['title']} ({scene['name']}-*):"]
        for credit in scene["credits"]:
            lines += [
                f"- {credit['kind']}, {credit['label']}: {credit['attribution']}",
                f"  {credit['licence']} ({credit['licence_page']})",
                f"  Changes: {credit['changes']}.",
            ]
    return "\n".join(lines) + "\n"


def make(data: Path, folder: Path, report: Callable[[str], object]) -> None:
    """Write all scenes.

    Args:
        data: Folder in the form of ``real``.
        folder: Folder of the files; those of an earlier making are replaced.
        report: Called with a line on each scene.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    files = licensed(read_index(data / "index.csv", data))
    plans: list[ScenePlan] = []
    scenes = []
    for kind in KINDS:
        maker = maker_of(files, kind)
        plans.append(first(maker, kind, plans))
        scenes.append(write_scene(folder, kind, maker, plans[-1]))
        labels = [thing["label"] for panel in scenes[-1]["panels"] for thing in panel["things"]]
        report(f"{kind.name}: scene {scenes[-1]['index']}: {', '.join(labels)}\n")
    (folder / "NOTICE").write_text(notice(scenes), encoding="utf-8")
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }
    content = {"split": "validation", "seed": SEED, "scenes": scenes, "sha256": sums}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (folder / "scenes.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Make the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/real"))
    parser.add_argument("--output", type=Path, default=Path("src/tvsl/demo/real"))
    options = parser.parse_args()
    make(options.data, options.output, sys.stdout.write)


if __name__ == "__main__":
    main()
