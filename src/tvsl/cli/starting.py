"""Several processes of one command on this machine, started by torch as `torchrun` does."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
import warnings
from typing import Final

import typer

from tvsl.cli.output import INTERRUPTED, SOME_INPUT_FAILED, print_error
from tvsl.utils.processes import started_count

_STARTER: Final = "TVSL_STARTED_BY"


def _follow(starter: int) -> None:
    """End this process with the one that started it, however that ended."""
    while os.getppid() == starter:
        time.sleep(1.0)
    os._exit(SOME_INPUT_FAILED)


def start_processes(count: int | None) -> None:
    """Run this command again in several processes, and end as they end.

    Nothing happens in these processes, nor where there shall be one.

    Raises:
        typer.Exit: The processes have ended.
    """
    if _STARTER in os.environ:
        threading.Thread(target=_follow, args=(int(os.environ[_STARTER]),), daemon=True).start()
    if count is None or count == 1 or started_count() > 1:
        return
    warnings.filterwarnings("ignore", module="torch.distributed")
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the processes say it
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ[_STARTER] = str(os.getpid())
    config = LaunchConfig(
        run_id=secrets.token_hex(8),
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=1.0,
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "tvsl", *sys.argv[1:])
    except SignalException:
        raise typer.Exit(INTERRUPTED) from None
    except ChildFailedError as error:
        # The others may end within the same second, for want of the one that was killed.
        failures = error.failures.items()
        rank, failure = min(failures, key=lambda one: (one[1].exitcode >= 0, one[1].timestamp))
        if failure.exitcode < 0:
            print_error(
                f"Process {rank + 1} of {count} was ended by signal {-failure.exitcode}, perhaps "
                "for lack of memory. What is finished stays: start the same command again, "
                "with --resume where it has that."
            )
        raise typer.Exit(max(failure.exitcode, SOME_INPUT_FAILED)) from None
    finally:
        del os.environ[_STARTER]
    raise typer.Exit
