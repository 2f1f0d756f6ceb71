"""A service in this process, asked without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from tvsl.serve import Jobs, ServeConfig, create_app
from tvsl.serve.jobs import WORKER

PATIENCE = 60.0
JOBS = "/api/v1/jobs"
FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
_CODE = """
import sys
from tvsl.serve import ServeConfig, jobs, serve
jobs.Jobs.__init__.__defaults__ = (tuple(sys.argv[3:]),)
model = {"name_or_path": sys.argv[2], "device": "cpu"}
config = ServeConfig(port=0, max_upload=10**6, token=sys.argv[1] or None, model=model)
serve(config, lambda address: print(address, flush=True))
"""


@dataclass(frozen=True)
class Service:
    """A service that runs.

    Attributes:
        client: Asks it.
        jobs: Its queue.
        folder: Its folder.
    """

    client: TestClient
    jobs: Jobs
    folder: Path

    def start(self, labels: str | None = None, content: bytes = b"video") -> str:
        """Start a job; its name."""
        data = {} if labels is None else {"labels": labels}
        answer = self.client.post(JOBS, files={"video": ("a.mp4", content)}, data=data)
        assert answer.status_code == 202, answer.text
        name: str = answer.json()["id"]
        assert answer.headers["location"] == f"{JOBS}/{name}"
        return name

    def status(self, name: str) -> dict[str, Any]:
        answer = self.client.get(f"{JOBS}/{name}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        """Wait for one of some states of a job."""
        end = time.monotonic() + PATIENCE
        while (found := self.status(name))["state"] not in states:
            assert found["state"] in ("waiting", "running"), found
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found

    def left(self) -> list[str]:
        """Files of the service, relative to its folder."""
        # os.walk passes over folders that are removed meanwhile; Path.rglob does not.
        return sorted(
            (Path(folder) / name).relative_to(self.folder).as_posix()
            for folder, _, names in os.walk(self.folder)
            for name in names
        )


@contextmanager
def running_service(
    config: ServeConfig, folder: Path, command: Sequence[str], is_local: bool = True
) -> Iterator[Service]:
    """Run a service.

    Args:
        config: Its config.
        folder: Its folder, which is made.
        command: Command line of its worker.
        is_local: Whether only this computer reaches it.
    """
    folder.mkdir()
    jobs = Jobs(config, folder, command)
    app = create_app(jobs, is_local=is_local)
    with TestClient(app, base_url="http://127.0.0.1:8321", raise_server_exceptions=False) as client:
        yield Service(client, jobs, folder)
    assert list(folder.iterdir()) == []


@contextmanager
def running_server(
    folder: Path, token: str = "", model: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server in a process of its own.

    Args:
        folder: Folder of its temporary files.
        token: Its token, if it has one.
        model: Its model; its worker is a fake when None.

    Yields:
        The process, and the server's address.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _CODE,
            token,
            str(model or ""),
            *(FAKE if model is None else WORKER),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        yield process, address
    finally:
        process.kill()
        process.wait()


def until(expression: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + PATIENCE
    while not expression():
        assert time.monotonic() < end
        time.sleep(0.05)
