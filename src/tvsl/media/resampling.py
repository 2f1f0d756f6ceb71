"""Bring a sound that comes in blocks to another rate, through libswresample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

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
