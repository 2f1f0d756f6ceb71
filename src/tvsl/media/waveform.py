"""Waveforms: mono samples with their rate, conversion to floats, silence and resampling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from tvsl.errors import ShapeError, SilentAudioError, TvslError, UsageError
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits

# Sample formats of FFmpeg's decoders.
FORMATS = frozenset({"u8", "s16", "s32", "s64", "flt", "dbl"})
# From so many planes on, PyAV (14 to 18) reads past the end of FFmpeg's list of planes and crashes.
UNSAFE_PLANES = 8
# Floats may overshoot 1 a little after lossy coding; integers given as floats go far beyond.
LARGEST_FLOAT = 8.0
# -80 dB below full scale: below the noise floor of any recording.
SILENCE_PEAK = 1e-4
# Samples that vary by less than the peak for so many seconds to either side are a recorder's offset
# and no sound. It is half a period of the lowest audible tone.
_STILLNESS = 0.05
# Filters ring for less than so many seconds at the ends of a sound with an offset.
_RINGING = 0.02
_AT_ONCE = 1 << 20
BLOCK = 1 << 16
# The filter of libswresample has 32 taps at the lower of the two rates; this is twice as much.
FILTER_REACH = 64


@dataclass(frozen=True, eq=False)
class Waveform:
    """A mono sound.

    Attributes:
        samples: (S,) float32, nominally in [-1, 1].
        rate: Samples per second.
        start: Its start in its file, in seconds; 0 for a sound without a file.

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
    check_wanted_rate(rate, DEFAULT_LIMITS)
    if waveform.rate == rate:
        return waveform
    return Waveform(resampled(waveform.samples, waveform.rate, rate), rate, waveform.start)


