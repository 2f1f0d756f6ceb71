"""Tables that the paper does not have."""

from __future__ import annotations

from dataclasses import replace

from pydantic import JsonValue

from tvsl.evaluation.reproduction.columns import both_tasks
from tvsl.evaluation.reproduction.kinds import (
    DUET,
    NEGATIVES,
    OFF_SCREEN_DUET,
    OFF_SCREEN_SINGLE,
    SINGLE,
    TWIN_DUET,
    TWIN_SINGLE,
    UNSEEN_DUET,
)
from tvsl.evaluation.reproduction.rows import (
    AVGN,
    EVERY,
    PAPER_METHODS,
    TEXT_ONLY,
    TVSL,
    TVSL_UNTRAINED,
    on_half,
)
from tvsl.evaluation.reproduction.specs import Column, Row, TableSpec
from tvsl.evaluation.reproduction.trainings import HeadSpec, TokenMode, Unit
from tvsl.methods.tvsl.readout import READOUTS
from tvsl.methods.tvsl.spreading import AFFINITY

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


def _with(title: str, **switches: JsonValue) -> Row:
    """T-VSL with switches that validation has not decided."""
    return replace(TVSL, title=title, paper=None, otherwise=tuple(switches.items()))


READOUT_TABLE = TableSpec(
    "readouts",
    "Readouts of T-VSL",
    "The same heads, read out in every way; `cosine` is the paper's, literally. Polarity, clamp "
    "and exponent are decided on validation for each of them.",
    tuple(_with(name, readout=name) for name in READOUTS),
    (
        *both_tasks(paper=False),
        Column("twin single: AP", TWIN_SINGLE, "AP", "single"),
        Column("twin duet: CAP", TWIN_DUET, "CAP", "several"),
    ),
    labels=("given",),
)

IMPROVEMENTS = TableSpec(
    "improvements",
    "What our T-VSL has beyond the paper",
    "The same heads, each with one switch set by hand. The detector: the evidence of sound and "
    "picture added up, their agreement, this with the sound decomposed over the class names, or "
    "the paper's P_f. The audio query: as trained, half way back to where it started from (our "
    "preset), or all the way. The sound: each class takes of all tokens, or they are shared out "
    "(our preset). Maps: as read out, or spread over alike cells. Small and large: mean cIoU of "
    "the third of the single sources with the smallest boxes, and with the largest.",
    tuple(
        on_half(row)
        for row in (
            replace(TVSL, paper=None),
            _with("detector: evidence", detector="evidence"),
            _with("detector: agreement", detector="agreement"),
            _with("detector: decomposition", detector="decomposition"),
            _with("detector: P_f", detector="fusion"),
            _with("audio query: as trained", query_anchor=0.0),
            _with("audio query: untrained", query_anchor=1.0),
            _with("sound: not shared out", responsibility=0.0),
            _with("maps: as read out", affinity=0.0),
            _with("maps: spread", affinity=AFFINITY),
        )
    ),
    (
        Column("single: AP", SINGLE, "AP", "single"),
        Column("small: cIoU", SINGLE, "small IoU", "single"),
        Column("large: cIoU", SINGLE, "large IoU", "single"),
        Column("duet: CAP", DUET, "CAP", "several"),
        Column("duet: {success}", DUET, "success", "several"),
        Column("unseen duet: {success}", UNSEEN_DUET, "success", "several"),
        Column("twin duet: CAP", TWIN_DUET, "CAP", "several"),
    ),
    labels=("detected", "given"),
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
