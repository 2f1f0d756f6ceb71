"""``tvsl train``: a head on the tokens of a frozen encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvsl.cli.arguments import LARGEST_NUMBER
from tvsl.cli.failure import one_process
from tvsl.cli.name_values import data_options, name_values
from tvsl.cli.options import (
    DataOption,
    Device,
    FlipAverageOption,
    Lists,
    Precision,
    PrecisionOption,
    Root,
)
from tvsl.cli.output import print_lines, print_note
from tvsl.cli.progress import progress

if TYPE_CHECKING:
    from tvsl.audioclip.encoder import AudioCLIPEncoder
    from tvsl.methods.config import MethodConfig


def command(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the run.",
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="Data set: a name of `tvsl data list` [synthetic].")
    ] = None,
    root: Root = None,
    lists: Lists = None,
    method: Annotated[str | None, typer.Option(help="Method [tvsl].")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Switches of T-VSL: tvsl, paper or released [tvsl].")
    ] = None,
    model: Annotated[
        str, typer.Option(help="mini, audioclip, or a checkpoint's file or folder: the encoder.")
    ] = "mini",
    switch: Annotated[
        list[str] | None,
        typer.Option(help="Switch of the method, NAME=VALUE. May be repeated."),
    ] = None,
    option: DataOption = None,
    clips: Annotated[int | None, typer.Option(min=1, help="How many clips [8000].")] = None,
    most_sources: Annotated[
        int | None, typer.Option(min=1, max=8, help="Mixtures have 1 to so many sources [4].")
    ] = None,
    mixtures: Annotated[
        int | None, typer.Option(min=1, help="How often each clip is mixed, for each number [1].")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="How often all is seen [2].")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, in place of epochs.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Mixtures of a step [128; paper: 256].")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest rate of Adam [1e-4].")
    ] = None,
    validation_scenes: Annotated[
        int | None,
        typer.Option(min=1, help="Scenes to validate on, of each of 1 to 4 sources [200]."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_NUMBER, help="Decides everything that is drawn [0]."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(help="Where tokens are kept; runs may share it [the run's own folder]."),
    ] = None,
    flip_average: FlipAverageOption = None,
    device: Device = "auto",
    precision: PrecisionOption = Precision.float32,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run, as it was started.")
    ] = False,
) -> None:
    """Train a head on mixtures of labelled clips; the encoder stays as it is.

    Tokens are encoded once and kept. Writes checkpoints, metrics.csv and, at the end, the best
    head in the folder head, for `tvsl localize --head`.
    """
    one_process("Training")
    from tvsl.staging import locked
    from tvsl.training.run_folder import OF_HEADS, check_run_folder

    given = {
        "data": data,
        "data_options": data_options(root, lists, option),
        "clips": clips,
        "method": method,
        "preset": preset,
        "switches": name_values("--switch", switch),
        "most_sources": most_sources,
        "mixtures": mixtures,
        "epochs": epochs,
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "validation_scenes": validation_scenes,
        "seed": seed,
    }
    with locked(output):
        # What is wrong is said before anything is loaded, the program's heavy parts among it.
        check_run_folder(output, resume, OF_HEADS, tokens)
        if data is not None:
            from tvsl.data import find_kind

            find_kind(data)

        from tvsl.devices import choose_device
        from tvsl.loading import check_classes
        from tvsl.training.kept_recipe import kept_recipe
        from tvsl.training.recipe import find_head, recipe

        choose_device(device)
        kept, flip = kept_recipe(output) if resume else ({}, None)
        changes = {name: value for name, value in given.items() if value is not None}
        config = recipe(**{**kept, **changes})

        from tvsl.training.fit import check_recipe, train_head

        source, clip_set = check_recipe(config)
        check_classes(model, clip_set.names)
        for name, text in source.notes:
            print_note(f"{name}: {text}")
        flip = flip if flip_average is None else flip_average.value
        encoder = _load(model, find_head(config)[1], device, precision.value, flip)
        folder = train_head(config, encoder, output, resume, progress, tokens)
    print_lines(_summary(folder))


def _load(
    model: str, head: MethodConfig, device: str, precision: Any, flip_average: Any
) -> AudioCLIPEncoder:
    from tvsl.loading import load_encoder
    from tvsl.memory import keep_freed_memory

    keep_freed_memory()
    with progress("Fetching weights", is_bytes=True) as fetched:
        return load_encoder(model, head, device, precision, flip_average, fetched)


def _summary(folder: Path) -> str:
    from tvsl.methods.checkpoint import read_head

    notes = read_head(folder).notes
    figures = notes["validation"]
    known = [name for name in ("AP", "CAP") if name in figures] or ["loss"]
    reached = ", ".join(f"{name} {figures[name]:.1f}" for name in known)
    return f"The head is in {folder}: validation {reached} at step {notes['step']}."
