"""Processes that train and score heads, and the jobs that they do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from tvsl.errors import MediaWarning, OutputError
from tvsl.reproduce.experiment import Experiment, ExperimentConfig, SceneSet
from tvsl.reproduce.plan import EvalTarget
from tvsl.reproduce.specs import Training
from tvsl.reproduce.train import Runs
from tvsl.utils.devices import keep_freed_memory

_POLL_SECONDS = 1.0


class Job(Protocol):
    """A piece of work that any process can do; what it makes is on disk when it is done."""

    def do(self, experiment: Experiment) -> None:
        """Do it, unless it is done."""


Told = Callable[[int], None]
"""Called with how many jobs were done since the last time, perhaps none."""


@dataclass(frozen=True)
class Workers:
    """Does jobs, in this process or in several.

    Attributes:
        experiment: This process's own.
        count: How many jobs are done at once.
        pool: The others; None where this one does all.
    """

    experiment: Experiment
    count: int = 1
    pool: ProcessPoolExecutor | None = None

    def do(self, jobs: Sequence[Job], told: Told) -> None:
        """Do jobs.

        Args:
            jobs: The jobs, begun in this order.
            told: Hears of each that is done.

        Raises:
            TvslError: A job cannot be done; what was done before stays.
            OutputError: A process was killed, perhaps for lack of memory.
        """
        if self.pool is None:
            for job in jobs:
                job.do(self.experiment)
                told(1)
            return
        futures = [self.pool.submit(_do, job) for job in jobs]
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    for warning in future.result():
                        warnings.warn(warning, stacklevel=2)
                told(len(done))
        except BrokenProcessPool as error:
            raise OutputError(
                "A process of the reproduction was ended, perhaps for lack of memory.",
                "Start again, it goes on where it was; --workers 1 needs least memory.",
                self.experiment.settings.folder,
            ) from error
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def open_workers(experiment: Experiment, count: int) -> Iterator[Workers]:
    """Start processes.

    Args:
        experiment: This process's own.
        count: How many; with 1 this process does all.

    Yields:
        What does jobs.
    """
    if count == 1:
        yield Workers(experiment)
        return
    pool = ProcessPoolExecutor(
        count,
        # Forked processes would share locks and threads of torch.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_open,
        initargs=(experiment.settings,),
    )
    try:
        yield Workers(experiment, count, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_bench: Experiment | None = None


def _open(settings: ExperimentConfig) -> None:
    """Make this process one that works; it ends with the one that started it."""
    global _bench
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    # An interrupt is for the process that started this one; what is in work is done to its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    keep_freed_memory()
    _bench = Experiment(settings)


def _do(job: Job) -> list[MediaWarning]:
    """Do a job here; what is warned of is for the process that started this one to tell."""
    assert _bench is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MediaWarning)
        job.do(_bench)
    noted = []
    for one in caught:
        if isinstance(one.message, MediaWarning):
            noted.append(one.message)
        else:
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)
    return noted


@dataclass(frozen=True)
class EncodeClips:
    """Encode training clips, together with the other processes that do.

    Attributes:
        helper: Which of them this is.
    """

    helper: int

    def do(self, experiment: Experiment) -> None:
        """Encode what no other process encodes."""
        experiment.make_store()


@dataclass(frozen=True)
class EncodeScenes:
    """Encode a block of scenes.

    Attributes:
        wanted: Of which set.
        numbers: Which scenes of it.
    """

    wanted: SceneSet
    numbers: range

    def do(self, experiment: Experiment) -> None:
        """Encode them, if they are not there."""
        experiment.make_scenes(self.wanted, self.numbers)


@dataclass(frozen=True)
class Head:
    """Train a head, and measure it.

    Attributes:
        training: Which.
        targets: On what; on nothing while candidates are compared.
    """

    training: Training
    targets: tuple[EvalTarget, ...] = ()

    def done(self, runs: Runs) -> bool:
        """Tell whether nothing of it is left to be done."""
        record = runs.record(self.training)
        if record is None or record.outcome != "done":
            return record is not None
        return all(runs.has_scores(self.training, *one) for one in self.targets)

    def do(self, experiment: Experiment) -> None:
        """Do what of it is not done."""
        runs = Runs(experiment.settings.folder)
        if runs.train(self.training, experiment).outcome == "done":
            for condition, overrides in self.targets:
                runs.score(self.training, condition, overrides, experiment)
