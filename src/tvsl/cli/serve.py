"""``tvsl serve``: a local service and page."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from tvsl.cli.options import (
    Device,
    FlipAverageOption,
    Head,
    HeadMethod,
    Model,
    Open,
    PrecisionOption,
)
from tvsl.cli.output import open_page, print_lines
from tvsl.errors import UsageError
from tvsl.serve.config import ServeConfig

TOKEN_VARIABLE: Final = "TVSL_SERVE_TOKEN"
_LARGEST_TOKEN_FILE: Final = 4_096
_MEGABYTE: Final = 1_000_000
_NEEDED = ("fastapi", "uvicorn", "python_multipart")


def command(
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this computer's own needs a token.")
    ] = ServeConfig.host,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")
    ] = ServeConfig.port,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the token that requests must bring; or set {TOKEN_VARIABLE}."
        ),
    ] = None,
    max_upload: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Megabytes of one upload.")
    ] = ServeConfig.max_upload // _MEGABYTE,
    max_length: Annotated[
        float, typer.Option(min=1, max=21_600, help="Length of a video or sound, seconds.")
    ] = ServeConfig.max_media_seconds,
    max_time: Annotated[
        float, typer.Option(min=1, max=86_400, help="Time of a job, seconds.")
    ] = ServeConfig.max_job_seconds,
    max_waiting: Annotated[int, typer.Option(min=1, max=1_000, help="Jobs that may wait.")] = (
        ServeConfig.max_waiting
    ),
    keep: Annotated[
        float, typer.Option(min=0.1, max=1_440, help="For how long results are kept, minutes.")
    ] = ServeConfig.keep_seconds // 60,
    model: Model = "everyday",
    head: Head = None,
    method: HeadMethod = None,
    flip_average: FlipAverageOption = None,
    device: Device = "auto",
    precision: PrecisionOption = "float32",
    opens: Open = False,
) -> None:
    """Serve a page that localizes videos, and the same for programs.

    Only this computer reaches it, unless --host and a token are given. Uploads are deleted when
    their job ends. Ctrl-C ends it.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"tvsl serve needs packages that are not installed: {', '.join(missing)}.",
            "Install them: pip install 'tvsl[serve]'.",
        )
    from tvsl.serve import serve

    config = ServeConfig(
        host=host,
        port=port,
        token=_token(token_file),
        model={
            "name_or_path": model,
            "head": None if head is None else str(head),
            "method": method,
            "flip_average": flip_average,
            "device": device,
            "precision": precision,
        },
        max_upload=max_upload * _MEGABYTE,
        max_media_seconds=max_length,
        max_job_seconds=max_time,
        max_waiting=max_waiting,
        keep_seconds=60 * keep,
    )
    print_lines("Loading the model.")

    def ready(address: str) -> None:
        print_lines(f"Open {address} in a browser. Ctrl-C ends the service.")
        if opens:
            open_page(address)

    serve(config, ready)


def _token(file: Path | None) -> str | None:
    """The token of a file or of the environment; it is no option, as others see command lines."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    from tvsl.utils.files import read_small_text

    token = read_small_text(
        file, _LARGEST_TOKEN_FILE, UsageError, "Give a file of one line."
    ).strip()
    if not token:
        raise UsageError("The file of the token is empty.", "Write one into it.")
    return token
