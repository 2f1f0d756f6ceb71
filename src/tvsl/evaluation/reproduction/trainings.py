"""What is trained: a head, on which mixtures, how fast, with which seed; and what is chosen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import JsonValue

from tvsl.audioclip.config import FlipAverage, ImageTokenMode

Switches = tuple[tuple[str, JsonValue], ...]
"""Switches of a method with their values, as part of something that is compared."""

Task = Literal["single", "several"]
"""What a head is chosen for: single sources, or mixtures."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a training.

    Attributes:
        sources: Its batches are mixtures of these numbers of sources, one number each.
        until: Up to which share of the training it lasts.
    """

    sources: tuple[int, ...]
    until: float = 1.0


@dataclass(frozen=True)
class Regime:
    """What a head is trained on.

    Attributes:
        name: What pages call it.
        phases: One after the other; the last one lasts until 1.
        half: Whether half of the classes are left out, to be met as unseen ones (Table 4).
    """

    name: str
    phases: tuple[Phase, ...]
    half: bool = False

    @property
    def most_sources(self) -> int:
        """The largest number of sources."""
        return max(number for phase in self.phases for number in phase.sources)


SINGLES = Regime("single sources", (Phase((1,)),))
DUETS = Regime("duets", (Phase((2,)),))
SINGLES_THEN_DUETS = Regime("single sources, then duets", (Phase((1,), 0.75), Phase((2,))))
MIXTURES = Regime("mixtures of one to four", (Phase((1, 2, 3, 4)),))


@dataclass(frozen=True)
class TokenMode:
    """How pictures are encoded, where it is not as for everything else.

    Attributes:
        image_tokens: Dense image tokens.
        flip_average: Averaging with the flipped picture.
    """

    image_tokens: ImageTokenMode | None = None
    flip_average: FlipAverage | None = None


AS_ALL = TokenMode()


@dataclass(frozen=True)
class HeadSpec:
    """A method with its switches.

    Attributes:
        method: Name of the method.
        preset: Preset of its switches, for T-VSL.
        switches: Switches that are set otherwise.
    """

    method: str
    preset: str | None = None
    switches: Switches = ()


@dataclass(frozen=True)
class Training:
    """One head to be had.

    Attributes:
        head: Which.
        regime: What it is trained on; None for one that needs no training.
        learning_rate: Highest rate of Adam; None without training.
        seed: Decides everything that is drawn.
        mode: How pictures are encoded.
    """

    head: HeadSpec
    regime: Regime | None = None
    learning_rate: float | None = None
    seed: int = 0
    mode: TokenMode = AS_ALL

    @property
    def half(self) -> bool:
        """Whether it knows half of the classes only."""
        return self.regime is not None and self.regime.half

    @property
    def digest(self) -> str:
        """A name for its files, which changes with everything that it states."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Unit:
    """Candidates of which validation chooses one: what a row of a table stands for.

    Attributes:
        head: The head.
        regimes: What it may be trained on; nothing for one that needs no training.
        task: What the choice is made for.
        mode: How pictures are encoded.
    """

    head: HeadSpec
    regimes: tuple[Regime, ...] = ()
    task: Task = "single"
    mode: TokenMode = AS_ALL

    @property
    def half(self) -> bool:
        """Whether its heads know half of the classes only."""
        return any(regime.half for regime in self.regimes)
