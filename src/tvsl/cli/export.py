"""``tvsl export``: a model as ONNX or torch graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tvsl.cli.options import FlipAverageOption, Force, Head, HeadMethod, Preset
from tvsl.cli.output import load_localizer, print_lines, progress
from tvsl.utils.atomic import check_free
from tvsl.utils.run_folder import export_files, exported_files


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="The encoder: a name of `tvsl models`, a checkpoint's file or folder, USER/MODEL "
            "on the Hugging Face hub, or FILE.py:CLASS."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the graphs.")],
    export_format: Annotated[
        Literal["onnx", "torch"],
        typer.Option("--format", help="onnx, or torch for files of torch.export."),
    ] = "onnx",
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="Class names to embed, separated by commas [the model's own, or everyday sounds]. "
            "May be repeated."
        ),
    ] = None,
    head: Head = None,
    preset: Preset = None,
    method: HeadMethod = None,
    flip_average: FlipAverageOption = None,
    force: Force = False,
) -> None:
    """Write a model as ONNX or torch graphs.

    They run without tvsl, for pictures and sounds of any size: image, sound and head (.onnx or
    .pt2), classes.npy and export.json. Each graph is compared with the model before anything is
    written.
    """
    # Before torch is imported.
    check_free(output, force, exported_files, export_files(export_format))

    from tvsl.export import check_export, export_model
    from tvsl.vocabularies import split_names

    names = None if labels is None else split_names(labels)
    check_export(export_format)
    localizer = load_localizer(
        model, head=head, preset=preset, method=method, flip_average=flip_average, device="cpu"
    )
    print_lines(export_model(localizer, output, names, export_format, force, progress))
