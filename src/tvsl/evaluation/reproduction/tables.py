"""All tables: those of the paper, and some more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tvsl.evaluation.reproduction.kinds import (
    DUET,
    NEGATIVES,
    OFF_SCREEN_DUET,
    OFF_SCREEN_SINGLE,
    QUARTET,
    SINGLE,
    TRIO,
    TWIN_DUET,
    TWIN_SINGLE,
    UNSEEN_DUET,
    UNSEEN_SINGLE,
    Kind,
)
from tvsl.evaluation.reproduction.paper import DROP
from tvsl.evaluation.reproduction.rows import (
    ALIGNMENT,
    AUDIOCLIP,
    AVGN,
    CONTROLS,
    EVERY,
    FNAC,
    MIX_AND_LOCALIZE,
    PAPER_METHODS,
    TEXT_ONLY,
    TRIVIAL,
    TVSL,
    TVSL_MIXTURES,
    TVSL_PRINTED,
    TVSL_UNTRAINED,
    learned,
    on_half,
)
from tvsl.evaluation.reproduction.specs import Column, Row, TableSpec
from tvsl.evaluation.reproduction.trainings import HeadSpec, Task, TokenMode, Unit
from tvsl.methods.tvsl.readout import READOUTS

PROMPT_LENGTHS = (0, 2, 4, 8, 16, 32)
_OTHERS = tuple(row for row in PAPER_METHODS if row is not TVSL)


def _both(single: Kind = SINGLE, several: Kind = DUET, paper: bool = True) -> tuple[Column, ...]:
    """The four figures that most of the paper's tables give."""
    wanted: tuple[tuple[str, Kind, str, Task, str], ...] = (
        ("single: AP", single, "AP", "single", "{single}: AP"),
        ("single: {success}", single, "success", "single", "{single}: {success}"),
        ("duet: CAP", several, "CAP", "several", "{several}: CAP"),
        ("duet: {success}", several, "success", "several", "{several}: {success}"),
    )
    return tuple(
        Column(title, kind, figure, head, known if paper else None)
        for title, kind, figure, head, known in wanted
    )


TABLE_1 = TableSpec(
    "table1",
    "Single sources",
    "One source in each scene; heads are trained on single sources.",
    (*PAPER_METHODS, *CONTROLS, TVSL_PRINTED, *TRIVIAL),
    (
        Column("AP", SINGLE, "AP", "single", "{single}: AP"),
        Column("{success}", SINGLE, "success", "single", "{single}: {success}"),
        Column("AUC", SINGLE, "AUC", "single", "{single}: AUC"),
    ),
    paper=1,
)

TABLE_2 = TableSpec(
    "table2",
    "Several sources",
    "Two sources in each scene, pictures side by side and sounds added up.",
    (*PAPER_METHODS, *CONTROLS, TVSL_PRINTED, *TRIVIAL),
    (
        Column("CAP", DUET, "CAP", "several", "{several}: CAP"),
        Column("{success}", DUET, "success", "several", "{several}: {success}"),
        Column("AUC", DUET, "AUC", "several", "{several}: AUC"),
    ),
    paper=2,
)


def _ablation(title: str, paper: str | None, **blocks: bool) -> Row:
    names = ("audio_conditioning", "image_conditioning", "correspondence")
    switches: dict[str, Any] = {name: blocks.get(name, False) for name in names}
    return learned(title, "tvsl", paper, **switches)


