"""The middle of a sound that is longer than can be heard at once."""

from __future__ import annotations

from pathlib import Path

from tvsl.media.audio import DEFAULT_RATE, AudioSource, Waveform, load_audio, sound_window
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file
from tvsl.media.streams import file_end


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
