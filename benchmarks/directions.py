"""Share of an encoder's cosines that its principal directions keep.

    python benchmarks/directions.py --data ../shared/real [--model NAME] [--clips N]

Directions of 256 training clips, cosines of as many other ones (those that directions are not
drawn from), in development. The table: correlation of the cosines before and after, of cells of
pictures with class names, of pieces of sounds with class names, and of cells with pieces.
"""

from __future__ import annotations

import argparse

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import normalize

from tvsl.data.real import RealData
from tvsl.loading import load_encoder
from tvsl.methods.base import MethodConfig
from tvsl.reproduce.reduced_encoder import directions_of

COUNTS = (64, 96, 128, 192, 256)
ROWS = 2000


def agreement(one: Tensor, other: Tensor, directions: Tensor) -> float:
    """Correlation of the cosines of two sets of vectors, whole and cut."""
    whole = normalize(one, dim=-1) @ normalize(other, dim=-1).T
    cut = normalize(one @ directions, dim=-1) @ normalize(other @ directions, dim=-1).T
    return float(torch.corrcoef(torch.stack([whole.flatten(), cut.flatten()]))[0, 1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder in the form of ../shared/real")
    parser.add_argument("--model", default="everyday", help="the encoder")
    parser.add_argument("--clips", type=int, default=128, help="clips whose cosines are compared")
    given = parser.parse_args()
    encoder = load_encoder(given.model, MethodConfig(), "cpu")
    data = RealData(root=given.data, development=True)
    found = directions_of(encoder, data.clips(1000, 0), max(COUNTS), seed=0)
    # Clips of another seed are other pictures with other sounds.
    batch = data.clips(given.clips, 1).read(range(given.clips), encoder.sample_rate)
    pictures = torch.stack([encoder.prepare(one, square=True) for one in batch.pictures])
    generator = torch.Generator().manual_seed(0)

    def some(tokens: Tensor) -> Tensor:
        rows = tokens.flatten(0, 1)
        return rows[torch.randperm(len(rows), generator=generator)[:ROWS]]

    cells = some(encoder.encode_frames(pictures).tokens)
    pieces = some(encoder.encode_sounds(torch.from_numpy(batch.waveforms)).tokens)
    names = encoder.embed(data.names)
    table = Table("directions", "cells, names", "pieces, names", "cells, pieces")
    for count in COUNTS:
        kept = found[:, :count]
        pairs = ((cells, names), (pieces, names), (cells, pieces))
        table.add_row(str(count), *(f"{agreement(*pair, kept):.4f}" for pair in pairs))
    Console().print(f"{given.model}: of {encoder.embedding} directions", table)


if __name__ == "__main__":
    main()
