"""The queue: one job at a time, in a worker process that it starts, asks and can kill.

All of it runs in one event loop, so nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from anyio import fail_after

import tvsl
from tvsl.errors import TvslError
from tvsl.serve.config import ServeConfig
from tvsl.serve.guard import JOBS
from tvsl.serve.schemas import (
    MEDIA_TYPES,
    FileName,
    FoundSource,
    JobOptions,
    JobState,
    JobStatus,
    Problem,
    Refusal,
    ResultFile,
)
from tvsl.utils.files import home

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
            # Python looks for modules here first, and never finds a file of the user's. The worker
            # goes to the folder of the command when Python has started.
            cwd=Path(tvsl.__file__).parents[1],
            env=_environment(),
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


def _environment() -> dict[str, str]:
    """The environment, with paths that mean the same in every folder."""
    found = {**os.environ, "TVSL_HOME": str(home().absolute())}
    if places := found.get("PYTHONPATH"):
        known = [str(Path(place).absolute()) for place in places.split(os.pathsep) if place]
        found["PYTHONPATH"] = os.pathsep.join(known)
    return found


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


RETRY_SECONDS: Final = 10
"""Seconds after which one may ask again where the queue is full."""
MOST_RESULTS: Final = 20
"""Results that are kept; of more, the oldest is forgotten."""
MOST_ENDED: Final = 100
"""Jobs that ended and are remembered."""
UPLOADS: Final = "upload"
RESULTS: Final = "result"

_ENDED: Final = ("done", "failed", "cancelled")
_LONGEST_SLEEP = 30.0


@dataclass(eq=False)
class Job:
    """One job.

    Attributes:
        id: Its name.
        folder: Its folder.
        state: What it is at; ``uploading`` before anyone knows its name.
        files: Uploads by their fields.
        options: Options of its form.
        stage: What is being done.
        done: Steps of the stage that are done.
        total: All steps of the stage, if known.
        problem: The reason why it failed or was cancelled.
        result: What the worker said of the result.
        is_cancelled: Whether it was cancelled.
        ended: Set when it has ended.
        ended_at: When it ended, by the monotonic clock.
    """

    id: str
    folder: Path
    state: JobState | str = "uploading"
    files: Mapping[str, Path] = field(default_factory=dict)
    options: JobOptions = field(default_factory=JobOptions)
    stage: str | None = None
    done: int = 0
    total: int | None = None
    problem: Problem | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    is_cancelled: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0

    @property
    def uploads(self) -> Path:
        """Folder of the uploads; it goes when the job ends."""
        return self.folder / UPLOADS

    @property
    def has_ended(self) -> bool:
        """True once nothing more will happen."""
        return self.state in _ENDED


class Jobs:
    """The queue of one service; a context in which its worker runs.

    Args:
        config: Limits, and the model.
        folder: A folder of the service's own; uploads and results lie in it.
        command: The worker's command line.
    """

    def __init__(self, config: ServeConfig, folder: Path, command: Sequence[str] = WORKER) -> None:
        self.config = config
        self.folder = folder
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._worker = WorkerProcess(
            command,
            {
                "root": str(folder),
                "started_in": str(Path.cwd()),
                "model": config.model,
                "max_media_seconds": config.max_media_seconds,
                "max_upload": config.max_upload,
            },
        )

    async def __aenter__(self) -> Jobs:
        """Start the worker, and wait until its model is loaded.

        Raises:
            TvslError: It cannot be, or the worker ends.
        """
        async with AsyncExitStack() as undone:
            undone.push_async_callback(self._worker.kill)
            await self._worker.start()
            undone.pop_all()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._expire())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the worker, whatever it does, and forget all jobs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._worker.kill()
        for job in list(self._jobs.values()):
            await self._forget(job)

    @property
    def free(self) -> int:
        """Number of jobs that would be taken now."""
        held = sum(not job.has_ended for job in self._jobs.values())
        return max(0, self.config.max_waiting + 1 - held)

    def reserve(self) -> Job:
        """Take a place in the queue, before anything is uploaded; it is submitted or dropped.

        Raises:
            Refusal: The queue is full.
        """
        if not self.free:
            raise Refusal(
                503,
                "busy",
                "Other jobs are waiting already.",
                f"Try again in {RETRY_SECONDS} seconds or more.",
                {"Retry-After": str(RETRY_SECONDS)},
            )
        name = secrets.token_hex(16)
        job = Job(name, self.folder / name)
        job.uploads.mkdir(parents=True)
        self._jobs[name] = job
        return job

    def submit(self, job: Job, files: Mapping[str, Path], options: JobOptions) -> None:
        """Queue a job whose files are there.

        Args:
            job: As ``reserve`` gave it.
            files: Its uploads by their fields.
            options: Options of its form.
        """
        job.files, job.options, job.state = files, options, "waiting"
        self._waiting.append(job)
        self._wake.set()

    async def drop(self, job: Job) -> None:
        """Give the place of a job back that cannot be submitted."""
        await self._forget(job)

    def find(self, name: str) -> Job:
        """A job by its name.

        Raises:
            Refusal: There is none.
        """
        job = self._jobs.get(name)
        if job is None or job.state == "uploading":
            raise Refusal(
                404,
                "no_job",
                "There is no such job.",
                "It was deleted or has expired; start it again.",
            )
        return job

    def status(self, job: Job) -> JobStatus:
        """Status of a job."""
        is_running, is_done = job.state == "running", job.state == "done"
        left = self.config.keep_seconds - (time.monotonic() - job.ended_at)
        return JobStatus(
            id=job.id,
            state=job.state,
            place=self._place(job),
            stage=job.stage if is_running else None,
            done=job.done if is_running else 0,
            total=job.total if is_running else None,
            problem=job.problem,
            found=[FoundSource(**one) for one in job.result["found"]] if is_done else [],
            notices=list(job.result["notices"]) if is_done else [],
            files=self._files(job) if is_done else [],
            expires_in=round(max(left, 0.0), 1) if job.has_ended else None,
        )

    def result_file(self, job: Job, name: FileName) -> Path:
        """A file of a result.

        Args:
            job: The job.
            name: The file's name.

        Raises:
            Refusal: There is none of this name, or the job is not done.
        """
        path = job.folder / RESULTS / name
        if job.state != "done" or not path.is_file():
            raise Refusal(
                404, "no_file", "There is no such file.", "See the files that the job lists."
            )
        return path

    async def cancel(self, job: Job) -> None:
        """End a job that waits or is running; its worker is killed.

        Raises:
            Refusal: It has ended.
        """
        if not job.has_ended:
            job.is_cancelled = True
            if job in self._waiting:
                self._waiting.remove(job)
                await self._end(job, "cancelled")
            elif job is self._running:
                await self._worker.kill()
            await job.ended.wait()
            if job.state == "cancelled":
                return
        raise Refusal(409, "ended", "The job has ended.", "Delete it, or start another one.")

    async def delete(self, job: Job) -> None:
        """Forget a job with all its files, ending it first if need be."""
        with suppress(Refusal):  # it has ended
            await self.cancel(job)
        await self._forget(job)

    def _place(self, job: Job) -> int:
        if job not in self._waiting:
            return 0
        return self._waiting.index(job) + (self._running is not None)

    def _files(self, job: Job) -> list[ResultFile]:
        found = []
        for name, media_type in MEDIA_TYPES.items():
            path = job.folder / RESULTS / name
            if path.is_file():
                url = f"{JOBS}/{job.id}/files/{name}"
                size = path.stat().st_size
                found.append(ResultFile(name=name, media_type=media_type, bytes=size, url=url))
        return found

    async def _run(self) -> None:
        """Do one job after another, and have a worker ready in between."""
        while True:
            with suppress(TvslError):  # the next job tells, if it fails again
                await self._worker.start()
            await self._wake.wait()
            if not self._waiting:
                self._wake.clear()
                continue
            job = self._running = self._waiting.popleft()
            try:
                await self._do(job)
            finally:
                self._running = None
            state: JobState = "done" if job.problem is None else "failed"
            await self._end(job, "cancelled" if job.is_cancelled else state)

    async def _do(self, job: Job) -> None:
        """Do one job; if it fails, its problem says why."""
        job.state, job.stage = "running", "Loading the model"
        limit = self.config.max_job_seconds
        try:
            with fail_after(limit):  # see `WorkerProcess.start`
                await self._ask(job)
        except TimeoutError:
            await self._worker.kill()
            job.problem = Problem(
                code="too_long",
                problem=f"The job took more than {limit:g} seconds.",
                remedy="Give a shorter piece.",
            )
        except TvslError as error:  # of the start of a worker
            job.problem = Problem(code="no_worker", problem=error.problem, remedy=error.remedy)
        except WorkerEnded as ended:
            await self._worker.kill()
            job.problem = Problem(
                code="worker_ended",
                problem=f"The process that did the work ended ({ended.reason}).",
                remedy="It may need more memory than there is: give a shorter or smaller piece.",
            )
        except Exception as error:  # noqa: BLE001 - the queue goes on; what it holds is not told
            await self._worker.kill()
            job.problem = Problem(
                code="unforeseen",
                problem=f"An error that tvsl did not foresee ({type(error).__name__}).",
                remedy="Please report it, with what you did.",
            )

    async def _ask(self, job: Job) -> None:
        await self._worker.start()
        await self._worker.send(
            {
                "folder": str(job.uploads),
                "files": {name: path.name for name, path in job.files.items()},
                "output": str(job.folder / RESULTS),
                "labels": job.options.names,
                "sources": job.options.sources,
                "every": job.options.every,
            }
        )
        while True:
            said = await self._worker.receive()
            if "stage" in said:
                job.stage, job.done, job.total = said["stage"], said["done"], said["total"]
            elif "failed" in said:
                job.problem = Problem(**said["failed"])
                return
            else:
                job.result = said["result"]
                return

    async def _end(self, job: Job, state: JobState) -> None:
        """End a job: its uploads go, and its results too where it is not done.

        Nobody is told that it has ended before that is done.
        """
        await _remove(job.uploads if state == "done" else job.folder)
        if state == "cancelled":
            job.problem = Problem(
                code="cancelled", problem="The job was cancelled.", remedy="Start it again."
            )
        job.state, job.ended_at, job.files = state, time.monotonic(), {}
        job.ended.set()
        await self._prune()

    async def _prune(self) -> None:
        """Forget the oldest jobs, where they are too old or too many."""
        now = time.monotonic()
        ended = sorted(
            (job for job in self._jobs.values() if job.has_ended), key=lambda job: job.ended_at
        )
        done = [job for job in ended if job.state == "done"]
        old = [job for job in ended if now - job.ended_at >= self.config.keep_seconds]
        for job in {*old, *ended[: -MOST_ENDED or None], *done[: -MOST_RESULTS or None]}:
            await self._forget(job)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(min(self.config.keep_seconds / 2, _LONGEST_SLEEP))
            await self._prune()

    async def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        await _remove(job.folder)


async def _remove(folder: Path) -> None:
    """Remove a folder; a file that another one still reads from it goes as well."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
