"""What is heard at once of a longer sound: its middle, or what lies around a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tvsl.media.audio import (
    DEFAULT_RATE,
    AudioSource,
    Waveform,
    load_audio,
    read_window,
    sound_window,
    sounding,
)
from tvsl.media.limits import DEFAULT_LIMITS, LATEST_MOMENT, MediaLimits, check_file
from tvsl.media.streams import file_end

# Seconds of silence that part one sound from the next. Shorter ones are pauses of one sound.
PARTING_SILENCE = 0.5
# Seconds of silence at the ends of what is heard that are left as they are.
EDGE_SILENCE = 0.1


def sound_middle(
    source: AudioSource,
    length: float,
    rate: int = DEFAULT_RATE,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform:
    """The middle of a sound, or all of it where it is shorter.

    Of a long file only the middle is decoded, wherever its headers tell how long it is.

    Args:
        source: As for ``load_audio``.
        length: Longest result in seconds.
        rate: Samples per second of the result.
        limits: What is allowed.

    Returns:
        The sound; its ``start`` tells where it lies.

    Raises:
        MediaError: As for ``load_audio``.
        ShapeError: As for ``load_audio``.
        UsageError: A rate or length that cannot be meant.
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


def sound_near(
    path: str | Path,
    moment: float,
    length: float,
    span: float,
    rate: int = DEFAULT_RATE,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform | None:
    """The sound that is heard at a moment of a file, with what it can be told by around it.

    Near the borders of the sound the window around the moment is shifted inwards. It ends at
    silences of half a second or more: what lies behind one is another sound.

    Args:
        path: A sound or video file.
        moment: Seconds on the file's clock.
        length: Length of the window around the moment in seconds.
        span: Length of the stretch around the moment, in seconds, in which something must sound.
        rate: Samples per second of the result.
        limits: What is allowed.

    Returns:
        The sound; its ``start`` tells where it lies. None where nothing sounds at the moment: the
        span is silent, or lies outside the sound.

    Raises:
        NoSoundError: The file has no audio.
        UnreadableMediaError: The file is broken.
        MediaLimitError: The file exceeds a limit.
    """
    target = check_file(path, limits)
    if moment > LATEST_MOMENT:
        return None
    length, span = min(length, LATEST_MOMENT), min(span, LATEST_MOMENT)
    first, count = round(max(0.0, moment - length / 2) * rate), max(1, round(length * rate))
    begin, stop = (round((moment + side * span / 2) * rate) for side in (-1, 1))
    samples, end = read_window(target, rate, first, count, limits)
    part = sounding_part(samples, begin - first, stop - first, rate)
    if part is not None and len(samples) < count and first > 0 and end is not None:
        first = max(0, round(end * rate) - count)
        samples, _ = read_window(target, rate, first, count, limits)
        part = sounding_part(samples, begin - first, stop - first, rate)
    if part is None:
        return None
    return Waveform(samples[part].copy(), rate, (first + part.start) / rate)


def sounding_part(samples: NDArray[np.float32], begin: int, end: int, rate: int) -> slice | None:
    """The part of a sound that belongs together with what sounds in a stretch of it.

    Args:
        samples: (S,).
        begin: First sample of the stretch.
        end: One past its last sample.
        rate: Samples per second.

    Returns:
        The part between the silences around the stretch; None where the stretch is silent.
    """
    loud = np.flatnonzero(sounding(samples, rate))
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
