from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tvsl.media.planes import (
    BLACK_LEVELS,
    BT601,
    BT709,
    ColorMatrix,
    color_matrix,
    picture_planes,
    planes_frame,
    split_planes,
)
from tvsl.media.video import iterate_frames, iterate_planes, probe_video

SIZE = (64, 96)


def blocks() -> NDArray[np.uint8]:
    """A picture of large blocks, no two alike."""
    coarse = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)


def write(path: Path, pix_fmt: str, colorspace: int = 2, turned: float = 0.0) -> Path:
    with av.open(str(path), "w") as output:
        codec = "mjpeg" if pix_fmt.startswith("yuvj") else "libx264"
        stream = output.add_stream(codec, rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, pix_fmt
        stream.codec_context.colorspace = colorspace
        if turned:
            stream.set_display_rotation(turned)
        frame = av.VideoFrame.from_ndarray(blocks(), format="rgb24")
        matrix = BT709 if colorspace == BT709.number else BT601
        frame = frame.reformat(format=pix_fmt, dst_colorspace=matrix.swscale)
        for number in range(3):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_weights_are_those_of_ffmpeg(matrix: ColorMatrix) -> None:
    colors = np.random.default_rng(0).integers(0, 256, (50, 3), dtype=np.uint8)
    for color in colors:
        frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), color), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=matrix.swscale)
        stored = [int(plane[0, 0]) for plane in split_planes(frame.to_ndarray())]
        np.testing.assert_allclose(matrix.weights @ color + BLACK_LEVELS, stored, atol=1.6)


@pytest.mark.parametrize(
    ("pix_fmt", "colorspace", "name"),
    [
        ("yuv420p", 2, "a.mp4"),
        ("yuv420p", 5, "a.mp4"),
        ("yuv420p", BT601.number, "a.mp4"),
        ("yuv420p", BT709.number, "a.mp4"),
        ("yuv444p", BT709.number, "a.mp4"),
        ("yuv420p10le", 2, "a.mp4"),
        ("yuvj420p", 2, "a.mkv"),
    ],
)
def test_planes_show_what_the_picture_shows(
    tmp_path: Path, pix_fmt: str, colorspace: int, name: str
) -> None:
    path = write(tmp_path / name, pix_fmt, colorspace)
    matrix = probe_video(path).matrix
    assert matrix is (BT709 if (pix_fmt, colorspace) == ("yuv420p", 1) else BT601)
    pictures = list(iterate_frames(path))
    drawn = list(iterate_planes(path, SIZE))
    assert [one.time for one in drawn] == [one.time for one in pictures]
    for one, other in zip(drawn, pictures, strict=True):
        assert_alike(shown(one.planes, matrix), other.image)


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="PyAV cannot write a rotation"
)
@pytest.mark.parametrize("degrees", [90.0, 180.0, -90.0])
def test_planes_are_upright(tmp_path: Path, degrees: float) -> None:
    path = write(tmp_path / "a.mp4", "yuv420p", turned=degrees)
    image = next(iterate_frames(path)).image
    height, width = image.shape[:2]
    (first, *_) = iterate_planes(path, (height, width))
    assert_alike(shown(first.planes, BT601), image)


def test_planes_are_scaled_and_begin_and_end_where_they_should(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "yuv420p")
    (one,) = iterate_planes(path, (32, 48), 0.04, 0.08)
    assert one.time == pytest.approx(0.04)
    assert one.planes.shape == (48, 48)
    image = next(iterate_frames(path)).image
    middles = shown(one.planes, BT601)[4::8, 4::8].astype(int)
    assert np.abs(middles - image[8::16, 8::16]).max() < 8


def test_a_picture_in_another_matrix_is_converted() -> None:
    frame = av.VideoFrame.from_ndarray(blocks(), format="rgb24").reformat(format="yuv420p")
    assert color_matrix(frame) is BT601
    assert_alike(shown(picture_planes(frame, SIZE, BT709), BT709), frame.to_ndarray(format="rgb24"))


def shown(planes: NDArray[np.uint8], matrix: ColorMatrix) -> NDArray[np.uint8]:
    frame = planes_frame(planes)
    frame.colorspace = matrix.number
    return frame.to_ndarray(format="rgb24")


def assert_alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    """Within the blocks, away from their edges, where colours are mixed."""
    assert one.shape == other.shape
    places = [slice(8 + step, None, 16) for step in (-3, 0, 3)]
    for rows in places:
        for columns in places:
            away = np.abs(one[rows, columns].astype(int) - other[rows, columns])
            assert away.max() <= 5
