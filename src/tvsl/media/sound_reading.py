"""Read a window of a file's sound on a fixed grid, in memory bounded by the window.

The grid is that of the whole file: sample ``k`` of a rate stands at ``k / rate`` seconds of the
file's clock. Reading begins at a moment where the grids of the file's rate and the wanted rate
meet, so that a window equals the same stretch of the whole sound, sample for sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from tvsl.errors import UnreadableMediaError
from tvsl.media.decoding import decode_sound
from tvsl.media.limits import MediaLimits, check_duration, check_sound_format
from tvsl.media.resampling import filter_reach, mono_samples, resample_blocks

# Timestamps are rounded to the container's clock; only larger gaps are real ones.
GAP_TOLERANCE = Fraction(3, 100)
LARGEST_OVERLAP = 1
FILL_BLOCK = 1 << 20
# The grids of two rates meet at least once a second; the rest is for the filter's reach.
RUN_UP = Fraction(6, 5)


def read_window(
    path: Path, rate: int, first: int, count: int | None, limits: MediaLimits
) -> tuple[NDArray[np.float32], Fraction | None]:
    """Read samples of a file's sound at a rate.

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
    frames = decode_sound(path, max(Fraction(0), Fraction(first, rate) - RUN_UP), limits)
    try:
        head = next(frames)
        native = head[1].sample_rate
        check_sound_format(path, native, head[1].layout.nb_channels, limits)
        reach = filter_reach(native, rate)
        step = rate // math.gcd(rate, native)
        begin = max(0, first - math.ceil(Fraction(reach * rate, native))) // step * step
        last = (
            None if count is None else math.ceil(Fraction((first + count) * native, rate)) + reach
        )
        line = _Timeline(path, native, int(Fraction(begin * native, rate)), last, limits)
        pieces = list(resample_blocks(line.blocks(chain([head], frames)), native, rate))
    finally:
        frames.close()
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    end = None if line.end is None else Fraction(line.end, native)
    stop = len(samples) + begin if end is None else round(end * rate)
    stop = stop if count is None else min(stop, first + count)
    return samples[first - begin : max(first, stop) - begin].copy(), end


class _Timeline:
    """Lays decoded blocks one behind the other by their times, with silence where one is missing.

    Attributes:
        end: Index at which the sound ends, set when the file's end was reached.
    """

    def __init__(
        self, path: Path, rate: int, first: int, last: int | None, limits: MediaLimits
    ) -> None:
        self.end: int | None = None
        self._path = path
        self._rate = rate
        self._cursor = first
        self._last = last
        self._limits = limits
        self._tolerance = int(GAP_TOLERANCE * rate)

    def blocks(
        self, frames: Iterable[tuple[Fraction, AudioFrame]]
    ) -> Iterator[NDArray[np.float32]]:
        """The sound from ``first`` to ``last`` without gaps, each block (S,) float32."""
        expected: int | None = None
        for moment, frame in frames:
            samples = self._samples(frame)
            index = self._place(moment, expected)
            expected = index + samples.size
            check_duration(
                self._path, min(expected, self._last or expected) / self._rate, self._limits
            )
            yield from self._silence(index)
            skipped = max(0, self._cursor - index)
            piece = samples[skipped : None if self._last is None else max(0, self._last - index)]
            self._cursor += piece.size
            yield piece
            if self._last is not None and self._cursor >= self._last:
                return
        self.end = expected

    def _samples(self, frame: AudioFrame) -> NDArray[np.float32]:
        """One block as mono, checked."""
        if frame.sample_rate != self._rate:
            raise UnreadableMediaError(
                "The sound changes its sample rate midway.", "Convert it to WAV.", self._path
            )
        try:
            samples = mono_samples(frame)
        except ValueError as error:
            raise UnreadableMediaError(
                f"The sound's samples are of an unknown kind ({error}).",
                "Convert it to WAV.",
                self._path,
            ) from error
        if not np.isfinite(samples).all():
            raise UnreadableMediaError(
                "The sound holds samples that are not finite.", "Export it again.", self._path
            )
        return samples

    def _place(self, moment: Fraction, expected: int | None) -> int:
        """Index of a block's first sample."""
        index = round(moment * self._rate)
        if expected is None:
            return index
        if expected - index > LARGEST_OVERLAP * self._rate:
            raise UnreadableMediaError(
                "The times in the sound jump back: it was joined from several files.",
                "Convert it to WAV or MP4.",
                self._path,
            )
        return expected if abs(index - expected) <= self._tolerance else index

    def _silence(self, index: int) -> Iterator[NDArray[np.float32]]:
        """Silence up to an index, in pieces, so that a long gap needs no long block."""
        stop = index if self._last is None else min(index, self._last)
        while self._cursor < stop:
            size = min(FILL_BLOCK, stop - self._cursor)
            self._cursor += size
            yield np.zeros(size, np.float32)
