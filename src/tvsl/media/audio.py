"""Load sounds: any container, codec, rate and number of channels, as mono float samples.

A window of a long file is decoded alone, and is cut sample for sample as if the whole file had
been loaded and resampled: both share one grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import MediaError, ShapeError, SilentAudioError, UsageError
from tvsl.media.downmix import as_floats, check_range, mix_down
from tvsl.media.limits import (
    DEFAULT_LIMITS,
    LATEST_MOMENT,
    MediaLimits,
    check_file,
    check_sound_format,
)
from tvsl.media.resampling import resample_blocks
from tvsl.media.sound_reading import read_window
from tvsl.media.streams import file_end

DEFAULT_RATE = 44_100
# -80 dB below full scale: under the noise floor of any recording that was meant to be heard.
SILENCE_PEAK = 1e-4
# What stays within the peak for so many seconds to either side is no sound, however far it is from
# zero: an offset of the recorder's, and half a period of the lowest tone that is heard.
_STILLNESS = 0.05
# Where a sound with an offset ends, filters ring, for less than so many seconds.
_RINGING = 0.02
_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class Waveform:
    """A mono sound.

    Attributes:
        samples: (S,) float32, nominally in [-1, 1].
        rate: Samples per second.
        start: Where in its file it begins, in seconds; 0 for a sound without a file.

    Raises:
        ShapeError: Not one axis, not float32, empty, not finite, or no positive rate.
    """

    samples: NDArray[np.float32]
    rate: int
    start: float = 0.0

    def __post_init__(self) -> None:
        samples = self.samples
        if samples.ndim != 1 or samples.dtype != np.float32 or samples.size == 0:
            raise ShapeError(
                f"A waveform needs float32 samples of one axis, got {samples.dtype} of shape "
                f"{samples.shape}.",
                "Load the sound with load_audio.",
            )
        if not np.isfinite(samples).all():
            raise ShapeError(
                "The sound holds samples that are not finite.", "Replace them before loading."
            )
        if self.rate <= 0:
            raise ShapeError(f"The sample rate is {self.rate}.", "Give a positive rate in Hz.")

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.rate


AudioSource: TypeAlias = "str | Path | Waveform | tuple[NDArray[Any], int]"


def load_audio(
    source: AudioSource,
    rate: int = DEFAULT_RATE,
    start: float | None = None,
    duration: float | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform:
    """Load a sound or a part of it as mono at a sample rate.

    Args:
        source: A sound or video file, a waveform, or samples with their rate: (S,) or (S, C) with
            the channels last, floats in [-1, 1], int16 or int32.
        rate: Samples per second of the result.
        start: Where to begin, in seconds on the file's clock (0 is the first picture, or the
            first sound of a file without one); None for the beginning.
        duration: How long, in seconds; None for all. The file may end earlier.
        limits: What is allowed.

    Returns:
        The channels' average at ``rate``; channels that would cancel each other are turned over
        first (``tvsl.media.downmix``). Silence where the file's sound begins after its picture,
        and, with a ``MediaWarning``, where a few of its blocks are damaged.

    Raises:
        MissingFileError: No such file.
        NoSoundError: The file has no audio.
        UnreadableMediaError: The file is broken or cut off, or its samples are no numbers on the
            scale of floats.
        MediaLimitError: The file exceeds a limit.
        MediaError: ``start`` lies outside the sound.
        ShapeError: Samples of another shape, type or range.
        UsageError: A rate, start or duration that cannot be meant.
    """
    file = source if isinstance(source, (str, Path)) else None
    grid_start, count = _checked_window(rate, start, duration, limits, file)
    if isinstance(source, (str, Path)):
        path = check_file(source, limits)
        samples, end = read_window(path, rate, grid_start, count, limits)
        return _as_waveform(samples, rate, grid_start, end, path)
    whole = source if isinstance(source, Waveform) else _from_array(source, limits)
    check_sound_format(None, whole.rate, 1, limits)
    check_range(whole.samples)
    samples = resample(whole, rate).samples
    part = samples[grid_start : None if count is None else grid_start + count]
    loaded = _as_waveform(part, rate, grid_start, Fraction(samples.size, rate), None)
    return Waveform(loaded.samples, rate, whole.start + loaded.start)


def resample(waveform: Waveform, rate: int) -> Waveform:
    """Change the sample rate; the result begins at the same time and lasts as long.

    Args:
        waveform: The sound.
        rate: Samples per second of the result.

    Returns:
        The sound at ``rate``; the given one where it has that rate already.

    Raises:
        UsageError: The rate lies outside the default limits.
    """
    _check_rate(rate, DEFAULT_LIMITS)
    if waveform.rate == rate:
        return waveform
    count = max(1, round(waveform.samples.size * rate / waveform.rate))
    blocks = resample_blocks([waveform.samples], waveform.rate, rate)
    samples = np.concatenate(list(blocks))[:count]
    return Waveform(samples, rate, waveform.start)


def is_silent(waveform: Waveform) -> bool:
    """Whether no sample reaches -80 dB of full scale, an offset of all samples left aside.

    Args:
        waveform: The sound.

    Returns:
        True for silence.
    """
    samples, reach = waveform.samples, round(_STILLNESS * waveform.rate)
    begins = range(0, samples.size, _AT_ONCE)
    pieces = (samples[max(0, begin - reach) : begin + _AT_ONCE + reach] for begin in begins)
    return not any(sounding(piece, waveform.rate).any() for piece in pieces)


def sounding(samples: NDArray[np.float32], rate: int) -> NDArray[np.bool_]:
    """Where something is heard.

    Args:
        samples: (S,).
        rate: Samples per second.

    Returns:
        (S,) bool: where a sample reaches -80 dB of full scale, and those around it move by as much:
        a constant offset alone is no sound. In less than 0.05 s it cannot be told from one.
    """
    from scipy import ndimage

    loud = np.abs(samples) >= SILENCE_PEAK
    if not loud.any() or samples.size <= _STILLNESS * rate:
        return loud
    edge = round(_RINGING * rate)
    within = samples[edge:-edge] if 0 < edge < samples.size // 4 else samples
    size = 2 * round(_STILLNESS * rate) + 1
    most = ndimage.maximum_filter1d(within, size, mode="nearest")
    moving = most - ndimage.minimum_filter1d(within, size, mode="nearest") >= 2 * SILENCE_PEAK
    outside = (samples.size - within.size) // 2
    return np.asarray(loud & np.pad(moving, outside, mode="edge"))


def require_sound(waveform: Waveform, path: str | Path | None = None) -> Waveform:
    """Refuse a sound that is silent throughout.

    Args:
        waveform: The sound.
        path: Its file, for the message.

    Returns:
        The same sound.

    Raises:
        SilentAudioError: It is silent.
    """
    if is_silent(waveform):
        end = waveform.start + waveform.duration
        raise SilentAudioError(
            f"The sound is silent throughout, from {waveform.start:.2f} to {end:.2f} s.",
            "Choose another moment or file, or a longer window; there is nothing to localize.",
            path,
        )
    return waveform


def sound_window(
    path: str | Path,
    center: float,
    length: float,
    rate: int = DEFAULT_RATE,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform:
    """The sound around a moment of a file, of full length wherever the file is long enough.

    Near the borders of the sound the window is shifted inwards; a shorter sound comes whole.

    Args:
        path: A sound or video file.
        center: The moment in seconds on the file's clock.
        length: Length of the window in seconds.
        rate: Samples per second of the result.
        limits: What is allowed.

    Returns:
        The window; its ``start`` tells where it lies.

    Raises:
        MediaError: ``center`` lies outside the file, or as for ``load_audio``.
        UsageError: A rate or length that cannot be meant.
    """
    if not (math.isfinite(center) and center >= 0):
        raise MediaError(
            f"The moment {center:g} s lies outside the file.", "Give a time of at least 0 s.", path
        )
    first, count = _checked_window(rate, max(0.0, center - length / 2), length, limits, path)
    target = check_file(path, limits)
    samples, end = read_window(target, rate, first, count, limits)
    if end is None or count is None:
        return _as_waveform(samples, rate, first, end, target)
    file_length = max(float(end), file_end(target, limits))
    if center > file_length:
        raise MediaError(
            f"The moment {center:g} s lies outside the file.",
            f"Give a time between 0 and {file_length:.3f} s.",
            target,
        )
    if samples.size < count and first > 0:
        first = max(0, round(end * rate) - count)
        samples, end = read_window(target, rate, first, count, limits)
    return _as_waveform(samples, rate, first, end, target)


def _check_rate(rate: int, limits: MediaLimits) -> None:
    """Refuse a wanted sample rate outside the limits."""
    if not limits.min_sample_rate <= rate <= limits.max_sample_rate:
        raise UsageError(
            f"The wanted sample rate is {rate} Hz.",
            f"Give one from {limits.min_sample_rate} to {limits.max_sample_rate} Hz.",
        )


def _checked_window(
    rate: int,
    start: float | None,
    duration: float | None,
    limits: MediaLimits,
    path: str | Path | None,
) -> tuple[int, int | None]:
    """First sample and number of samples of a window; None for all that follow."""
    _check_rate(rate, limits)
    begin = 0.0 if start is None else start
    if not (math.isfinite(begin) and begin >= 0):
        raise MediaError(
            f"The start {begin:g} s lies before the sound.", "Give a start of at least 0 s.", path
        )
    if begin > LATEST_MOMENT:
        raise MediaError(
            f"The start {begin:g} s lies outside the sound, behind its end.",
            "Give a start within the sound.",
            path,
        )
    if duration is None:
        return round(begin * rate), None
    if not (math.isfinite(duration) and duration > 0):
        raise UsageError(f"The duration is {duration:g} s.", "Give a positive number of seconds.")
    return round(begin * rate), max(1, round(min(duration, LATEST_MOMENT) * rate))


def _from_array(source: tuple[NDArray[Any], int], limits: MediaLimits) -> Waveform:
    """Check samples given as an array and mix their channels."""
    if not (isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], Integral)):
        raise ShapeError(
            f"A sound must be a path, a Waveform or (samples, rate), got {type(source).__name__}.",
            "Give for example ('bark.wav') or (samples, 44100).",
        )
    samples, rate = np.asarray(source[0]), int(source[1])
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise ShapeError(
            f"Samples must have the shape (S,) or (S, C), got {samples.shape}.",
            "Give at least one sample, with the channels last.",
        )
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channels > limits.max_channels:
        raise ShapeError(
            f"Samples of shape {samples.shape} would have {channels} channels.",
            "Give the channels last: (S, C).",
        )
    check_sound_format(None, rate, channels, limits)
    values = _as_float(samples)
    return Waveform(values if values.ndim == 1 else mix_down(values.T, rate), rate)


def _as_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of a known type as float32 in [-1, 1]; raises ShapeError for others."""
    if samples.dtype in (np.int16, np.int32):
        return as_floats(samples)
    if samples.dtype.kind != "f":
        raise ShapeError(
            f"Samples of type {samples.dtype} are not supported.",
            "Give floats in [-1, 1], int16 or int32.",
        )
    check_range(samples)
    return as_floats(samples)


def _as_waveform(
    samples: NDArray[np.float32], rate: int, first: int, end: Fraction | None, path: Path | None
) -> Waveform:
    """A window as a waveform; an empty one lies behind the end of the sound."""
    if samples.size == 0:
        raise MediaError(
            f"The wanted start {first / rate:.3f} s lies behind the end of the sound.",
            f"Give a start from 0 to less than {float(end or 0):.3f} s.",
            path,
        )
    return Waveform(samples, rate, first / rate)
