"""Scenes of the world as a folder of files, in a layout that benchmarks of the field have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tvsl.errors import UsageError
from tvsl.media.writing import require_still_video, write_png, write_still_video, write_wav
from tvsl.staging import staged, writable
from tvsl.synthetic.layout import SIDE
from tvsl.synthetic.manifest import (
    MANIFEST,
    describe,
    earlier_files,
    object_map,
    scene_id,
    write_manifest,
)
from tvsl.synthetic.sounds import SAMPLE_RATE, to_int16
from tvsl.synthetic.world import World, WorldScene
from tvsl.vocabularies import NAMES_FILE

Progress = Callable[[int, int | None], None]

_FOLDERS = ("frames", "audio", "masks")
# Only for people who look at the masks: their values are 0 for the ground, then 1, 2, …
_PALETTE = bytes(
    (24, 24, 28, 255, 150, 0, 70, 185, 255, 0, 205, 140, 245, 105, 190, 250, 235, 60, 150, 120, 255)
    + (225, 80, 70, 160, 220, 240) * 8
)


def export_world(
    world: World,
    folder: Path,
    scenes: int,
    sources: int = 1,
    *,
    videos: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the first scenes of a world into a folder.

    ``frames/ID.png`` and ``audio/ID.wav`` hold a scene's picture and sound, without loss, so that
    what is measured on the folder is what is measured on the world itself; ``masks/ID.png`` tells
    which object each pixel shows; ``manifest.jsonl`` holds the ground truth, a line a scene, and
    ``names.txt`` the classes of the world. The folder appears whole or not at all.

    Args:
        world: Split, classes, seed and shares of twins and off-screen sounds.
        folder: Where to.
        scenes: How many, at least 1.
        sources: K, the number of sources of every scene.
        videos: Whether ``videos/ID.mp4`` is written as well: the still picture with its sound,
            of high quality but not without loss.
        force: Whether an earlier export there may be replaced; other files in it stay.
        progress: Called with scenes written and scenes in all.

    Returns:
        The path of the manifest.

    Raises:
        UsageError: No scenes, or not 1 to 8 sources.
        OutputError: The folder is not empty and ``force`` is not set, it cannot be written, or
            FFmpeg cannot encode the videos.
    """
    if scenes < 1:
        raise UsageError(f"{scenes} scenes cannot be written.", "Ask for at least one.")
    world.scene(0, sources)  # a wrong number of sources ends here, before anything is written
    with staged(folder, MANIFEST, force, earlier_files) as work, writable(folder):
        if videos:
            require_still_video(SIDE, SIDE * sources, SAMPLE_RATE)
        _write_scenes(world, work, scenes, sources, videos, progress)
    return folder / MANIFEST


def _write_scenes(
    world: World, work: Path, scenes: int, sources: int, videos: bool, progress: Progress | None
) -> None:
    for name in (*_FOLDERS, *(["videos"] if videos else [])):
        (work / name).mkdir()
    (work / NAMES_FILE).write_text("".join(f"{name}\n" for name in world.names), encoding="utf-8")
    lines = []
    for index in range(scenes):
        lines.append(_write_scene(world, work, world.scene(index, sources), videos))
        if progress is not None:
            progress(index + 1, scenes)
    write_manifest(work, lines)


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
