import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_makers import chirp, make_sound
from picture_makers import gif, png, tiff
from PIL import Image, ImageFile, features
from PIL.PngImagePlugin import PngInfo

from tvsl.errors import MediaLimitError, ShapeError, UnreadableMediaError
from tvsl.media import MediaLimits, load_image, media_type_of, shrink


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
    assert media_type_of(path) == "picture"


def png_header(width, height):
    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99))


@pytest.mark.parametrize(
    ("width", "height", "problem"),
    [
        (60_000, 60_000, "bomb"),
        (12_000, 9_000, "bomb"),
        (40_000_000, 2, "along a side"),
        (2, 40_000_000, "along a side"),
        (65_536, 1, "along a side"),
    ],
)
def test_a_size_is_refused_by_the_header(tmp_path, width, height, problem):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    for loader in (load_image, media_type_of):
        with pytest.raises(MediaLimitError, match=problem):
            loader(path)


def test_pixel_limit_names_value_and_limit(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(gradient()).save(path)
    limits = MediaLimits(max_pixels=1199)
    for source in (path, gradient(), Image.fromarray(gradient())):
        with pytest.raises(MediaLimitError, match=r"40 x 30 pixels, 1199"):
            load_image(source, limits)
    assert load_image(path, MediaLimits(max_pixels=1200)).shape == (30, 40, 3)


def test_side_limit_names_value_and_limit(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(gradient()).save(path)
    for source in (path, gradient(), Image.fromarray(gradient())):
        with pytest.raises(MediaLimitError, match="40 x 30 pixels, 39 are allowed"):
            load_image(source, MediaLimits(max_side=39))
    assert load_image(path, MediaLimits(max_side=40)).shape == (30, 40, 3)


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
    assert media_type_of(path) == "picture"
    assert np.array_equal(load_image(str(path)), gradient())
    sound = make_sound(tmp_path / "sound.wav", chirp(0.2, 8000), 8000).rename(tmp_path / "a.jpg")
    assert media_type_of(sound) == "sound"
    with pytest.raises(UnreadableMediaError):
        load_image(sound)


def test_rgb_array_is_given_back_as_it_is():
    picture = gradient()
    assert load_image(picture) is picture


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 4, 3), 1.01, np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        [[0, 0, 0]],
    ],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(ShapeError, match=r"[Gg]ive"):
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


def lying_as(orientation, upright):
    """The stored picture for a shown one, after the EXIF standard's table."""
    return {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }.get(orientation, upright)


def xmp(orientation):
    return f'<rdf:Description xmlns:tiff="t" tiff:Orientation="{orientation}"/>'.encode()


def xmp_png(orientation):
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp(orientation).decode())
    return {"pnginfo": texts}


