"""Scenes of the made-up world as files with a manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import OutputError, UsageError
from tvsl.media.writing import (
    require_still_video,
    to_int16,
    write_png,
    write_still_video,
    write_wav,
)
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, SAMPLES
from tvsl.synthetic.world import World, WorldScene
from tvsl.utils.atomic import RECORD_REMEDY, foreign_record, is_inner_name, staged, writable
from tvsl.utils.files import LARGEST_LIST, read_small_text
from tvsl.utils.processes import Progress, no_progress
from tvsl.vocabularies import NAMES_FILE

MANIFEST = "manifest.jsonl"
FILE_KEYS = ("frame", "audio", "masks", "video", "sheet", "names")
"""Keys of a manifest line whose values are file names."""

# Colours for viewers of the masks, whose values are 0 for the ground, then 1, 2, …
_PALETTE = bytes(
    (24, 24, 28, 255, 150, 0, 70, 185, 255, 0, 205, 140, 245, 105, 190, 250, 235, 60, 150, 120, 255)
    + (225, 80, 70, 160, 220, 240) * 8
)


def scene_id(world: World, scene: WorldScene) -> str:
    """Name of a scene's files, unique in this world.

    Args:
        world: The world of the scene.
        scene: The scene.

    Returns:
        E.g. ``test-seen-s0-k2-000017``: split, classes, seed, sources, index.
    """
    return f"{world.split}-{world.classes}-s{world.seed}-k{len(scene.panels)}-{scene.index:06d}"


def describe(world: World, scene: WorldScene, files: dict[str, str]) -> dict[str, Any]:
    """Ground truth of a scene as plain values.

    Args:
        world: The world of the scene.
        scene: The scene.
        files: The scene's files by their keys (``frame``, ``audio``, …), relative to the folder.

    Returns:
        A line of the manifest. Boxes are left, top, right, bottom in pixels of the
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
    """``value`` of the object that each pixel shows, (112, K * 112); 0 is the ground."""
    drawn = np.zeros((SIDE, SIDE * len(scene.panels)), dtype=np.uint8)
    value = 0
    for place, panel in enumerate(scene.panels):
        window = drawn[:, place * SIDE : (place + 1) * SIDE]
        for mask in panel.masks:
            value += 1
            window[mask] = value
    return drawn


def write_manifest(folder: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write the manifest of a folder, one line a scene.

    Args:
        folder: The folder.
        lines: From ``describe``.
    """
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def earlier_files(folder: Path) -> list[str]:
    """Files that an earlier run wrote into a folder, by its own manifest.

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


def export_world(
    world: World,
    folder: Path,
    scenes: int,
    sources: int = 1,
    *,
    videos: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write the first scenes of a world into a folder.

    ``frames/ID.png`` and ``audio/ID.wav`` hold a scene's picture and sound without loss, so that
    results on the folder equal those on the world itself. ``masks/ID.png`` holds the number of the
    object at each pixel, ``manifest.jsonl`` the ground truth, a line a scene, and ``names.txt`` the
    classes of the world. The folder appears whole or not at all.

    Args:
        world: Split, classes, seed and shares of twins and off-screen sounds.
        folder: The folder to write.
        scenes: Number of scenes, at least 1.
        sources: K, the number of sources of every scene.
        videos: Whether ``videos/ID.mp4`` is written as well: the still picture with its sound,
            of high quality but not without loss.
        force: Whether an earlier export there may be replaced; other files in it stay.
        progress: Called with scenes written and scenes in all.

    Raises:
        UsageError: No scenes, or not 1 to 8 sources.
        OutputError: The folder is not empty and ``force`` is not set, it cannot be written, or
            FFmpeg cannot encode the videos.
    """
    if scenes < 1:
        raise UsageError(f"{scenes} scenes cannot be written.", "Ask for at least one.")
    world.scene(0, sources)  # a wrong number of sources ends here, before anything is written
    stem = f"{world.split}-{world.classes}-s{world.seed}-k{sources}-*"
    kinds = {"frames": "png", "audio": "wav", "masks": "png"}
    if videos:
        kinds["videos"] = "mp4"
    new = [NAMES_FILE, MANIFEST, *(f"{name}/{stem}.{ending}" for name, ending in kinds.items())]
    with staged(folder, MANIFEST, force, earlier_files, new) as work, writable(folder):
        if videos:
            require_still_video(SIDE, SIDE * sources, SAMPLE_RATE)
        for name in kinds:
            (work / name).mkdir()
        names = "".join(f"{name}\n" for name in world.names)
        (work / NAMES_FILE).write_text(names, encoding="utf-8")
        lines = []
        for index in range(scenes):
            lines.append(_write_scene(world, work, world.scene(index, sources), videos))
            progress(index + 1, scenes)
        write_manifest(work, lines)
    return folder / MANIFEST


def _write_scene(world: World, work: Path, scene: WorldScene, video: bool) -> dict[str, Any]:
    name = scene_id(world, scene)
    files = {
        "frame": f"frames/{name}.png",
        "audio": f"audio/{name}.wav",
        "masks": f"masks/{name}.png",
        "names": NAMES_FILE,
    }
    samples = to_int16(scene.waveform)
    write_png(work / files["frame"], scene.picture)
    write_wav(work / files["audio"], samples, SAMPLE_RATE)
    write_png(work / files["masks"], object_map(scene), _PALETTE)
    if video:
        files["video"] = f"videos/{name}.mp4"
        write_still_video(work / files["video"], scene.picture, samples, SAMPLE_RATE)
    return describe(world, scene, files)
