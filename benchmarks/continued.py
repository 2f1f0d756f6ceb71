"""T-VSL on an encoder that Eq. 1 has taught half of the classes.

    python benchmarks/continued.py --data ../shared/real --output FOLDER

The everyday encoder, real mixtures of development (docs/reproducing.md), duets, CIoU@0.3. First P_a
and P_v are trained by Eq. 1 alone on half of the classes. With them behind it the encoder knows one
half, and the other half is new to it, as new classes are to AudioCLIP. T-VSL is trained on all
classes on both encoders, the one that is published and the one that was continued. The folder goes
on where it was; ``--quick`` only shows that everything runs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tvsl.encoder import FrameTokens, SoundTokens
from tvsl.methods.checkpoint_io import read_head
from tvsl.methods.tvsl import TVSL
from tvsl.reproduce import tables
from tvsl.reproduce.experiment import Experiment, ExperimentConfig
from tvsl.reproduce.reduced_encoder import ReducedEncoder
from tvsl.reproduce.report import csv_text
from tvsl.reproduce.results import MeasuredTable
from tvsl.reproduce.run import Reproduction, reproduce, select
from tvsl.reproduce.specs import DUET, UNSEEN_DUET, Column, RowSpec, TableSpec, reproduce_config
from tvsl.reproduce.train import HeadStore
from tvsl.utils.model_folder import fingerprint
from tvsl.utils.processes import no_stages

HALF = tables.on_half(replace(tables.EQ_1, title="Eq. 1 on half of the classes"))
COLUMNS = (
    Column("all classes", DUET, "success", "several"),
    Column("the half that Eq. 1 left out", UNSEEN_DUET, "success", "several"),
)
QUICK = {
    "clips": 48,
    "validation_scenes": 4,
    "test_scenes": 4,
    "steps": 2,
    "batches": (4,),
    "seeds": 1,
}


class ContinuedEncoder(ReducedEncoder):
    """An encoder with the trained P_a and P_v of a head behind it.

    Args:
        encoder: The encoder.
        head: The head.
    """

    def __init__(self, encoder: ReducedEncoder, head: TVSL) -> None:
        super().__init__(encoder.encoder, encoder.directions)
        self.seen, self.heard = head.project_visual, head.project_audio
        weights = {name: value.detach() for name, value in head.named_parameters()}
        self.fingerprint = fingerprint(encoder.fingerprint, weights)

    @torch.inference_mode()
    def encode_frames(self, frames: torch.Tensor) -> FrameTokens:
        """Frames alone to tokens through P_v; see ``Encoder``."""
        found = super().encode_frames(frames)
        return FrameTokens(self.seen(found.tokens), self.seen(found.embeddings), found.grid)

    @torch.inference_mode()
    def encode_sounds(self, waveforms: torch.Tensor) -> SoundTokens:
        """Waveforms alone to tokens through P_a; see ``Encoder``."""
        found = super().encode_sounds(waveforms)
        return SoundTokens(self.heard(found.tokens), self.heard(found.embeddings))


def measure(experiment: Experiment, rows: tuple[RowSpec, ...]) -> Reproduction:
    """Train and measure rows on duets of all classes and of the half that is left out.

    All figures are written beside the folder of the heads, as a CSV file of its name.
    """
    folder = experiment.settings.folder
    table = TableSpec(folder.name, "", "", rows, COLUMNS, labels=("given", "detected"))
    found = reproduce(replace(select(["table2"]), tables=(table,)), experiment, no_stages)
    folder.with_suffix(".csv").write_text(csv_text(found), encoding="utf-8")
    return found


def add(shown: Table, encoder: str, measured: MeasuredTable) -> None:
    """Add the lines of a measured table to a shown one."""
    for line in measured.lines:
        values = ("" if value is None else value.text() for value in line.values)
        shown.add_row(encoder, line.row, line.labels, *values)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder in the form of ../shared/real")
    parser.add_argument("--output", required=True, type=Path, help="folder of heads and tokens")
    parser.add_argument("--quick", action="store_true", help="only to see that everything runs")
    given = parser.parse_args()
    config = reproduce_config("composites", "full", **(QUICK if given.quick else {}))
    options = {"root": given.data, "development": True}

    def experiment(name: str) -> Experiment:
        folder = given.output / name
        return Experiment(ExperimentConfig(config, "everyday", "real", options, folder, "cpu"))

    published, continued = experiment("published"), experiment("continued")
    first = measure(published, (tables.TVSL_UNTRAINED, tables.TVSL, HALF))
    (chosen,) = {one.chosen for one in first.choices if one.candidates == HALF.several}
    assert chosen is not None
    head = read_head(HeadStore(published.settings.folder).head(chosen)).build(published.encoder)
    assert isinstance(published.encoder, ReducedEncoder)
    assert isinstance(head, TVSL)
    continued.encoder = ContinuedEncoder(published.encoder, head.eval())
    second = measure(continued, (tables.TVSL_UNTRAINED, tables.TVSL))
    shown = Table("encoder", "head", "labels", *(column.title for column in COLUMNS))
    add(shown, "published", first.tables[0])
    add(shown, "continued on half", second.tables[0])
    Console(width=140).print(shown)


if __name__ == "__main__":
    main()
