from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvsl.boxes import Box
from tvsl.errors import OutputError, ShapeError, UsageError
from tvsl.render.colors import (
    certainty,
    half_height_line,
    heat_colors,
    label_colors,
    source_color,
)
from tvsl.render.contact_sheet import contact_sheet
from tvsl.render.overlay import (
    color_overlay,
    draw_labels,
    drawing_image,
    heat_overlay,
    moment_overlay,
    save_jpeg,
    save_png,
    source_overlay,
)

from .inputs import moment, picture, source

LONG = "female speech, woman speaking"


SIZES = [(64, 64), (48, 64), (200, 37), (360, 640)]


def corner_map(height: int, width: int) -> np.ndarray:
    """Hot in the upper left corner, cold in the lower right one."""
    return np.outer(np.linspace(1, 0, height), np.linspace(1, 0, width)).astype(np.float32)


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((image == np.array(color, dtype=np.uint8)).all(axis=-1).sum())


def test_heat_changes_the_hot_corner_only() -> None:
    image = picture(60, 80)
    before = image.copy()
    result = heat_overlay(image, corner_map(60, 80))
    assert (result[-1] == image[-1]).all()
    assert np.abs(result[0, 0].astype(int) - image[0, 0]).max() > 80
    assert (image == before).all()


def test_heat_with_strength_one_is_pure_color_at_the_peak() -> None:
    image = picture(20, 20)
    result = heat_overlay(image, np.ones((20, 20), np.float32), strength=1.0)
    assert np.ptp(result.reshape(-1, 3), axis=0).max() == 0
    assert (heat_overlay(image, np.ones((20, 20), np.float32), strength=0.0) == image).all()


def test_colors_do_not_depend_on_the_order() -> None:
    image, one = picture(30, 40), corner_map(30, 40)
    two = one[::-1, ::-1]
    red, blue = (255, 0, 0), (0, 0, 255)
    result = color_overlay(image, [one, two], [red, blue])
    assert (result == color_overlay(image, [two, one], [blue, red])).all()
    assert result[0, 0, 0] > image[0, 0, 0]
    assert result[-1, -1, 2] > image[-1, -1, 2]


def test_no_map_leaves_a_copy() -> None:
    image = picture(8, 8)
    result = color_overlay(image, [], [])
    assert (result == image).all()
    assert result is not image


