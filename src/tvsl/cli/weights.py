"""``tvsl weights``: the public weight files and the embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.options import Command, Force, Group
from tvsl.cli.output import SOME_INPUT_FAILED, print_error, print_lines, progress
from tvsl.errors import TvslError

app = typer.Typer(
    cls=Group, help="List, fetch, verify and convert weight files.", no_args_is_help=True
)


@app.command("list", cls=Command)
def list_files() -> None:
    """List embedded models and public files, and which are here."""
    from tvsl.models import EMBEDDED, PUBLIC_FILES, embedded_path, is_installed
    from tvsl.utils.files import weights_folder

    print_lines(f"Folder: {weights_folder()} (set TVSL_HOME to choose another)", "")
    for entry in PUBLIC_FILES.values():
        state = "here" if entry.path.is_file() else "not here"
        print_lines(f"{entry.name:20}{entry.size / 1e6:8.1f} MB  {state:9} {entry.holds}")
        print_lines(f"{'':20}{entry.url}", f"{'':20}sha256 {entry.sha256}")
    print_lines("", "Embedded in this package, nothing to fetch:", "")
    for name, holds in EMBEDDED.items():
        state = "here" if is_installed(name) else "missing"
        print_lines(f"{name:32}{state:9} {holds}", f"{'':20}{embedded_path(name)}")


@app.command("fetch", cls=Command)
def fetch_file(
    name: Annotated[str, typer.Argument(help="A name of `tvsl weights list`.")] = "audioclip",
) -> None:
    """Fetch a public file, and the vocabulary that it needs."""
    from tvsl.models import fetch

    with progress(f"Fetching {name}", is_bytes=True) as fetched:
        path = fetch(name, fetched)
    print_lines(path)


@app.command(cls=Command)
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or files; all files here when none is given.")
    ] = None,
) -> None:
    """Check files against the public sizes and checksums."""
    from tvsl.models import PUBLIC_FILES, find_public_file, verify

    chosen = names or [entry.name for entry in PUBLIC_FILES.values() if entry.path.is_file()]
    if not chosen:
        print_lines("No weight files are here.")
    failed = False
    for name in chosen:
        try:
            entry, path = find_public_file(name)
            with progress(f"Reading {path.name}", is_bytes=True) as read:
                verify(path, entry, read)
            print_lines(f"{path}: right")
        except TvslError as error:
            print_error(error)
            failed = True
    if failed:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command(cls=Command)
def convert(
    source: Annotated[Path, typer.Argument(help="An AudioCLIP checkpoint.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    force: Force = False,
) -> None:
    """Convert a checkpoint to safetensors.

    The file loads faster and can never run code.
    """
    from tvsl.models import GIVE_A_FILE, existing_file, free_target

    # Wrong usage ends here, before torch is imported.
    free_target(target, force)
    existing_file(source, GIVE_A_FILE)

    from tvsl.audioclip.checkpoint import convert

    print_lines(convert(source, target, force))
