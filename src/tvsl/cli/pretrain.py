"""``tvsl pretrain``: the mini AudioCLIP from scratch, on the synthetic world."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from tvsl.cli.options import ProcessCount, Resume, RunFolder, takes_config
from tvsl.cli.output import print_lines, progress
from tvsl.cli.starting import start_processes


@takes_config("tvsl.training.config:PretrainConfig")
def command(
    output: RunFolder,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out a term of the loss: image_text, audio_text, image_audio, text_cells or "
            "audio_cells. May be repeated."
        ),
    ] = None,
    processes: ProcessCount = None,
    resume: Resume = False,
    **fields: Any,
) -> None:
    """Train the mini model's encoders on made-up clips.

    All three are trained together by Eq. 1. Writes checkpoints, metrics.csv and, at the end, the
    model's folder.
    """
    from tvsl.training.config import pretrain_recipe
    from tvsl.utils.atomic import locked
    from tvsl.utils.processes import is_first, share_threads
    from tvsl.utils.processes import processes as joined
    from tvsl.utils.run_folder import MODEL_RECIPE_KEYS, check_run_folder

    recipe = pretrain_recipe(terms=dict.fromkeys(without or [], 0.0), **fields)
    # Wrong usage ends here, before torch is imported.
    if is_first():
        check_run_folder(output, resume, MODEL_RECIPE_KEYS)
    start_processes(processes)
    with locked(output) if is_first() else nullcontext():
        from tvsl.training.pretraining import pretrain

        with joined() as team:
            share_threads(team)
            folder = pretrain(recipe, output, resume, progress)
    if is_first():
        print_lines(f"The model is in {folder}.")
