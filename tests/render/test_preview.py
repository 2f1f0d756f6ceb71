from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tvsl.errors import OutputError, UsageError
from tvsl.media import load_audio, load_image
from tvsl.render.preview import (
    OFF_SCREEN,
    PANEL,
    SHEET,
    SOUNDS,
    TWIN,
    preview_sheet,
    write_preview,
)
from tvsl.synthetic.export import MANIFEST
from tvsl.synthetic.world import World

from .test_overlay import count


@pytest.mark.parametrize(("scenes", "sources"), [(1, 1), (5, 1), (3, 2), (1, 8)])
def test_a_sheet_has_room_for_all_scenes(scenes: int, sources: int) -> None:
    world = World("test", seed=1)
    sheet = preview_sheet([world.scene(n, sources) for n in range(scenes)], "title")
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] >= PANEL
    assert sheet.shape[1] >= sources * PANEL


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_colours_stand_for_what_is_there(share: float) -> None:
    """Beyond the legend, twins and off-screen sounds are drawn where there are some."""
    world = World("test", seed=1, twins=share, off_screen=share)
    sheet = preview_sheet([world.scene(n) for n in range(3)], "title")[80:]
    assert count(sheet, SOUNDS) > 500
    assert (count(sheet, TWIN) > 200) == bool(share)
    assert (count(sheet, OFF_SCREEN) > 20) == bool(share)


def test_a_preview_is_a_sheet_with_sounds(tmp_path: Path) -> None:
    world = World("validation", "unseen", seed=2)
    assert write_preview(world, tmp_path / "out", 3, 2) == tmp_path / "out" / SHEET
    assert load_image(tmp_path / "out" / SHEET).ndim == 3
    text = (tmp_path / "out" / MANIFEST).read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 3
    for index, line in enumerate(lines):
        scene = world.scene(index, 2)
        assert line["labels"] == list(scene.labels)
        sound = load_audio(tmp_path / "out" / line["audio"], line["rate"])
        assert np.array_equal(sound.samples, scene.waveform)


def test_a_preview_replaces_only_its_own_files_and_only_when_forced(tmp_path: Path) -> None:
    write_preview(World(), tmp_path, 2)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        write_preview(World(), tmp_path, 1)
    write_preview(World("test"), tmp_path, 1, force=True)
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {SHEET, MANIFEST, "notes.txt", "test-seen-s0-k1-000000.wav"}


@pytest.mark.parametrize(("scenes", "sources"), [(0, 1), (201, 1), (1, 0), (1, 9)])
def test_what_cannot_be_shown_is_an_error(tmp_path: Path, scenes: int, sources: int) -> None:
    with pytest.raises(UsageError):
        write_preview(World(), tmp_path / "out", scenes, sources)
    assert list(tmp_path.iterdir()) == []
