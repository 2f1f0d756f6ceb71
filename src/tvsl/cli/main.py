"""The ``tvsl`` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tvsl import __version__
from tvsl.cli import (
    data,
    demo,
    doctor,
    evaluate,
    localize,
    prepare,
    pretrain,
    reproduce,
    synthetic,
    train,
    weights,
)
from tvsl.cli.failure import exit_code, report
from tvsl.errors import TvslError

app = typer.Typer(
    name="tvsl",
    help="Find what sounds where: one heat-map per sounding object of a picture or video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.command)
app.command("localize")(localize.command)
app.command("prepare")(prepare.command)
app.command("pretrain")(pretrain.command)
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)
app.command("reproduce")(reproduce.command)
app.add_typer(data.app, name="data")
app.add_typer(synthetic.app, name="synthetic")
app.add_typer(weights.app, name="weights")
app.command("doctor")(doctor.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tvsl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Find what sounds where: one heat-map per sounding object of a picture or video."""


def main() -> None:
    """Run the command line; exit 0 all well, 1 an input failed, 2 wrong usage."""
    try:
        app()
    except TvslError as error:
        report(error)
        sys.exit(exit_code(error))