@pytest.mark.parametrize(
    ("image", "heatmap"),
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32)),
    ],
)
def test_wrong_arrays_are_refused(image: np.ndarray, heatmap: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        heat_overlay(image, heatmap)
    with pytest.raises(ShapeError):
        color_overlay(image, [heatmap], [(1, 2, 3)])


def test_wrong_options_are_refused() -> None:
    image, heatmap = picture(4, 4), np.zeros((4, 4), np.float32)
    with pytest.raises(UsageError):
        heat_overlay(image, heatmap, strength=1.5)
    with pytest.raises(UsageError):
        color_overlay(image, [heatmap], [])


@pytest.mark.parametrize("size", [*SIZES, (2160, 3840)])
def test_source_overlay_draws_box_and_bar_at_every_size(size: tuple[int, int]) -> None:
    color = source_color(1)
    result = source_overlay(picture(*size), source(LONG, 2, 3, size), color)
    assert result.shape == (*size, 3)
    bar = (result == np.array(color, dtype=np.uint8)).all(axis=-1)
    # The bar's last row has no letters; its letters are dark, above it.
    assert bar[-1].all()
    rows = np.flatnonzero(bar[:, 0])
    first_bar_row = rows[np.flatnonzero(np.diff(rows, prepend=-9) > 1)[-1]]
    height = size[0] - first_bar_row
    assert min(size) / 40 < height < max(min(size) / 10, 20)
    letters = result[first_bar_row:, :, :].max(axis=-1) < 90
    assert letters.any()
    assert not letters[:, 0].any()
    assert not letters[:, -1].any()
    assert bar[:first_bar_row].sum() > 20


def test_bar_moves_away_from_a_box_at_the_bottom() -> None:
    size, color = (360, 640), source_color(2)
    result = source_overlay(picture(*size), source("rain", 6, 3, size), color)
    assert (result[0] == np.array(color, dtype=np.uint8)).all()


@pytest.mark.parametrize("size", [*SIZES, (2160, 3840)])
def test_labels_stay_inside_at_every_size(size: tuple[int, int]) -> None:
    height, width = size
    image = np.full((height, width, 3), 128, np.uint8)
    outside = Box(-5, -5, width + 9, height + 9)
    boxes = [outside, Box(width // 3, height // 3, width // 2, height // 2), None]
    entries = [(LONG, source_color(index), box) for index, box in enumerate(boxes)]
    result = draw_labels(image, entries)
    assert result.shape == image.shape
    assert count(result, source_color(0)) > width
    assert count(result, source_color(1)) > 10
    assert (image == 128).all()


def test_legend_leaves_half_of_a_tiny_picture_free() -> None:
    image = picture(64, 64)
    entries = [(f"{LONG} {index}", source_color(index), None) for index in range(50)]
    result = draw_labels(image, entries)
    unchanged = (result == image).all(axis=-1).mean()
    assert 0.5 < unchanged < 0.9


@pytest.mark.parametrize(
    "label", ["犬の鳴き声", "собака", "🐕 שלום", "a\nb\tc", "", "\ud800", "é" * 9000]
)
def test_names_of_any_script_do_not_crash(label: str) -> None:
    size = (64, 96)
    image, one = picture(*size), source(label, 2, 3, size)
    source_overlay(image, one, source_color(0))
    draw_labels(image, [(label, source_color(0), one.box)])
    contact_sheet(image, moment(None, one, size=size))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (2, 300)])
def test_smallest_pictures_do_not_crash(size: tuple[int, int]) -> None:
    image, one = picture(*size), source("rain", 2, 3, size)
    assert source_overlay(image, one, source_color(0)).shape == image.shape
    entries = [("rain", source_color(0), one.box)]
    assert draw_labels(image, entries).shape == image.shape
    contact_sheet(image, moment(1.0, one, size=size))


@pytest.mark.parametrize("size", [(48, 64), (360, 640), (720, 1280)])
def test_a_name_stands_at_each_box_and_none_on_another(size: tuple[int, int]) -> None:
    height, width = size
    box = Box(width // 4, height // 2, width // 2, height - 3)
    colors = [source_color(0), source_color(1)]
    image = np.full((height, width, 3), 128, np.uint8)
    one = draw_labels(image, [("dog", colors[0], box)])
    two = draw_labels(image, [("dog", colors[0], box), ("cat", colors[1], box)])
    tag = (one == np.array(colors[0], np.uint8)).all(axis=-1)
    rows = np.flatnonzero(tag[: box.top, box.left + 1])
    assert rows.size >= 8  # above the box, from its left edge on
    assert rows.max() == box.top - 1
    assert (one[: box.top, : box.left] == 128).all()
    other = (two == np.array(colors[1], np.uint8)).all(axis=-1)
    assert tag[rows.min() : box.top].sum() == (
        (two == np.array(colors[0], np.uint8)).all(axis=-1)[rows.min() : box.top].sum()
    )
    assert other[box.top + 3 : box.bottom - 3, box.left + 4].any()  # moved down, into the box


def test_a_source_without_a_box_has_its_name_in_a_legend() -> None:
    image = np.full((360, 640, 3), 128, np.uint8)
    result = draw_labels(image, [("dog", source_color(0), None)])
    changed = np.argwhere((result != 128).any(axis=-1))
    assert changed.min(axis=0)[0] > 300
    assert changed.max(axis=0)[1] < 200


def test_the_scale_of_heat_stands_at_the_right_edge() -> None:
    size = (360, 640)
    image, one = np.full((*size, 3), 128, np.uint8), source("dog", 3, 2, (360, 640))
    result = source_overlay(image, one, source_color(0))
    bar = result[:, -8]
    hot, cold = (heat_colors(np.full((1, 1), value, np.float32))[0, 0] for value in (1, 0))
    (first,) = np.flatnonzero(np.abs(bar - hot.astype(int)).max(axis=-1) < 12)[:1]
    (last,) = np.flatnonzero(np.abs(bar - cold.astype(int)).max(axis=-1) < 12)[-1:]
    assert 80 < last - first < 160
    tiny = source_overlay(image[:60, :80], one, source_color(0))
    assert not (np.abs(tiny[:, -6] - hot.astype(int)).max(axis=-1) < 12).any()


def test_the_line_at_half_height_is_what_the_box_bounds() -> None:
    size = (360, 640)
    image, one = np.zeros((*size, 3), np.uint8), source("dog", 3, 5, (360, 640))
    assert one.box is not None
    line = half_height_line(one.heatmap, 2)
    rows, columns = np.nonzero(line)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert found == one.box.to_list()
    found = moment(None, one, size=size)
    drawn = moment_overlay(image, found, {"dog": (0, 255, 0)})
    inner = line[one.box.top + 8 : one.box.bottom - 8, one.box.left + 8 : one.box.right - 8]
    seen = drawn[one.box.top + 8 : one.box.bottom - 8, one.box.left + 8 : one.box.right - 8]
    assert inner.any()
    assert (seen[inner] == (0, 255, 0)).all()


def test_no_line_at_the_edges_of_the_picture() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[:, :4] = 1
    assert np.flatnonzero(half_height_line(heat, 1).any(axis=0)).tolist() == [3]
    assert not half_height_line(np.ones((8, 8), np.float32), 2).any()


@pytest.mark.parametrize(
    ("score", "threshold", "share"),
    [
        (0.1, None, 1.0),
        (0.6, 0.6, 1.0),
        (0.9, 0.6, 1.0),
        (0.45, 0.6, 0.75),
        (0.0, 0.6, 0.35),
        (-2.0, 0.6, 0.35),
        (-2.0, -1.0, 0.35),
        (-0.5, -1.0, 1.0),
    ],
)
def test_certainty(score: float, threshold: float | None, share: float) -> None:
    assert certainty(score, threshold) == pytest.approx(share)


def test_an_uncertain_map_is_fainter() -> None:
    size = (360, 640)
    image, one = np.zeros((*size, 3), np.uint8), source("dog", 3, 5, size)
    sure = moment(None, one, size=size)
    unsure = replace(sure, threshold=1.5)
    strong, faint = (moment_overlay(image, m, {"dog": (255, 255, 255)}) for m in (sure, unsure))
    box = one.box
    assert box is not None
    row, column = (box.top + box.bottom) // 2, (box.left + box.right) // 2
    assert 0 < faint[row, column, 0] < 0.5 * strong[row, column, 0]


def test_a_jpeg_keeps_to_its_limit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    path = save_jpeg(noise, tmp_path / "a.jpg", 60_000)
    assert path.stat().st_size <= 60_000
    with Image.open(path) as image:
        assert image.width / image.height == pytest.approx(800 / 600, abs=0.02)
    with pytest.raises(OutputError, match="exists"):
        save_jpeg(noise, path, 60_000)


def test_map_without_contrast_draws_no_box() -> None:
    size = (64, 96)
    flat = source("rain", 2, 3, size)
    flat.grid[:] = 1.0
    result = source_overlay(picture(*size), flat, source_color(0))
    assert (result[:40] == picture(*size)[:40]).all()


def test_png_is_written_whole_and_not_over_another(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = picture(30, 40)
    assert save_png(image, path) == path
    assert (np.array(Image.open(path)) == image).all()
    with pytest.raises(OutputError, match="exists"):
        save_png(image, path)
    save_png(image[::-1], path, force=True)
    assert (np.array(Image.open(path)) == image[::-1]).all()
    assert list(tmp_path.iterdir()) == [path]


def test_png_in_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_png(picture(3, 3), tmp_path / "none" / "a.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        save_png(picture(3, 3), tmp_path / "folder", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_pictures_are_drawn_on_at_a_size_that_can_be_read() -> None:
    image = picture(1500, 3000)
    assert drawing_image(image).shape == (1024, 2048, 3)
    assert drawing_image(picture(48, 64)).shape == (360, 480, 3)
    assert drawing_image(picture(48, 64), 100).shape == (75, 100, 3)
    small = picture(1500, 2048)
    assert drawing_image(small) is small
    one = source("dog", 1, 2, (1500, 3000))
    drawn = source_overlay(drawing_image(image), one, (255, 0, 0))
    assert drawn.shape == (1024, 2048, 3)


STRANGE = [
    "A" * 300,
    "word " * 300_000,
    "\u0643\u0644\u0628 \u064a\u0646\u0628\u062d",
    "\U0001f415\u200d\U0001f9ba dog",
    "a\u202eb\u200d\ufe0f",
    "e" + "\u0301" * 5000,
    "\ufdfa" * 300,
    "a\nb\tc\0",
    "",
]


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 5000), (5000, 1), (2, 2), (3, 700), (16, 9), (1, 65_535), (65_535, 1)]
)
def test_tiny_and_thin_pictures_with_strange_names(size: tuple[int, int]) -> None:
    image = drawing_image(picture(*size))
    found = moment(None, *(source(label, 1, 2, size) for label in STRANGE), size=size)
    colors = label_colors([found])
    for one in found.sources:
        assert source_overlay(image, one, colors[one.label]).shape == image.shape
        assert (one.box is None) == (size == (1, 1))  # one pixel has no contrast
        left, top, right, bottom = (one.box or Box(0, 0, 1, 1)).to_list()
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]
    sheet = contact_sheet(image, found, colors)
    assert max(sheet.shape) < 5000
    assert (
        draw_labels(image, [(label, colors[label], None) for label in STRANGE]).shape == image.shape
    )