FINE = {"quality": 97, "subsampling": 0}
# Ending, mode of the pixels, what marks the orientation, and how far pixels may be off.
MARKED = {
    "PNG": ("png", "RGB", lambda o, exif: {"exif": exif}, 0),
    "PNG of 16 bits": ("png", "I;16", lambda o, exif: {"exif": exif}, 0),
    "PNG with alpha": ("png", "LA", lambda o, exif: {"exif": exif}, 0),
    "PNG by XMP": ("png", "RGB", lambda o, exif: xmp_png(o), 0),
    "WebP": ("webp", "RGB", lambda o, exif: {"exif": exif, "lossless": True}, 0),
    "WebP by XMP": ("webp", "RGB", lambda o, exif: {"xmp": xmp(o), "lossless": True}, 0),
    "JPEG by XMP": ("jpg", "RGB", lambda o, exif: {"xmp": xmp(o), **FINE}, 12),
    "JPEG": ("jpg", "RGB", lambda o, exif: {"exif": exif, **FINE}, 12),
    "MPO": ("mpo", "RGB", lambda o, exif: {"exif": exif, "save_all": True, **FINE}, 12),
    "AVIF": ("avif", "RGB", lambda o, exif: {"exif": exif, "quality": 100}, 40),
    "TIFF": ("tif", "RGB", lambda o, exif: {"tiffinfo": {274: o}}, 0),
    "TIFF by EXIF": ("tif", "RGB", lambda o, exif: {"exif": exif}, 0),
    "TIFF by XMP": ("tif", "RGB", lambda o, exif: {"tiffinfo": {700: xmp(o)}}, 0),
    # Uncompressed, of one channel: Pillow maps such a file into memory.
    "TIFF in grey": ("tif", "L", lambda o, exif: {"tiffinfo": {274: o}}, 0),
    "TIFF of 16 bits": ("tif", "I;16", lambda o, exif: {"tiffinfo": {274: o}}, 0),
    "TIFF compressed": (
        "tif",
        "RGB",
        lambda o, exif: {"tiffinfo": {274: o}, "compression": "tiff_lzw"},
        0,
    ),
    "TIFF of several pages": (
        "tif",
        "RGB",
        lambda o, exif: {
            "exif": exif,
            "save_all": True,
            "append_images": [Image.new("RGB", (9, 9))],
        },
        0,
    ),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", MARKED)
def test_orientation_is_obeyed_once_in_every_format(tmp_path, kind, orientation):
    ending, mode, options, tolerance = MARKED[kind]
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    upright = gradient(32, 24)
    stored = np.ascontiguousarray(lying_as(orientation, upright))
    if mode == "RGB":
        image, shown = Image.fromarray(stored), upright
    elif mode == "I;16":
        image = Image.fromarray(stored[:, :, 0].astype(np.uint16) * 257)
        shown = upright[:, :, :1]
    else:
        grey = Image.fromarray(np.ascontiguousarray(stored[:, :, 0]))
        image, shown = grey.convert(mode), upright[:, :, :1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    image.save(path, **options(orientation, exif))
    for loaded in (load_image(path), opened(path), opened(path, decoded=ending != "tif")):
        assert loaded.shape == upright.shape
        assert loaded.flags.c_contiguous
        assert np.abs(loaded.astype(int) - shown).max() <= tolerance


def opened(path, decoded=False):
    with Image.open(path) as image:
        if decoded:
            image.load()
        return load_image(image)


@pytest.mark.parametrize("orientation", [0, 9, 250])
def test_an_unknown_orientation_turns_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for ending in ("png", "tif"):
        Image.fromarray(gradient()).save(tmp_path / f"a.{ending}", exif=exif)
        assert np.array_equal(load_image(tmp_path / f"a.{ending}"), gradient())


def test_marks_that_cannot_be_read_turn_nothing(tmp_path):
    image = Image.fromarray(gradient())
    for number, broken in enumerate(
        [b"Exif\0\0II*\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\x09"]
    ):
        path = tmp_path / f"{number}.png"
        image.save(path, exif=broken)
        assert np.array_equal(load_image(path), gradient())


def rounded(values, top):
    """Values from 0 to ``top`` as 8 bits, (h, w, 1) or (h, w, 3)."""
    grey = np.floor(values * 255 / top + 0.5)
    return grey[:, :, None] if grey.ndim == 2 else grey


def over_white(colours, alpha):
    return np.floor(colours * alpha + 255 * (1 - alpha) + 0.5)


def assert_shows(path, content, expected, tolerance=0):
    path.write_bytes(content)
    loaded = load_image(path)
    assert loaded.shape == (*expected.shape[:2], 3)
    assert np.abs(loaded - expected).max() <= tolerance


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_of_every_depth_with_and_without_a_clear_value(tmp_path, bits):
    top = 2**bits - 1
    values = np.random.default_rng(bits).integers(0, top + 1, (5, 9))
    values[0, 0] = clear = min(3, top)
    grey = rounded(values, top)
    path = tmp_path / "grey.png"
    assert_shows(path, png(values, bits, 0), grey)
    white = np.where(values[:, :, None] == clear, 255, grey)
    assert_shows(path, png(values, bits, 0, struct.pack(">H", clear)), white)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_with_a_palette(tmp_path, bits):
    rng = np.random.default_rng(bits)
    values = rng.integers(0, 2**bits, (5, 9))
    colours, alpha = rng.integers(0, 256, (2**bits, 3)), rng.integers(0, 256, 2**bits)
    palette = colours.astype(np.uint8).tobytes()
    path = tmp_path / "palette.png"
    assert_shows(path, png(values, bits, 3, None, palette), colours[values])
    clear = alpha.astype(np.uint8).tobytes()
    expected = over_white(colours, alpha[:, None] / 255)[values]
    assert_shows(path, png(values, bits, 3, clear, palette), expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_png_in_colours_and_with_alpha(tmp_path, bits):
    top, path = 2**bits - 1, tmp_path / "colours.png"
    rng = np.random.default_rng(bits)
    for colour_type, channels in ((2, 3), (4, 2), (6, 4)):
        values = rng.integers(0, top + 1, (5, 9, channels))
        if channels == 3:
            expected = rounded(values, top)
        else:
            expected = over_white(values[:, :, :-1] * 255 / top, values[:, :, -1:] / top)
        # Pillow cuts the lower 8 of 16 bits off.
        assert_shows(path, png(values, bits, colour_type), expected, 0 if bits == 8 else 2)


def test_png_with_a_clear_colour(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (5, 9, 3))
    values[1, 2] = values[0, 0]
    clear = struct.pack(">HHH", *map(int, values[0, 0]))
    expected = np.where((values == values[0, 0]).all(axis=2, keepdims=True), 255, values)
    assert_shows(tmp_path / "clear.png", png(values, 8, 2, clear), expected)
    # Of 16 bits Pillow keeps 8, so that other colours would be clear as well.
    path = tmp_path / "deep.png"
    path.write_bytes(png(values * 256 + 7, 16, 2, struct.pack(">HHH", 7, 7, 7)))
    with pytest.raises(UnreadableMediaError, match="16 bits"):
        load_image(path)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_grey_tiff_of_every_depth(tmp_path, bits, white_is_zero, order, deflate):
    top, path = 2**bits - 1, tmp_path / "grey.tif"
    values = np.random.default_rng(bits).integers(0, top + 1, (5, 8))
    content = tiff(values, bits, 0 if white_is_zero else 1, order, deflate=deflate)
    if (bits == 12 and (order == ">" or white_is_zero)) or (
        bits == 16 and order == ">" and white_is_zero
    ):
        path.write_bytes(content)
        with pytest.raises(UnreadableMediaError):  # Pillow cannot read them
            load_image(path)
        return
    grey = rounded(values, top)
    assert_shows(path, content, 255 - grey if white_is_zero else grey)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "kind"), [(8, 2), (16, 2), (32, 1), (32, 2), (32, 3)])
def test_pixels_without_an_agreed_range_are_refused(tmp_path, bits, kind, order):
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(np.full((5, 8), 100), bits, 1, order, kind))
    with pytest.raises(UnreadableMediaError, match="PNG"):
        load_image(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_in_colours(tmp_path, bits, order):
    top, rng, path = 2**bits - 1, np.random.default_rng(bits), tmp_path / "colours.tif"
    off = 1 if bits == 16 else 0
    colours, alpha = rng.integers(0, top + 1, (5, 8, 3)), rng.integers(0, top + 1, (5, 8, 1))
    assert_shows(path, tiff(colours, bits, 2, order), rounded(colours, top), off)
    share = alpha / top
    four = np.concatenate([colours, alpha], axis=2)
    apart = {338: (3, [2])}
    expected = over_white(colours * 255 / top, share)
    assert_shows(path, tiff(four, bits, 2, order, tags=apart), expected, 2)
    multiplied = np.floor(colours * share).astype(np.int64)
    four = np.concatenate([multiplied, alpha], axis=2)
    expected = np.floor(multiplied * 255 / top + 255 * (1 - share) + 0.5)
    assert_shows(path, tiff(four, bits, 2, order, tags={338: (3, [1])}), expected, 2)
    ink = np.concatenate([colours, alpha], axis=2)
    expected = 255 * (1 - colours / top) * (1 - share)
    assert_shows(path, tiff(ink, bits, 5, order), expected, 3)


def test_ycbcr_tiff_is_right_or_refused(tmp_path):
    values = np.random.default_rng(0).integers(60, 196, (4, 8, 3))
    light, blue, red = (values[:, :, channel].astype(float) for channel in range(3))
    blue, red = blue - 128, red - 128
    # ITU-R BT.601.
    expected = np.stack(
        [light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue], 2
    ).clip(0, 255)
    path = tmp_path / "ycbcr.tif"
    assert_shows(path, tiff(values, 8, 6, tags={530: (3, [1, 1])}), expected, 2)
    halved = b"".join(
        bytes([*values[y : y + 2, x : x + 2, 0].ravel(), *values[y, x, 1:]])
        for y in (0, 2)
        for x in (0, 2, 4, 6)
    )
    path.write_bytes(tiff(values, 8, 6, tags={530: (3, [2, 2])}, data=halved))
    with pytest.raises(UnreadableMediaError, match="brightness"):
        load_image(path)


def test_gif_with_a_clear_colour(tmp_path):
    indices = np.array([[1, 2, 3], [2, 1, 0]])
    for colours in (
        np.array([[9, 8, 7], [200, 0, 0], [0, 200, 0], [0, 0, 200]]),
        np.arange(4)[:, None].repeat(3, 1),
    ):
        path = tmp_path / "few.gif"
        assert_shows(path, gif(indices, colours), colours[indices])
        white = np.where(indices[:, :, None] == 1, 255, colours[indices])
        assert_shows(path, gif(indices, colours, 1), white)


@pytest.mark.parametrize("top", [15, 255, 1023, 65535])
def test_netpbm_of_every_depth(tmp_path, top):
    for kind, shape in (("P5", (3, 5)), ("P6", (3, 5, 3))):
        values = np.random.default_rng(top).integers(0, top + 1, shape)
        body = values.astype(">u2" if top > 255 else ">u1").tobytes()
        content = f"{kind} 5 3 {top}\n".encode() + body
        assert_shows(tmp_path / "net.ppm", content, rounded(values, top), 1)


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:8, :, 0], ink[8:, :, 3] = 255, 40
    path = tmp_path / "print.jpg"
    Image.frombytes("CMYK", (16, 16), ink.tobytes()).save(path, quality=100, subsampling=0)
    assert b"Adobe" in path.read_bytes()
    loaded = load_image(path).astype(int)
    assert np.abs(loaded[2, 2] - [0, 255, 255]).max() < 6
    assert np.abs(loaded[12, 2] - 215).max() < 6


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_pillow_images_of_every_mode(mode):
    colours = np.random.default_rng(0).integers(0, 256, (6, 7, 4), dtype=np.uint8)
    image = Image.fromarray(colours)
    through = {"La": "LA", "PA": "P", "HSV": "RGB", "YCbCr": "RGB", "CMYK": "RGB"}
    image = image.convert(through.get(mode, mode)).convert(mode)
    loaded = load_image(image).astype(int)
    if mode in ("La", "RGBa"):
        multiplied, alpha = np.asarray(image)[:, :, :-1].astype(int), colours[:, :, 3:]
        assert np.abs(loaded - (multiplied + 255 - alpha)).max() <= 2
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        expected = np.asarray(Image.alpha_composite(white, image.convert("RGBA")))[:, :, :3]
        assert np.abs(loaded - expected).max() <= 1
    else:
        assert np.array_equal(loaded, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B", "I;16L"])
def test_deep_pillow_images(mode):
    values = np.random.default_rng(0).integers(0, 65536, (6, 7))
    kind = {"I": "<i4", "I;16B": ">u2"}.get(mode, "<u2")
    image = Image.frombytes(mode, (7, 6), values.astype(kind).tobytes())
    assert np.array_equal(load_image(image)[:, :, :1], rounded(values, 65535))


def test_a_picture_without_pixels_is_refused():
    for size in ((0, 5), (5, 0), (0, 0)):
        with pytest.raises(ShapeError, match="0"):
            load_image(Image.new("RGB", size))


@pytest.mark.parametrize("kind", [np.float64, np.complex128, np.bool_, np.uint16, np.int64, object])
def test_arrays_of_other_types_are_refused(kind):
    array = np.zeros((4, 4, 3), kind)
    if kind in (np.float64, np.complex128):
        array[0] = np.nan
    with pytest.raises(ShapeError, match="uint8"):
        load_image(array)


def test_the_longest_side_is_allowed():
    assert load_image(np.zeros((1, 65_535, 3), np.uint8)).shape == (1, 65_535, 3)


def test_a_large_picture_takes_little_more_than_itself(tmp_path):
    # 36 million pixels of noise-free colours: 108 MB as RGB.
    path = tmp_path / "large.png"
    Image.new("RGB", (6000, 6000), (1, 2, 3)).save(path, compress_level=1)
    tracemalloc.start()
    loaded = load_image(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (loaded == [1, 2, 3]).all()
    assert peak < 1.3 * loaded.nbytes


def test_too_little_memory_is_an_error_of_ours(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    Image.fromarray(gradient()).save(path)

    def none_left(*_args, **_kwargs):
        raise MemoryError

    for place, name in ((Image.Image, "crop"), (ImageFile.ImageFile, "load"), (np, "empty")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, none_left)
            with pytest.raises(MediaLimitError, match="memory"):
                load_image(path)