def resampled(samples: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """Resample the samples of a sound, whose duration stays.

    Args:
        samples: Mono, (S,).
        rate: Their number per second.
        new_rate: Samples per second of the result; any, unlike for ``resample``.

    Returns:
        (S',), at least one; the same array where the rates are equal.
    """
    if rate == new_rate:
        return samples
    count = max(1, round(samples.size * new_rate / rate))
    return np.concatenate([*resample_blocks([samples], rate, new_rate)])[:count]


def check_wanted_rate(rate: int, limits: MediaLimits) -> None:
    """Refuse a wanted sample rate outside the limits.

    Args:
        rate: Samples per second of a result.
        limits: What is allowed.

    Raises:
        UsageError: The rate lies outside the limits.
    """
    if not limits.min_sample_rate <= rate <= limits.max_sample_rate:
        raise UsageError(
            f"The wanted sample rate is {rate} Hz.",
            f"Give one from {limits.min_sample_rate} to {limits.max_sample_rate} Hz.",
        )


def is_silent(waveform: Waveform) -> bool:
    """Tell whether no sample reaches -80 dB of full scale, apart from a constant offset."""
    samples, reach = waveform.samples, round(_STILLNESS * waveform.rate)
    begins = range(0, samples.size, _AT_ONCE)
    pieces = (samples[max(0, begin - reach) : begin + _AT_ONCE + reach] for begin in begins)
    return not any(audible_mask(piece, waveform.rate).any() for piece in pieces)


def audible_mask(samples: NDArray[np.float32], rate: int) -> NDArray[np.bool_]:
    """Mask of the samples at which something is heard.

    Args:
        samples: (S,).
        rate: Samples per second.

    Returns:
        (S,) bool: True where a sample reaches -80 dB of full scale and the samples around it vary
        by as much, since a constant offset alone is no sound. Within less than 0.05 s the two
        cannot be told apart, and every loud sample counts.
    """
    loud = np.abs(samples) >= SILENCE_PEAK
    if not loud.any() or samples.size <= _STILLNESS * rate:
        return loud
    edge = round(_RINGING * rate)
    within = samples[edge:-edge] if 0 < edge < samples.size // 4 else samples
    size = 2 * round(_STILLNESS * rate) + 1
    moving = _sliding_maximum(within, size) + _sliding_maximum(-within, size) >= 2 * SILENCE_PEAK
    outside = (samples.size - within.size) // 2
    return np.asarray(loud & np.pad(moving, outside, mode="edge"))


def _sliding_maximum(samples: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Largest of an odd number of samples around each, by two running maxima (van Herk 1992)."""
    count = -(-(samples.size + size - 1) // size)
    padded = np.pad(samples, (size // 2, count * size - samples.size - size // 2), mode="edge")
    blocks = padded.reshape(count, size)
    ahead = np.maximum.accumulate(blocks, axis=1).ravel()
    back = np.maximum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.maximum(back[: samples.size], ahead[size - 1 : size - 1 + samples.size])


def require_sound(waveform: Waveform, path: str | Path | None = None) -> Waveform:
    """Refuse a sound that is silent throughout.

    Args:
        waveform: The sound.
        path: Its file, for the message.

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


def stored_channels(frame: AudioFrame) -> NDArray[Any]:
    """Samples of a decoded block in their stored type: (C, S), for ``as_floats``.

    Args:
        frame: The block, any sample format and number of channels.

    Raises:
        ValueError: A sample format that is not known.
    """
    name = frame.format.packed.name
    if name not in FORMATS:
        raise ValueError(f"sample format {name}")
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        return frame.to_ndarray().reshape(-1, channels).T
    if channels < UNSAFE_PLANES:
        return frame.to_ndarray()
    packer = AudioResampler(format=name)
    packed = [*packer.resample(frame), *packer.resample(None)]
    return np.concatenate([part.to_ndarray().reshape(-1, channels) for part in packed]).T


def as_floats(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of any type as float32, same shape; in [-1, 1] for uint8 and signed integers."""
    with np.errstate(over="ignore"):  # it becomes infinite, which is refused
        values: NDArray[np.float32] = stored.astype(np.float32, copy=False)
    if stored.dtype.kind == "f":
        return values
    scale = np.float32(2.0 ** (8 * stored.dtype.itemsize - 1))
    return (values - scale if stored.dtype.kind == "u" else values) / scale


def in_range(samples: NDArray[np.floating]) -> bool:
    """Tell whether samples are finite and on the scale of floats, a little overshoot included.

    Samples that are no sound, or on the scale of integers, are not. There is at least one.
    """
    return bool(max(samples.max(), -samples.min()) <= LARGEST_FLOAT)


def check_range(
    samples: NDArray[np.floating],
    path: str | Path | None = None,
    error: type[TvslError] = ShapeError,
) -> None:
    """Refuse samples that are not finite or not on the scale of floats (see ``in_range``).

    Args:
        samples: Floats, any shape, not empty.
        path: Their file, if there is one.
        error: Class of the error.

    Raises:
        TvslError: The samples are out of range; of the given class.
    """
    if in_range(samples):
        return
    if not np.isfinite(samples).all():
        raise error(
            "The sound holds samples that are not finite.", "Replace them, or export it anew.", path
        )
    raise error(
        f"The largest sample is {float(np.abs(samples).max()):g}; floats are meant to lie in "
        "[-1, 1].",
        "Divide by the full scale of the integers that they came from.",
        path,
    )


def filter_reach(source_rate: int, target_rate: int) -> int:
    """Number of source samples around a moment that a resampled value may depend on.

    Args:
        source_rate: Samples per second before.
        target_rate: Samples per second after.

    Returns:
        Number of source samples to either side.
    """
    if source_rate == target_rate:
        return 0
    return FILTER_REACH * math.ceil(max(1.0, source_rate / target_rate))


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], source_rate: int, target_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Resample a sound that comes in blocks.

    Args:
        blocks: The sound, each (S,) float32, without gaps between them.
        source_rate: Its samples per second.
        target_rate: Samples per second of the result.

    Yields:
        The resampled sound, each (S,) float32; the first sample is at the time of the first one
        given, and some samples of silence follow its end.
    """
    if source_rate == target_rate:
        yield from blocks
        return
    resampler = AudioResampler(format="fltp", layout="mono", rate=target_rate)
    position = 0
    # Enough silence follows that the filter gives the very last sample too.
    tail = np.zeros(filter_reach(source_rate, target_rate), np.float32)
    for block in chain(blocks, [tail]):
        for begin in range(0, block.size, BLOCK):
            piece = block[begin : begin + BLOCK]
            frame = AudioFrame.from_ndarray(
                np.ascontiguousarray(piece[None, :]), format="fltp", layout="mono"
            )
            frame.sample_rate = source_rate
            frame.time_base = Fraction(1, source_rate)
            frame.pts = position
            position += piece.size
            yield from (_plane(result) for result in resampler.resample(frame))
    yield from (_plane(result) for result in resampler.resample(None))


def _plane(frame: AudioFrame) -> NDArray[np.float32]:
    """The samples of a mono float block."""
    plane: NDArray[np.float32] = frame.to_ndarray()[0].astype(np.float32, copy=False)
    return plane
