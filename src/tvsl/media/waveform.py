"""Waveforms: samples as floats, a downmix that keeps what is heard, and resampling.

The mix is the channels' average. Where that loses a channel, because others cancel it (the second
one has the opposite polarity, or nearly), the channels that cancel are turned over first. Whether
they do is decided for each quarter of a second of the sound's own clock, from the channels'
energies and products in it: every window of a file comes to the same decision on the same moment,
as the whole file does, and a sound that cancels in one part is mended in that part alone. All other
sound is averaged, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from tvsl.errors import ShapeError, TvslError

# What FFmpeg's decoders give.
FORMATS = frozenset({"u8", "s16", "s32", "s64", "flt", "dbl"})
# From so many planes on, PyAV (14 to 18) reads past the end of FFmpeg's list of planes and crashes.
UNSAFE_PLANES = 8
# Floats may overshoot 1 a little after lossy coding; integers given as floats go far beyond.
LARGEST_FLOAT = 8.0

# Long enough that wide stereo does not cancel in it by chance; short enough for a short part.
CELL = Fraction(1, 4)
# Over so long the channels are turned over between two cells, so that nothing clicks.
RAMP = Fraction(1, 200)
# Of a channel, the average of uncorrelated channels holds 1, of equal ones as many as there are, of
# two that cancel 0. Between these bounds the mend sets in: correlations of -0.7 and -0.8 in stereo.
HEARD, LOST = 0.3, 0.2
# A channel 20 dB below the loudest one is not missed, and neither is one below every silence.
FAINT = 0.01
INAUDIBLE = 1e-10
# A channel is turned over where it takes away from those before it more than this, of its energy.
TAKES_AWAY = 0.25


def stored_channels(frame: AudioFrame) -> NDArray[Any]:
    """Samples of a decoded block as they are stored.

    Args:
        frame: The block, any sample format and number of channels.

    Returns:
        (C, S), for ``as_floats``.

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
    """Samples of any type as floats.

    Args:
        stored: uint8, a signed integer type, or floats.

    Returns:
        The samples, same shape, float32; in [-1, 1] for the integers.
    """
    with np.errstate(over="ignore"):  # it becomes infinite, which is refused
        values: NDArray[np.float32] = stored.astype(np.float32, copy=False)
    if stored.dtype.kind == "f":
        return values
    scale = np.float32(2.0 ** (8 * stored.dtype.itemsize - 1))
    return (values - scale if stored.dtype.kind == "u" else values) / scale


def in_range(samples: NDArray[np.floating]) -> bool:
    """Tell whether samples are finite and on the scale of floats, a little overshoot included.

    Args:
        samples: Floats, any shape, not empty.

    Returns:
        False for samples that are no sound, or that are on the scale of integers.
    """
    return bool(max(samples.max(), -samples.min()) <= LARGEST_FLOAT)


def check_range(
    samples: NDArray[np.floating],
    path: str | Path | None = None,
    error: type[TvslError] = ShapeError,
) -> None:
    """Refuse what ``in_range`` does not hold for.

    Args:
        samples: Floats, any shape, not empty.
        path: Their file, if there is one.
        error: Class of the error.

    Raises:
        TvslError: The error, which says what is wrong with the samples.
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


def cell_of(index: int, rate: int) -> int:
    """First sample of the cell that holds a sample.

    Args:
        index: The sample, from the start of the sound's clock; may be negative.
        rate: Samples per second.

    Returns:
        Its cell's first sample.
    """
    size = cell_size(rate)
    return index // size * size


def cell_size(rate: int) -> int:
    """Samples of a cell."""
    return max(1, int(CELL * rate))


def ramp_size(rate: int) -> int:
    """Samples at a cell's beginning that depend on the cell before."""
    return max(1, int(RAMP * rate))


