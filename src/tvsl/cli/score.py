"""``tvsl score``: heat-maps that another program made, by the same protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tvsl.cli.evaluate import EVERY, print_evaluation
from tvsl.cli.options import (
    AsJson,
    Data,
    DataOption,
    Force,
    Lists,
    Protocols,
    ReadingThreads,
    Root,
    data_options,
)
from tvsl.cli.output import print_json, progress


def command(
    maps: Annotated[
        Path,
        typer.Argument(help="Folder of ID.npy or ID.npz, or one .npz with an array for each id."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.")],
    data: Data = "synthetic",
    root: Root = None,
    lists: Lists = None,
    option: DataOption = None,
    label_source: Annotated[
        Literal["given", "detected", "none"] | None,
        typer.Option(help="What the maps were made for [none for one map an item, else given]."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the table calls them [the folder's name].")
    ] = None,
    protocol: Protocols = None,
    workers: ReadingThreads = 4,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Score heat-maps of another program by the same protocols.

    An array has one map for all sources of an item, (h, w), or one for each, (P, h, w); ID.npz may
    hold one by the name of each class. Writes results.json, results.csv, samples.csv and
    scores.npz, which compare reads.
    """
    from tvsl.data import DATA_SETS, make_data
    from tvsl.data.base import require_items

    source = make_data(DATA_SETS.resolve(data), data_options(root, lists, option) or {})
    require_items(source)

    from tvsl.api import score
    from tvsl.metrics import PAPER, PROTOCOLS

    names = protocol or [PAPER.name]
    found = score(
        maps,
        source,
        protocols=list(PROTOCOLS) if EVERY in names else names,
        labels=label_source,
        name=name,
        output=output,
        force=force,
        workers=workers,
        stages=progress,
    ).evaluation
    if as_json:
        print_json(found.to_dict())
    else:
        print_evaluation(found, output)
