"""Crops of a longer sound: its middle, or the sound event at a moment."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tvsl.media.audio import DEFAULT_RATE, AudioSource, SoundReader, load_audio, sound_window
from tvsl.media.limits import DEFAULT_LIMITS, LATEST_MOMENT, MediaLimits, check_file
from tvsl.media.streams import file_end
from tvsl.media.waveform import Waveform, audible_mask, resample

Read: TypeAlias = "Callable[[int, int], tuple[NDArray[np.float32], Fraction | None]]"
"""As ``SoundReader.read``, of the index of the first sample and their number."""

# Seconds of silence that separate two sound events. Shorter ones are pauses within one.
PARTING_SILENCE = 0.5
# Shorter silence than this, in seconds, at the ends of a window is kept.
EDGE_SILENCE = 0.1


def crop_center(
    source: AudioSource,
    length: float,
    rate: int = DEFAULT_RATE,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform:
    """Load the middle of a sound, or all of it if it is shorter.

    Of a long file only the middle is decoded, if its headers state its length.

    Args:
        source: As for ``load_audio``.
        length: Longest result in seconds.
        rate: Samples per second of the result.
        limits: What is allowed.

    Returns:
        The sound; its ``start`` is its position in the file.

    Raises:
        MediaError: As for ``load_audio``.
        ShapeError: As for ``load_audio``.
        UsageError: The rate or length is out of range.
    """
    if isinstance(source, str | Path):
        end = file_end(check_file(source, limits), limits)
        if end > length:
            return sound_window(source, end / 2, length, rate, limits)
    whole = load_audio(source, rate, limits=limits)
    longest = round(length * rate)
    first = max(0, (len(whole.samples) - longest) // 2)
    part = whole.samples[first : first + longest]
    return Waveform(part, rate, whole.start + first / rate)


def sound_event(
    source: str | Path | Waveform,
    moment: float,
    length: float,
    span: float,
    rate: int = DEFAULT_RATE,
    limits: MediaLimits = DEFAULT_LIMITS,
    reader: SoundReader | None = None,
) -> Waveform | None:
    """Load the sound event that is heard at a moment of a sound.

    Near the borders of the sound the window around the moment is shifted inwards. It ends at
    silences of half a second or more, which separate sound events.

    Args:
        source: A sound or video file, or a waveform that was loaded; one that has the wanted rate
            is not resampled at each moment.
        moment: Seconds on the sound's clock.
        length: Length of the window around the moment in seconds.
        span: Length of the interval around the moment, in seconds, in which something must sound.
        rate: Samples per second of the result.
        limits: What is allowed.
        reader: Reader of this file at this rate, where several moments of it are asked for.

    Returns:
        The event; its ``start`` is its position in the sound. None if nothing sounds at the
        moment: the span is silent, or lies outside the sound.

    Raises:
        MediaError: As for ``require_audio_stream``, or the file is broken.
    """
    read = window_reader(source, rate, limits) if reader is None else reader.read
    if moment > LATEST_MOMENT:
        return None
    length, span = min(length, LATEST_MOMENT), min(span, LATEST_MOMENT)
    first, count = round(max(0.0, moment - length / 2) * rate), max(1, round(length * rate))
    begin, stop = (round((moment + side * span / 2) * rate) for side in (-1, 1))
    samples, end = read(first, count)
    part = _event_bounds(samples, begin - first, stop - first, rate)
    if part is not None and len(samples) < count and first > 0 and end is not None:
        first = max(0, round(end * rate) - count)
        samples, _ = read(first, count)
        part = _event_bounds(samples, begin - first, stop - first, rate)
    if part is None:
        return None
    return Waveform(samples[part].copy(), rate, (first + part.start) / rate)


def window_reader(
    source: str | Path | Waveform, rate: int, limits: MediaLimits = DEFAULT_LIMITS
) -> Read:
    """Make a reader of windows of a file's sound, or of one that is in memory.

    Args:
        source: As for ``sound_event``.
        rate: Samples per second of the windows.
        limits: What is allowed.
    """
    if not isinstance(source, Waveform):
        return SoundReader(check_file(source, limits), rate, limits).read
    samples, start = resample(source, rate).samples, round(source.start * rate)
    end = start + samples.size

    def read(first: int, count: int) -> tuple[NDArray[np.float32], Fraction | None]:
        before = min(max(start - first, 0), count)
        part = samples[max(first - start, 0) : max(first + count - start, 0)]
        silent = np.zeros(before, np.float32)
        window = np.concatenate([silent, part]) if before else part
        return window, None if first + count < end else Fraction(end, rate)

    return read


def _event_bounds(samples: NDArray[np.float32], begin: int, end: int, rate: int) -> slice | None:
    """Part of a sound between the silences around an interval; None if that is silent."""
    loud = np.flatnonzero(audible_mask(samples, rate))
    inside = np.flatnonzero((loud >= begin) & (loud < end))
    if inside.size == 0:
        return None
    parted = np.flatnonzero(np.diff(loud) >= PARTING_SILENCE * rate)
    before, after = parted[parted < inside[0]], parted[parted >= inside[-1]]
    start = int(loud[before[-1] + 1]) if before.size else int(loud[0])
    stop = (int(loud[after[0]]) if after.size else int(loud[-1])) + 1
    if start < EDGE_SILENCE * rate:
        start = 0
    if len(samples) - stop < EDGE_SILENCE * rate:
        stop = len(samples)
    return slice(start, stop)
