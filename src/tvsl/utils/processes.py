"""Processes that share one piece of work, on one machine or on many, and what they show of it.

Who starts them is not decided here: `torchrun`, SLURM's `srun` and ``--processes`` (which is
`torchrun` on one machine) say in the environment which process this is. Lightning's own detection
reads it, torch connects them, and Lightning's trainer takes the same connection. All of them see
the same folders.
"""

from __future__ import annotations

import itertools
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, cast

from tvsl.errors import LostProcessError, UsageError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from torch.distributed.distributed_c10d import Store

T = TypeVar("T")

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the amount done so far, and the total or None if it is unknown."""

# Processes wait for the slowest one, which may have much left to do.
_PATIENCE: Final = timedelta(days=7)
_MEETING: Final = timedelta(minutes=10)
_SECONDS_FOR_CAUSE: Final = 2.0
_ERROR_KEY: Final = "error"
_INTERACTIVE: Final = ("bash", "interactive")


class Stages(Protocol):
    """Opens the display of a stage of the work, and gives its progress."""

    def __call__(
        self, title: str, *, is_bytes: bool = False, counted: str = ""
    ) -> AbstractContextManager[Progress]:
        """Open the display of a stage.

        Args:
            title: What is being done.
            is_bytes: Whether the amounts are bytes.
            counted: What is counted otherwise, to be named with the rate.
        """


def no_progress(done: int, total: int | None) -> None:
    """Show nothing.

    Args:
        done: Amount done so far.
        total: Total amount, or None if it is unknown.
    """


@contextmanager
def no_stages(
    title: str,  # noqa: ARG001
    *,
    is_bytes: bool = False,  # noqa: ARG001
    counted: str = "",  # noqa: ARG001
) -> Iterator[Progress]:
    """Show nothing of a stage; see ``Stages``."""
    yield no_progress


@dataclass(frozen=True)
class Processes:
    """The group of processes, with the rank of this one.

    Attributes:
        rank: Rank of this process, from 0.
        count: Number of processes.
        beside: Number of processes on this machine.
        store: Keys and values that all of them see; None for a process alone.
    """

    rank: int = 0
    count: int = 1
    beside: int = 1
    store: Store | None = field(default=None, compare=False)
    _cores: int | None = field(default=None, compare=False)
    _lists: Iterator[int] = field(default_factory=itertools.count, compare=False, repr=False)

    @property
    def leads(self) -> bool:
        """Tell whether this process reports the results of all."""
        return self.rank == 0

    @property
    def cores(self) -> int:
        """Number of processors that fall to this process; see ``share_of_cores``."""
        return self._cores or usable_cores()

    def shown(self, stages: Stages) -> Stages:
        """Stages of the work as this process shows them, the leading one alone."""
        return stages if self.leads else no_stages

    def meet(self) -> None:
        """Wait for all processes.

        Raises:
            LostProcessError: One of them has ended.
        """
        if self.count > 1:
            from torch import distributed

            connected(distributed.barrier)

    def broadcast(self, value: T) -> T:
        """Give all processes the value of the first one.

        Args:
            value: The value, of the first process alone; it must be possible to pickle it.

        Raises:
            LostProcessError: A process has ended.
        """
        if self.count == 1:
            return value
        from torch import distributed

        values = [value if self.leads else None]
        connected(distributed.broadcast_object_list, values)
        return cast("T", values[0])

    def gather(self, value: T) -> list[T]:
        """Gather a value of each process, by rank.

        Args:
            value: The value of this process; it must be possible to pickle it.

        Raises:
            LostProcessError: A process has ended.
        """
        if self.count == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.count
        connected(distributed.all_gather_object, values, value)
        return values

    def share(self, things: Sequence[T]) -> Sequence[T]:
        """The things of a list that fall to this process, every ``count``-th one."""
        return things[self.rank :: self.count]

    def taken(self, things: Sequence[T]) -> Iterator[T]:
        """Take things from a list that the processes share, each when it is free.

        Returns:
            The things that no other process takes, in order; to go on raises
            ``LostProcessError`` where the processes have lost each other.
        """
        if self.store is None:
            return iter(things)
        return self._taken(things, self.store, f"taken/{next(self._lists)}")

    def counter(self) -> Callable[[int], int]:
        """A count that the processes share, for their progress.

        Returns:
            A function that adds to the count and gives it, as all processes have added to it; to
            add raises ``LostProcessError`` where the processes have lost each other.
        """
        if self.store is None:
            own = itertools.accumulate(itertools.repeat(1))
            return lambda more: next(itertools.islice(own, more - 1, None))
        store, key = self.store, f"counted/{next(self._lists)}"
        return lambda more: int(connected(store.add, key, more))

    def _taken(self, things: Sequence[T], store: Store, key: str) -> Iterator[T]:
        while (number := int(connected(store.add, key, 1)) - 1) < len(things):
            yield things[number]


ALONE: Final = Processes()

_joined: Processes | None = None
"""The group that this process belongs to, as long as it does."""

_reports: bool | None = None
"""True where this process is to say why the run ended; None while nothing went wrong."""


def reports() -> bool:
    """Tell whether it is for this process to say why a run ends.

    One process says it: the first that failed, or, before they have joined, the first of each
    machine.
    """
    return is_first_here() if _reports is None else _reports


def current() -> Processes:
    """The group that this process has joined; itself alone without one."""
    return _joined or ALONE


def started_count() -> int:
    """Number of processes that were started together, by `torchrun` or by SLURM."""
    if "RANK" in os.environ:
        return int(os.environ.get("WORLD_SIZE", "1"))
    if _is_slurm():
        return int(os.environ["SLURM_NTASKS"])
    return 1


def is_first() -> bool:
    """Tell whether this is the only process, or the first of those that were started together."""
    if started_count() == 1:
        return True
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def is_first_here() -> bool:
    """Tell whether this is the first of the processes that were started on this machine."""
    if started_count() == 1:
        return True
    return os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")) == "0"


def _is_slurm() -> bool:
    """Tell whether `srun` started this process, by Lightning's rule, without importing it."""
    name = os.environ.get("SLURM_JOB_NAME")
    known = {"SLURM_NTASKS", "SLURM_PROCID"} <= os.environ.keys()
    return known and name not in _INTERACTIVE


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the group of processes, if there are several; within it, it is the same one.

    Yields:
        The group.

    Raises:
        UsageError: What SLURM says of its tasks does not suffice, or not all processes came.
        LostProcessError: A process has ended.
    """
    global _joined, _reports
    if _joined is not None or started_count() == 1:
        yield current()
        return
    _joined = _join()
    from torch import distributed

    try:
        yield _joined
    except BaseException as error:  # also at Ctrl-C: it is raised again
        _reports = _is_reported_here(_joined, error)
        raise
    finally:
        _joined = None
        distributed.destroy_process_group()


def environment() -> ClusterEnvironment:
    """Lightning's view of how this process was started, by `torchrun` or by SLURM."""
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if "RANK" in os.environ:
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False)  # a run is resumed by its command


