"""The server as a process of its own: told to end in the middle of a job, and killed."""

from __future__ import annotations

import http.client
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.serve.service import JOBS, PATIENCE, running_server, until


def start(address: str, labels: str) -> str:
    answer = httpx.post(
        f"{address.rstrip('/')}{JOBS}",
        files={"video": ("a-private-name.mp4", b"private content" * 100)},
        data={"labels": labels},
        timeout=PATIENCE,
    )
    assert answer.status_code == 202
    name: str = answer.json()["id"]
    return name


def state(address: str, name: str) -> str:
    found: str = httpx.get(f"{address.rstrip('/')}{JOBS}/{name}", timeout=PATIENCE).json()["state"]
    return found


def children(number: int) -> list[int]:
    found = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii")
    return [int(one) for one in found.split()]


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


pytestmark = pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/task").is_dir(), reason="no /proc: processes cannot be counted"
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_a_server_that_ends_in_a_job_leaves_no_file_and_no_process(
    tmp_path: Path, name: str
) -> None:
    with running_server(tmp_path) as (process, address):
        job = start(address, "hang")
        until(lambda: state(address, job) == "running")
        (worker,) = children(process.pid)
        assert any("a-private-name" in path.name for path in tmp_path.rglob("*"))
        number = getattr(signal, name)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert (out, err) == ("", "")
        killed = name == "SIGKILL"
        ended = signal.SIGTERM if name == "SIGHUP" else number
        assert process.returncode == (-number if killed else 128 + ended)
        until(lambda: not is_running(worker))
        if killed:  # the worker removes it, unless it is killed with the server
            until(lambda: not list(tmp_path.iterdir()))
        assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_killed_fails_its_job_and_the_next_works(tmp_path: Path) -> None:
    with running_server(tmp_path) as (process, address):
        job = start(address, "hang")
        until(lambda: state(address, job) == "running")
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        until(lambda: state(address, job) == "failed")
        problem = httpx.get(f"{address}api/v1/jobs/{job}").json()["problem"]
        assert "SIGKILL" in problem["problem"]
        other = start(address, "dog")
        until(lambda: state(address, other) == "done")
        assert not any("private" in path.name for path in tmp_path.rglob("*"))
        process.terminate()
        assert process.communicate(timeout=PATIENCE) == ("", "")


def test_nothing_is_logged(tmp_path: Path) -> None:
    token = "a-private-token-1234"
    with running_server(tmp_path, token) as (process, address):
        place = address.removeprefix("http://").rstrip("/")
        sent = {"Authorization": f"Bearer {token}"}
        httpx.get(f"{address}a-private-path?token={token}", headers=sent)
        httpx.post(f"{address}api/v1/session", json={"token": token})
        httpx.post(f"{address}api/v1/session", json={"token": f"{token}!"})
        connection = http.client.HTTPConnection(place)
        connection.request("GET", "/a-private-path", headers={"Bad": "x" * 200_000})
        with suppress(OSError, http.client.HTTPException):
            connection.getresponse().read()
        connection.close()
        garbage = {**sent, "Content-Type": "multipart/form-data; boundary=x"}
        httpx.post(f"{address}api/v1/jobs", content=b"\0private", headers=garbage)
        files = {"video": ("a-private-name.mp4", b"private")}
        for labels in ("fail", "die", "dog"):
            answer = httpx.post(
                f"{address}api/v1/jobs", files=files, data={"labels": labels}, headers=sent
            )
            url = f"{address}api/v1/jobs/{answer.json()['id']}"

            def has_ended(url: str = url) -> bool:
                found = httpx.get(url, headers=sent).json()["state"]
                return found not in ("waiting", "running")

            until(has_ended)
        process.terminate()
        assert process.communicate(timeout=PATIENCE) == ("", "")
