from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from picture_makers import png, tiff
from PIL import Image

from tvsl.errors import MediaLimitError, MissingFileError, UnreadableMediaError
from tvsl.media.limits import MediaLimits
from tvsl.media.object_maps import load_object_map
from tvsl.media.writing import write_png

VALUES = np.array([[0, 1, 2], [3, 3, 255]], dtype=np.uint8)


@pytest.mark.parametrize("palette", [None, bytes(range(256)) * 3])
def test_values_are_those_that_are_stored(tmp_path: Path, palette: bytes | None) -> None:
    write_png(tmp_path / "map.png", VALUES, palette)
    np.testing.assert_array_equal(load_object_map(tmp_path / "map.png"), VALUES)


@pytest.mark.parametrize("kind", [np.uint16, np.bool_])
def test_deep_and_flat_maps(tmp_path: Path, kind: type) -> None:
    values = (VALUES.astype(np.int64) * 200).astype(kind)
    Image.fromarray(values).save(tmp_path / "map.png")
    np.testing.assert_array_equal(load_object_map(tmp_path / "map.png"), values)


def test_colours_are_no_values(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "map.png")
    with pytest.raises(UnreadableMediaError, match="several values a pixel"):
        load_object_map(tmp_path / "map.png")


def test_broken_missing_and_large_maps(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_object_map(tmp_path / "none.png")
    (tmp_path / "map.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableMediaError):
        load_object_map(tmp_path / "map.png")
    write_png(tmp_path / "map.png", VALUES)
    with pytest.raises(MediaLimitError):
        load_object_map(tmp_path / "map.png", MediaLimits(max_pixels=5))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_values_of_every_depth_are_those_that_are_stored(tmp_path: Path, bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (5, 9))
    for number, content in enumerate(
        (png(values, bits, 0), tiff(values, bits, 1), tiff(values, bits, 1, ">", deflate=True))
    ):
        path = tmp_path / f"{number}.png"
        path.write_bytes(content)
        np.testing.assert_array_equal(load_object_map(path), values)
    if bits <= 8:
        path.write_bytes(png(values, bits, 3, bytes([0]), bytes(3 * 2**bits)))
        np.testing.assert_array_equal(load_object_map(path), values)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_map_is_turned_like_its_picture(tmp_path: Path, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.rot90(VALUES)  # orientation 6: to be turned a quarter clockwise
    path = tmp_path / f"map.{ending}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(load_object_map(path), VALUES)


def test_values_that_a_file_changes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(VALUES).save(tmp_path / "map.jpg")
    (tmp_path / "map.tif").write_bytes(tiff(VALUES.astype(np.int64), 8, 0))
    for ending in ("jpg", "tif"):
        with pytest.raises(UnreadableMediaError, match=r"map\.(jpg|tif).*PNG"):
            load_object_map(tmp_path / f"map.{ending}")


def test_negative_values_are_refused(tmp_path: Path) -> None:
    values = VALUES.astype(np.int32)
    values[0, 0] = -1
    Image.fromarray(values).save(tmp_path / "map.tif")
    with pytest.raises(UnreadableMediaError, match=r"map\.tif.*negative"):
        load_object_map(tmp_path / "map.tif")
    Image.fromarray(np.abs(values)).save(tmp_path / "map.tif")
    np.testing.assert_array_equal(load_object_map(tmp_path / "map.tif"), np.abs(values))
