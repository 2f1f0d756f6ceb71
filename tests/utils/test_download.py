from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tvsl.errors import DataError, WeightsError
from tvsl.utils.download import download

CONTENT = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def part_of(target: Path) -> Path:
    """File in which the bytes gather."""
    return target.with_name(f".tvsl-{SHA256[:16]}-{target.name}")


class Server(ThreadingHTTPServer):
    """Serves CONTENT; can break off, ignore ranges, refuse, or serve something else."""

    break_after: int | None = None
    ranges = True
    status: int | None = None
    content = CONTENT
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        if self.server.status is not None:
            self.send_error(self.server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start and self.server.ranges and start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:] if self.server.ranges else self.server.content
        self.send_response(206 if asked and self.server.ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.bin"


def fetch(server: Server, target: Path, sha256: str = SHA256) -> list[tuple[int, int | None]]:
    seen: list[tuple[int, int | None]] = []
    url = f"http://127.0.0.1:{server.server_port}/file.bin"
    download(url, target, sha256, "by hand", lambda done, total: seen.append((done, total)))
    return seen


def test_download_shows_progress_and_is_whole(server: Server, target: Path) -> None:
    seen = fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_a_file_that_is_there_is_not_asked_for_again(server: Server, target: Path) -> None:
    fetch(server, target)
    fetch(server, target)
    assert len(server.asked) == 1


def test_a_damaged_file_is_replaced(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"damaged")
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.break_after = 300_000
    with pytest.raises(WeightsError, match="goes on where it stopped"):
        fetch(server, target)
    assert not target.exists()
    arrived = part_of(target).stat().st_size
    assert 0 < arrived <= 300_000
    server.break_after = None
    seen = fetch(server, target)
    assert server.asked[-1] == f"bytes={arrived}-"
    assert seen[0][0] > arrived
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


def test_a_server_without_ranges_starts_again(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    server.ranges = False
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away_and_the_next_try_is_clean(
    server: Server, target: Path
) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    with pytest.raises(WeightsError, match="wrong checksum"):
        fetch(server, target)
    assert list(target.parent.iterdir()) == []
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_part_that_was_complete_is_used(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_wrong_content_never_gets_the_name(server: Server, target: Path) -> None:
    server.content = b"<html>not found</html>"
    with pytest.raises(WeightsError, match="wrong checksum") as caught:
        fetch(server, target)
    assert str(target) in str(caught.value)
    assert not target.parent.exists()


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_names_the_way_by_hand(status: int, server: Server, target: Path) -> None:
    server.status = status
    with pytest.raises(WeightsError, match="by hand"):
        fetch(server, target)
    assert not target.exists()


def test_nobody_answers(target: Path) -> None:
    with pytest.raises(WeightsError, match="Check the network"):
        download("http://127.0.0.1:9/file.bin", target, SHA256, "by hand")


def test_the_error_is_of_the_type_that_was_given(target: Path) -> None:
    with pytest.raises(DataError, match="by hand"):
        download("http://127.0.0.1:9/list.csv", target, SHA256, "by hand", error_type=DataError)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(WeightsError, match="TVSL_HOME"):
        fetch(server, blocked / "inner" / "file.bin")


def test_a_second_run_that_fetches_is_told_at_once(server: Server, target: Path) -> None:
    target.parent.mkdir()
    place = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        with pytest.raises(WeightsError, match="Another run"):
            fetch(server, target)
        assert server.asked == []
        target.write_bytes(CONTENT)  # what is there needs no lock
        fetch(server, target)
    finally:
        os.close(place)


def test_parts_of_others_stay(server: Server, target: Path) -> None:
    target.parent.mkdir()
    mine = target.with_name(f"{target.name}.part")
    mine.write_bytes(b"mine")
    fetch(server, target)
    assert mine.read_bytes() == b"mine"
