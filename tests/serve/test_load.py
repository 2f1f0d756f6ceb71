"""Two hundred requests at once, hostile ones among them; then the service is as it was."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serve.service import JOBS, PATIENCE, running_server, until
from tests.serve.test_app import HOSTILE
from tests.serve.test_server import children

REQUESTS = 200
AT_ONCE = 16
ALLOWED = {200, 202, 400, 403, 404, 405, 408, 413, 415, 421, 422, 503}


def raw(address: str, content: bytes, rest: float = 0.0) -> int:
    """Send bytes, wait, and close without reading further; the status, or 0 for none."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as line:
        line.settimeout(20)
        try:
            line.sendall(content)
            threading.Event().wait(rest)
            answer = line.recv(64) if rest == 0 else b""
        except OSError:
            return 0
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def ask(address: str, number: int) -> tuple[str, int]:
    """One request: a good one, or one of several hostile kinds."""
    url, draw = f"{address.rstrip('/')}{JOBS}", random.Random(number)
    kind = draw.choice(["good", "good", "form", "form", "large", "raw", "broken off", "read"])
    head = f"POST {JOBS} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    with httpx.Client(timeout=PATIENCE) as client:
        if kind == "good":
            files = {"video": (f"{number}.mp4", draw.randbytes(20_000))}
            labels = draw.choice(["dog", "fail", "die"])
            answer = client.post(url, files=files, data={"labels": labels})
            assert answer.status_code != 503 or answer.headers["retry-after"]
            return kind, answer.status_code
        if kind == "form":
            media_type, body, _ = HOSTILE[draw.choice(sorted(HOSTILE))]
            answer = client.post(url, content=body, headers={"Content-Type": media_type})
            return kind, answer.status_code
        if kind == "read":
            paths = (f"/api/v1/jobs/{number}", "/../../etc/passwd", "/%00", "/api/v1/service")
            headers = {"Host": draw.choice(["127.0.0.1", "evil.example"])}
            answer = client.get(
                f"{address}{draw.choice(paths)}".replace("//a", "/a"), headers=headers
            )
            return kind, answer.status_code
        if kind == "large":
            files = {"video": ("large.mp4", b"x" * 3_000_000)}
            try:
                return kind, client.post(url, files=files).status_code
            except httpx.TransportError:  # it is closed while the rest is being sent
                return kind, 413
    if kind == "broken off":
        sent = (
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000\r\n\r\n--x\r\n"
        )
        return kind, raw(address, head + sent, rest=0.2)
    return kind, raw(
        address,
        draw.choice(
            [
                b"\x16\x03\x01" + draw.randbytes(200),
                b"GET / HTTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n",
                head + b"Content-Length: -5\r\n\r\n",
                head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            ]
        ),
    )


@pytest.mark.slow
def test_two_hundred_requests(tmp_path: Path) -> None:
    with running_server(tmp_path) as (process, address):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = Counter(pool.map(lambda number: ask(address, number), range(REQUESTS)))
        print(sorted(found.items()))
        assert sum(found.values()) == REQUESTS
        assert {status for _, status in found} <= {0, *ALLOWED}
        assert all(status in (202, 503) for kind, status in found if kind == "good")
        assert found["good", 202] > 0
        service = f"{address}api/v1/service"

        def is_idle() -> bool:
            return bool(httpx.get(service, timeout=PATIENCE).json()["free"] == 9)

        until(is_idle)
        files = [path for path in tmp_path.rglob("*") if path.parent.name == "upload"]
        assert files == []
        assert len(children(process.pid)) <= 1
        answer = httpx.post(f"{address}api/v1/jobs", files={"video": ("a.mp4", b"video")})
        assert answer.status_code == 202
        process.terminate()
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert list(tmp_path.iterdir()) == []
