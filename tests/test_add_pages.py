"""The pages ``docs/add-a-method.md`` and ``docs/add-an-encoder.md``, run literally.

Their files stand in a folder of the user's; nothing of the package knows of them beforehand.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.running import run
from tvsl.media.writing import to_int16, write_jpeg, write_still_video, write_wav
from tvsl.methods.checkpoint_io import read_head
from tvsl.registry import Registry
from tvsl.synthetic.sounds import SAMPLE_RATE
from tvsl.synthetic.world import World

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with a picture, its sound and a video; what is registered is forgotten."""
    scene = World("test").scene(0, 1)
    picture = scene.panels[0].picture
    sound = to_int16(scene.waveform)
    write_jpeg(tmp_path / "photo.jpg", picture)
    write_wav(tmp_path / "sound.wav", sound, SAMPLE_RATE)
    write_still_video(tmp_path / "clip.mp4", picture, sound, SAMPLE_RATE)
    monkeypatch.chdir(tmp_path)
    forget: list[Registry[Any]] = []
    original = Registry.register

    def register(self: Registry[Any], thing: Any, *rest: Any, **named: Any) -> Any:
        forget.append(self)
        return original(self, thing, *rest, **named)

    monkeypatch.setattr(Registry, "register", register)
    yield tmp_path
    for registry in forget:
        registry._added.clear()
        registry._sources.clear()


def run_shell(text: str) -> None:
    for line in text.strip().splitlines():
        program, *words = shlex.split(line)
        assert program == "tvsl"
        ran = run(*words)
        assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("page", "file", "trained"),
    [("add-a-method.md", "bilinear.py", "bilinear"), ("add-an-encoder.md", "colours.py", "ez-vsl")],
)
def test_a_page_keeps_its_promise(
    page: str, file: str, trained: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, use = blocks(page, "python")
    (folder / file).write_text(code, encoding="utf-8")
    (commands,) = blocks(page, "sh")
    run_shell(commands)
    record = json.loads((folder / "run" / "head" / "config.json").read_text())
    assert record["method"] == trained
    if trained == "bilinear":
        assert record["source"] == {
            "name": "Bilinear",
            "module": None,
            "distribution": None,
            "file": "bilinear.py",
        }
        assert record["config"]["temperature"] == 0.1
    else:
        assert "source" not in record
        assert record["config"]["embedding"] == 48
        assert (folder / "tables" / "page.html").is_file()
    used: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(use, page, "exec"), used)
    head = read_head(folder / "run" / "head")
    assert (
        used["localizer"].name
        == f"{'mini' if trained == 'bilinear' else 'ColourEncoder'}/{trained} (head)"
    )
    assert type(used["localizer"].method) is head.method
    if trained == "bilinear":
        matrix = used["localizer"].method.get_parameter("matrix").cpu()
        assert not torch.equal(matrix, torch.eye(len(matrix)))
    assert "| whole frame |" in capsys.readouterr().out
    (entry,) = blocks(page, "toml")
    assert re.search(r'entry-points\."(.*)"', entry)[1] in ("tvsl.methods", "tvsl.encoders")
