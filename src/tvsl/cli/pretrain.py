"""``tvsl pretrain``: the mini AudioCLIP from scratch, on the synthetic world."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.failure import one_process
from tvsl.cli.options import Seed
from tvsl.cli.output import print_lines
from tvsl.cli.progress import progress
from tvsl.errors import UsageError

MOST_CLIPS = 10_000_000


class Term(str, Enum):
    """Terms of the loss."""

    image_text = "image_text"
    audio_text = "audio_text"
    image_audio = "image_audio"
    text_cells = "text_cells"
    audio_cells = "audio_cells"


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
    batch: Annotated[int, typer.Option(min=2, max=MOST_CLIPS, help="Clips of a step.")] = 96,
    clips: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_CLIPS,
            help="Clips made once and kept in memory; 0: always new ones.",
        ),
    ] = 24_000,
    seed: Seed = 0,
    without: Annotated[
        list[Term] | None, typer.Option(help="Leave out a term of the loss. May be repeated.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
) -> None:
    """Train the three encoders of the mini model together on made-up clips (Eq. 1).

    Writes checkpoints, metrics.csv and, at the end, the model's folder.
    """
    one_process("Pre-training")
    if set(without or ()) == set(Term):
        raise UsageError("No term of the loss is left.", "Leave out four at most.")
    from tvsl.staging import locked
    from tvsl.training.run_folder import OF_MODELS, check_run_folder

    with locked(output):
        # What is wrong is said before anything is loaded, the program's heavy parts among it.
        check_run_folder(output, resume, OF_MODELS)

        from tvsl.memory import keep_freed_memory
        from tvsl.training.pretrain import PretrainConfig, Terms
        from tvsl.training.pretraining_run import pretrain

        terms = Terms(**dict.fromkeys([term.value for term in without or ()], 0.0))
        recipe = PretrainConfig(steps=steps, batch=batch, clips=clips, seed=seed, terms=terms)
        keep_freed_memory()
        folder = pretrain(recipe, output, resume, progress)
    print_lines(f"The model is in {folder}.")
