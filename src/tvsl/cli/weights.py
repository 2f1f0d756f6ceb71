"""``tvsl weights``: the public weight files and the embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.failure import SOME_INPUT_FAILED, report
from tvsl.cli.progress import progress
from tvsl.errors import TvslError

app = typer.Typer(help="List, fetch, verify and convert weight files.", no_args_is_help=True)


@app.command("list")
def list_files() -> None:
    """List the embedded models and the public files, and which of them are here."""
    from tvsl.audioclip.embedded import EMBEDDED, embedded_path, is_here
    from tvsl.audioclip.weights import PUBLIC_FILES
    from tvsl.paths import weights_folder

    typer.echo(f"Folder: {weights_folder()} (set TVSL_HOME to choose another)\n")
    for entry in PUBLIC_FILES.values():
        state = "here" if entry.path.is_file() else "not here"
        typer.echo(f"{entry.name:20}{entry.size / 1e6:8.1f} MB  {state:9} {entry.holds}")
        typer.echo(f"{'':20}{entry.url}\n{'':20}sha256 {entry.sha256}")
    typer.echo("\nEmbedded in this package, nothing to fetch:\n")
    for name, holds in EMBEDDED.items():
        state = "here" if is_here(name) else "missing"
        typer.echo(f"{name:32}{state:9} {holds}\n{'':20}{embedded_path(name)}")


@app.command("fetch")
def fetch_file(
    name: Annotated[str, typer.Argument(help="A name of `tvsl weights list`.")] = "audioclip",
) -> None:
    """Fetch a public file, and with a checkpoint the vocabulary that it needs."""
    from tvsl.audioclip.weights import fetch

    with progress(f"Fetching {name}", is_bytes=True) as fetched:
        path = fetch(name, fetched)
    typer.echo(path)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or files; all files here when none is given.")
    ] = None,
) -> None:
    """Check files against the public sizes and checksums."""
    from tvsl.audioclip.weights import PUBLIC_FILES, find_entry, verify

    chosen = names or [entry.name for entry in PUBLIC_FILES.values() if entry.path.is_file()]
    if not chosen:
        typer.echo("No weight files are here.")
    failed = False
    for name in chosen:
        try:
            entry, path = find_entry(name)
            with progress(f"Reading {path.name}", is_bytes=True) as read:
                verify(path, entry, read)
            typer.echo(f"{path}: right")
        except TvslError as error:
            report(error)
            failed = True
    if failed:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="An AudioCLIP checkpoint.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Convert a checkpoint to safetensors, which loads faster and can never run code."""
    from tvsl.audioclip.checkpoint import convert

    typer.echo(convert(source, target, force))