TABLE_3 = TableSpec(
    "table3",
    "Building blocks of T-VSL",
    "Audio conditioning, image conditioning and audio-visual correspondence (AVC), with labels "
    "given. Without image conditioning the class name has no say in the picture.",
    (
        replace(AUDIOCLIP, title="none (AudioCLIP similarity)", paper="T-VSL, AudioCLIP alone"),
        _ablation("AVC", "T-VSL, correspondence", correspondence=True),
        _ablation(
            "audio, AVC",
            "T-VSL, correspondence, audio conditioning",
            audio_conditioning=True,
            correspondence=True,
        ),
        _ablation(
            "image, AVC",
            "T-VSL, correspondence, image conditioning",
            image_conditioning=True,
            correspondence=True,
        ),
        _ablation("audio, image", None, audio_conditioning=True, image_conditioning=True),
        replace(TVSL, title="audio, image, AVC", paper="T-VSL, all three"),
    ),
    _both(),
    labels=("given", "none"),
    paper=3,
)

TABLE_4 = TableSpec(
    "table4",
    "Zero-shot transfer to unseen classes",
    "Heads are trained on half of the classes and tested on the other half, among which classes "
    "are detected.",
    tuple(
        on_half(row)
        for row in (
            TVSL,
            MIX_AND_LOCALIZE,
            ALIGNMENT,
            FNAC,
            *(row for row in _OTHERS if row not in (MIX_AND_LOCALIZE, ALIGNMENT, FNAC)),
            *CONTROLS,
            *TRIVIAL,
        )
    ),
    (
        Column("single: AP", UNSEEN_SINGLE, "AP", "single"),
        Column("single: {success}", UNSEEN_SINGLE, "success", "single", "music-solo: IoU@0.5"),
        Column("duet: CAP", UNSEEN_DUET, "CAP", "several"),
        Column("duet: {success}", UNSEEN_DUET, "success", "several", "music-duet: CIoU@0.3"),
    ),
    paper=4,
)

TABLE_5 = TableSpec(
    "table5",
    "More sources than in training",
    "Heads that are trained on single sources, tested on mixtures of two to four.",
    (
        TVSL,
        AVGN,
        ALIGNMENT,
        FNAC,
        *(row for row in _OTHERS if row not in (AVGN, ALIGNMENT, FNAC)),
        TVSL_MIXTURES,
        *CONTROLS,
        *TRIVIAL,
    ),
    (
        Column("2: {success}", DUET, "success", "single", "2 sources"),
        Column("3: {success}", TRIO, "success", "single", "3 sources"),
        Column("4: {success}", QUARTET, "success", "single", "4 sources"),
        Column("drop from 2 to 4", QUARTET, "success", "single", DROP, falls_from=DUET),
    ),
    paper=5,
)

TABLE_6 = TableSpec(
    "table6",
    "Length of the learned prompt",
    "Learned context vectors before the class name in the text encoder's input, labels given.",
    tuple(
        replace(TVSL, title="0", paper="T-VSL, prompt length 0")
        if length == 0
        else learned(str(length), "tvsl", f"T-VSL, prompt length {length}", prompt_length=length)
        for length in PROMPT_LENGTHS
    ),
    _both(),
    labels=("given",),
    paper=6,
)

TABLE_7 = TableSpec(
    "table7",
    "One stage or two",
    "Two stages detect classes first; one stage conditions on all classes at once.",
    (
        replace(AVGN, paper="AVGN, one stage"),
        learned("T-VSL, one stage", "tvsl", "T-VSL, one stage", stages=1),
        replace(TVSL, title="T-VSL, two stages", paper="T-VSL, two stages"),
    ),
    _both(),
    paper=7,
)

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
        *_both(paper=False),
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
        *_both(paper=False),
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
    _both(paper=False),
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
    _both(OFF_SCREEN_SINGLE, OFF_SCREEN_DUET, paper=False),
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

TABLES: Mapping[str, TableSpec] = {
    table.name: table
    for table in (
        TABLE_1,
        TABLE_2,
        TABLE_3,
        TABLE_4,
        TABLE_5,
        TABLE_6,
        TABLE_7,
        LABELS,
        READOUT_TABLE,
        TOKENS,
        TWINS,
        OFF_SCREEN,
        NEGATIVES_TABLE,
    )
}
"""All tables by name; the first seven are the paper's."""