def _join() -> Processes:
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        found = environment()
        os.environ["MASTER_ADDR"] = found.main_address
        os.environ["MASTER_PORT"] = str(found.main_port)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"The processes cannot be joined ({str(error).partition(' HINT')[0]}).",
            "Start them by torchrun, or by srun with --ntasks-per-node.",
        ) from error
    rank, total = found.global_rank(), found.world_size()
    beside = int(
        os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("SLURM_NTASKS_PER_NODE", str(total)))
    )
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, _, _ = next(rendezvous("env://", rank, total, timeout=_MEETING))
        distributed.init_process_group(
            backend,
            store=PrefixStore("tvsl-group", store),
            rank=rank,
            world_size=total,
            timeout=_PATIENCE,
        )
    except RuntimeError as error:
        raise UsageError(
            f"The {total} processes did not find each other within {_MEETING.seconds // 60} "
            f"minutes ({_short(error)}).",
            "Let all of them start, and reach the first one's machine by the network.",
        ) from error
    places: list[Any] = [None] * total
    connected(distributed.all_gather_object, places, (platform.node(), _usable()))
    return Processes(rank, total, beside, PrefixStore("tvsl", store), share_of_cores(rank, places))


def share_of_cores(rank: int, places: Sequence[tuple[str, frozenset[int]]]) -> int:
    """Number of processors that fall to a process: its part of those that it may use.

    It shares them with the processes of its machine that may use them, too: all of those that
    `torchrun` starts; none where SLURM binds each task to processors of its own.

    Args:
        rank: Rank of the process.
        places: Name of the machine and processors that may be used, of each process.
    """
    machine, own = places[rank]
    sharing = sum(name == machine and bool(own & other) for name, other in places)
    return max(1, len(own) // sharing)


def connected(exchange: Callable[..., T], *args: Any) -> T:
    """Call a function of torch that exchanges something between processes.

    Args:
        exchange: The function.
        args: Its arguments.

    Raises:
        LostProcessError: A process has ended, or cannot be reached.
    """
    try:
        return exchange(*args)
    except RuntimeError as error:
        raise lost_process(error) from error


def is_lost_process(error: BaseException) -> bool:
    """Tell whether an error of torch says that another process is gone."""
    from torch import distributed

    if isinstance(error, distributed.DistError):
        return True
    text = str(error)
    return (
        isinstance(error, RuntimeError)
        and current().count > 1
        and ("gloo" in text or "Connection closed" in text or "NCCL" in text)
    )


def lost_process(error: BaseException) -> LostProcessError:
    """The error of a run whose processes have lost each other, as torch says."""
    return LostProcessError(
        f"Another process of the run has ended, or cannot be reached ({_short(error)}).",
        "Its own output says why. What is finished stays: start the same command again, with "
        "--resume where it has that.",
    )


def _short(error: BaseException) -> str:
    """Text of an error of torch, without the place in its source."""
    text = str(error).strip().partition("\n")[0]
    return text.rpartition("] ")[2].rstrip(".")[:120] or type(error).__name__


def _is_reported_here(team: Processes, error: BaseException) -> bool:
    """Tell whether it is for this process to say why the run ends: for the first that fails.

    One that has lost another waits a little: that one may know the cause.
    """
    if team.store is None:
        return True
    if isinstance(error, LostProcessError):
        time.sleep(_SECONDS_FOR_CAUSE)
    with suppress(RuntimeError):
        team.store.set_timeout(timedelta(seconds=5))
        return int(team.store.add(_ERROR_KEY, 1)) == 1
    return is_first_here()  # the store is gone, with the machine that kept it


def own_device(name: str) -> str:
    """Choose the device of this process.

    Of several processes each gets a GPU by its number for ``auto`` and ``cuda``.
    """
    import torch

    place = os.environ.get("LOCAL_RANK")
    if place is None and _is_slurm():
        place = os.environ.get("SLURM_LOCALID")
    gpus = torch.cuda.device_count()
    if place is None or gpus < 2 or name not in ("auto", "cuda"):
        return name
    return f"cuda:{int(place) % gpus}"


def steady_threads(team: Processes, threads: int | None = None) -> None:
    """Use a number of threads that does not depend on who started this process.

    Sums over another number of threads differ in the last digits, and `torchrun` and
    ``--processes`` set one thread for each of several processes.

    Args:
        team: The processes.
        threads: Number of threads; one for each of this process's processors when None.
    """
    import torch

    torch.set_num_threads(threads or team.cores)


def share_threads(team: Processes) -> None:
    """Give each of several processes its part of the machine's threads."""
    if team.count > 1:
        steady_threads(team)


def usable_cores() -> int:
    """Number of processors that this process may use."""
    return len(_usable())


def _usable() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))
