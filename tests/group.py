"""Several processes on this machine that join one group, as `torchrun` starts them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun(rank: int, count: int, port: int) -> dict[str, str]:
    """Environment that `torchrun` gives a process."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def slurm(rank: int, count: int, port: int) -> dict[str, str]:
    """Environment that SLURM's `srun` gives a task."""
    return {
        "SLURM_JOB_ID": str(port),
        "SLURM_JOB_NAME": "tvsl",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NTASKS": str(count),
        "SLURM_NTASKS_PER_NODE": str(count),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "MASTER_PORT": str(port),
    }


def in_processes(
    count: int,
    folder: Path,
    work: Callable[..., Any],
    *args: Any,
    starter: Callable[[int, int, int], dict[str, str]] = torchrun,
) -> list[Any]:
    """Call a function in some processes.

    Args:
        count: Number of processes.
        folder: Where their results go.
        work: The function, importable by name; it joins the group itself.
        args: Its arguments.
        starter: What the processes are told by who starts them.

    Returns:
        What it returned, by rank; anything that `torch.save` takes.
    """
    told = [starter(rank, count, port) for port in [free_port()] for rank in range(count)]
    mp.spawn(_one, args=(told, str(folder), work, args), nprocs=count)
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in range(count)]


def _one(
    rank: int,
    told: list[dict[str, str]],
    folder: str,
    work: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    os.environ |= told[rank]
    torch.set_num_threads(1)
    torch.save(work(*args), Path(folder) / f"result-{rank}.pt")
