"""The page ``docs/first-steps.md``, followed from top to bottom with a clip of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_add_pages import DOCS, blocks, run_shell
from tvsl.media import load_audio, load_image, to_int16, write_still_video

PAGE = "first-steps.md"
BEACH = DOCS / "example"


@pytest.mark.slow
def test_the_page_keeps_its_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = load_audio(BEACH / "beach.ogg", 48_000, duration=2.0).samples
    picture = load_image(BEACH / "beach.jpg")[:360]
    write_still_video(tmp_path / "clip.mp4", picture, to_int16(sound), 48_000)
    monkeypatch.chdir(tmp_path)
    detected, given, *numbers = blocks(PAGE, "sh")
    run_shell(detected + given)
    for folder in ("found", "given"):
        assert (tmp_path / folder / "index.html").is_file()
    (code,) = blocks(PAGE, "python")
    exec(compile(code, PAGE, "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "sea waves" in line] == ["0.0", "1.0"]
    for commands in numbers:
        run_shell(commands)
    assert (tmp_path / "numbers" / "page.html").is_file()
    assert (tmp_path / "run" / "head" / "config.json").is_file()
