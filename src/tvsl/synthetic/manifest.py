"""What a folder of scenes says about each of them: one line of JSON a scene."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import OutputError
from tvsl.small_files import LARGEST_LIST, read_small_text
from tvsl.staging import RECORD_REMEDY, foreign_record, is_inner_name
from tvsl.synthetic.layout import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, SAMPLES
from tvsl.synthetic.world import World, WorldScene

MANIFEST = "manifest.jsonl"
FILE_KEYS = ("frame", "audio", "masks", "video", "sheet", "names")
"""The entries of a line that name files."""


def scene_id(world: World, scene: WorldScene) -> str:
    """A name for a scene's files that no other scene of this world bears.

    Args:
        world: Where the scene is from.
        scene: The scene.

    Returns:
        E.g. ``test-seen-s0-k2-000017``: split, classes, seed, sources, index.
    """
    return f"{world.split}-{world.classes}-s{world.seed}-k{len(scene.panels)}-{scene.index:06d}"


def describe(world: World, scene: WorldScene, files: dict[str, str]) -> dict[str, Any]:
    """The ground truth of a scene as plain values.

    Args:
        world: Where the scene is from.
        scene: The scene.
        files: The scene's files by what they hold (``frame``, ``audio``, …), relative to the
            folder.

    Returns:
        What becomes a line of the manifest. Boxes are left, top, right, bottom in pixels of the
        whole picture, ends exclusive. ``objects`` are numbered from 1 as in ``object_map``.
    """
    objects = _objects(scene)
    return {
        "id": scene_id(world, scene),
        **files,
        "width": SIDE * len(scene.panels),
        "height": SIDE,
        "panels": len(scene.panels),
        "rate": SAMPLE_RATE,
        "duration": SAMPLES / SAMPLE_RATE,
        "labels": list(scene.labels),
        "boxes": {thing["label"]: [thing["box"]] for thing in objects if thing["sounds"]},
        "objects": objects,
        "twins": [panel.label for panel in scene.panels if panel.twin is not None],
        "off_screen": scene.off_screen,
        "world": {
            "split": world.split,
            "classes": world.classes,
            "seed": world.seed,
            "twins": world.twins,
            "off_screen": world.off_screen,
            "sources": len(scene.panels),
            "index": scene.index,
        },
    }


def object_map(scene: WorldScene) -> NDArray[np.uint8]:
    """Which object each pixel shows.

    Args:
        scene: The scene.

    Returns:
        (112, K * 112): 0 for the ground, else an object's ``value`` in the manifest.
    """
    drawn = np.zeros((SIDE, SIDE * len(scene.panels)), dtype=np.uint8)
    value = 0
    for place, panel in enumerate(scene.panels):
        window = drawn[:, place * SIDE : (place + 1) * SIDE]
        for mask in panel.masks:
            value += 1
            window[mask] = value
    return drawn


def write_manifest(folder: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write the manifest of a folder, one line a scene."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def earlier_files(folder: Path) -> list[str]:
    """The files that an earlier run wrote into a folder, by its own manifest.

    Args:
        folder: The folder.

    Returns:
        Their names relative to the folder, with the manifest's own; none without a manifest.

    Raises:
        OutputError: The manifest is damaged, or not of this package.
    """
    record = folder / MANIFEST
    if not os.path.lexists(record):
        return []
    text = read_small_text(record, LARGEST_LIST, OutputError, RECORD_REMEDY)
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except (ValueError, RecursionError):
        lines = [None]
    names = [MANIFEST]
    for line in lines:
        if not isinstance(line, dict) or not isinstance(line.get("world"), dict):
            raise foreign_record(record)
        found = [line[key] for key in FILE_KEYS if key in line]
        if not all(is_inner_name(name) for name in found):
            raise foreign_record(record)
        names += found
    return names


def _objects(scene: WorldScene) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for place, panel in enumerate(scene.panels):
        for thing, (left, top, right, bottom) in zip(panel.objects, panel.boxes, strict=True):
            shift = place * SIDE
            found.append(
                {
                    "value": len(found) + 1,
                    "label": thing.label,
                    "box": [left + shift, top, right + shift, bottom],
                    "panel": place,
                    "radius": round(thing.radius, 3),
                    "sounds": thing.sounds,
                    "twin": thing.twin and not thing.sounds,
                }
            )
    return found
