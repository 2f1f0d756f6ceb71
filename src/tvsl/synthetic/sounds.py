"""Sounds of the made-up world: timbres and rhythms.

Surface is heard as register. Size is heard, alike for all classes, as the rate of an amplitude
modulation (2 Hz large to 12 Hz small) and as brightness; loudness is random and tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tvsl.synthetic.exact import (
    PHASE_BITS,
    TABLE_BITS,
    clamped,
    decay_table,
    on_grid,
    power,
    root_mean_square,
    sine,
    sine_table,
)
from tvsl.synthetic.pictures import LARGEST, SMALLEST
from tvsl.synthetic.vocabulary import SURFACES, surface_and_shape

HARMONICS = 48
CYCLES = 4
"""A wave table holds four periods, so that partials may lie at quarters of the fundamental."""

SAMPLE_RATE = 16_000
SAMPLES = 20_480
LOUDNESS = 0.05
REGISTERS = dict(zip(SURFACES, (98.0, 147.0, 220.0, 330.0, 495.0, 742.0), strict=True))
MOST_NOTES = 4
_MODULATION_DEPTH = 0.9
_TILT_CENTRE = 800.0

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Timbre:
    """Timbre of a shape.

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


def smallness(radius: float) -> float:
    """Size of an object on a log scale: 0 at the largest radius, 1 at the smallest."""
    return on_grid(math.log(LARGEST / radius) / math.log(LARGEST / SMALLEST))


def modulation_rate(radius: float) -> float:
    """Rate in hertz of an object's amplitude modulation by its radius, 2 to 12, within 6 %."""
    return 2 * power(6.0, smallness(radius))


def voice(rng: np.random.Generator, label: str, radius: float) -> Wave:
    """The sound of an object, (20480,), root mean square 1.

    Args:
        rng: Source of randomness.
        label: Class of the object.
        radius: Its size in pixels.

    Returns:
        The sound at 16 kHz, without background noise.
    """
    surface, shape = surface_and_shape(label)
    timbre, small = TIMBRES[shape], smallness(radius)
    base = on_grid(REGISTERS[surface] * power(2.0, 1.4 * (2 * rng.random() - 1) / 12))
    notes = _notes(rng)
    pitches = [base * power(2.0, 0.8 * (2 * rng.random() - 1) / 12) for _ in range(MOST_NOTES)]
    table = _wave_table(rng, timbre, base, small)
    wave = table[_phase(rng, pitches, notes)]
    if timbre.breath:
        wave *= _breath(rng, timbre.breath, base)
    note = envelope(shape)
    wave *= np.concatenate([note[since : since + length] for since, length in notes])
    wave *= _modulation(rng, modulation_rate(radius))
    wave /= np.float32(root_mean_square(wave))
    return wave


