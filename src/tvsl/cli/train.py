"""``tvsl train``: a head on the tokens of a frozen encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tvsl.cli.options import (
    DataOption,
    Device,
    FlipAverageOption,
    Lists,
    Model,
    PrecisionOption,
    ProcessCount,
    Resume,
    Root,
    RunFolder,
    data_options,
    name_values,
    takes_config,
)
from tvsl.cli.output import print_lines, print_note, progress
from tvsl.cli.starting import start_processes


@takes_config("tvsl.training.config:TrainConfig")
def command(
    output: RunFolder,
    root: Root = None,
    lists: Lists = None,
    option: DataOption = None,
    model: Model = "mini",
    hyperparameter: Annotated[
        list[str] | None,
        typer.Option(help="Hyperparameter of the method, NAME=VALUE. May be repeated."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(help="Where tokens are kept; runs may share it [the run's own folder]."),
    ] = None,
    flip_average: FlipAverageOption = None,
    device: Device = "auto",
    precision: PrecisionOption = "float32",
    processes: ProcessCount = None,
    resume: Resume = False,
    **fields: Any,
) -> None:
    """Train a head on mixtures of labelled clips.

    The encoder stays as it is. Tokens are encoded once and kept. Writes checkpoints, metrics.csv
    and, at the end, the best head in the folder head, for `tvsl localize --head`.
    """
    from tvsl.data import DATA_SETS
    from tvsl.utils.devices import choose_device
    from tvsl.utils.processes import is_first
    from tvsl.utils.run_folder import HEAD_RECIPE_KEYS, check_run_folder

    # Wrong usage ends here, before torch is imported.
    if is_first():
        check_run_folder(output, resume, HEAD_RECIPE_KEYS, tokens)
    if fields["data"] is not None:
        DATA_SETS.resolve(fields["data"])
    choose_device(device)

    start_processes(processes)

    from tvsl.api import train
    from tvsl.utils.processes import processes as joined
    from tvsl.utils.processes import share_threads

    with joined() as team:
        share_threads(team)
        head = train(
            output,
            model=model,
            device=device,
            precision=precision,
            flip_average=flip_average,
            tokens=tokens,
            resume=resume,
            stages=progress,
            note=print_note,
            data_options=data_options(root, lists, option),
            hyperparameters=name_values("--hyperparameter", hyperparameter),
            **fields,
        )
    if is_first():
        print_lines(_summary(head))


def _summary(folder: Path) -> str:
    from tvsl.methods.checkpoint_io import read_head

    notes = read_head(folder).notes
    figures = notes["validation"]
    known = [name for name in ("AP", "CAP") if name in figures] or ["loss"]
    reached = ", ".join(f"{name} {figures[name]:.1f}" for name in known)
    return f"The head is in {folder}: validation {reached} at step {notes['step']}."
