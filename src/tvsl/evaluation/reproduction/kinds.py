"""The kinds of scenes that tables are measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ClassPart = Literal["known", "unseen"]
Twist = Literal["twins", "off-screen", "negatives"]


@dataclass(frozen=True)
class Kind:
    """A kind of scene.

    Attributes:
        name: What files and columns call it.
        title: What pages call it.
        sources: K, the number of sources.
        part: Whether its classes were known to training, or are the other half.
        twist: What else is so: every source has a silent twin of its class (``twins``), every
            mixture has a sound whose class is nowhere visible (``off-screen``), or of every other
            scene all that sounds is nowhere visible (``negatives``).
    """

    name: str
    title: str
    sources: int
    part: ClassPart = "known"
    twist: Twist | None = None


SINGLE = Kind("single", "single sources", 1)
DUET = Kind("duet", "duets", 2)
TRIO = Kind("trio", "mixtures of three", 3)
QUARTET = Kind("quartet", "mixtures of four", 4)
UNSEEN_SINGLE = Kind("unseen-single", "single sources of unseen classes", 1, "unseen")
UNSEEN_DUET = Kind("unseen-duet", "duets of unseen classes", 2, "unseen")
TWIN_SINGLE = Kind("twin-single", "single sources with a silent twin", 1, twist="twins")
TWIN_DUET = Kind("twin-duet", "duets, each source with a silent twin", 2, twist="twins")
OFF_SCREEN_SINGLE = Kind(
    "off-screen-single", "single sources and a sound off screen", 1, twist="off-screen"
)
OFF_SCREEN_DUET = Kind("off-screen-duet", "duets and a sound off screen", 2, twist="off-screen")
NEGATIVES = Kind(
    "negatives", "single sources, every other one silent and out of sight", 1, twist="negatives"
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        SINGLE,
        DUET,
        TRIO,
        QUARTET,
        UNSEEN_SINGLE,
        UNSEEN_DUET,
        TWIN_SINGLE,
        TWIN_DUET,
        OFF_SCREEN_SINGLE,
        OFF_SCREEN_DUET,
        NEGATIVES,
    )
}
"""All of them by name."""

VALIDATION_KINDS = (SINGLE, DUET, TRIO, QUARTET)
"""Maps are decided on the first two, detection on all of them."""
