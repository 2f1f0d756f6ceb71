"""The rows that several tables have in common: one for each method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvsl.evaluation.reproduction.specs import Row
from tvsl.evaluation.reproduction.trainings import (
    DUETS,
    MIXTURES,
    SINGLES,
    SINGLES_THEN_DUETS,
    HeadSpec,
    Regime,
    Unit,
)


def learned(
    title: str,
    method: str,
    paper: str | None = None,
    mixtures: Regime = DUETS,
    preset: str | None = None,
    **switches: Any,
) -> Row:
    """A row of heads that are trained.

    For single sources heads are trained on single sources; for mixtures on single sources or on
    mixtures, as validation prefers.

    Args:
        title: What tables call it.
        method: Name of the method.
        paper: What the paper's tables call it.
        mixtures: The mixtures that it may be trained on.
        preset: Preset of its switches, for T-VSL.
        switches: Switches that are set otherwise.

    Returns:
        The row.
    """
    head = HeadSpec(method, preset, tuple(sorted(switches.items())))
    return Row(
        title,
        Unit(head, (SINGLES,), "single"),
        Unit(head, (SINGLES, mixtures), "several"),
        paper,
    )


def untrained(title: str, method: str, paper: str | None = None, *, trivial: bool = False) -> Row:
    """A row of a method as it is, without training.

    Args:
        title: What tables call it.
        method: Name of the method.
        paper: What the paper's tables call it.
        trivial: Whether it looks at nothing.

    Returns:
        The row.
    """
    unit = Unit(HeadSpec(method))
    return Row(title, unit, unit, paper, trivial=trivial)


def on_half(row: Row) -> Row:
    """The same row, trained on half of the classes."""

    def halved(unit: Unit) -> Unit:
        return replace(unit, regimes=tuple(replace(one, half=True) for one in unit.regimes))

    return replace(row, single=halved(row.single), several=halved(row.several))


TVSL = learned("T-VSL", "tvsl", "T-VSL")
TVSL_UNTRAINED = untrained("T-VSL, untrained", "tvsl")
TVSL_PRINTED = replace(
    learned("T-VSL, every equation as printed", "tvsl", preset="paper"),
    otherwise=(("readout", "cosine"), ("affinity", 0.0)),
)
TVSL_MIXTURES = Row(
    "T-VSL, trained on mixtures of one to four",
    Unit(TVSL.single.head, (MIXTURES,), "several"),
    Unit(TVSL.single.head, (MIXTURES,), "several"),
)
AUDIOCLIP = untrained("AudioCLIP similarity, untrained", "audioclip")
TEXT_ONLY = untrained("Text only", "text-only")
MIX_AND_LOCALIZE = learned("Mix-and-Localize", "mix-and-localize", "Mix-and-Localize")
FNAC = learned("FNAC", "fnac", "FNAC")
AVGN = learned("AVGN", "avgn", "AVGN")
ALIGNMENT = learned("Alignment", "alignment", "Alignment")

PAPER_METHODS: tuple[Row, ...] = (
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
    learned("AudioCLIP, fine-tuned", "audioclip-finetuned", "AudioCLIP"),
    learned("Wav2CLIP", "wav2clip", "Wav2CLIP"),
    TVSL,
)
"""The methods of the paper's Tables 1 and 2, in their order."""

CONTROLS: tuple[Row, ...] = (TVSL_UNTRAINED, TEXT_ONLY, AUDIOCLIP)
"""What the encoder can do by itself."""

TRIVIAL: tuple[Row, ...] = (
    untrained("Whole frame", "whole-frame", trivial=True),
    untrained("Centre", "centre", trivial=True),
    untrained("Random", "random", trivial=True),
)
"""What chance reaches."""

EVERY: tuple[Row, ...] = (*PAPER_METHODS, *CONTROLS, *TRIVIAL)
