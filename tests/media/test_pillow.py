from __future__ import annotations

import logging
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from media_makers import chirp, make_sound
from picture_makers import png, tiff
from PIL import Image, features

from tvsl.errors import MediaLimitError, UnreadableMediaError
from tvsl.media import MediaLimits, load_image, sort_of
from tvsl.media.pillow import pillow_calls

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "raised",
    [
        OSError("x"),
        SyntaxError("x"),
        ValueError("x"),
        RuntimeError("x"),
        EOFError("x"),
        IndexError("x"),
        KeyError("x"),
        TypeError("x"),
        AttributeError("x"),
        AssertionError("x"),
        NotImplementedError("x"),
        ZeroDivisionError("x"),
        OverflowError("x"),
        RecursionError("x"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "x"),
        struct.error("x"),
        zlib.error("x"),
    ],
)
def test_whatever_a_decoder_raises_is_an_unreadable_picture(raised: Exception) -> None:
    expected = pytest.raises(UnreadableMediaError, match=r"broken.*x.*JPEG or PNG")
    with expected as caught, pillow_calls(Path("a.png")):
        raise raised
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("raised", [MemoryError(), Image.DecompressionBombError("x")])
def test_too_large_is_a_limit(raised: Exception) -> None:
    with pytest.raises(MediaLimitError), pillow_calls(Path("a.png")):
        raise raised


def test_interrupts_pass() -> None:
    with pytest.raises(KeyboardInterrupt), pillow_calls(None):
        raise KeyboardInterrupt


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_whose_pixels_are_broken(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    Image.fromarray(NOISE).save(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    path.write_bytes(content)
    # Pillow raises a RuntimeError here.
    with pytest.raises(UnreadableMediaError, match="broken"):
        load_image(path)


def damaged_tiff(path: Path, compression: str) -> Path:
    image = Image.fromarray(NOISE)
    (image.convert("1") if compression == "group4" else image).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    # The pixels stand in the middle, behind the header and before the tags or behind them.
    for place in range(len(content) // 3, len(content) // 2):
        content[place] ^= 0x5A
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_libtiff_prints_nothing_and_its_errors_count(
    tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = damaged_tiff(tmp_path / "a.tif", compression)
    # Of a damaged fax Pillow gives wrong pixels, and libtiff prints a line.
    if compression != "packbits":  # which cannot tell
        with pytest.raises(UnreadableMediaError, match=r"damaged|broken"):
            load_image(path)
    else:
        load_image(path)
    assert capfd.readouterr() == ("", "")


def test_the_error_handler_of_others_is_put_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = damaged_tiff(tmp_path / "a.tif", "group4")
    with pytest.raises(UnreadableMediaError):
        load_image(path)
    with Image.open(path) as image:
        image.load()
    assert "Fax4Decode" in capfd.readouterr().err


def test_neither_warnings_nor_logs_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    many = tmp_path / "samples.tif"
    many.write_bytes(tiff(np.zeros((4, 4), np.int64), 8, 1, tags={277: (3, [2048])}))
    half = tmp_path / "exif.jpg"
    Image.fromarray(NOISE).save(
        half, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x09\0\0\0\x99\0\0\0"
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(UnreadableMediaError):
            load_image(many)
        assert load_image(half).shape == NOISE.shape
    assert warned == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "ending", ["png", "jpg", "webp", "gif", "bmp", "tif", "avif", "jp2", "mp4"]
)
def test_a_broken_picture_is_not_to_become_a_video(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(NOISE).save(path, format="PNG" if ending == "mp4" else None)
    content = path.read_bytes()
    # By its first bytes, or by its name alone.
    damaged = [content[:14], b"\0" * 8 + content[8:]]
    for broken in damaged[: 1 if ending == "mp4" else 2]:
        path.write_bytes(broken)
        for reader in (sort_of, load_image):
            with pytest.raises(UnreadableMediaError) as caught:
                reader(path)
            assert "MP4" not in str(caught.value)
            assert "PNG" in caught.value.remedy


def test_a_sound_that_is_called_a_picture_is_a_sound(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "sound.wav", chirp(0.2, 8000), 8000)
    assert sort_of(sound.rename(tmp_path / "a.png")) == "sound"


def test_the_file_of_a_picture_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(NOISE.astype(np.int64), 8, 2))
    size = path.stat().st_size
    assert load_image(path, MediaLimits(max_picture_size=size)).shape == NOISE.shape
    for reader in (sort_of, load_image):
        with pytest.raises(MediaLimitError, match=f"{size} bytes, {size - 1}"):
            reader(path, MediaLimits(max_picture_size=size - 1))


def test_a_huge_sparse_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    Image.fromarray(NOISE).save(path)
    with path.open("r+b") as file:
        file.truncate(2**34)
    with pytest.raises(MediaLimitError, match="bytes"):
        load_image(path)


def test_a_picture_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)

    def refused(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(UnreadableMediaError, match=r"Permission denied.*who may read"):
        load_image(path)


def scanned(path: Path, size: tuple[int, int], repeats: int, comment: int = 0) -> Path:
    """A progressive JPEG whose last scan, of few bytes, stands there many times."""
    Image.new("L", size, 90).save(path, format="JPEG", progressive=True)
    content = path.read_bytes()
    last = content[content.rindex(b"\xff\xda") : -2]
    note = b"\xff\xfe" + struct.pack(">H", comment + 2) + b"\xff\xda" * (comment // 2)
    path.write_bytes(content[:2] + note + content[2:-2] + last * repeats + b"\xff\xd9")
    return path


def test_scans_are_limited_by_the_work_they_make(tmp_path: Path) -> None:
    path = scanned(tmp_path / "a.jpg", (1000, 800), 1000)
    assert path.stat().st_size < 200_000
    for reader in (sort_of, load_image):
        with pytest.raises(MediaLimitError, match="more than 40 scans"):
            reader(path, MediaLimits(max_pixels=1_000_000))
    assert load_image(path, MediaLimits(max_pixels=30_000_000)).shape == (800, 1000, 3)


def test_marks_of_scans_that_are_none_do_not_count(tmp_path: Path) -> None:
    # In a comment, and in a film behind the picture, as some telephones store it.
    path = scanned(tmp_path / "a.jpg", (100, 80), 0, comment=10_000)
    path.write_bytes(path.read_bytes() + b"\xff\xda\0\x02" * 10_000)
    assert load_image(path, MediaLimits(max_pixels=10_000)).shape == (80, 100, 3)


def test_scans_of_a_baseline_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(RNG.integers(0, 256, (300, 300, 3), dtype=np.uint8)).save(path, quality=95)
    assert load_image(path, MediaLimits(max_pixels=90_000)).shape == (300, 300, 3)


@pytest.mark.parametrize("ending", ["tga", "pcx", "sgi", "TGA"])
def test_a_picture_of_another_format_is_to_become_a_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.new("RGB", (20, 10), (1, 2, 3)).save(path, format=ending.upper())
    with pytest.raises(UnreadableMediaError, match="PNG") as caught:
        sort_of(path)
    assert "MP4" not in str(caught.value)