def mix_down(channels: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Mix a whole sound.

    Args:
        channels: (C, S).
        rate: Samples per second.

    Returns:
        (S,).
    """
    mix = Downmix(rate, 0)
    return np.concatenate([*mix.add(0, channels), *mix.finish()])


class Downmix:
    """Mixes a sound that comes in pieces, cell by cell.

    Args:
        rate: Samples per second.
        first: Index of the first sample to give, the beginning of a cell.

    Attributes:
        given: Index of the first sample that was not given yet.
    """

    def __init__(self, rate: int, first: int) -> None:
        self.given = first
        self._size = cell_size(rate)
        self._ramp = ramp_size(rate)
        self._filled = first
        self._channels = np.zeros((0, self._size), np.float32)
        self._gains: NDArray[np.float32] | None = None

    @property
    def is_mono(self) -> bool:
        """Tell whether the cell in work has one channel."""
        return len(self._channels) == 1

    def add(self, index: int, channels: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Add a piece, after silence where it does not follow the one before.

        Args:
            index: Index of its first sample; what was filled already is left out.
            channels: (C, S), finite.

        Yields:
            The mix of what is complete now, each (S,).
        """
        if len(channels) != len(self._channels):
            yield from self.finish()
            self._channels = np.zeros((len(channels), self._size), np.float32)
            self._gains = None
        if index + channels.shape[1] <= self._filled:
            return
        while True:
            begin, end = self.given, (self.given // self._size + 1) * self._size
            start, stop = max(index, self._filled), min(index + channels.shape[1], end)
            if start < stop:
                piece = channels[:, start - index : stop - index]
                self._channels[:, start - begin : stop - begin] = piece
            self._filled = max(self._filled, min(stop, end)) if start < stop else end
            if self._filled < end:
                return
            yield from self.finish()
            if self._filled >= index + channels.shape[1]:
                return

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """End the cell in work.

        Yields:
            Its mix, (S,), if there is anything in it.
        """
        size = self._filled - self.given
        if size == 0:
            return
        yield self._mixed(self._channels[:, :size])
        self.given = self._filled
        self._channels[:] = 0

    def _mixed(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        before, gains = self._gains, _gains(channels)
        self._gains = gains
        if before is None:
            before = gains
        mixed: NDArray[np.float32]
        if (gains == 1).all() and (before == 1).all():
            mixed = np.add.reduce(channels, axis=0)
        else:
            mixed = gains @ channels
            ramp = min(self._ramp, channels.shape[1])
            share = np.arange(ramp, dtype=np.float32) / np.float32(ramp)
            mixed[:ramp] = share * mixed[:ramp] + (1 - share) * (before @ channels[:, :ramp])
        return mixed / np.float32(len(channels))


def _gains(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """By what each channel of a cell is multiplied: 1, or down to -1 where it would cancel."""
    count, size = channels.shape
    gains = np.ones(count, np.float32)
    if count == 1:
        return gains
    # A constant offset is no sound; it must not hide that the sound cancels.
    means = channels.mean(axis=1)
    products = (channels @ channels.T) / np.float32(size) - np.outer(means, means)
    energies = products.diagonal()
    loud = energies > max(INAUDIBLE, FAINT * float(energies.max()))
    if not loud.any():
        return gains
    heard = np.abs(products.sum(axis=1)[loud] / energies[loud]).min()
    if heard >= HEARD:
        return gains
    turned = np.ones(count, np.float32)
    for channel in range(1, count):
        taken = turned[:channel] @ products[channel, :channel]
        if taken < -TAKES_AWAY * energies[channel]:
            turned[channel] = -1
    mended = min(1.0, (HEARD - float(heard)) / (HEARD - LOST))
    return gains + np.float32(mended) * (turned - gains)


BLOCK = 1 << 16
# The filter of libswresample has 32 taps at the lower of the two rates; this is twice as much.
FILTER_REACH = 64


def filter_reach(source_rate: int, target_rate: int) -> int:
    """How many source samples around a moment the resampled value may depend on.

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
    for block in _with_tail(blocks, filter_reach(source_rate, target_rate)):
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


def _with_tail(blocks: Iterable[NDArray[np.float32]], reach: int) -> Iterator[NDArray[np.float32]]:
    """The blocks, then enough silence that the filter gives the very last sample too."""
    yield from blocks
    yield np.zeros(reach, np.float32)


def _plane(frame: AudioFrame) -> NDArray[np.float32]:
    """The samples of a mono float block."""
    plane: NDArray[np.float32] = frame.to_ndarray()[0].astype(np.float32, copy=False)
    return plane
