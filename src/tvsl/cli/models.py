"""``tvsl models``: the encoders, what each knows, and what was measured with it."""

from __future__ import annotations

from typing import Final, NamedTuple

from tvsl.cli.output import print_lines


class ModelCard(NamedTuple):
    """A line of the table.

    Attributes:
        knows: What it sees and hears.
        size: Where its weights are, and how large they are.
        licence: Licence of the weights.
        measured: Figures of its card or of the documents, or why there are none.
    """

    knows: str
    size: str
    licence: str
    measured: str


MODELS: Final = {
    "everyday": ModelCard(
        "common things and sounds: 80 kinds of COCO, 1,000 of ImageNet, 521 sounds of AudioSet, "
        "any English name",
        "in the package, 49 MB",
        "Apache-2.0 (NOTICE)",
        "photographs, boxes under half the frame: 31 % at cIoU 0.5 (a box in the centre 7); "
        "ESC-10 by name 85 %; "
        "two real things side by side: 60 % at cIoU 0.3, labels given (centre 4)",
    ),
    "mini": ModelCard(
        "the made-up world of tvsl, and nothing else",
        "in the package, 5 MB",
        "Apache-2.0",
        "93.5 % of the sources of new duets with detected labels (cIoU of 0.3 or more)",
    ),
    "mini-pooled": ModelCard(
        "the made-up world, half of its classes: the encoder of the benchmark of new classes",
        "in the package, 4 MB",
        "Apache-2.0",
        "untrained, of the sources of duets of classes that it has not met (cIoU of 0.3 or more): "
        "61.8 % with labels given, 28.3 % with labels detected",
    ),
    "audioclip": ModelCard(
        "the paper's encoder: pictures, sounds and texts of the web, AudioSet's sounds",
        "fetched once, 537 MB",
        "MIT, its authors'",
        "none here: no head was trained on it",
    ),
}
"""The encoders of tvsl; the figures are those of their cards and documents."""


def command() -> None:
    """List the encoders: what each knows, licences, figures."""
    for name, card in MODELS.items():
        print_lines(name, *(f"  {key:10}{text}" for key, text in card._asdict().items()), "")
    print_lines("Encoders of other packages: docs/add-an-encoder.md. Files: `tvsl weights list`.")
