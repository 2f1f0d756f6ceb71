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


def in_processes(count: int, folder: Path, work: Callable[..., Any], *args: Any) -> list[Any]:
    """Call a function in some processes.

    Args:
        count: Number of processes.
        folder: Where their results go.
        work: The function, importable by name; it joins the group itself.
        args: Its arguments.

    Returns:
        What it returned, by rank; anything that `torch.save` takes.
    """
    mp.spawn(_one, args=(count, free_port(), str(folder), work, args), nprocs=count)
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in range(count)]


def _one(
    rank: int, count: int, port: int, folder: str, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    torch.save(work(*args), Path(folder) / f"result-{rank}.pt")
