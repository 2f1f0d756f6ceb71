"""The server: a socket, a temporary folder, a queue, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from types import FrameType

import uvicorn

from tvsl.errors import OutputError, shown
from tvsl.serve.app import create_app
from tvsl.serve.config import ServeConfig, check_reach
from tvsl.serve.folder import service_folder
from tvsl.serve.jobs import Jobs

MOST_CONNECTIONS = 100
"""Connections at one time; further ones are answered 503."""
_SECONDS_TO_END = 2
_BACKLOG = 128


def serve(config: ServeConfig, ready: Callable[[str], None]) -> None:
    """Serve until the process is told to end (Ctrl-C, SIGTERM, SIGHUP).

    Args:
        config: Options and limits.
        ready: Called with the service's address once the model is loaded.

    Raises:
        UsageError: Others reach the address, and there is no token.
        OutputError: The address cannot be listened at, or no temporary folder be made.
        TvslError: The model cannot be loaded.
        SystemExit: A signal ended it, and nothing is left of it.
    """
    with closing(listening_socket(config)) as place:
        address, port = place.getsockname()[:2]
        is_local = check_reach(address, config.token)
        name = f"[{address}]" if ":" in address else address
        with service_folder() as folder:
            _end_by_signals()
            logging.disable(logging.CRITICAL)  # libraries log parts of what they cannot read
            jobs = Jobs(config, folder)
            asyncio.run(_serve(jobs, place, is_local, lambda: ready(f"http://{name}:{port}/")))


def listening_socket(config: ServeConfig) -> socket.socket:
    """A socket that is bound, and does not listen yet.

    Args:
        config: Address and port.

    Raises:
        OutputError: It cannot be bound.
    """
    try:
        found = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        place = socket.socket(family, kind, protocol)
        try:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(address)
        except OSError:
            place.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no address"
        raise OutputError(
            f"The service cannot listen at {shown(config.host)}, port {config.port} ({reason}).",
            "Choose another --port (0 takes any that is free), or another --host.",
        ) from error
    return place


async def _serve(
    jobs: Jobs, place: socket.socket, is_local: bool, ready: Callable[[], None]
) -> None:
    app = create_app(jobs, is_local=is_local, starts_jobs=False)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_level="critical",
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
    )

    def hang_up(_: int, frame: FrameType | None) -> None:  # the terminal was closed
        server.handle_exit(signal.SIGTERM, frame)

    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, hang_up)
    async with jobs:
        place.listen(_BACKLOG)  # who asks from now on waits, and is not refused
        ready()
        await server.serve(sockets=[place])


def _end_by_signals() -> None:
    """Let signals end the process as an exception does, so that everything is cleaned up."""

    def end(number: int, _: FrameType | None) -> None:
        for name in _signals():
            signal.signal(name, signal.SIG_IGN)  # what is being removed is removed
        raise SystemExit(128 + number)

    for name in _signals():
        signal.signal(name, end)


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
