"""The ``tvsl`` command."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
import traceback
from typing import Annotated

import typer

from tvsl import __version__
from tvsl.cli import (
    compare,
    data,
    demo,
    doctor,
    evaluate,
    export,
    localize,
    methods,
    models,
    prepare,
    pretrain,
    reproduce,
    score,
    serve,
    synthetic,
    train,
    weights,
)
from tvsl.cli.options import TRACEBACK, Command, Group
from tvsl.cli.output import (
    INTERRUPTED,
    SOME_INPUT_FAILED,
    exit_code,
    forget,
    media_warnings,
    prepare_streams,
    print_error,
    print_lines,
)
from tvsl.errors import OutputError, TvslError, shown
from tvsl.utils.devices import keep_freed_memory, sleep_while_waiting
from tvsl.utils.processes import reports, started_count

_UNWRITABLE = (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF, errno.EFBIG)

app = typer.Typer(
    name="tvsl",
    cls=Group,
    help="Find what sounds where: one heat-map per sounding object of a picture or video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo", cls=Command)(demo.command)
app.command("localize", cls=Command)(localize.command)
app.command("serve", cls=Command)(serve.command)
app.command("prepare", cls=Command)(prepare.command)
app.command("pretrain", cls=Command)(pretrain.command)
app.command("train", cls=Command)(train.command)
app.command("evaluate", cls=Command)(evaluate.command)
app.command("compare", cls=Command)(compare.command)
app.command("score", cls=Command)(score.command)
app.command("reproduce", cls=Command)(reproduce.command)
app.command("export", cls=Command)(export.command)
app.add_typer(data.app, name="data")
app.add_typer(synthetic.app, name="synthetic")
app.add_typer(weights.app, name="weights")
app.command("methods", cls=Command)(methods.command)
app.command("models", cls=Command)(models.command)
app.command("doctor", cls=Command)(doctor.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_lines(f"tvsl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option(
            TRACEBACK,
            help="Print where in the program an error arose; also after any command, or by the "
            "environment variable TVSL_TRACEBACK=1.",
        ),
    ] = False,
) -> None:
    """Find what sounds where: one heat-map per sounding object of a picture or video."""


def main() -> None:
    """Run the command line; exit 0 all well, 1 an input failed, 2 wrong usage, 130 Ctrl-C."""
    prepare_streams()
    keep_freed_memory()
    sleep_while_waiting()
    atexit.register(gc.freeze)  # unused cycles need no search where all ends with the process
    if started_count() > 1:  # torch's remarks on its connections, before it is imported
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        with media_warnings():
            app()
    except KeyboardInterrupt:  # before Typer listens, while it builds the commands
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the net under errors that nobody foresaw
        sys.exit(_end(error))


def _end(error: Exception) -> int:
    """Tell an error in one line; the exit code."""
    if TRACEBACK in sys.argv or os.environ.get("TVSL_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:  # Typer's own help, for one
        forget(sys.stdout)
        error = OutputError(
            f"The output cannot be written ({error.strerror}).",
            "Send it to another place, or make room.",
            error.filename,
        )
    if isinstance(error, TvslError):
        if reports():  # several processes say it once
            print_error(error)
        return exit_code(error)
    if not reports():
        return SOME_INPUT_FAILED
    if isinstance(error, MemoryError):
        print_error("There is not enough memory. Give smaller inputs, or fewer at once.")
        return SOME_INPUT_FAILED
    said = shown(str(error).strip().partition("\n")[0])
    print_error(
        f"An error that tvsl did not foresee, {type(error).__name__}: {said}. Please report it, "
        f"with the command and what it prints with {TRACEBACK}."
    )
    return SOME_INPUT_FAILED
