"""Pictures that are flipped, cut off, patched or random: 24 kinds of file with 60 cases each.

Every case ends in pixels or in an error of this package, in bounded time and memory, and nothing
reaches the terminal or the disk.
"""

from __future__ import annotations

import io
import os
import random
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from tvsl.errors import MediaError
from tvsl.media import MediaLimits, load_image, media_type_of
from tvsl.media.image import load_object_map

CASES = 60
LIMITS = MediaLimits(max_pixels=200_000, max_side=5_000)
SLOWEST = 2.0  # seconds; the usual case takes some milliseconds


def encoded(mode: str, file_format: str, **options: object) -> bytes:
    rows, columns = np.mgrid[:24, :32]
    planes = (rows * 9, columns * 7, rows + columns, 255 - rows * 3)
    image = Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))
    image = image.convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    content = io.BytesIO()
    image.save(content, format=file_format, **options)
    return content.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010F] = "a camera"
KINDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "png": ("RGB", "PNG", {"exif": EXIF}),
    "png-palette": ("P", "PNG", {"transparency": bytes(range(256))}),
    "png-deep": ("I;16", "PNG", {"transparency": 257}),
    "png-alpha": ("LA", "PNG", {}),
    "apng": ("RGB", "PNG", {"save_all": True, "append_images": [Image.new("RGB", (32, 24))]}),
    "jpeg": ("RGB", "JPEG", {"exif": EXIF}),
    "jpeg-progressive": ("RGB", "JPEG", {"progressive": True, "optimize": True}),
    "jpeg-cmyk": ("CMYK", "JPEG", {}),
    "mpo": ("RGB", "MPO", {"save_all": True, "append_images": [Image.new("RGB", (32, 24))]}),
    "webp": ("RGBA", "WEBP", {"exif": EXIF}),
    "webp-lossless": ("RGB", "WEBP", {"lossless": True}),
    "webp-animated": (
        "RGB",
        "WEBP",
        {"save_all": True, "append_images": [Image.new("RGB", (32, 24))]},
    ),
    "gif": ("P", "GIF", {"transparency": 3}),
    "bmp": ("RGB", "BMP", {}),
    "bmp-palette": ("P", "BMP", {}),
    "ppm": ("RGB", "PPM", {}),
    "ico": ("RGBA", "ICO", {"sizes": [(16, 16)]}),
    "jp2": ("RGB", "JPEG2000", {}),
    "avif": ("RGB", "AVIF", {"exif": EXIF, "speed": 10}),
    "tiff": ("RGB", "TIFF", {"exif": EXIF}),
    "tiff-deep": ("I;16", "TIFF", {"tiffinfo": {274: 8}}),
    "tiff-lzw": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "tiff-jpeg": ("RGB", "TIFF", {"compression": "jpeg"}),
    "tiff-fax": ("1", "TIFF", {"compression": "group4"}),
}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One damaged or hostile form of a file."""
    data = bytearray(content)
    way = rng.choice(("bits", "header", "cut", "size", "block", "twice", "noise", "tail"))
    if way == "bits":
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif way == "header":
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(min(120, len(data)))] = rng.choice((0, 1, 127, 128, 255))
    elif way == "cut":
        del data[rng.randrange(1, len(data)) :]
    elif way == "size":
        # Large numbers in either order of bytes, where sizes and offsets stand.
        place = rng.randrange(4, min(200, len(data) - 4))
        number = rng.choice((0, 1, 9990, 65_535, 2**31 - 1, 2**32 - 1))
        data[place : place + 4] = struct.pack(rng.choice("<>") + "I", number)
    elif way == "block":
        start = rng.randrange(len(data))
        del data[start : start + rng.randint(1, 64)]
    elif way == "twice":
        start = rng.randrange(len(data))
        data[start:start] = data[start : start + rng.randint(1, 400)]
    elif way == "noise":
        start = rng.randrange(len(data))
        data[start:] = rng.randbytes(len(data) - start)
    else:
        data += rng.randbytes(rng.randint(1, 2000))
    return with_sums(bytes(data)) if rng.random() < 0.5 else bytes(data)


def with_sums(content: bytes) -> bytes:
    """A PNG with right check sums, so that what is wrong gets past them; others as they are."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return content
    parts, place = [content[:8]], 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + length]
        parts.append(content[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + length
    return b"".join(parts)


def read(reader: Callable[..., object], path: Path) -> bool:
    """Tell whether a reader refuses a file, as it should; what it gives else is checked."""
    try:
        given = reader(path, LIMITS)
    except MediaError as error:
        refusal = error
    else:
        if reader is load_image:
            assert isinstance(given, np.ndarray)
            assert given.dtype == np.uint8
            assert given.ndim == 3
            assert given.shape[2] == 3
            assert 0 < given.size <= 3 * LIMITS.max_pixels
        return False
    assert refusal.path == path
    assert refusal.remedy
    assert "MP4" not in str(refusal)
    return True


@pytest.fixture
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is printed, not by libraries in C either, and nothing warns."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    assert warned == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_pictures(tmp_path: Path, kind: str, silent: None) -> None:
    if kind == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    mode, file_format, options = KINDS[kind]
    content = encoded(mode, file_format, **options)
    path = tmp_path / f"a.{kind.split('-')[0]}"
    path.write_bytes(content)
    assert load_image(path, LIMITS).size > 0
    rng = random.Random(kind)
    refused = 0
    for number in range(CASES):
        path.write_bytes(mutated(content, rng))
        began = time.process_time()
        refused += read(load_image, path)
        read(media_type_of, path)
        read(load_object_map, path)
        assert time.process_time() - began < SLOWEST, number
    assert 0 < refused <= CASES
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208


@pytest.mark.parametrize("seed", range(20))
def test_noise_behind_the_first_bytes_of_a_picture(tmp_path: Path, seed: int, silent: None) -> None:
    rng = random.Random(seed)
    heads = [
        encoded(mode, form, **options)[:16] for mode, form, options in list(KINDS.values())[:8]
    ]
    path = tmp_path / "noise.png"
    path.write_bytes(
        rng.choice([*heads, b"BM", b"P6 9 9 255\n", b"\0\0\1\0\1\0", b""]) + rng.randbytes(3000)
    )
    for reader in (load_image, media_type_of, load_object_map):
        read(reader, path)
