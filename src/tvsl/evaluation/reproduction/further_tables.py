"""Tables that the paper does not have."""

from __future__ import annotations

from dataclasses import replace

from tvsl.evaluation.reproduction.columns import both_tasks
from tvsl.evaluation.reproduction.kinds import (
    DUET,
    NEGATIVES,
    OFF_SCREEN_DUET,
    OFF_SCREEN_SINGLE,
    SINGLE,
    TWIN_DUET,
    TWIN_SINGLE,
)
from tvsl.evaluation.reproduction.rows import (
    AVGN,
    EVERY,
    PAPER_METHODS,
    TEXT_ONLY,
    TVSL,
    TVSL_UNTRAINED,
)
from tvsl.evaluation.reproduction.specs import Column, Row, TableSpec
from tvsl.evaluation.reproduction.trainings import HeadSpec, TokenMode, Unit
from tvsl.methods.tvsl.readout import READOUTS

LABELS = TableSpec(
    "labels",
    "Labels given or detected",
    "All methods that ask for classes and can detect them. Detected: the likeliest classes, as "
    "many as there are sources; a source whose class is not among them scores 0.",
    (
        *(row for row in PAPER_METHODS if row.single.head.method in ("coarse-to-fine", "dsol")),
        AVGN,
        TVSL,
        TVSL_UNTRAINED,
        TEXT_ONLY,
    ),
    (
        *both_tasks(paper=False),
        Column("single: detection mAP", SINGLE, "detection", "single"),
        Column("duet: detection mAP", DUET, "detection", "several"),
    ),
)

READOUT_TABLE = TableSpec(
    "readouts",
    "Readouts of T-VSL",
    "The same heads, read out in every way; `cosine` is the paper's, literally. Polarity, clamp "
    "and exponent are decided on validation for each of them.",
    tuple(replace(TVSL, title=name, paper=None, readout=name) for name in READOUTS),
    (
        *both_tasks(paper=False),
        Column("twin single: AP", TWIN_SINGLE, "AP", "single"),
        Column("twin duet: CAP", TWIN_DUET, "CAP", "several"),
    ),
    labels=("given",),
)

_MODES = (
    TokenMode("values", "none"),
    TokenMode("values", "mirror"),
    TokenMode("values", "turn"),
    TokenMode("cells", "none"),
    TokenMode("cells", "turn"),
)


def _encoded(title: str, method: str, mode: TokenMode) -> Row:
    unit = Unit(HeadSpec(method), mode=mode)
    return Row(f"{title}; {mode.image_tokens}, flip {mode.flip_average}", unit, unit)


TOKENS = TableSpec(
    "tokens",
    "Image tokens and flip averages",
    "Dense tokens by the value path or with every cell as a query of the attention pooling, alone "
    "or averaged with those of the mirrored or turned picture. Nothing is trained here.",
    tuple(
        _encoded(title, method, mode)
        for title, method in (("T-VSL, untrained", "tvsl"), ("AudioCLIP similarity", "audioclip"))
        for mode in _MODES
    ),
    both_tasks(paper=False),
    labels=("given", "none"),
)

TWINS = TableSpec(
    "twins",
    "Twins",
    "Beside each source there is a silent object of its class and of another size; the name cannot "
    "tell the two apart, the sound can. Right: the map is higher on the one that sounds.",
    EVERY,
    (
        Column("single: AP", TWIN_SINGLE, "AP", "single"),
        Column("single: right", TWIN_SINGLE, "right twin", "single"),
        Column("duet: CAP", TWIN_DUET, "CAP", "several"),
        Column("duet: right", TWIN_DUET, "right twin", "several"),
    ),
)

OFF_SCREEN = TableSpec(
    "off-screen",
    "Sounds off screen",
    "In every scene there is one more sound, of a class that is nowhere visible.",
    EVERY,
    both_tasks(OFF_SCREEN_SINGLE, OFF_SCREEN_DUET, paper=False),
)


NEGATIVES_TABLE = TableSpec(
    "negatives",
    "Is there anything to be found?",
    "Of every other scene all that sounds is nowhere visible; a method should be sure of its map "
    "only where there is something (SLAVC's AP and max-F1).",
    EVERY,
    (
        Column("AP", NEGATIVES, "confident AP", "single"),
        Column("max-F1", NEGATIVES, "max-F1", "single"),
        Column("IoU@0.5 of those that are there", NEGATIVES, "LocAcc", "single"),
    ),
    labels=("given", "assigned", "none"),
)
