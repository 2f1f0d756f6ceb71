"""``tvsl compare``: what two evaluations differ in beyond chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvsl.cli.options import AsJson
from tvsl.cli.output import print_json, print_lines, print_table


def command(
    a: Annotated[Path, typer.Argument(help="Folder that evaluate or score wrote.")],
    b: Annotated[Path, typer.Argument(help="The other one, or the same with other methods.")],
    first: Annotated[
        str | None, typer.Option(help="Method of the first, as its table calls it [the only one].")
    ] = None,
    second: Annotated[
        str | None, typer.Option(help="Method of the second, as its table calls it [the only one].")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare two evaluations item by item, with 95 % intervals.

    Both must be of the same data; the encoders, heads and methods may differ.
    """
    from tvsl.evaluation.result_cache import scores_file

    for place in (a, b):  # a missing one is told before torch is imported
        scores_file(place)

    from tvsl.evaluation.compare import compare

    found = compare(a, b, methods=(first, second), seed=seed)
    if as_json:
        print_json(found.to_dict())
        return
    table = found.table
    print_table(table.headers, table.rows, table.headers[3:6])
    print_lines("", *found.lines)
