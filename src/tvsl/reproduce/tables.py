"""The paper's tables and our further ones: rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import JsonValue

from tvsl.evaluation.score import SceneFigure
from tvsl.methods.operations import AFFINITY
from tvsl.methods.tvsl.inference import READOUTS
from tvsl.reproduce.specs import (
    DROP,
    DUET,
    DUETS,
    MIXTURES,
    NEGATIVES,
    OFF_SCREEN_DUET,
    OFF_SCREEN_SINGLE,
    QUARTET,
    SINGLE,
    SINGLES,
    SINGLES_THEN_DUETS,
    TRIO,
    TWIN_DUET,
    TWIN_SINGLE,
    UNSEEN_DUET,
    UNSEEN_SINGLE,
    Candidates,
    Column,
    Curriculum,
    HeadSpec,
    RowSpec,
    TableSpec,
    Task,
    TestCondition,
    TokenMode,
)


def both_tasks(
    single: TestCondition = SINGLE, several: TestCondition = DUET, paper: bool = True
) -> tuple[Column, ...]:
    """The four figures that most tables give.

    Args:
        single: The scenes of single sources.
        several: The scenes of several sources.
        paper: Whether the paper's table has them.

    Returns:
        AP and success rate of the one, CAP and success rate of the other.
    """
    return (
        _column(single, "AP", "single: ", paper),
        _column(single, "success", "single: ", paper),
        _column(several, "CAP", "duet: ", paper),
        _column(several, "success", "duet: ", paper),
    )


def _column(
    condition: TestCondition,
    figure: SceneFigure | Literal["success"],
    prefix: str = "",
    paper: bool = True,
) -> Column:
    """A column of the heads for its scenes, beside the paper's number where it has one."""
    task: Task = "single" if condition.sources == 1 else "several"
    name = "{success}" if figure == "success" else figure
    return Column(prefix + name, condition, figure, task, f"{{{task}}}: {name}" if paper else None)


def learned(
    title: str,
    method: str,
    paper: str | None = None,
    mixtures: Curriculum = DUETS,
    preset: str | None = None,
    **hyperparameters: Any,
) -> RowSpec:
    """A row of heads that are trained.

    For single sources heads are trained on single sources; for mixtures on single sources or on
    mixtures, as validation prefers.

    Args:
        title: Title in tables.
        method: Name of the method.
        paper: Title in the paper's tables.
        mixtures: The mixtures that it may be trained on.
        preset: Preset of its hyperparameters, for T-VSL.
        hyperparameters: Hyperparameters that are set otherwise.

    Returns:
        The row.
    """
    head = HeadSpec(method, preset, tuple(sorted(hyperparameters.items())))
    return RowSpec(
        title,
        Candidates(head, (SINGLES,), "single"),
        Candidates(head, (SINGLES, mixtures), "several"),
        paper,
    )


def untrained(
    title: str, method: str, paper: str | None = None, *, trivial: bool = False
) -> RowSpec:
    """A row of a method as it is, without training.

    Args:
        title: Title in tables.
        method: Name of the method.
        paper: Title in the paper's tables.
        trivial: Whether it looks at nothing.

    Returns:
        The row.
    """
    candidates = Candidates(HeadSpec(method))
    return RowSpec(title, candidates, candidates, paper, trivial=trivial)


def on_half(row: RowSpec) -> RowSpec:
    """The same row, trained on half of the classes."""

    def halved(candidates: Candidates) -> Candidates:
        return replace(
            candidates, curricula=tuple(replace(one, half=True) for one in candidates.curricula)
        )

    return replace(row, single=halved(row.single), several=halved(row.several))


TVSL = learned("T-VSL", "tvsl", "T-VSL")
TVSL_UNTRAINED = untrained("T-VSL, untrained", "tvsl")
TVSL_PRINTED = replace(
    learned("T-VSL, every equation as printed", "tvsl", preset="paper"),
    overrides=(("readout", "cosine"), ("affinity", 0.0)),
)
TVSL_MIXTURES = RowSpec(
    "T-VSL, trained on mixtures of one to four",
    Candidates(TVSL.single.head, (MIXTURES,), "several"),
    Candidates(TVSL.single.head, (MIXTURES,), "several"),
)
AUDIOCLIP = untrained("Encoder's similarity, untrained", "audioclip")
TEXT_ONLY = untrained("Text only", "text-only")
MIX_AND_LOCALIZE = learned("Mix-and-Localize", "mix-and-localize", "Mix-and-Localize")
FNAC = learned("FNAC", "fnac", "FNAC")
AVGN = learned("AVGN", "avgn", "AVGN")
ALIGNMENT = learned("Alignment", "alignment", "Alignment")

