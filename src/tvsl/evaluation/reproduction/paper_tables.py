"""The paper's seven tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvsl.evaluation.reproduction.columns import both_tasks
from tvsl.evaluation.reproduction.kinds import (
    DUET,
    QUARTET,
    SINGLE,
    TRIO,
    UNSEEN_DUET,
    UNSEEN_SINGLE,
)
from tvsl.evaluation.reproduction.paper import DROP
from tvsl.evaluation.reproduction.rows import (
    ALIGNMENT,
    AUDIOCLIP,
    AVGN,
    CONTROLS,
    FNAC,
    MIX_AND_LOCALIZE,
    PAPER_METHODS,
    TRIVIAL,
    TVSL,
    TVSL_MIXTURES,
    TVSL_PRINTED,
    learned,
    on_half,
)
from tvsl.evaluation.reproduction.specs import Column, Row, TableSpec

PROMPT_LENGTHS = (0, 2, 4, 8, 16, 32)
_OTHERS = tuple(row for row in PAPER_METHODS if row is not TVSL)

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
    both_tasks(),
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
    both_tasks(),
    labels=("given",),
    paper=6,
)

TABLE_7 = TableSpec(
    "table7",
    "One stage or two",
    "Two stages detect classes first; one stage conditions on all classes at once. Our preset "
    "detaches the trained detector from everything else, so that one stage and two can differ in "
    "the detected labels alone, and not even there where validation prefers a detector without "
    "training. As printed, the detector also trains the projections.",
    (
        replace(AVGN, paper="AVGN, one stage"),
        learned("T-VSL, one stage", "tvsl", "T-VSL, one stage", stages=1),
        replace(TVSL, title="T-VSL, two stages", paper="T-VSL, two stages"),
        replace(
            learned("as printed, one stage", "tvsl", preset="paper", stages=1),
            otherwise=TVSL_PRINTED.otherwise,
        ),
        replace(TVSL_PRINTED, title="as printed, two stages"),
    ),
    both_tasks(),
    paper=7,
)
