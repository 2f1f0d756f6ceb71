from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from tests.media.media_makers import make_sound, make_video
from tests.small_model import RATE, tone, write_picture, write_small_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and broken inputs."""
    folder = tmp_path_factory.mktemp("media")
    write_picture(folder / "photo.png")
    make_sound(folder / "bark.wav", tone(), RATE)
    make_sound(folder / "silent.wav", tone() * 0, RATE)
    make_video(folder / "clip.mp4", count=30, rate=10, sound=tone(3.0))
    make_video(folder / "hushed.mp4", count=10, rate=10, sound=tone(1.0) * 0)
    make_video(folder / "mute.mp4", count=5)
    whole = (folder / "clip.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "junk.mp4").write_bytes(b"this is no video at all" * 20)
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """So small a model is slower on several threads, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a network that refuses every connection at once."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TVSL_HOME", str(folder))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a local server offers its files."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that takes the addresses which the user's browser, a script, is told to open."""
    addresses, script = tmp_path / "opened.txt", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> "{addresses}"\n', encoding="utf-8")
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    for name, value in (("_tryorder", None), ("_browsers", {})):  # it looks once for browsers
        monkeypatch.setattr(f"webbrowser.{name}", value)
    return addresses
