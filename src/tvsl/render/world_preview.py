"""A folder to look at and listen to: some scenes of the synthetic world on a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tvsl.errors import UsageError
from tvsl.media.writing import write_png, write_wav
from tvsl.render.world_sheet import world_sheet
from tvsl.staging import staged, writable
from tvsl.synthetic.manifest import MANIFEST, describe, earlier_files, scene_id, write_manifest
from tvsl.synthetic.sounds import SAMPLE_RATE, to_int16
from tvsl.synthetic.world import World, WorldScene

SHEET = "contact_sheet.png"
MOST_SCENES = 200

Progress = Callable[[int, int | None], None]


def write_preview(
    world: World,
    folder: Path,
    scenes: int,
    sources: int = 1,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a contact sheet, the sounds as WAV files and a manifest.

    Args:
        world: Split, classes, seed and shares of twins and off-screen sounds.
        folder: Where to; it appears whole or not at all.
        scenes: How many, 1 to 200.
        sources: K, the number of sources of every scene.
        force: Whether an earlier preview there may be replaced; other files in it stay.
        progress: Called with scenes made and scenes in all.

    Returns:
        The path of the contact sheet.

    Raises:
        UsageError: Not 1 to 200 scenes, or not 1 to 8 sources.
        OutputError: The folder is not empty and ``force`` is not set, or it cannot be written.
    """
    if not 1 <= scenes <= MOST_SCENES:
        raise UsageError(
            f"A contact sheet cannot show {scenes} scenes.", f"Ask for 1 to {MOST_SCENES}."
        )
    with staged(folder, MANIFEST, force, earlier_files) as work, writable(folder):
        made = []
        for index in range(scenes):
            made.append(world.scene(index, sources))
            if progress is not None:
                progress(index + 1, scenes)
        _write(world, made, work)
    return folder / SHEET


def _write(world: World, scenes: Sequence[WorldScene], work: Path) -> None:
    (work / "audio").mkdir()
    lines = []
    for scene in scenes:
        audio = f"audio/{scene_id(world, scene)}.wav"
        write_wav(work / audio, to_int16(scene.waveform), SAMPLE_RATE)
        lines.append(describe(world, scene, {"audio": audio, "sheet": SHEET}))
    heading = (
        f"Synthetic world: {world.split} split, {world.classes} classes, seed {world.seed}, "
        f"scenes 0 to {len(scenes) - 1}"
    )
    write_png(work / SHEET, world_sheet(scenes, heading))
    write_manifest(work, lines)
