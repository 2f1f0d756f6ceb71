from __future__ import annotations

import numpy as np

from tvsl.render.colors import label_colors, source_color
from tvsl.render.contact_sheet import contact_sheet, moments_sheet

from .inputs import moment, picture, source
from .test_overlay import LONG, count


def test_sheet_has_one_panel_for_each_source() -> None:
    size = (120, 320)
    sources = [source(f"{index} {LONG}", index % 7, index, size) for index in range(4)]
    sheet = contact_sheet(picture(*size), moment(2.5, *sources, size=size))
    for index in range(4):
        assert count(sheet, source_color(index)) > 320 * 8
    assert sheet.dtype == np.uint8


def test_sheet_of_a_silent_moment_shows_the_picture() -> None:
    sheet = contact_sheet(picture(120, 320), moment(2.5, size=(120, 320)))
    height, width = sheet.shape[:2]
    assert 320 < width < 400
    assert 120 < height < 260


def test_sheet_stays_sensible_for_large_pictures_and_many_sources() -> None:
    size = (1080, 1920)
    few = contact_sheet(picture(*size), moment(None, source("a", 1, 1, size), size=size))
    assert few.shape[1] < 2 * 480 + 60
    sources = [source(LONG, index % 7, index % 12, size) for index in range(50)]
    many = contact_sheet(picture(*size), moment(None, *sources, size=size))
    assert max(many.shape) < 4000


def test_a_label_keeps_its_colour_wherever_it_ranks() -> None:
    size = (120, 320)
    rain, dog, car = (source(label, 2, 3, size) for label in ("rain", "dog", "car"))
    moments = [moment(0.0, rain, dog, size=size), moment(1.0, dog, car, size=size)]
    colors = label_colors(moments)
    assert colors == {"rain": source_color(0), "dog": source_color(1), "car": source_color(2)}
    sheet = contact_sheet(picture(*size), moments[1], colors)
    assert count(sheet, source_color(0)) < 320
    assert count(sheet, source_color(1)) > 320 * 8
    assert count(sheet, source_color(2)) > 320 * 8


def test_sheets_of_moments_stand_in_columns() -> None:
    sheets = [np.full((100, 300, 3), 10 * number, np.uint8) for number in range(1, 10)]
    whole = moments_sheet(sheets)
    assert whole.shape == (300, 900, 3)
    assert whole[50::100, 50::300, 0].T.ravel().tolist() == [10 * n for n in range(1, 10)]
    assert moments_sheet(sheets[:1]).shape == (100, 300, 3)


def test_panels_of_a_given_size() -> None:
    size = (100, 200)
    sheet = contact_sheet(
        picture(*size), moment(0.0, source("dog", 2, 3, size), size=size), panel=256
    )
    assert 2 * 256 < sheet.shape[1] < 2 * 256 + 50
