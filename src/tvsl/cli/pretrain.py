"""``tvsl pretrain``: the mini AudioCLIP from scratch, on the synthetic world."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tvsl.cli.options import Resume, RunFolder, takes_config
from tvsl.cli.output import one_process, print_lines, progress


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
    resume: Resume = False,
    **fields: Any,
) -> None:
    """Train the three encoders of the mini model together on made-up clips (Eq. 1).

    Writes checkpoints, metrics.csv and, at the end, the model's folder.
    """
    one_process("Pre-training")
    from tvsl.training.config import pretrain_recipe
    from tvsl.utils.atomic import locked
    from tvsl.utils.run_folder import MODEL_RECIPE_KEYS, check_run_folder

    recipe = pretrain_recipe(terms=dict.fromkeys(without or [], 0.0), **fields)
    with locked(output):
        # Wrong usage ends here, before torch is imported.
        check_run_folder(output, resume, MODEL_RECIPE_KEYS)

        from tvsl.training.pretraining import pretrain
        from tvsl.utils.devices import keep_freed_memory

        keep_freed_memory()
        folder = pretrain(recipe, output, resume, progress)
    print_lines(f"The model is in {folder}.")
