"""Several processes at work on videos: each takes the next one when it is done with the last.

The processes share nothing with this one but a pair of pipes. One that is killed, or that a broken
video crashes, costs that video: it is reported, and another process takes its place.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO, cast

import tvsl
from tvsl.errors import OutputError, TvslError, UnreadableMediaError
from tvsl.preparing.finding import Video
from tvsl.preparing.options import Options
from tvsl.preparing.outcomes import Failed, Outcome, Taken

_SECONDS_TO_END = 10
_MODULE = "tvsl.preparing.worker"
# Libraries of arithmetic start a thread for each core; here every core has its process already.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def prepare_all(
    videos: Sequence[Video], folder: Path, options: Options, root: Path, workers: int | None = None
) -> Generator[tuple[Video, Outcome], None, None]:
    """Prepare videos in processes, which end when the iterator ends or is closed.

    Args:
        videos: The videos.
        folder: The folder that they are in.
        options: What is taken of each.
        root: The folder with ``frames`` and ``audio``, which are there.
        workers: How many processes; as many as there are cores when None.

    Yields:
        Each video when it is done, with what became of it.

    Raises:
        OutputError: A file cannot be written.
        TvslError: A process could not be started.
    """
    team = _Team({"root": str(root.absolute()), "options": options.to_dict()})
    count = max(1, min(len(videos), workers or _usable_cores()))
    executor = ThreadPoolExecutor(count)
    coming = iter(videos)
    pending: dict[Future[Outcome], Video] = {}
    try:
        while True:
            # One more than there are processes, so that none of them has to wait for this one.
            for video in islice(coming, count + 1 - len(pending)):
                pending[executor.submit(team.prepare, _request(video, folder))] = video
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        team.kill()
        executor.shutdown()
        team.close()


def _usable_cores() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _request(video: Video, folder: Path) -> dict[str, Any]:
    source = str((folder / video.source).absolute())
    return {
        "clip": video.id,
        "source": source,
        "pictures": video.pictures,
        "earlier": video.earlier,
    }


class _Team:
    """Worker processes, started when they are needed.

    Args:
        setup: What each of them is told first.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._started: list[_Process] = []

    def prepare(self, request: dict[str, Any]) -> Outcome:
        """Have a video prepared; called by as many threads as there shall be processes."""
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = self._start()
        answer = process.ask(request)
        if answer is None:
            error = UnreadableMediaError(
                f"The process that read it ended unexpectedly ({process.ending()}).",
                "It may need more memory than there is: try again with fewer workers.",
            )
            return Failed.by(error)
        self._idle.put(process)
        if "stopped" in answer:
            problem, remedy, place = answer["stopped"]
            raise OutputError(problem, remedy, place)
        if "failed" in answer:
            return Failed(**answer["failed"])
        taken = answer["taken"]
        window = taken["window"][0], taken["window"][1]
        return Taken(taken["pictures"], window, tuple(taken["warnings"]))

    def _start(self) -> _Process:
        process = _Process()
        self._started.append(process)
        if process.ask(self._setup) is None:
            raise TvslError(
                f"A worker process could not be started ({process.ending()}).",
                "See its message, if there is one; fewer workers need less memory.",
            )
        return process

    def kill(self) -> None:
        """End all processes, wherever they are in their work; others may still be asking them."""
        for process in self._started:
            process.kill()

    def close(self) -> None:
        """End all processes, when nobody asks them any more."""
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
            # Python looks for modules here first: this very package is found, and nothing that
            # lies about in the user's folder.
            cwd=Path(tvsl.__file__).parents[1],
            # Ctrl-C is meant for the process that counts what is done.
            start_new_session=True,
        )
        self._requests = cast("TextIO", self._process.stdin)
        self._answers = cast("TextIO", self._process.stdout)

    def ask(self, request: Any) -> Any:
        """Send a request and wait for the answer; None where the process ended instead."""
        with suppress(OSError):  # a closed pipe: then there is no answer either
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        line = self._answers.readline()
        return json.loads(line) if line.endswith("\n") else None

    def ending(self) -> str:
        """How the process ended, which has closed its pipe."""
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "it hangs"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """Kill the process where it still runs; whoever waits for an answer gets none."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill the process where it still runs, and close the pipes."""
        self.kill()
        self._answers.close()
        with suppress(OSError):  # what it was still to be told
            self._requests.close()
