"""Processes of a distributed evaluation, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from tvsl.errors import UsageError

# Processes wait for the slowest one, which may have many batches left.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """The group of processes, with the rank of this one.

    Attributes:
        rank: Rank of this process, from 0.
        count: Number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Tell whether this process reports the results of all."""
        return self.rank == 0

    def meet(self) -> None:
        """Wait for all processes."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()


def alone(work: str) -> None:
    """Refuse several processes for work that cannot be shared.

    Args:
        work: The work, as the first word of a sentence.

    Raises:
        UsageError: `torchrun` started several processes.
    """
    count = _count()
    if count > 1:
        raise UsageError(
            f"{work} is done by one process, and here are {count}.",
            "Start it without torchrun, on one device.",
        )


def _count() -> int:
    """Number of processes that `torchrun` started."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the group of processes, if there are several."""
    if _count() == 1:
        yield Processes()
        return
    from torch import distributed

    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def own_device(name: str) -> str:
    """Choose the device of this process; several processes get different GPUs.

    Returns:
        A GPU by its number for ``auto`` and ``cuda`` where there are several processes; else the
        same name.
    """
    import torch

    place, gpus = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
    if place is None or gpus < 2 or name not in ("auto", "cuda"):
        return name
    return f"cuda:{int(place) % gpus}"


def steady_threads(threads: int | None = None) -> int:
    """Use the same number of threads with and without other processes.

    Sums over another number of threads differ in the last digits, and `torchrun` sets one thread
    for each of several processes.

    Args:
        threads: Number of threads; one per usable processor when None.
    """
    import torch

    threads = threads or usable_cores()
    torch.set_num_threads(threads)
    return threads


def usable_cores() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
