from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import NoReturn

import pytest

from tvsl.cli import page_writer
from tvsl.cli.page_writer import CLIP_NAME, PageWriter
from tvsl.errors import UnreadableMediaError
from tvsl.html.localization import LocalizedClip
from tvsl.render.video import PageVideo
from tvsl.utils.processes import Progress, no_stages

WHOLE = (0.0, None)


def never_asked(video: Path | None, place: PageVideo) -> NoReturn:
    raise AssertionError((video, place))


def test_the_video_is_encoded_while_moments_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = Event()

    def encode(source: Path, target: Path, *_: object) -> PageVideo:
        target.write_bytes(source.read_bytes())
        encoded.set()
        return PageVideo(-0.4, 3.0)

    (tmp_path / "a.mp4").write_text("a video")
    shown: list[tuple[Path | None, PageVideo]] = []

    def clip(video: Path | None, place: PageVideo) -> LocalizedClip:
        shown.append((video, place))
        raise UnreadableMediaError("It is gone.", "Put it back.")

    monkeypatch.setattr(page_writer, "write_page_video", encode)
    with PageWriter(tmp_path / "a.mp4", tmp_path, WHOLE) as page:
        assert encoded.wait(10)
        page.begin(clip)
        with pytest.raises(UnreadableMediaError, match="gone"):
            page.finish(no_stages)
    assert shown == [(tmp_path / CLIP_NAME, PageVideo(-0.4, 3.0))]


def test_where_the_rest_fails_the_video_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = Event(), Event()

    def encode(*arguments: object) -> PageVideo:
        progress: Progress = arguments[-1]  # type: ignore[assignment]
        begun.set()
        for count in range(10_000):
            progress(count, None)
            time.sleep(0.001)
        ended.set()
        return PageVideo()

    def failing() -> None:
        with PageWriter(tmp_path / "a.mp4", tmp_path, WHOLE) as page:
            assert begun.wait(10)
            page.begin(never_asked)
            raise KeyError

    monkeypatch.setattr(page_writer, "write_page_video", encode)
    with pytest.raises(KeyError):
        failing()
    assert not ended.is_set()


def test_an_error_of_the_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with PageWriter(tmp_path / "a.mp4", tmp_path, WHOLE) as page:
        page.begin(never_asked)
        with pytest.raises(UnreadableMediaError) as raised:
            page.finish(no_stages)
    assert raised.value.path == tmp_path / "a.mp4"
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4"}
