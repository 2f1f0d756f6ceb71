"""Prepare a folder of raw videos: find them, extract clips in several processes, report.

The prepared folder is opened by one run at a time, and remembers the options it was made with. A
worker shares nothing with this process but a pair of pipes: if it is killed, or a broken video
crashes it, only that video fails. It is reported, and a new worker is started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO, cast

import tvsl
from tvsl import __version__
from tvsl.errors import MediaWarning, OutputError, TvslError, UnreadableMediaError
from tvsl.preprocess.finding import Video, find_videos
from tvsl.preprocess.journal import RECORDS_FILE, Extracted, ExtractionResult, Journal, JournalFile
from tvsl.preprocess.layouts import AUDIO, FRAMES, split_name
from tvsl.preprocess.options import (
    Clip,
    Failure,
    Options,
    VideoRecord,
    describe_error,
    record_to_json,
)
from tvsl.utils.atomic import (
    entries,
    foreign_record,
    is_inside,
    locked,
    recover,
    writable,
    write_text,
)
from tvsl.utils.id_lists import ListedId
from tvsl.utils.processes import Processes, Progress, no_progress, processes, usable_cores
from tvsl.utils.run_folder import describe_changes, read_record

REPORT_FILE = "report.json"

_REMEDY = "Choose another folder, or add --force to start over."


@dataclass(frozen=True)
class Prepared:
    """Result of a run.

    Attributes:
        found: Number of wanted videos in the folder.
        unchanged: Number of those whose clips existed already.
        failures: Those from which nothing could be extracted, with the reasons.
        listed: Number of ids in the list; None without a list.
        missing: Listed ids without a video.
        example: Id of a video of the folder.
        left: Ids of clips of earlier runs that stay because their videos failed now.
        root: The prepared folder.
    """

    found: int
    unchanged: int
    failures: tuple[Failure, ...]
    listed: int | None
    missing: tuple[str, ...]
    root: Path
    example: str | None = None
    left: tuple[str, ...] = ()

    def report(self, options: Options) -> dict[str, Any]:
        """Content of ``report.json``; the same however often the run was interrupted."""
        listed = {} if self.listed is None else {"listed": self.listed, "missing": [*self.missing]}
        left = {"left": [*self.left]} if self.left else {}
        return {
            "finished": True,
            "tvsl": __version__,
            "options": options.to_dict(),
            "found": self.found,
            "ok": self.found - len(self.failures),
            "failed": len(self.failures),
            "reasons": dict(sorted(Counter(failure.kind for failure in self.failures).items())),
            "failures": [record_to_json(failure) for failure in self.failures],
            **left,
            **listed,
        }


def prepare(
    folder: Path,
    root: Path,
    options: Options,
    *,
    listed: Sequence[ListedId | str] | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> Prepared:
    """Make ``frames/ID.jpg`` and ``audio/ID.wav`` of the videos of a folder.

    Several processes share the videos where `torchrun` or SLURM starts them, each with its workers.
    An interrupted run continues when it is started again, and failed videos are tried again. Beside
    the clips are ``prepared.jsonl``, a line for each video, and ``report.json``.

    Args:
        folder: The folder of the videos.
        root: Folder of the clips.
        options: What is extracted from each video.
        listed: The wanted ids, in any form in which lists write them; all when None.
        workers: Number of workers of each process; one per core when None.
        force: Whether to replace existing clips. Each stays until the new one is complete, or if
            it cannot be made again; clips whose videos are no longer wanted are removed at the end.
        progress: Called with videos done and videos to do.

    Raises:
        MissingFileError: There is no such folder, or no video in it.
        OutputError: The clips cannot be written, or there are clips of other options.
        LostProcessError: Another process of the run has ended.
        KeyboardInterrupt: Ctrl-C; finished clips stay.
    """
    with processes() as team:
        if not team.leads:
            return _help(folder, root, options, workers, team)
        return _lead(folder, root, options, listed, workers, force, progress, team)


def _lead(
    folder: Path,
    root: Path,
    options: Options,
    listed: Sequence[ListedId | str] | None,
    workers: int | None,
    force: bool,
    progress: Progress,
    team: Processes,
) -> Prepared:
    """Find the videos, prepare them with the other processes, and report."""
    check_root(root, options, force, folder)  # before a large folder is looked through
    found = find_videos(folder, options.layout, listed)
    with open_root(root, options, force, found.videos) as journal:
        earlier: tuple[Clip, ...] = journal.clips if force else ()
        for unnamed in found.unnamed:
            journal.add(unnamed)
        todo = [video for video in found.videos if force or not journal.is_complete(video)]
        videos = team.broadcast([journal.with_existing(video, force) for video in todo])
        results = _prepare_share(videos, folder, options, root, workers, team)
        with closing(results):
            for record, done in results:
                journal.add(record)
                progress(done, len(todo))
        for records in team.gather(_NO_RECORDS):
            for record in records:
                journal.note(record)
        if team.count > 1:
            progress(len(todo), len(todo))
        wanted = {one.id for one in found.videos} | {one.id for one in found.unnamed}
        for clip in earlier:
            if clip.id not in wanted:
                journal.drop(clip.id)
        journal.merge()
        made = Prepared(
            found=len(found.videos) + len(found.unnamed),
            unchanged=len(found.videos) - len(todo),
            failures=journal.failures,
            listed=None if listed is None else found.listed,
            missing=found.missing,
            root=root,
            example=found.example,
            left=journal.left,
        )
        write_report(root, made.report(options))
    return team.broadcast(made)


_NO_RECORDS: list[VideoRecord] = []


def _help(
    folder: Path, root: Path, options: Options, workers: int | None, team: Processes
) -> Prepared:
    """Prepare the videos that fall to this process, another one than the first."""
    nothing: list[Video] = []
    videos, records = team.broadcast(nothing), list[VideoRecord]()
    own = JournalFile(root, team.rank)
    try:
        with closing(_prepare_share(videos, folder, options, root, workers, team)) as results:
            for record, _ in results:
                own.add(record)
                records.append(record)
    finally:
        own.close()
    team.gather(records)
    made: Prepared | None = None
    return cast("Prepared", team.broadcast(made))


def _prepare_share(
    videos: Sequence[Video],
    folder: Path,
    options: Options,
    root: Path,
    workers: int | None,
    team: Processes,
) -> Generator[tuple[VideoRecord, int], None, None]:
    """Records of the videos that this process takes, with the number that all have done."""
    count, here = team.counter(), workers or team.cores
    taken, most = team.taken(videos), max(1, min(here, len(videos)))
    with closing(prepare_all(taken, folder, options, root, most)) as results:
        for video, result in results:
            for problem in result.warnings if isinstance(result, Extracted) else ():
                warnings.warn(MediaWarning(problem, folder / video.source), stacklevel=2)
            yield _record(video, result), count(1)


def _record(video: Video, result: ExtractionResult) -> VideoRecord:
    """The record of a video."""
    if isinstance(result, Failure):
        return result
    return Clip(
        video.id,
        video.source,
        video.size,
        result.pictures,
        result.window,
        bool(video.pictures),
        result.warnings,
    )


@contextmanager
def open_root(
    root: Path, options: Options, force: bool, videos: Sequence[Video] = ()
) -> Iterator[Journal]:
    """Open a folder to prepare clips in; no other run can open it meanwhile.

    Args:
        root: The folder, made where it is missing.
        options: Options of the clips.
        force: Whether to start over: clips of earlier runs are replaced one by one, and those that
            are not wanted any more are removed at the end of the run; other files stay.
        videos: The videos to prepare.

    Raises:
        OutputError: The folder cannot be written, another run writes into it, it holds clips of
            other options, or other files are in the places of clips.
    """
    with locked(root):
        report = check_root(root, options, force)
        journal = Journal(root, options)
        if report is None or report["finished"]:  # otherwise they may come from a killed run
            _check_places(root, journal, videos, options)
        if force:
            # Before the report states the new options.
            journal.mark_outdated(None if report is None else report["options"])
            journal.merge()
        write_report(root, {"finished": False, "options": options.to_dict()})
        with writable(root):
            for name in (FRAMES, AUDIO):
                (root / name).mkdir(exist_ok=True)
                recover(root / name)
        try:
            if journal.unmerged:
                journal.merge()  # its last line may be torn, and must not be written on
            yield journal
        except KeyboardInterrupt:
            journal.merge()
            raise
        finally:
            journal.close()
            with writable(root):
                for name in (FRAMES, AUDIO):
                    recover(root / name)  # files of a worker that was killed


def check_root(
    root: Path, options: Options, force: bool, videos: Path | None = None
) -> dict[str, Any] | None:
    """Refuse a folder that clips of these options cannot be written into.

    Args:
        root: The folder.
        options: Options of the clips.
        force: Whether to start over.
        videos: Folder of the videos, which may be the same or inside.

    Returns:
        The report of an earlier run; None where there is none.

    Raises:
        OutputError: It holds clips of other options, or other files.
    """
    report = _report(root)
    if not force:
        _check_options(root, report, options)
    if report is None and not force and videos is not None:
        with writable(root):
            others = [path for path in entries(root) if not is_inside(path, videos)]
        if others and os.path.realpath(root) != os.path.realpath(videos):
            raise OutputError(
                f"This folder is not empty, and no {REPORT_FILE} tells that clips are in it.",
                _REMEDY,
                root,
            )
    return report


def write_report(root: Path, report: dict[str, Any]) -> None:
    """Write the report of a run.

    Args:
        root: The folder.
        report: Content of ``report.json``.

    Raises:
        OutputError: It cannot be written.
    """
    write_text(root / REPORT_FILE, json.dumps(report, indent=2) + "\n")


def _report(root: Path) -> dict[str, Any] | None:
    """The report of an earlier run; None where there is none."""
    path = root / REPORT_FILE
    report = read_record(path, {"finished", "options"})
    if report is None:
        return None
    if not isinstance(report["options"], dict) or not isinstance(report["finished"], bool):
        raise foreign_record(path)
    return report


def _check_options(root: Path, report: dict[str, Any] | None, options: Options) -> None:
    """Refuse a folder with clips of other options, or clips without a report."""
    if report is None:
        for name in (FRAMES, AUDIO, RECORDS_FILE):
            if (root / name).exists():
                raise OutputError(
                    f"There is '{name}' already, and no {REPORT_FILE} tells how it was made.",
                    _REMEDY,
                    root,
                )
        return
    changes = describe_changes(report["options"], options.to_dict())
    if changes:
        raise OutputError(f"This folder was prepared with other options: {changes}.", _REMEDY, root)


def _check_places(root: Path, journal: Journal, videos: Sequence[Video], options: Options) -> None:
    """Refuse a folder with other files in the places of new clips."""
    ids = {video.id for video in videos} - journal.ids
    with writable(root):
        for folder, suffix in ((root / FRAMES, ".jpg"), (root / AUDIO, ".wav")):
            has_many = suffix == ".jpg" and options.at is None
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                parts = split_name(path.stem) if has_many else (path.stem,)
                if path.suffix == suffix and parts is not None and parts[0] in ids:
                    raise OutputError(
                        "This file is in the way, and no earlier run wrote it.",
                        "Move it elsewhere.",
                        path,
                    )


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
