"""The worker process, as the service holds it: started, asked, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from anyio import fail_after

import tvsl
from tvsl.errors import TvslError

WORKER: Final = (sys.executable, "-m", "tvsl.serve.worker")
START_SECONDS: Final = 600
"""Time in which a worker must have loaded its model; weights may have to be fetched."""
LONGEST_ANSWER: Final = 2**20
"""Bytes of a line that a worker writes."""


class WorkerEnded(Exception):  # noqa: N818 - it is news, and what to make of it is the queue's
    """The worker ended without an answer.

    Args:
        reason: Its exit code or signal.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WorkerProcess:
    """One worker after another; each shares a pair of pipes with the service, and nothing else.

    Args:
        command: Its command line.
        setup: First line that it is sent.
    """

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any]) -> None:
        self._command = command
        self._setup = setup
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._is_ready = False

    @property
    def number(self) -> int | None:
        """Process number of the worker that runs; None where there is none."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        """Start a worker if none runs, and wait until it is ready.

        Raises:
            TvslError: Its model cannot be loaded, or it cannot be started.
        """
        async with self._starting:
            if self.number is not None and self._is_ready:
                return
            await self.kill()
            self._is_ready = False
            try:
                # asyncio.wait_for loses a cancellation that comes when all is done (before 3.12).
                with fail_after(START_SECONDS):
                    said = await self._begin()
            except TimeoutError:
                await self.kill()
                raise _no_worker("it took too long") from None
            except OSError as error:
                raise _no_worker(error.strerror or "unknown") from error
            except WorkerEnded as ended:
                raise _no_worker(ended.reason) from ended
            if "failed" in said:
                await self.kill()
                raise TvslError(said["failed"]["problem"], said["failed"]["remedy"])
            self._is_ready = True

    async def _begin(self) -> dict[str, Any]:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # What libraries print of a file is kept nowhere.
            stderr=asyncio.subprocess.DEVNULL,
            # Python looks for modules here first, and never finds a file of the user's.
            cwd=Path(tvsl.__file__).parents[1],
            # Ctrl-C is for the service alone; it kills the worker with all that it started.
            start_new_session=True,
            limit=LONGEST_ANSWER,
        )
        await self.send(self._setup)
        said = await self.receive()
        while "stage" in said:  # weights are fetched
            said = await self.receive()
        return said

    async def send(self, content: Mapping[str, Any]) -> None:
        """Send a line.

        Raises:
            WorkerEnded: Nobody reads it.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise WorkerEnded("there is none")
        with suppress(ConnectionError):  # `receive` tells why
            process.stdin.write(json.dumps(content).encode() + b"\n")
            await process.stdin.drain()

    async def receive(self) -> dict[str, Any]:
        """Wait for the next line.

        Raises:
            WorkerEnded: There is no further one.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerEnded("there is none")
        try:
            line = await process.stdout.readline()
            if line.endswith(b"\n"):
                found: dict[str, Any] = json.loads(line)
                return found
        except ValueError as error:
            raise WorkerEnded("it said what is no answer") from error
        self._is_ready = False
        code = await process.wait()
        raise WorkerEnded(_signal_name(-code) if code < 0 else f"exit code {code}")

    async def kill(self) -> None:
        """Kill the worker that runs, if any, and wait until it has gone."""
        process = self._process
        self._is_ready = False
        if process is None:
            return
        with suppress(ProcessLookupError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _no_worker(reason: str) -> TvslError:
    return TvslError(
        f"The process that does the work could not be started ({reason}).",
        "Try `tvsl localize` with the same model: it shows why.",
    )
