"""Mix blocks of samples to mono and bring them to another rate, through libswresample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

# Full scale of each sample format that FFmpeg's decoders give.
FULL_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "flt": 1.0, "dbl": 1.0}
BLOCK = 1 << 16
# From so many planes on, PyAV (14 to 18) reads past the end of FFmpeg's list of planes and crashes.
UNSAFE_PLANES = 8
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


def mono_samples(frame: AudioFrame) -> NDArray[np.float32]:
    """Average the channels of a decoded block.

    Args:
        frame: The block, any sample format and number of channels.

    Returns:
        (S,) float32, in [-1, 1] for the integer formats.

    Raises:
        ValueError: A sample format that is not known.
    """
    name = frame.format.packed.name
    if name not in FULL_SCALE:
        raise ValueError(f"sample format {name}")
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        planes = frame.to_ndarray().reshape(-1, channels).T
    elif channels < UNSAFE_PLANES:
        planes = frame.to_ndarray()
    else:
        packer = AudioResampler(format=name)
        packed = [*packer.resample(frame), *packer.resample(None)]
        planes = np.concatenate([part.to_ndarray().reshape(-1, channels) for part in packed]).T
    # What mean() does, without its overhead: blocks are short and many.
    mixed: NDArray[np.float32] = np.add.reduce(planes.astype(np.float32, copy=False), axis=0)
    mixed = mixed / np.float32(channels)
    if name == "u8":
        mixed -= np.float32(FULL_SCALE["u8"])
    return mixed / np.float32(FULL_SCALE[name])


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
