from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.shared_files import shared
from tvsl.demo.scenes import FOLDER, LIST, real_scenes

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo_mixtures.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location("demo_mixtures", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo_mixtures", module)
    spec.loader.exec_module(module)
    return module


def listed(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return content


def test_the_script_makes_what_is_shipped(script: ModuleType, tmp_path: Path) -> None:
    lines: list[str] = []
    script.make(shared("real"), tmp_path / "made", lines.append)
    made, shipped = listed(tmp_path / "made"), listed(FOLDER)
    assert made["scenes"] == shipped["scenes"]
    assert [line.split(":")[0] for line in lines] == [one["name"] for one in made["scenes"]]
    for name in shipped["sha256"]:
        ours, theirs = FOLDER / name, tmp_path / "made" / name
        if name.endswith((".png", ".jpg")):  # another Pillow may code them otherwise
            pictures = [np.asarray(Image.open(path), np.int16) for path in (ours, theirs)]
            assert np.abs(pictures[0] - pictures[1]).max() <= (0 if name.endswith(".png") else 32)
    for one, other in zip(real_scenes(tmp_path / "made"), real_scenes(), strict=True):
        assert one.boxes == other.boxes
        error = np.square(one.scene.waveform - other.scene.waveform).mean()
        assert error <= 0.05 * np.square(other.scene.waveform).mean()


def test_the_same_files_are_made_twice(script: ModuleType, tmp_path: Path) -> None:
    wave = np.sin(np.arange(48_000) / 30).astype(np.float32)
    for name in ("a.ogg", "b.ogg"):
        script.write_opus(tmp_path / name, wave)
    assert (tmp_path / "a.ogg").read_bytes() == (tmp_path / "b.ogg").read_bytes()


def test_only_open_licences_take_part_and_persons_are_silent(script: ModuleType) -> None:
    root = shared("real")
    files = script.licensed(script.read_index(root / "index.csv", root))
    assert {file.licence for file in files} <= set(script.LICENCE_PAGES)
    assert not [file for file in files if file.label == "person speaking"]
    assert {file.role for file in files if file.label == "person"} == {"silent"}
