"""Sounds from files: any container, codec, rate and number of channels, as mono floats.

A window of a long file is decoded alone, and is cut sample for sample as if the whole file had
been loaded and resampled: both share one grid.

The grid is that of the whole file: sample ``k`` of a rate stands at ``k / rate`` seconds of the
file's clock. Reading begins at a moment where the grids of the file's rate and the wanted rate
meet, so that a window equals the same part of the whole sound, sample for sample.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from fractions import Fraction
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from tvsl.errors import MediaError, MediaWarning, ShapeError, UnreadableMediaError, UsageError
from tvsl.media.decoding import Damage, decode_sound
from tvsl.media.downmix import Downmix, cell_of, mix_down, ramp_size
from tvsl.media.limits import (
    DEFAULT_LIMITS,
    LATEST_MOMENT,
    MediaLimits,
    check_duration,
    check_file,
    check_sound_format,
)
from tvsl.media.streams import file_end
from tvsl.media.waveform import (
    Waveform,
    as_floats,
    check_range,
    check_wanted_rate,
    filter_reach,
    in_range,
    resample,
    resample_blocks,
    stored_channels,
)
from tvsl.utils.devices import to_array

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_RATE = 44_100

AudioSource: TypeAlias = (
    "str | Path | Waveform | tuple[NDArray[Any] | Tensor, int] | Mapping[str, Any]"
)

Block: TypeAlias = "tuple[Fraction, AudioFrame]"

# Timestamps are rounded to the container's clock; only larger gaps are real ones.
GAP_TOLERANCE = Fraction(3, 100)
LARGEST_OVERLAP = 1
# The grids of common rates meet often, those of any two once a second; the rest is for the filter's
# reach and for a cell of the downmix.
PREROLLS = (Fraction(6, 5), Fraction(2))
# Largest damaged part of the decoded sound: a quarter, but a second in any case (a page of Ogg),
# and never the larger part.
DAMAGED_PART = Fraction(1, 4)
DAMAGED_SECONDS = Fraction(1)
DAMAGED_AT_MOST = Fraction(1, 2)
MOST_PLACES = 3
# Seconds that are decoded with a window that follows another one.
AHEAD = 20
# Samples that are mixed at a time: blocks of WAV are shorter.
BATCH = 1 << 13


def load_audio(
    source: AudioSource,
    rate: int = DEFAULT_RATE,
    start: float | None = None,
    duration: float | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform:
    """Load a sound or a part of it as mono at a sample rate.

    Args:
        source: A sound or video file, a waveform, or samples with their rate, as a tuple or as
            Hugging Face's ``{"array": samples, "sampling_rate": rate}``. Samples are an array or a
            tensor, (S,), (S, C) or (C, S), of floats in [-1, 1], int16 or int32; the channels are
            the shorter axis, the last one of two that are equal.
        rate: Samples per second of the result.
        start: Start of the part, in seconds on the file's clock (0 is the first picture, or the
            first sound of a file without one); None for the beginning.
        duration: Length of the part in seconds; None for all. The file may end earlier.
        limits: What is allowed.

    Returns:
        The channels' average at ``rate``; channels that would cancel each other are inverted
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
        UsageError: The rate or duration is out of range.
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


