"""Turn the pictures of a video upright, as the display matrix in the file asks for.

A display matrix ((a, b), (c, d)) moves a stored point (x, y) to (a x + c y, b x + d y), with x to
the right and y down. Phones write quarter turns; front cameras may mirror as well.
"""

from __future__ import annotations

import struct
from typing import Any, cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

IDENTITY = (1, 0, 0, 1)
# By quarter turns against the clock, which is how PyAV counts.
QUARTER_TURNS = (IDENTITY, (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))


def turned_degrees(frame: VideoFrame) -> int:
    """By how many degrees clockwise a stored picture is turned for showing.

    Args:
        frame: A decoded picture.

    Returns:
        0, 90, 180 or 270; of a mirrored picture, the turn without the mirroring.
    """
    a, b, _, d = _display_matrix(frame)
    if abs(a) >= abs(b):
        return 180 if d < 0 else 0
    return 90 if b > 0 else 270


def turn_upright(frame: VideoFrame, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn and mirror a stored picture as its display matrix says.

    Args:
        frame: The decoded picture.
        pixels: Its pixels as stored, (h, w, 3).

    Returns:
        The pixels as shown, (H, W, 3), with memory of their own.
    """
    a, b, c, d = _display_matrix(frame)
    if abs(a) >= abs(b):
        turned, mirrored, upside_down = pixels, a < 0, d < 0
    else:
        turned, mirrored, upside_down = pixels.transpose(1, 0, 2), c < 0, b < 0
    turned = turned[:, ::-1] if mirrored else turned
    turned = turned[::-1] if upside_down else turned
    return np.ascontiguousarray(turned)


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The four numbers a, b, c, d of a picture's display matrix; the identity where it has none."""
    try:
        # A frame keeps its own ``side_data``, which keeps the frame: only a collection of garbage
        # would free the two, and pictures are large.
        data = cast("Any", SideDataContainer)(frame).get("DISPLAYMATRIX")
    except ValueError:
        # PyAV gives no side data at all where FFmpeg attaches a kind that it does not know yet.
        return QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if data is None:
        return IDENTITY
    values: tuple[int, ...] = struct.unpack("=5i", bytes(cast("Buffer", data))[:20])
    a, b, _, c, d = values
    return a, b, c, d