def background(rng: np.random.Generator) -> Wave:
    """White and brown noise, 38 to 20 and 36 to 18 dB under the loudness of a voice, (20480,)."""
    raw = np.frombuffer(rng.bytes(2 * SAMPLES), dtype=np.int8)
    white, steps = raw[:SAMPLES], raw[SAMPLES:].astype(np.int64)
    # A leak would not be exact; a walk that is bent back to zero at both ends is.
    walk = np.cumsum(steps) * SAMPLES
    walk -= np.arange(1, SAMPLES + 1) * int(steps.sum())
    brown = (walk // SAMPLES).astype(np.float32)
    # Whole numbers of a few thousand: the sum of their squares is exact, whatever its order.
    power_of_brown = float(np.square(brown, dtype=np.float64).sum()) / SAMPLES
    noise: Wave = white * np.float32(decibels(-38 + 18 * rng.random()) / 74)
    brown *= np.float32(
        decibels(-36 + 18 * rng.random()) / max(on_grid(math.sqrt(power_of_brown)), 1.0)
    )
    noise += brown
    return noise


def decibels(value: float) -> float:
    """Decibels to a factor of the amplitude."""
    return power(10.0, value / 20)


def quantised(wave: Wave) -> Wave:
    """Round to 16 bits, in [-1, 1), as in a sound file."""
    whole = clamped(np.rint(wave * np.float32(32768)), -32768, 32767)
    whole /= np.float32(32768)
    return whole


@cache
def _ticks() -> NDArray[np.float64]:
    """The numbers of a clip's samples, (20480,); not to be written to."""
    return np.arange(SAMPLES, dtype=np.float64)


def _notes(rng: np.random.Generator) -> list[tuple[int, int]]:
    """Two to four notes that fill a clip: samples since each began, and how many it lasts."""
    count = int(rng.integers(2, MOST_NOTES + 1))
    # The first note began before the clip does: a clip is a cut from something longer.
    early = rng.random() * 0.3
    spacing = 1.28 / count * (0.85 + 0.3 * rng.random(count))
    starts = np.concatenate([[0.0], np.cumsum(spacing)[:-1]]) - early * spacing[0]
    samples = [int(start * SAMPLE_RATE) for start in starts]
    ends = [*samples[1:], SAMPLES]
    return [(max(-start, 0), end - max(start, 0)) for start, end in zip(samples, ends, strict=True)]


def _phase(
    rng: np.random.Generator, pitches: Sequence[float], notes: Sequence[tuple[int, int]]
) -> NDArray[np.intp]:
    """Place in the wave table of each sample: pitches in hertz, and a vibrato; (20480,)."""
    rate, depth = 4 + 2.5 * rng.random(), 0.002 + 0.006 * rng.random()
    vibrato = 1 + depth * sine(_ticks() * (rate / SAMPLE_RATE) + rng.random())
    steps = [pitch * (2.0**PHASE_BITS / SAMPLE_RATE / CYCLES) for pitch in pitches[: len(notes)]]
    pieces = np.repeat(steps, [length for _, length in notes]) * vibrato
    phase = np.cumsum(pieces.astype(np.int64))
    phase += int(rng.integers(2**PHASE_BITS))
    phase >>= PHASE_BITS - TABLE_BITS
    phase &= 2**TABLE_BITS - 1
    return phase.astype(np.intp, copy=False)


def _wave_table(rng: np.random.Generator, timbre: Timbre, pitch: float, small: float) -> Wave:
    """Four periods of the sound, tilted around 800 Hz: brighter the smaller the object."""
    per_octave = (small - 0.5) * 3.0
    table = np.zeros(2**TABLE_BITS, dtype=np.float32)
    waves = partial_waves()
    for partial, amplitude in timbre.partials.items():
        hertz = pitch * partial / CYCLES
        if hertz > 0.45 * SAMPLE_RATE or partial > 2 * HARMONICS:
            break
        tilt = decibels(per_octave * on_grid(math.log2(hertz / _TILT_CENTRE)))
        if timbre.formant is not None:
            octaves = on_grid(math.log2(hertz / timbre.formant))
            tilt *= 1 + 7 * power(2.0, -((octaves / 0.45) ** 2))
        jitter = 0.8 + 0.4 * rng.random()
        table += waves[partial] * np.float32(amplitude * tilt * jitter)
    return table


def _breath(rng: np.random.Generator, share: float, pitch: float) -> Wave:
    """Noise that drives the amplitude: partials become bands, as wide as the pitch allows."""
    rate = 0.5 * pitch
    knots = (2 * rng.random(int(1.28 * rate) + 3) - 1).astype(np.float32)
    place = _ticks() * (rate / SAMPLE_RATE)
    left = place.astype(np.intp)
    noise = (place - left).astype(np.float32)
    noise *= (knots[1:] - knots[:-1])[left]
    noise += knots[left]
    noise *= np.float32(1.7 * share)
    noise += np.float32(1 - share)
    return noise


@cache
def envelope(shape: str) -> Wave:
    """Rise and fall of one note of a shape's sound from its beginning on, (20480,)."""
    timbre = TIMBRES[shape]
    since = _ticks().astype(np.float32) / np.float32(SAMPLE_RATE)
    place = np.minimum((since * np.float32(256 / timbre.decay)).astype(np.intp), 4095)
    rise: Wave = np.minimum(since * np.float32(1 / timbre.attack), np.float32(1))
    rise *= decay_table()[place]
    return rise


def _modulation(rng: np.random.Generator, rate: float) -> Wave:
    """Amplitude modulation around a rate in hertz, which tells the size."""
    rate = rate * (0.94 + 0.12 * rng.random())
    swing = sine(_ticks() * (rate / SAMPLE_RATE) + rng.random())
    swing *= np.float32(_MODULATION_DEPTH / 2)
    swing += np.float32(1 - _MODULATION_DEPTH / 2)
    return swing