def sound_window(
    path: str | Path,
    center: float,
    length: float,
    rate: int = DEFAULT_RATE,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Waveform:
    """Load the sound around a moment of a file, of full length where the file is long enough.

    Near the borders of the sound the window is shifted inwards; a shorter sound comes whole.

    Args:
        path: A sound or video file.
        center: The moment in seconds on the file's clock.
        length: Length of the window in seconds.
        rate: Samples per second of the result.
        limits: What is allowed.

    Returns:
        The window; its ``start`` is its position in the file.

    Raises:
        MediaError: ``center`` lies outside the file, or as for ``load_audio``.
        UsageError: The rate or length is out of range.
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


def _checked_window(
    rate: int,
    start: float | None,
    duration: float | None,
    limits: MediaLimits,
    path: str | Path | None,
) -> tuple[int, int | None]:
    """First sample and number of samples of a window; None for all that follow."""
    check_wanted_rate(rate, limits)
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


_RATE_WANTED = "Give for example 'bark.wav', (samples, 44100) or {'array': …, 'sampling_rate': …}."


def _from_array(source: Any, limits: MediaLimits) -> Waveform:
    """Check samples given as an array and mix their channels."""
    if isinstance(source, Mapping):
        missing = [name for name in ("array", "sampling_rate") if source.get(name) is None]
        if missing:
            raise ShapeError(f"The sound has no '{missing[0]}'.", _RATE_WANTED)
        source = source["array"], source["sampling_rate"]
    if hasattr(source, "shape"):
        raise ShapeError("The sound has no sampling rate.", _RATE_WANTED)
    if not (isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], Integral)):
        raise ShapeError(
            f"A sound must be a path, a Waveform or (samples, rate), got {type(source).__name__}.",
            _RATE_WANTED,
        )
    try:
        samples, rate = to_array(source[0]), int(source[1])
    except ValueError as error:
        raise ShapeError("The lists of samples differ in length.", "Give an array.") from error
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise ShapeError(
            f"Samples must have the shape (S,), (S, C) or (C, S), got {samples.shape}.",
            "Give at least one sample, and of several sounds one, sounds[0].",
        )
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channels > limits.max_channels:
        raise ShapeError(
            f"Samples of shape {samples.shape} would have {channels} channels.",
            "Give (S, C) or (C, S), with more samples than channels.",
        )
    check_sound_format(None, rate, channels, limits)
    if samples.dtype.kind == "f":
        check_range(samples)
    elif samples.dtype not in (np.int16, np.int32):
        raise ShapeError(
            f"Samples of type {samples.dtype} are not supported.",
            "Give floats in [-1, 1], int16 or int32.",
        )
    values = as_floats(samples)
    return Waveform(values if values.ndim == 1 else mix_down(values.T, rate), rate)


def _as_waveform(
    samples: NDArray[np.float32], rate: int, first: int, end: Fraction | None, path: Path | None
) -> Waveform:
    """Wrap a window as a waveform; an empty one lies behind the end of the sound."""
    if samples.size == 0:
        raise MediaError(
            f"The wanted start {first / rate:.3f} s lies behind the end of the sound.",
            f"Give a start from 0 to less than {float(end or 0):.3f} s.",
            path,
        )
    return Waveform(samples, rate, first / rate)


def read_window(
    path: Path, rate: int, first: int, count: int | None, limits: MediaLimits
) -> tuple[NDArray[np.float32], Fraction | None]:
    """Read samples of a file's sound at a rate.

    Damaged blocks in the window become silence; a ``MediaWarning`` gives their times.

    Args:
        path: The file.
        rate: Samples per second of the result.
        first: Index of the first sample, from the start of the file's clock.
        count: Number of samples; None for all.
        limits: What is allowed.

    Returns:
        At most ``count`` samples, (S,) float32, and the time in seconds at which the sound ends;
        None where the window ends before the sound does.

    Raises:
        MediaError: As for ``require_audio_stream``, or the file is broken.
    """
    samples, end, damage, head = _decoded(path, rate, first, count, limits)
    begin = Fraction(first, rate)
    stop = begin + Fraction(samples.size, rate)
    if end is not None and damage.intervals:  # of a raw stream more is lost than its times say
        stop = max(stop, damage.intervals[-1][1])
    _check_damage(path, damage, begin, stop, head)
    return samples, end


class SoundReader:
    """Windows of one file's sound, of which those that follow each other are decoded once.

    What lies ahead is decoded with a window that begins where others were read. Of a file that is
    damaged there, each window is read by itself, so that its errors and warnings are its own.

    Args:
        path: The file.
        rate: Samples per second of the windows.
        limits: What is allowed.
    """

    def __init__(self, path: Path, rate: int, limits: MediaLimits) -> None:
        self._path = path
        self._rate = rate
        self._limits = limits
        self._first = 0
        self._samples = np.zeros(0, np.float32)
        self._end: Fraction | None = None
        self._is_careful = False

    def read(self, first: int, count: int) -> tuple[NDArray[np.float32], Fraction | None]:
        """Read a window; the same as ``read_window`` gives, with the same errors.

        Args:
            first: As for ``read_window``.
            count: Number of samples.
        """
        stop = self._first + self._samples.size
        if self._first <= first and (first + count <= stop or self._end is not None):
            found = self._samples[max(0, first - self._first) : first + count - self._first]
            return found, self._end if first + count >= stop else None
        follows = self._samples.size > 0 and self._first <= first <= stop + count
        if not follows or self._is_careful or not self._read_ahead(first, count):
            samples, end = read_window(self._path, self._rate, first, count, self._limits)
            self._first, self._samples, self._end = first, samples, end
        return self._samples[:count], self._end if self._samples.size <= count else None

    def _read_ahead(self, first: int, count: int) -> bool:
        """Read a longer window; False where something in it is damaged."""
        longer = max(count, AHEAD * self._rate)
        try:
            samples, end, damage, _ = _decoded(self._path, self._rate, first, longer, self._limits)
        except MediaError:  # the window that meets it raises it again
            self._is_careful = True
            return False
        self._is_careful = bool(damage.intervals)
        if self._is_careful:
            return False
        self._first, self._samples, self._end = first, samples, end
        return True


def _decoded(
    path: Path, rate: int, first: int, count: int | None, limits: MediaLimits
) -> tuple[NDArray[np.float32], Fraction | None, Damage, Fraction]:
    """``read_window`` with the damage that was met, and the time at which decoding began."""
    for preroll in PREROLLS:
        start = max(Fraction(0), Fraction(first, rate) - preroll)
        damage = Damage()
        with closing(decode_sound(path, start, limits, damage)) as frames:
            head = next(frames)
            grid = _Grid(head[1].sample_rate, rate, first, count)
            if Fraction(grid.base, grid.native) < start and preroll != PREROLLS[-1]:
                continue
            samples, end = _read(path, grid, chain([head], frames), limits, damage)
        break
    return samples, end, damage, head[0]


def _read(
    path: Path, grid: _Grid, frames: Iterator[Block], limits: MediaLimits, damage: Damage
) -> tuple[NDArray[np.float32], Fraction | None]:
    """Read a window in pieces of one rate each; joined files may change the rate."""
    parts = []
    while True:
        check_sound_format(path, grid.native, 1, limits)
        timeline = _Timeline(path, grid, limits, damage)
        pieces = list(resample_blocks(timeline.blocks(frames), grid.native, grid.rate))
        samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        end = None if timeline.end is None else Fraction(timeline.end, grid.native)
        stop = len(samples) + grid.begin if end is None else round(end * grid.rate)
        stop = stop if grid.stop is None else min(stop, grid.stop)
        stop = max(grid.first, stop)
        parts.append(samples[grid.first - grid.begin : stop - grid.begin])
        if timeline.rest is None or stop == grid.stop:
            return np.concatenate(parts), end
        frames = chain([timeline.rest], frames)
        count = None if grid.stop is None else grid.stop - stop
        grid = _Grid(timeline.rest[1].sample_rate, grid.rate, stop, count)


def _check_damage(
    path: Path, damage: Damage, begin: Fraction, end: Fraction, start: Fraction
) -> None:
    """Warn of damage in a window, and refuse a window that lost too much; times in seconds."""
    touched = [(max(a, begin), min(b, end)) for a, b in damage.intervals if a < end and b > begin]
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
    """Position of a window on the sample grids of the file's rate and of the wanted rate.

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
    """Decoded blocks joined by their times, with silence where one is missing.

    Attributes:
        end: Index at which the sound ends, set when its end is reached.
        rest: The block of another rate at which it ends, if it does.
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
        self._pending: list[NDArray[Any]] = []
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
            if index != expected or not _alike(stored, self._pending[-1:]):
                yield from self._cut(self._mixed(mix))
            if not self._pending:
                self._begin = index
            self._pending.append(stored)
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
        """The mix of the pending blocks, which are alike and without gaps, as far as it goes."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        channels = as_floats(np.concatenate(pending, axis=1))
        if channels.size and not in_range(channels):
            if self._damage.is_pcm:
                check_range(channels, self._path, UnreadableMediaError)
            begin, rate = Fraction(self._begin), self._grid.native
            self._damage.note(begin / rate, Fraction(channels.shape[1], rate))
            channels = np.zeros_like(channels)
        yield from mix.add(self._begin, channels)

    def _cut(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """The part of the next blocks that lies between ``start`` and ``last`` of the grid."""
        for block in blocks:
            begin, self._position = self._position, self._position + block.size
            last = None if self._grid.last is None else max(0, self._grid.last - begin)
            piece = block[max(0, self._grid.start - begin) : last]
            if piece.size:
                yield piece

    def _stored(self, frame: AudioFrame) -> NDArray[Any]:
        """Samples of one block in their stored type, (C, S)."""
        try:
            stored = stored_channels(frame)
        except ValueError as error:
            raise UnreadableMediaError(
                f"The sound's samples are of an unknown kind ({error}).",
                "Convert it to WAV.",
                self._path,
            ) from error
        if not _alike(stored, self._pending[-1:]):
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
        if self._damage.count != self._damaged:  # the omitted part leaves a gap of any size
            self._damaged = self._damage.count
            return index
        return expected if abs(index - expected) <= self._tolerance else index


def _alike(stored: NDArray[Any], before: list[NDArray[Any]]) -> bool:
    """Tell whether a block is of the channels and type of the one before it, if there is one."""
    return any(len(other) == len(stored) and other.dtype == stored.dtype for other in before)
