"""Read a window of a file's sound on a fixed grid, in memory bounded by the window.

The grid is that of the whole file: sample ``k`` of a rate stands at ``k / rate`` seconds of the
file's clock. Reading begins at a moment where the grids of the file's rate and the wanted rate
meet, so that a window equals the same stretch of the whole sound, sample for sample.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from tvsl.errors import MediaWarning, UnreadableMediaError
from tvsl.media.decoding import Damage, decode_sound
from tvsl.media.downmix import (
    Downmix,
    as_floats,
    cell_of,
    check_range,
    in_range,
    ramp_size,
    stored_channels,
)
from tvsl.media.limits import MediaLimits, check_duration, check_sound_format
from tvsl.media.resampling import filter_reach, resample_blocks

Block: TypeAlias = "tuple[Fraction, AudioFrame]"

# Timestamps are rounded to the container's clock; only larger gaps are real ones.
GAP_TOLERANCE = Fraction(3, 100)
LARGEST_OVERLAP = 1
# The grids of common rates meet often, those of any two once a second; the rest is for the filter's
# reach and for a cell of the downmix.
RUN_UPS = (Fraction(6, 5), Fraction(2))
# Of what was decoded, so much may be damaged: a quarter, but a second in any case (a page of Ogg),
# and never the larger part.
DAMAGED_PART = Fraction(1, 4)
DAMAGED_SECONDS = Fraction(1)
DAMAGED_AT_MOST = Fraction(1, 2)
MOST_PLACES = 3
# Blocks are mixed so many samples at a time: those of WAV are short.
BATCH = 1 << 13


def read_window(
    path: Path, rate: int, first: int, count: int | None, limits: MediaLimits
) -> tuple[NDArray[np.float32], Fraction | None]:
    """Read samples of a file's sound at a rate.

    A ``MediaWarning`` says where damaged blocks are left out in the window; they become silence.

    Args:
        path: The file.
        rate: Samples per second of the result.
        first: Index of the first sample, from the start of the file's clock.
        count: How many samples; None for all.
        limits: What is allowed.

    Returns:
        At most ``count`` samples, (S,) float32, and the time in seconds at which the sound ends;
        None where the window ends before the sound does.

    Raises:
        NoSoundError: The file has no audio.
        UnreadableMediaError: The file is broken.
        MediaLimitError: The file exceeds a limit.
    """
    for run_up in RUN_UPS:
        start = max(Fraction(0), Fraction(first, rate) - run_up)
        damage = Damage()
        with closing(decode_sound(path, start, limits, damage)) as frames:
            head = next(frames)
            grid = _Grid(head[1].sample_rate, rate, first, count)
            if Fraction(grid.base, grid.native) < start and run_up != RUN_UPS[-1]:
                continue
            samples, end = _read(path, grid, chain([head], frames), limits, damage)
        begin = Fraction(first, rate)
        stop = begin + Fraction(samples.size, rate)
        if end is not None and damage.stretches:  # of a raw stream more is lost than its times say
            stop = max(stop, damage.stretches[-1][1])
        _judge(path, damage, begin, stop, head[0])
        break
    return samples, end


def _read(
    path: Path, grid: _Grid, frames: Iterator[Block], limits: MediaLimits, damage: Damage
) -> tuple[NDArray[np.float32], Fraction | None]:
    """Read a window stretch by stretch, each of one rate; files put together may change it."""
    parts = []
    while True:
        check_sound_format(path, grid.native, 1, limits)
        line = _Timeline(path, grid, limits, damage)
        pieces = list(resample_blocks(line.blocks(frames), grid.native, grid.rate))
        samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        end = None if line.end is None else Fraction(line.end, grid.native)
        stop = len(samples) + grid.begin if end is None else round(end * grid.rate)
        stop = stop if grid.stop is None else min(stop, grid.stop)
        stop = max(grid.first, stop)
        parts.append(samples[grid.first - grid.begin : stop - grid.begin])
        if line.rest is None or stop == grid.stop:
            return np.concatenate(parts), end
        frames = chain([line.rest], frames)
        count = None if grid.stop is None else grid.stop - stop
        grid = _Grid(line.rest[1].sample_rate, grid.rate, stop, count)


def _judge(path: Path, damage: Damage, begin: Fraction, end: Fraction, start: Fraction) -> None:
    """Warn of damage in a window, and refuse one of which too much is lost.

    Args:
        path: The file.
        damage: What could not be decoded.
        begin: Where the window begins, in seconds.
        end: Where it ends.
        start: Where decoding began.
    """
    touched = [(max(a, begin), min(b, end)) for a, b in damage.stretches if a < end and b > begin]
    lost, decoded = sum((b - a for a, b in touched), Fraction(0)), end - min(begin, start)
    if not touched:
        return
    places = ", ".join(f"{float(a):.2f}" for a, _ in touched[:MOST_PLACES])
    places += f" s and {len(touched) - MOST_PLACES} more places" if touched[MOST_PLACES:] else " s"
    allowed = max(DAMAGED_SECONDS, DAMAGED_PART * decoded)
    if lost > min(allowed, DAMAGED_AT_MOST * decoded):
        raise UnreadableMediaError(
            f"The sound is broken at {places}: {float(lost):.1f} of {float(decoded):.1f} s cannot "
            "be decoded.",
            "Copy or download it again.",
            path,
        )
    problem = (
        f"The sound is damaged at {places}: about {max(0.01, float(lost)):.2f} s of it cannot be "
        "decoded and are left silent."
    )
    warnings.warn(MediaWarning(problem, path), stacklevel=2)


class _Grid:
    """Where the samples of a window lie on the grids of a file's rate and of the wanted one.

    Attributes:
        native: Samples per second in the file.
        rate: Samples per second of the result.
        first: Index of the first sample of the result.
        stop: Index behind its last sample; None for the end of the sound.
        begin: Index in the result at or before ``first`` from which it is resampled; there the
            grids meet.
        start: Index in the file of the same moment.
        base: Index in the file from which channels are mixed: the cell that ``start`` depends on.
        last: Index in the file behind the last sample that is needed; None for all.
    """

    def __init__(self, native: int, rate: int, first: int, count: int | None) -> None:
        self.native, self.rate, self.first = native, rate, first
        self.stop = None if count is None else first + count
        reach = filter_reach(native, rate)
        step = rate // math.gcd(rate, native)
        self.begin = max(0, first - math.ceil(Fraction(reach * rate, native))) // step * step
        self.start = int(Fraction(self.begin * native, rate))
        self.base = cell_of(max(0, self.start - ramp_size(native)), native)
        self.last = None
        if self.stop is not None:
            self.last = math.ceil(Fraction(self.stop * native, rate)) + reach


class _Timeline:
    """Lays decoded blocks one behind the other by their times, with silence where one is missing.

    Attributes:
        end: Index at which the sound ends, set when its end was reached.
        rest: The block of another rate at which it ended, if it did.
    """

    def __init__(self, path: Path, grid: _Grid, limits: MediaLimits, damage: Damage) -> None:
        self.end: int | None = None
        self.rest: Block | None = None
        self._path = path
        self._grid = grid
        self._limits = limits
        self._damage = damage
        self._damaged = damage.count
        self._position = grid.base
        self._waiting: list[NDArray[Any]] = []
        self._begin = grid.base
        self._tolerance = int(GAP_TOLERANCE * grid.native)

    def blocks(self, frames: Iterator[Block]) -> Iterator[NDArray[np.float32]]:
        """The sound between ``start`` and ``last`` without gaps, each block (S,) float32."""
        last, rate = self._grid.last, self._grid.native
        mix = Downmix(rate, self._grid.base)
        expected: int | None = None
        for moment, frame in frames:
            if frame.sample_rate != rate:
                self.rest = moment, frame
                break
            stored = self._stored(frame)
            index = self._place(moment, expected)
            if index != expected or not _alike(stored, self._waiting[-1:]):
                yield from self._cut(self._mixed(mix))
            if not self._waiting:
                self._begin = index
            self._waiting.append(stored)
            expected = index + stored.shape[1]
            check_duration(self._path, min(expected, last or expected) / rate, self._limits)
            is_enough = last is not None and expected >= last
            if is_enough or expected - self._begin >= BATCH:
                yield from self._cut(self._mixed(mix))
            # Several channels are mixed by whole cells, of one there is nothing to decide.
            if last is not None and (mix.given >= last or (is_enough and mix.is_mono)):
                yield from self._cut(mix.finish())
                return
        self.end = expected
        yield from self._cut(self._mixed(mix))
        yield from self._cut(mix.finish())

    def _mixed(self, mix: Downmix) -> Iterator[NDArray[np.float32]]:
        """The mix of the blocks that wait, which are alike and without gaps, as far as it goes."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        channels = as_floats(np.concatenate(waiting, axis=1))
        if channels.size and not in_range(channels):
            if self._damage.is_pcm:
                check_range(channels, self._path, UnreadableMediaError)
            begin, rate = Fraction(self._begin), self._grid.native
            self._damage.note(begin / rate, Fraction(channels.shape[1], rate))
            channels = np.zeros_like(channels)
        yield from mix.add(self._begin, channels)

    def _cut(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """What of the following blocks lies between ``start`` and ``last`` of the grid."""
        for block in blocks:
            begin, self._position = self._position, self._position + block.size
            last = None if self._grid.last is None else max(0, self._grid.last - begin)
            piece = block[max(0, self._grid.start - begin) : last]
            if piece.size:
                yield piece

    def _stored(self, frame: AudioFrame) -> NDArray[Any]:
        """Samples of one block as they are stored, (C, S)."""
        try:
            stored = stored_channels(frame)
        except ValueError as error:
            raise UnreadableMediaError(
                f"The sound's samples are of an unknown kind ({error}).",
                "Convert it to WAV.",
                self._path,
            ) from error
        if not _alike(stored, self._waiting[-1:]):
            check_sound_format(self._path, frame.sample_rate, len(stored), self._limits)
        return stored

    def _place(self, moment: Fraction, expected: int | None) -> int:
        """Index of a block's first sample."""
        index = round(moment * self._grid.native)
        if expected is None:
            return index
        if expected - index > LARGEST_OVERLAP * self._grid.native:
            raise UnreadableMediaError(
                "The times in the sound jump back: it was joined from several files.",
                "Convert it to WAV or MP4.",
                self._path,
            )
        if self._damage.count != self._damaged:  # what is left out has left a gap of any size
            self._damaged = self._damage.count
            return index
        return expected if abs(index - expected) <= self._tolerance else index


def _alike(stored: NDArray[Any], before: list[NDArray[Any]]) -> bool:
    """Tell whether a block is of the channels and type of the one before it, if there is one."""
    return any(len(other) == len(stored) and other.dtype == stored.dtype for other in before)
