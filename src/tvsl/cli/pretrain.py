"""``tvsl pretrain``: the mini AudioCLIP from scratch, on the synthetic world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.options import Seed
from tvsl.cli.output import one_process, print_lines, progress


def command(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the run.",
        ),
    ],
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 1200,
    batch: Annotated[int, typer.Option(min=2, help="Clips of a step.")] = 96,
    clips: Annotated[
        int, typer.Option(min=0, help="Clips made once and kept in memory; 0: always new ones.")
    ] = 24_000,
    seed: Seed = 0,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out a term of the loss: image_text, audio_text, image_audio, text_cells or "
            "audio_cells. May be repeated."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
) -> None:
    """Train the three encoders of the mini model together on made-up clips (Eq. 1).

    Writes checkpoints, metrics.csv and, at the end, the model's folder.
    """
    one_process("Pre-training")
    from tvsl.errors import UsageError
    from tvsl.training.pretraining import PretrainConfig, Terms, pretrain
    from tvsl.utils.devices import keep_freed_memory

    unknown = sorted(set(without or ()) - set(Terms.model_fields))
    if unknown:
        raise UsageError(
            f"The loss has no term {', '.join(unknown)}.",
            f"Terms: {', '.join(Terms.model_fields)}.",
        )
    if set(without or ()) == set(Terms.model_fields):
        raise UsageError("No term of the loss is left.", "Leave out four at most.")
    terms = Terms(**dict.fromkeys(without or (), 0.0))
    recipe = PretrainConfig(steps=steps, batch=batch, clips=clips, seed=seed, terms=terms)
    keep_freed_memory()
    folder = pretrain(recipe, output, resume, progress)
    print_lines(f"The model is in {folder}.")
