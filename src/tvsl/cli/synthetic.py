"""``tvsl synthetic``: look at the made-up world, or write scenes of it as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.options import Command, Force, Group, Seed
from tvsl.cli.output import print_lines, progress
from tvsl.synthetic.vocabulary import ClassSplit, WorldSplit

app = typer.Typer(
    cls=Group,
    help="Look at the synthetic world, or write scenes of it as files.",
    no_args_is_help=True,
)


Sources = Annotated[int, typer.Option(min=1, max=8, help="Sounding objects of each scene.")]
ClassesOption = Annotated[
    ClassSplit, typer.Option(help="The classes models train on, the held-out ones, or both.")
]
SplitOption = Annotated[WorldSplit, typer.Option(help="Part of the world; their scenes differ.")]
Twins = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Share of pictures with a silent object of the sounding class."
    ),
]
OffScreen = Annotated[
    float, typer.Option(min=0, max=1, help="Share of scenes with a sound that no picture shows.")
]


@app.command(cls=Command)
def preview(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for sheet and sounds.")],
    scenes: Annotated[int, typer.Option(min=1, max=200, help="How many scenes.")] = 12,
    sources: Sources = 1,
    classes: ClassesOption = "seen",
    split: SplitOption = "test",
    seed: Seed = 0,
    twins: Twins = 0.2,
    off_screen: OffScreen = 0.15,
    force: Force = False,
) -> None:
    """Write a sheet of some scenes, and their sounds as WAV files."""
    from tvsl.synthetic.export import earlier_files
    from tvsl.utils.atomic import check_free

    # Wrong usage ends here, before torch is imported.
    check_free(output, force, earlier_files)

    from tvsl.render.preview import write_preview
    from tvsl.synthetic.world import World

    world = World(split, classes, seed, twins, off_screen)
    with progress("Making scenes") as made:
        path = write_preview(world, output, scenes, sources, force=force, progress=made)
    print_lines(path)


@app.command(cls=Command)
def export(
    folder: Annotated[Path, typer.Argument(help="Folder for frames, sounds and manifest.")],
    scenes: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 100,
    sources: Sources = 1,
    classes: ClassesOption = "seen",
    split: SplitOption = "test",
    seed: Seed = 0,
    twins: Twins = 0.2,
    off_screen: OffScreen = 0.15,
    videos: Annotated[
        bool, typer.Option("--videos", help="Write mp4 files with sound as well.")
    ] = False,
    force: Force = False,
) -> None:
    """Write scenes as pictures, sounds, masks and a manifest.

    These are frames/*.png, audio/*.wav, masks/*.png and manifest.jsonl.
    """
    from tvsl.synthetic.export import export_world
    from tvsl.synthetic.world import World

    world = World(split, classes, seed, twins, off_screen)
    with progress("Writing scenes") as written:
        path = export_world(
            world, folder, scenes, sources, videos=videos, force=force, progress=written
        )
    print_lines(path)
