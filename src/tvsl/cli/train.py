"""``tvsl train``: a head on the tokens of a frozen encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tvsl.cli.options import (
    LARGEST_NUMBER,
    DataOption,
    Device,
    FlipAverageOption,
    Lists,
    Precision,
    PrecisionOption,
    Root,
    data_options,
    name_values,
)
from tvsl.cli.output import one_process, print_lines, print_note, progress

if TYPE_CHECKING:
    pass


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
        str | None,
        typer.Option(help="Data set: a name of `tvsl data list`, or FILE.py:CLASS [synthetic]."),
    ] = None,
    root: Root = None,
    lists: Lists = None,
    method: Annotated[
        str | None,
        typer.Option(help="Method: tvsl, ez-vsl, dsol, …, or FILE.py:CLASS of one's own [tvsl]."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Hyperparameters of T-VSL: tvsl, paper or released [tvsl].")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="The encoder: mini, audioclip, a checkpoint's file or folder, or FILE.py:CLASS."
        ),
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
    from tvsl.data import DATA_SETS
    from tvsl.utils.devices import choose_device
    from tvsl.utils.run_folder import HEAD_RECIPE_KEYS, check_run_folder

    # What is wrong is said before anything is loaded, the program's heavy parts among it.
    check_run_folder(output, resume, HEAD_RECIPE_KEYS, tokens)
    if data is not None:
        DATA_SETS.resolve(data)
    choose_device(device)

    from tvsl.api import train
    from tvsl.utils.devices import keep_freed_memory

    keep_freed_memory()
    head = train(
        output,
        model=model,
        method=method,
        data=data,
        device=device,
        precision=precision.value,
        flip_average=None if flip_average is None else flip_average.value,
        tokens=tokens,
        resume=resume,
        display=progress,
        note=print_note,
        preset=preset,
        data_options=data_options(root, lists, option),
        hyperparameters=name_values("--switch", switch),
        clips=clips,
        most_sources=most_sources,
        mixtures=mixtures,
        epochs=epochs,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        validation_scenes=validation_scenes,
        seed=seed,
    )
    print_lines(_summary(head))


def _summary(folder: Path) -> str:
    from tvsl.methods.checkpoint_io import read_head

    notes = read_head(folder).notes
    figures = notes["validation"]
    known = [name for name in ("AP", "CAP") if name in figures] or ["loss"]
    reached = ", ".join(f"{name} {figures[name]:.1f}" for name in known)
    return f"The head is in {folder}: validation {reached} at step {notes['step']}."
