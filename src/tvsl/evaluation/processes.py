"""Several processes that share an evaluation, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from tvsl.errors import UsageError

# Processes wait for the slowest one, whose last batches may be many.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """The processes, seen by one of them.

    Attributes:
        rank: Which one it is, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether it is the one that says what all have found."""
        return self.rank == 0

    def meet(self) -> None:
        """Wait until all have come here."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()


def alone(work: str) -> None:
    """Refuse to be one of several processes in work that cannot be shared.

    Args:
        work: What is to be done, as the first word of a sentence.

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
    """How many processes `torchrun` started."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


@contextmanager
def processes() -> Iterator[Processes]:
    """Meet the other processes, if there are any.

    Yields:
        This process among them.
    """
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
    """The device of this process: of several GPUs each process gets another.

    Args:
        name: What the user asked for.

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
    """Compute with the same number of threads whether there are other processes or not.

    Sums that are split over another number of threads end in other digits; `torchrun` sets one
    thread where there are several processes.

    Args:
        threads: How many; as many as this process may use processors when None.

    Returns:
        How many there are now.
    """
    import torch

    if threads is None:
        usable = getattr(os, "sched_getaffinity", None)
        threads = len(usable(0)) if usable is not None else os.cpu_count() or 1
    torch.set_num_threads(threads)
    return threads