PAPER_METHODS: tuple[RowSpec, ...] = (
    learned("OTS", "ots", "OTS"),
    learned("CoarsetoFine", "coarse-to-fine", "CoarsetoFine"),
    learned("LVS", "lvs", "LVS"),
    learned("EZ-VSL", "ez-vsl", "EZ-VSL"),
    MIX_AND_LOCALIZE,
    learned("DSOL", "dsol", "DSOL", mixtures=SINGLES_THEN_DUETS),
    learned("MarginNCE", "margin-nce", "MarginNCE"),
    FNAC,
    AVGN,
    ALIGNMENT,
    learned("Encoder, fine-tuned", "audioclip-finetuned", "AudioCLIP"),
    learned("Wav2CLIP", "wav2clip", "Wav2CLIP"),
    TVSL,
)
"""The methods of the paper's Tables 1 and 2, in their order."""

CONTROLS: tuple[RowSpec, ...] = (TVSL_UNTRAINED, TEXT_ONLY, AUDIOCLIP)
"""Controls: the encoder by itself."""

TRIVIAL: tuple[RowSpec, ...] = (
    untrained("Whole frame", "whole-frame", trivial=True),
    untrained("Centre", "centre", trivial=True),
    untrained("Random", "random", trivial=True),
)
"""Baselines that look at nothing."""

EVERY: tuple[RowSpec, ...] = (*PAPER_METHODS, *CONTROLS, *TRIVIAL)

PROMPT_LENGTHS = (0, 2, 4, 8, 16, 32)
_OTHERS = tuple(row for row in PAPER_METHODS if row is not TVSL)

TABLE_1 = TableSpec(
    "table1",
    "Single sources",
    "One source in each scene; heads are trained on single sources.",
    (*PAPER_METHODS, *CONTROLS, TVSL_PRINTED, *TRIVIAL),
    (_column(SINGLE, "AP"), _column(SINGLE, "success"), _column(SINGLE, "AUC")),
    paper=1,
    reference=TVSL.title,
)

TABLE_2 = TableSpec(
    "table2",
    "Several sources",
    "Two sources in each scene, pictures side by side and sounds added up.",
    (*PAPER_METHODS, *CONTROLS, TVSL_PRINTED, *TRIVIAL),
    (_column(DUET, "CAP"), _column(DUET, "success"), _column(DUET, "AUC")),
    paper=2,
    reference=TVSL.title,
)


def _ablation(title: str, paper: str | None, **blocks: bool) -> RowSpec:
    names = ("audio_conditioning", "image_conditioning", "correspondence")
    hyperparameters: dict[str, Any] = {name: blocks.get(name, False) for name in names}
    return learned(title, "tvsl", paper, **hyperparameters)


TABLE_3 = TableSpec(
    "table3",
    "Building blocks of T-VSL",
    "Audio conditioning, image conditioning and audio-visual correspondence (AVC), with labels "
    "given. Without image conditioning the class name has no say in the picture.",
    (
        replace(AUDIOCLIP, title="none (encoder's similarity)", paper="T-VSL, AudioCLIP alone"),
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
    reference="audio, image, AVC",
)

TABLE_4 = TableSpec(
    "table4",
    "Zero-shot transfer to unseen classes",
    "Heads are trained on half of the classes and tested on the other half, among which classes "
    "are detected. The heads have not seen it; the encoder may have. In the made-up world with "
    "`classes=unseen` it was pre-trained on just this other half.",
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
    reference=TVSL.title,
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
    reference=TVSL.title,
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
    reference="0",
)

TABLE_7 = TableSpec(
    "table7",
    "One stage or two",
    "Two stages detect classes first; one stage conditions on all classes at once. In both L_cls "
    "of our preset asks of every class whether it is there, and trains P_a and P_v; with two "
    "stages L_mcid trains them, too. Validation may prefer a detector without training in either. "
    "As printed, L_cls of two stages asks of the true classes alone.",
    (
        replace(AVGN, paper="AVGN, one stage"),
        learned("T-VSL, one stage", "tvsl", "T-VSL, one stage", stages=1),
        replace(TVSL, title="T-VSL, two stages", paper="T-VSL, two stages"),
        replace(
            learned("as printed, one stage", "tvsl", preset="paper", stages=1),
            overrides=TVSL_PRINTED.overrides,
        ),
        replace(TVSL_PRINTED, title="as printed, two stages"),
    ),
    both_tasks(),
    paper=7,
    reference="T-VSL, two stages",
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
        *both_tasks(paper=False),
        Column("single: detection mAP", SINGLE, "detection", "single"),
        Column("duet: detection mAP", DUET, "detection", "several"),
    ),
    reference=TVSL.title,
)


