"""Pictures of a video as they are stored: luma, and colour at half the resolution.

What is decoded, drawn on and encoded again need not become RGB and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tvsl.media.pillow import is_upright, turn_upright, turned_degrees

Planes = NDArray[np.uint8]
"""(H * 3 / 2, W), H and W even: luma, then both colour differences at half the height and width."""

Value = TypeVar("Value", bound=np.generic)

FORMAT: Final = "yuv420p"
_FULL_RANGE: Final = 2  # FFmpeg's number


@dataclass(frozen=True)
class ColorMatrix:
    """Weights by which red, green and blue become luma and colour differences, in 16 to 235.

    Attributes:
        number: FFmpeg's number for it.
        red: Weight of red in luma.
        blue: Weight of blue in luma.
        swscale: Name that PyAV has for it where it converts.
    """

    number: int
    red: float
    blue: float
    swscale: str

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(3, 3): luma and both colour differences (rows) from red, green, blue in 0 to 255."""
        luma = np.array([self.red, 1 - self.red - self.blue, self.blue])
        blueness = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - self.blue))
        redness = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - self.red))
        rows = np.stack([luma * 219, blueness * 224, redness * 224]) / 255
        return rows.astype(np.float32)


BLACK_LEVELS: Final = np.array([16, 128, 128], np.float32)
"""Luma and colour differences of black."""
BT601: Final = ColorMatrix(6, 0.299, 0.114, "ITU601")
BT709: Final = ColorMatrix(1, 0.2126, 0.0722, "ITU709")
# What is not told counts as BT.601, as it does where PyAV converts to RGB.
_MATRICES: Final = {1: BT709, 2: BT601, 5: BT601, 6: BT601}


def color_matrix(frame: VideoFrame) -> ColorMatrix:
    """The matrix in which a picture's planes are taken: its own, or BT.601."""
    return _MATRICES.get(frame.colorspace, BT601) if _is_plain(frame) else BT601


def picture_planes(frame: VideoFrame, size: tuple[int, int], matrix: ColorMatrix) -> Planes:
    """Convert a decoded picture for display: upright, at a size, in the usual range of a video.

    Args:
        frame: The picture.
        size: Even height and width as shown.
        matrix: The matrix of the result.
    """
    is_turned = turned_degrees(frame) % 180 != 0
    height, width = size[::-1] if is_turned else size
    if _is_plain(frame) and _MATRICES.get(frame.colorspace) == matrix:
        scaled = frame.reformat(width=width, height=height)
    else:
        pixels = frame.to_ndarray(width=width, height=height, format="rgb24")
        # A frame of its own: the converted one would keep the marks of the other's range.
        as_rgb = VideoFrame.from_ndarray(pixels, format="rgb24")
        scaled = as_rgb.reformat(format=FORMAT, dst_colorspace=matrix.swscale)
    planes = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
    if is_upright(frame):
        return planes
    turned = [turn_upright(frame, plane).ravel() for plane in split_planes(planes)]
    return np.concatenate(turned).reshape(size[0] * 3 // 2, size[1])


def split_planes(planes: NDArray[Value]) -> list[NDArray[Value]]:
    """Luma (H, W) and both colour differences (H / 2, W / 2), in the memory of the whole."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    values, area = planes.reshape(-1), height * width
    half = height // 2, width // 2
    return [
        values[:area].reshape(height, width),
        values[area : area * 5 // 4].reshape(half),
        values[area * 5 // 4 :].reshape(half),
    ]


def planes_frame(planes: Planes) -> VideoFrame:
    """A picture for an encoder."""
    return VideoFrame.from_ndarray(planes, format=FORMAT)


def _is_plain(frame: VideoFrame) -> bool:
    """Tell whether a picture is stored with halved colours in 8 bits and the usual range."""
    return frame.format.name == FORMAT and frame.color_range != _FULL_RANGE
