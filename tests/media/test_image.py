import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_makers import chirp, make_sound
from PIL import Image

from tvsl.errors import MediaLimitError, ShapeError, UnreadableMediaError
from tvsl.media import MediaLimits, load_image, shrink, sort_of


def gradient(width=40, height=30):
    """A picture without any symmetry: its corners differ and so do its axes."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack(
        [columns * 255 // (width - 1), rows * 255 // (height - 1), (rows + columns) % 256], 2
    ).astype(np.uint8)


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "ppm", "webp", "gif", "jpg"])
def test_formats(tmp_path, ending):
    path = tmp_path / f"picture.{ending}"
    options = {"lossless": True} if ending == "webp" else {"quality": 95} if ending == "jpg" else {}
    Image.fromarray(gradient()).save(path, **options)
    loaded = load_image(path)
    assert loaded.shape == (30, 40, 3)
    assert loaded.dtype == np.uint8
    error = np.abs(loaded.astype(int) - gradient()).mean()
    assert error < {"jpg": 6, "gif": 20}.get(ending, 0.001)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_camera_orientation_is_obeyed(tmp_path, orientation):
    # Row and column of the stored picture for each shown one, after the EXIF standard's table.
    upright = gradient()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=97, subsampling=0)
    assert np.abs(load_image(path).astype(int) - upright).mean() < 4
    with Image.open(path) as opened:
        assert np.abs(load_image(opened).astype(int) - upright).mean() < 4


def test_grey_palette_cmyk_and_one_bit(tmp_path):
    image = Image.fromarray(gradient())
    for mode in ("L", "P", "CMYK", "1"):
        path = tmp_path / f"{mode}.tiff"
        image.convert(mode).save(path)
        expected = np.asarray(image.convert(mode).convert("RGB"))
        assert np.abs(load_image(path).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, ending):
    deep = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    path = tmp_path / f"deep.{ending}"
    Image.fromarray(deep).save(path)
    loaded = load_image(path)
    assert np.array_equal(loaded[:, :, 0], np.round(deep / 257).astype(np.uint8))
    assert loaded.shape == (8, 8, 3)


def test_float_picture_is_refused(tmp_path):
    path = tmp_path / "float.tiff"
    Image.fromarray(np.ones((4, 4), np.float32)).save(path)
    with pytest.raises(UnreadableMediaError, match="no agreed range"):
        load_image(path)


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[:, :, 0] = 200
    pixels[:, 1, 3], pixels[:, 2, 3] = 128, 255
    path = tmp_path / "clear.png"
    Image.fromarray(pixels).save(path)
    for source in (path, pixels):
        loaded = load_image(source)
        assert loaded[0, 0].tolist() == [255, 255, 255]
        assert loaded[0, 1].tolist() == [227, 127, 127]
        assert loaded[0, 2].tolist() == [200, 0, 0]


def test_transparent_palette_is_laid_over_white(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 1), 1)
    path = tmp_path / "palette.png"
    image.save(path, transparency=0)
    loaded = load_image(path)
    assert loaded[0, 0].tolist() == [255, 255, 255]
    assert loaded[1, 1].tolist() == [40, 50, 60]


def test_animated_picture_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert load_image(path)[4, 4].tolist() == [255, 0, 0]
    assert sort_of(path) == "picture"


def png_header(width, height):
    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99))


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (12_000, 9_000)])
def test_bomb_is_refused_by_its_header(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    for loader in (load_image, sort_of):
        with pytest.raises(MediaLimitError, match="bomb"):
            loader(path)


def test_pixel_limit_names_value_and_limit(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(gradient()).save(path)
    limits = MediaLimits(max_pixels=1199)
    for source in (path, gradient(), Image.fromarray(gradient())):
        with pytest.raises(MediaLimitError, match=r"40 x 30 pixels, 1199"):
            load_image(source, limits)
    assert load_image(path, MediaLimits(max_pixels=1200)).shape == (30, 40, 3)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_cut_off_picture_is_unreadable(tmp_path, ending):
    path = tmp_path / f"half.{ending}"
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableMediaError, match="half"):
        load_image(path)


def test_eps_never_starts_another_program(tmp_path):
    path = tmp_path / "script.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(UnreadableMediaError):
        load_image(path)


def test_wrong_ending_works_and_a_sound_is_refused(tmp_path):
    path = tmp_path / "picture.mp4"
    Image.fromarray(gradient()).save(path, format="PNG")
    assert sort_of(path) == "picture"
    assert np.array_equal(load_image(str(path)), gradient())
    sound = make_sound(tmp_path / "sound.wav", chirp(0.2, 8000), 8000).rename(tmp_path / "a.jpg")
    assert sort_of(sound) == "sound"
    with pytest.raises(UnreadableMediaError):
        load_image(sound)


def test_rgb_array_is_given_back_as_it_is():
    picture = gradient()
    assert load_image(picture) is picture


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        [[0, 0, 0]],
    ],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(ShapeError, match="Give"):
        load_image(array)


@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([(), (3,), (4,)]))
def test_any_size_comes_out_at_that_size(width, height, channels):
    array = np.full((height, width, *channels), 255, np.uint8)
    loaded = load_image(array)
    assert loaded.shape == (height, width, 3)
    assert (loaded == 255).all()


@pytest.mark.parametrize(
    ("width", "height", "short_side", "expected"),
    [(40, 30, 15, (15, 20, 3)), (30, 40, 15, (20, 15, 3)), (400, 4, 1, (1, 100, 3))],
)
def test_pictures_shrink_in_their_shape(width, height, short_side, expected):
    small = shrink(gradient(width, height), short_side)
    assert small.shape == expected
    assert small.dtype == np.uint8
    # Red rises from left to right and green from top to bottom, as before.
    assert np.all(np.diff(small[:, :, 0].astype(int), axis=1) >= 0)
    assert small[..., 0].mean() == pytest.approx(gradient(width, height)[..., 0].mean(), abs=2)


@pytest.mark.parametrize("short_side", [30, 31, 1000])
def test_pictures_are_not_enlarged(short_side):
    assert shrink(gradient(), short_side).shape == (30, 40, 3)