def _with(title: str, **hyperparameters: JsonValue) -> RowSpec:
    """T-VSL with hyperparameters that validation has not decided."""
    return replace(TVSL, title=title, paper=None, overrides=tuple(hyperparameters.items()))


_CHOSEN = replace(TVSL, title="as validation chose", paper=None)

READOUT_TABLE = TableSpec(
    "readouts",
    "Readouts of T-VSL",
    "The same heads, read out in every way; `cosine` is the paper's, literally. Polarity, clamp "
    "and exponent are decided on validation for each of them. With `text` neither the sound nor "
    "P_av has a say in the map.",
    (_CHOSEN, *(_with(name, readout=name) for name in READOUTS)),
    (
        *both_tasks(paper=False),
        _column(TWIN_SINGLE, "AP", "twin single: ", False),
        _column(TWIN_DUET, "CAP", "twin duet: ", False),
    ),
    labels=("given",),
    reference=_CHOSEN.title,
)

IMPROVEMENTS = TableSpec(
    "improvements",
    "What our T-VSL has beyond the paper",
    "The same heads, those of Table 4, each with one hyperparameter set by hand. The detector: the "
    "evidence of sound and picture added up, their agreement, this with the sound decomposed over "
    "the class names, the paper's P_f, or P_f together with the presences of L_cls. The audio "
    "query: as trained, half way back to where it started from (our preset), or all the way. The "
    "sound: each class takes of all tokens, or they are shared out (our preset). Tokens: half way "
    "back to the encoder's. Maps: as read out, or spread over alike cells. Small and large: mean "
    "cIoU of the third of the single sources with the smallest boxes, and with the largest. Where "
    "validation reads maps from the text, the audio query cannot change them.",
    tuple(
        on_half(row)
        for row in (
            replace(TVSL, paper=None),
            _with("detector: evidence", detector="evidence"),
            _with("detector: agreement", detector="agreement"),
            _with("detector: decomposition", detector="decomposition"),
            _with("detector: P_f", detector="fusion"),
            _with("detector: P_f and L_cls", detector="joint"),
            _with("audio query: as trained", query_anchor=0.0),
            _with("audio query: untrained", query_anchor=1.0),
            _with("sound: not shared out", responsibility=0.0),
            _with("tokens: half way back", token_anchor=0.5),
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
    reference=TVSL.title,
)

UNCHANGED_TOKENS = learned(
    "P_a, P_v the identity, L_cls as printed",
    "tvsl",
    token_projectors="identity",
    detach_detection=True,
    class_negatives=False,
    class_focus=0.0,
)

EQ_1 = learned(
    "Eq. 1 alone",
    "tvsl",
    pooled_weight=1.0,
    class_weight=0.0,
    correspondence=False,
    detach_detection=True,
)
"""P_a and P_v by Eq. 1 on the labels: the encoder continues its own training."""

WITHOUT_SOUND = replace(
    learned(
        "P_v alone, no sound",
        "tvsl",
        detach_detection=True,
        correspondence=False,
        audio_conditioning=False,
    ),
    # Validation may prefer a readout that asks the mean of the sound, too.
    overrides=(("readout", "text"),),
)
"""P_v by L_cls of the picture: text only, trained. The sound is asked for nothing but classes."""

WITH_SOUND = learned("L_mcid trains P_f alone", "tvsl", detach_detection=True)
"""The head from which ``WITHOUT_SOUND`` takes the sound: in neither does L_mcid reach P_v."""

PROJECTORS = TableSpec(
    "projectors",
    "What P_a and P_v learn, loss by loss",
    "Our preset trains P_a and P_v (Sec. 3.2), from the identity, by L_mcid, L_cls and L_av. One "
    "by one each of them, and what ours has beyond the paper, is left out or set otherwise: the "
    "identity for P_a and P_v, a tenth of the learning rate, or a random start of all projectors, "
    "to which the audio query cannot be drawn back; P_f as printed, with one layer; L_cls that "
    "asks of true classes alone, with which there are no presences that the detector `joint` could "
    "take; L_cls with the bare cosines as weights; the identity for P_av or for P_va; L_av with "
    "its full weight in place of a tenth, and with all other pairs as negatives, those of the same "
    "class, too. Two rows change more at once: the identity with L_cls as printed, whose L_mcid "
    "trains P_f alone; and P_v that is trained without the sound in L_cls, L_av and the map, which "
    "is read from the name whatever validation chose, to be compared with L_mcid for P_f alone. "
    "Last, Eq. 1 on mean tokens and names of the clips, by "
    "which the encoder continues its own training, alone and beside our losses.",
    (
        replace(TVSL, paper=None),
        learned("P_a, P_v the identity", "tvsl", token_projectors="identity"),
        UNCHANGED_TOKENS,
        learned("P_a, P_v at a tenth of the rate", "tvsl", token_projectors="slow"),
        learned("a random start", "tvsl", identity_start=False, query_anchor=0.0),
        learned("P_f with one layer", "tvsl", fusion_layers=1),
        WITH_SOUND,
        learned("without L_cls", "tvsl", class_weight=0.0),
        learned("L_cls of true classes alone", "tvsl", class_negatives=False),
        learned("L_cls with bare cosines", "tvsl", class_focus=0.0),
        learned("without P_vc, P_ac", "tvsl", class_projectors=False),
        learned("P_av the identity", "tvsl", correspondence_projectors="visual"),
        learned("P_va the identity", "tvsl", correspondence_projectors="audio"),
        learned("without L_av", "tvsl", correspondence=False),
        learned("L_av at full weight", "tvsl", correspondence_weight=1.0),
        learned("L_av against its own class, too", "tvsl", mask_same_class=False),
        learned("as printed, from the identity", "tvsl", preset="paper", identity_start=True),
        WITHOUT_SOUND,
        EQ_1,
        learned("ours and Eq. 1", "tvsl", pooled_weight=1.0),
        TVSL_UNTRAINED,
        TEXT_ONLY,
        *TRIVIAL,
    ),
    (
        *both_tasks(paper=False),
        Column("duet: detection mAP", DUET, "detection", "several"),
    ),
    labels=("given", "detected", "none"),
    reference=TVSL.title,
)

_MODES = (
    TokenMode("values", "none"),
    TokenMode("values", "mirror"),
    TokenMode("values", "turn"),
    TokenMode("cells", "none"),
    TokenMode("cells", "turn"),
)


def _encoded(title: str, method: str, mode: TokenMode) -> RowSpec:
    candidates = Candidates(HeadSpec(method), mode=mode)
    return RowSpec(
        f"{title}; {mode.image_tokens}, flip {mode.flip_average}", candidates, candidates
    )


TOKENS = TableSpec(
    "tokens",
    "Image tokens and flip averages",
    "Dense tokens by the value path or with every cell as a query of the attention pooling, alone "
    "or averaged with those of the mirrored or turned picture. Nothing is trained here.",
    tuple(
        _encoded(title, method, mode)
        for title, method in (("T-VSL, untrained", "tvsl"), ("encoder's similarity", "audioclip"))
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
    reference=TVSL.title,
)

OFF_SCREEN = TableSpec(
    "off-screen",
    "Sounds off screen",
    "In every scene there is one more sound, of a class that is nowhere visible.",
    EVERY,
    both_tasks(OFF_SCREEN_SINGLE, OFF_SCREEN_DUET, paper=False),
    reference=TVSL.title,
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
    reference=TVSL.title,
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
        IMPROVEMENTS,
        PROJECTORS,
        TOKENS,
        TWINS,
        OFF_SCREEN,
        NEGATIVES_TABLE,
    )
}
"""All tables by name; the first seven are the paper's."""
