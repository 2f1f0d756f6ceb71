"""Each file of `examples/`, run as its docstring says, on files of a user."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tvsl
from tvsl.localizer import Localizer
from tvsl.media import load_audio, load_image, to_int16, write_still_video
from tvsl.registry import Registry

ROOT = Path(__file__).parents[2]
BEACH = ROOT / "docs" / "example"
Main = Callable[..., Any]


@pytest.fixture(scope="module")
def everyday() -> Localizer:
    return Localizer.from_pretrained(device="cpu")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    sound = load_audio(BEACH / "beach.ogg", 48_000, duration=1.0).samples
    picture = load_image(BEACH / "beach.jpg")[:360]
    write_still_video(folder / "clip.mp4", picture, to_int16(sound), 48_000)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, everyday: Localizer) -> Callable[[str], Main]:
    """The function `main` of an example; the everyday model is loaded once for all of them."""
    load = tvsl.load
    monkeypatch.setattr(tvsl, "load", lambda *a, **k: load(*a, **k) if a or k else everyday)

    def of(name: str) -> Main:
        return runpy.run_path(str(ROOT / "examples" / name))["main"]  # type: ignore[no-any-return]

    return of


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = [path.name for path in (ROOT / "examples").glob("*.py")]
    assert len(names) >= 6
    assert all(f'main("{name}")' in text for name in names)


def test_a_video(main: Any, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("localize_video.py")(videos / "clip.mp4", "man speaking,sea waves")
    lines = capsys.readouterr().out.splitlines()
    assert any("0.50 s  man speaking" in line for line in lines)
    assert any("0.50 s  sea waves" in line for line in lines)


def test_a_folder_with_a_broken_video(
    main: Any, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("batch_of_files.py")(videos, tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "clip.mp4 1 moments" in said.out
    assert "broken.mp4" in said.err
    (moment,) = json.loads((tmp_path / "out" / "clip.json").read_text())
    assert moment["time"] == 0


def test_questions_to_one_picture(main: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files = BEACH / "beach.jpg", BEACH / "beach.ogg"
    main("streaming_labels.py")(*files, ["sea waves, horse\n", "\n", "man speaking\n"])
    said = capsys.readouterr().out
    assert said.count("answered in") == 2
    for word in ("sea waves", "horse", "man speaking"):
        assert f"{word}: score" in said


def test_a_method(
    main: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tvsl.methods import METHODS

    kept = dict(METHODS._added), dict(METHODS._sources)
    try:
        main("own_method.py")(tmp_path / "run", "4", "4", "64")
    finally:
        forget(METHODS, *kept)
    said = capsys.readouterr().out
    assert "share of the name: 0.5" in said
    assert re.search(r"\| halfway \(.*head\) \| given \|", said)
    assert "| text-only (untrained) | detected |" in said


def forget(registry: Registry[Any], added: dict[str, Any], sources: dict[str, Any]) -> None:
    """Let a registry be as it was."""
    for now, before in ((registry._added, added), (registry._sources, sources)):
        now.clear()
        now.update(before)


def test_a_folder_of_one_s_own(
    main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main("evaluate_folder.py")(tmp_path / "mine")
    assert "12 of 12 items" in capsys.readouterr().out


def test_maps_of_another_program(
    main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main("foreign_maps.py")(tmp_path / "work", "8")
    said = capsys.readouterr().out
    assert "| maps | none |" in said
    assert "| tvsl (own head) | detected |" in said
    better = [line for line in said.splitlines() if line.startswith("CIoU@0.3: +")]
    assert better
    assert all(line.endswith("better") for line in better)
