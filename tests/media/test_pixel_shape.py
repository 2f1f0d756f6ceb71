"""Pixels that are not square: pictures come in the shape in which players show them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_makers import grey_picture, number_in, set_display_matrix

from tvsl.errors import MediaLimitError
from tvsl.media import MediaLimits, iterate_frames, probe_video, read_frame

STORED = (64, 48)


def make(path: Path, aspect: Fraction | None, codec: str = "libx264") -> Path:
    """A video of five pictures, numbered from 0, whose pixels have a width over height."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=5)
        stream.width, stream.height = STORED
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(grey_picture(number, STORED), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("aspect", "shown"),
    [
        (None, (64, 48)),
        (Fraction(1), (64, 48)),
        (Fraction(2), (128, 48)),
        (Fraction(1, 2), (64, 96)),
        (Fraction(16, 15), (68, 48)),
        (Fraction(32, 11), (186, 48)),
        (Fraction(1000), (64, 48)),  # no video has such pixels: the header is damaged
        (Fraction(1, 1000), (64, 48)),
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
def test_pictures_come_in_the_shown_shape(
    tmp_path: Path, ending: str, aspect: Fraction | None, shown: tuple[int, int]
) -> None:
    if ending == "avi" and aspect is not None and max(aspect, 1 / aspect) > 100:
        pytest.skip("MPEG-4 cannot tell such a ratio")
    path = make(tmp_path / f"clip.{ending}", aspect, "mpeg4" if ending == "avi" else "libx264")
    info = probe_video(path)
    assert (info.width, info.height) == shown
    assert info.stored == STORED
    assert info.pixel_aspect == Fraction(1) if shown == STORED else info.pixel_aspect == aspect
    for number, frame in enumerate(iterate_frames(path)):
        assert frame.image.shape == (shown[1], shown[0], 3)
        assert number_in(frame.image) == number


def test_square_pixels_are_those_of_the_decoder(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", None)
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for ours, theirs in zip(iterate_frames(path), decoded, strict=True):
        np.testing.assert_array_equal(ours.image, theirs)


def test_a_turned_picture_is_stretched_before_it_is_turned(tmp_path: Path) -> None:
    path = set_display_matrix(make(tmp_path / "clip.mp4", Fraction(2)), (0, 1, -1, 0))
    info = probe_video(path)
    assert (info.width, info.height, info.rotation) == (48, 128, 90)
    image = read_frame(path, 0.6).image
    assert image.shape == (128, 48, 3)
    assert number_in(np.rot90(image)) == 3


def test_the_limit_of_pixels_counts_those_that_are_shown(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", Fraction(2))
    limits = MediaLimits(max_pixels=2 * STORED[0] * STORED[1] - 1)
    for call in (probe_video, read_frame):
        with pytest.raises(MediaLimitError, match="128 x 48"):
            call(path, limits=limits)
