"""Downmix to mono that keeps what is heard.

The mix is the channels' average. Where that loses a channel, because others cancel it (the second
one has the opposite polarity, or nearly), the channels that cancel are inverted first. Whether
they do is decided for each quarter of a second of the sound's own clock, from the channels'
energies and products in it: every window of a file comes to the same decision on the same moment,
as the whole file does, and a sound that cancels in one part is mended in that part alone. All other
sound is averaged, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

# Long enough that wide stereo does not cancel in it by chance; short enough for a short part.
CELL = Fraction(1, 4)
# Length in seconds of the cross-fade between the gains of two cells, so that nothing clicks.
RAMP = Fraction(1, 200)
# Of a channel, the average of uncorrelated channels holds 1, of equal ones as many as there are, of
# two that cancel 0. Between these bounds the mend sets in: correlations of -0.7 and -0.8 in stereo.
HEARD, LOST = 0.3, 0.2
# A channel 20 dB below the loudest one is not missed, and neither is one below every silence.
FAINT = 0.01
INAUDIBLE = 1e-10
# A channel is inverted if it cancels more than this share of its energy in those before it.
TAKES_AWAY = 0.25


def cell_of(index: int, rate: int) -> int:
    """First sample of the cell that holds a sample.

    Args:
        index: The sample, from the start of the sound's clock; may be negative.
        rate: Samples per second.
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
    """Mix a whole sound to mono: (S,).

    Args:
        channels: (C, S).
        rate: Samples per second.
    """
    mix = Downmix(rate, 0)
    return np.concatenate([*mix.add(0, channels), *mix.finish()])


class Downmix:
    """Downmix of a sound that comes in pieces, cell by cell.

    Args:
        rate: Samples per second.
        first: Index of the first sample to give, the beginning of a cell.

    Attributes:
        given: Index of the first sample that is not given yet.
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
        """Tell whether the current cell has one channel."""
        return len(self._channels) == 1

    def add(self, index: int, channels: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Add a piece, after silence where it does not follow the one before.

        Args:
            index: Index of its first sample; samples that are already filled are left out.
            channels: (C, S), finite.

        Yields:
            The mix of each cell that is complete now, (S,).
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
        """End the current cell.

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
    """Gain of each channel of a cell: 1, or down to -1 for a channel that would cancel."""
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
