"""Shape is heard as timbre: harmonics, attack and decay."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.exact import TABLE_BITS, sine_table

HARMONICS = 48
CYCLES = 4
"""A wave table holds four periods, so that partials may lie at quarters of the fundamental."""


@dataclass(frozen=True)
class Timbre:
    """How a shape sounds.

    Attributes:
        partials: Amplitude of each partial by its frequency in quarters of the fundamental.
        attack: Seconds until a note is at its loudest.
        decay: Seconds in which a note falls to 1/e.
        breath: Share of the sound whose amplitude is noise.
        formant: Hertz around which partials are louder, or None.
    """

    partials: dict[int, float] = field(hash=False)
    attack: float
    decay: float
    breath: float = 0.0
    formant: float | None = None


def _harmonic(amplitudes: dict[int, float]) -> dict[int, float]:
    return {CYCLES * number: amplitude for number, amplitude in amplitudes.items()}


TIMBRES: dict[str, Timbre] = {
    "disc": Timbre(_harmonic({1: 1.0, 2: 0.22, 3: 0.08}), 0.09, 2.0, breath=0.15),
    "square": Timbre(_harmonic({n: 1 / n for n in range(1, 24, 2)}), 0.02, 0.9),
    "triangle": Timbre(_harmonic({n: 1 / n for n in range(1, 25)}), 0.05, 1.4),
    "star": Timbre(_harmonic(dict.fromkeys(range(1, 25), 0.12)), 0.03, 1.0, formant=1100.0),
    "ring": Timbre({4: 1.0, 11: 0.75, 22: 0.6, 35: 0.45, 53: 0.3}, 0.004, 0.28),
    "cross": Timbre(_harmonic({1: 1.0, 2: 0.7, 3: 0.5, 4: 0.35}), 0.12, 2.0, breath=1.0),
}
"""Flute, hollow odd harmonics, saw, formant, inharmonic bell, breathy band."""


@cache
def partial_waves() -> NDArray[np.float32]:
    """Row n is a wave of n periods in the table, with a phase of its own, (97, 4096)."""
    size = 2**TABLE_BITS
    steps = np.arange(size)
    phases = np.random.default_rng(48).integers(size, size=HARMONICS * 2 + 1)
    index = (np.arange(HARMONICS * 2 + 1)[:, None] * steps + phases[:, None]) % size
    waves: NDArray[np.float32] = sine_table()[index]
    return waves
