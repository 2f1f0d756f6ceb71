"""Options that several commands have: one name, one meaning, one form, one range everywhere."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.arguments import LARGEST_NUMBER
from tvsl.devices import check_device

MOST_WORKERS = 256


class Precision(str, Enum):
    """Arithmetic of the convolutions."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    auto = "auto"


class FlipAverage(str, Enum):
    """Averaging with the flipped picture."""

    none = "none"
    mirror = "mirror"
    turn = "turn"


Data = Annotated[str, typer.Option(help="Data set: a name of `tvsl data list`.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the data set's media.")]
Lists = Annotated[Path | None, typer.Option(help="Folder of the data set's lists, if elsewhere.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the data set, NAME=VALUE. May be repeated."),
]
Vocabulary = Annotated[
    Path | None,
    typer.Option(help="Text file of classes to detect among, one a line [as suits the data]."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …", callback=check_device)]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Arithmetic of the encoder; auto takes bfloat16 where it pays."),
]
FlipAverageOption = Annotated[
    FlipAverage | None,
    typer.Option(help="Average with the flipped picture; twice the time [as suits the head]."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_NUMBER, help="Decides everything that is drawn.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON on stdout.")]
