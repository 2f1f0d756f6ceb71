"""Preparation of videos by several worker processes.

A worker shares nothing with this process but a pair of pipes. If it is killed, or a broken video
crashes it, only that video fails: it is reported, and a new worker is started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO, cast

import tvsl
from tvsl.errors import OutputError, TvslError, UnreadableMediaError
from tvsl.preprocess.finding import Video
from tvsl.preprocess.journal import Extracted, ExtractionResult
from tvsl.preprocess.options import Failure, Options, describe_error
from tvsl.utils.processes import usable_cores

_SECONDS_TO_END = 10
_MODULE = "tvsl.preprocess.worker"
# Numeric libraries start a thread per core, but every core already has a worker.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def prepare_all(
    videos: Iterable[Video], folder: Path, options: Options, root: Path, workers: int | None = None
) -> Generator[tuple[Video, ExtractionResult], None, None]:
    """Prepare videos in worker processes, which end when the iterator ends or is closed.

    Args:
        videos: The videos, taken when there is a process for them.
        folder: The folder that they are in.
        options: What is extracted from each.
        root: The folder with existing ``frames`` and ``audio``.
        workers: Number of processes; one per core when None.

    Yields:
        Each video when it is done, with its result.

    Raises:
        OutputError: A file cannot be written.
        TvslError: A process could not be started.
    """
    processes = _WorkerPool({"root": str(root.absolute()), "options": options.to_dict()})
    count = workers or usable_cores()
    executor = ThreadPoolExecutor(count)
    coming = iter(videos)
    pending: dict[Future[ExtractionResult], Video] = {}
    try:
        while True:
            # One request more than there are processes, so that no process is ever idle.
            for video in islice(coming, count + 1 - len(pending)):
                pending[executor.submit(processes.prepare, video, folder)] = video
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        processes.kill()
        executor.shutdown()
        processes.close()


class _WorkerPool:
    """Worker processes, started on demand; ``setup`` is the first request to each."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._started: list[_Process] = []

    def prepare(self, video: Video, folder: Path) -> ExtractionResult:
        """Let a worker prepare a video of a folder; called by one thread per process."""
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = self._start()
        answer = process.request(
            {
                "clip": video.id,
                "source": str((folder / video.source).absolute()),
                "pictures": video.pictures,
                "earlier": video.earlier,
            }
        )
        if answer is None:
            error = UnreadableMediaError(
                f"The process that read it ended unexpectedly ({process.exit_reason()}).",
                "It may need more memory than there is: try again with fewer workers.",
            )
            return Failure(video.id, video.source, video.size, *describe_error(error))
        self._idle.put(process)
        if "stopped" in answer:
            problem, remedy, place = answer["stopped"]
            raise OutputError(problem, remedy, place)
        if "failed" in answer:
            return Failure(video.id, video.source, video.size, *answer["failed"])
        taken = answer["extracted"]
        window = taken["window"][0], taken["window"][1]
        return Extracted(taken["pictures"], window, tuple(taken["warnings"]))

    def _start(self) -> _Process:
        process = _Process()
        self._started.append(process)
        if process.request(self._setup) is None:
            raise TvslError(
                f"A worker process could not be started ({process.exit_reason()}).",
                "See its message, if there is one; fewer workers need less memory.",
            )
        return process

    def kill(self) -> None:
        """Kill all processes; threads may still be waiting for their answers."""
        for process in self._started:
            process.kill()

    def close(self) -> None:
        """Close all processes once no thread waits for them."""
        for process in self._started:
            process.close()


class _Process:
    """One worker process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, **_ENVIRONMENT},
            # Python looks for modules here first: it finds this package, and never a file of the
            # user's folder that is named like a module.
            cwd=Path(tvsl.__file__).parents[1],
            # Ctrl-C is for the parent process alone.
            start_new_session=True,
        )
        self._requests = cast("TextIO", self._process.stdin)
        self._answers = cast("TextIO", self._process.stdout)

    def request(self, request: Any) -> Any:
        """Send a request and return the answer; None where the process ended instead."""
        with suppress(OSError):  # a closed pipe: then there is no answer either
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        line = self._answers.readline()
        return json.loads(line) if line.endswith("\n") else None

    def exit_reason(self) -> str:
        """Exit code or signal of a process that closed its pipe, for messages."""
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "it hangs"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """Kill the process if it still runs; a waiting request returns None."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill the process if it still runs, and close the pipes."""
        self.kill()
        self._answers.close()
        with suppress(OSError):  # a request that is still in the buffer
            self._requests.close()
