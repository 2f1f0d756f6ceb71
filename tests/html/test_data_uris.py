from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tvsl.html.page import heat_uri, jpeg_uri, outline_uri, png_uri, sound_uri
from tvsl.localization import SoundSource


def content(uri: str, kind: str) -> io.BytesIO:
    head, data = uri.split(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(data, validate=True))


def layer(grid: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    source = SoundSource("star", 1.0, grid, size)
    image = Image.open(content(heat_uri(source, (10, 200, 30)), "image/png"))
    assert image.mode == "P"
    return np.asarray(image.convert("RGBA"))


def test_a_picture_comes_back() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    with Image.open(content(png_uri(picture), "image/png")) as image:
        np.testing.assert_array_equal(np.asarray(image), picture)


def test_a_sound_comes_back() -> None:
    samples = np.arange(-500, 500, dtype=np.int16)
    with wave.open(content(sound_uri(samples, 16_000), "audio/wav")) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 1000)
        np.testing.assert_array_equal(np.frombuffer(file.readframes(1000), "<i2"), samples)


def test_a_map_is_one_colour_and_more_opaque_where_it_is_hotter() -> None:
    grid = np.zeros((4, 8), dtype=np.float32)
    grid[1, 2] = 1.0
    pixels = layer(grid, (16, 32))
    assert pixels.shape == (32, 64, 4)
    assert np.unique(pixels[..., :3].reshape(-1, 3), axis=0).tolist() == [[10, 200, 30]]
    opacity = pixels[..., 3]
    assert opacity[0, 63] == 0
    row, column = np.unravel_index(int(opacity.argmax()), opacity.shape)
    assert (row // 8, column // 8) == (1, 2)


def test_layers_of_high_pictures_are_as_large_as_these() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (4, 1))
    assert layer(ramp, (223, 32)).shape == (446, 64, 4)
    assert layer(ramp, (224, 32)).shape == (224, 32, 4)
    region = np.zeros((224, 40), dtype=np.bool_)
    assert Image.open(content(outline_uri(region), "image/png")).size == (40, 224)


def test_lines_of_a_large_layer_are_wider() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (4, 1))
    opacity = layer(ramp, (480, 64))[..., 3]
    assert np.flatnonzero(opacity[240] == 255)[:3].tolist() == [32, 33, 34]
    region = np.zeros((480, 800), dtype=np.bool_)
    region[200:400, 200:600] = True
    image = Image.open(content(outline_uri(region), "image/png"))
    row = np.asarray(image.convert("RGBA"))[300]
    assert np.flatnonzero(row[:, 0] == 255).tolist() == [200, 201, 202, 597, 598, 599]
    dark = np.flatnonzero((row[:, 3] > 0) & (row[:, 0] == 0)).tolist()
    assert dark == [198, 199, 203, 204, 595, 596, 600, 601]


def test_a_line_runs_around_what_is_scored() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (4, 1))
    opacity = layer(ramp, (2, 32))[..., 3]
    line = np.flatnonzero(opacity[1] == 255)
    assert line[0] == 32  # the first of 64 columns that reaches half of the range
    assert np.all(np.diff(opacity[1, 34:62].astype(int)) >= 0)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_map_without_contrast_shows_nothing(value: float) -> None:
    assert layer(np.full((3, 3), value, dtype=np.float32), (6, 6))[..., 3].max() == 0


def test_a_photo_comes_back_nearly() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.stack([np.tile(ramp, (48, 1))] * 3, axis=2)
    with Image.open(content(jpeg_uri(picture), "image/jpeg")) as image:
        assert np.abs(np.asarray(image).astype(int) - picture).max() < 6


def test_an_outline_runs_along_the_edge_and_has_a_casing() -> None:
    region = np.zeros((10, 20), dtype=np.bool_)
    region[3:7, 5:15] = True
    image = Image.open(content(outline_uri(region), "image/png"))
    pixels = np.asarray(image.convert("RGBA"))
    assert pixels.shape == (20, 40, 4)
    line = pixels[..., 0] == 255
    edge = np.zeros((20, 40), dtype=np.bool_)
    edge[6:14, 10:30] = True
    edge[7:13, 11:29] = False
    np.testing.assert_array_equal(line, edge)
    dark = (pixels[..., 3] > 0) & ~line
    around = np.zeros((20, 40), dtype=np.bool_)
    around[5:15, 9:31] = True
    around[8:12, 12:28] = False
    assert np.all(around[dark])
    assert dark[5, 15]
    assert dark[7, 15]
