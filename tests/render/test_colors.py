from __future__ import annotations

import numpy as np
import pytest

from tvsl.errors import ShapeError, UsageError
from tvsl.render.colors import heat_colors, source_color, text_color

LIGHTNESS = np.array([0.299, 0.587, 0.114])


def test_first_colors_are_far_apart() -> None:
    colors = np.array([source_color(index) for index in range(7)], dtype=float)
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=-1)
    assert distances[~np.eye(7, dtype=bool)].min() > 90


def test_colors_differ_for_fifty_sources_and_repeat_later() -> None:
    assert len({source_color(index) for index in range(50)}) == 50
    assert source_color(56) == source_color(0)
    assert all(0 <= part <= 255 for index in range(60) for part in source_color(index))


def test_negative_number_is_refused() -> None:
    with pytest.raises(UsageError):
        source_color(-1)


def test_heat_gets_lighter_and_spans_blue_to_yellow() -> None:
    ramp = heat_colors(np.linspace(0, 1, 300, dtype=np.float32)[None])[0].astype(float)
    assert (np.diff(ramp @ LIGHTNESS) > -0.75).all()
    assert ramp[0].argmax() == 2
    assert ramp[0].sum() < 150
    assert ramp[-1][:2].min() > 220
    assert ramp[-1][2] < 100  # white would vanish on bright skies


def test_heat_keeps_shape_and_cuts_values_outside() -> None:
    values = np.array([[-3.0, 0.0, 0.5], [1.0, 2.0, 0.5]], dtype=np.float32)
    colors = heat_colors(values)
    assert colors.shape == (2, 3, 3)
    assert colors.dtype == np.uint8
    assert (colors[0, 0] == colors[0, 1]).all()
    assert (colors[1, 0] == colors[1, 1]).all()


@pytest.mark.parametrize("values", [np.zeros((2, 2, 1)), np.full((2, 2), np.nan)])
def test_heat_refuses_other_arrays(values: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        heat_colors(values.astype(np.float32))


def test_letters_contrast_with_every_color() -> None:
    for index in range(56):
        color = np.array(source_color(index), dtype=float)
        letters = np.array(text_color(source_color(index)), dtype=float)
        assert abs((color - letters) @ LIGHTNESS) > 95


@pytest.mark.parametrize("goes_on", [False, True])
def test_inner_regions_are_eroded(goes_on: bool) -> None:
    from scipy import ndimage

    from tvsl.render.colors import inner_region

    region = ndimage.gaussian_filter(np.random.default_rng(1).random((40, 60)), 3) > 0.5
    region[:15, :20] = True  # up to a corner
    for width in (1, 2, 5):
        expected = ndimage.binary_erosion(region, iterations=width, border_value=goes_on)
        np.testing.assert_array_equal(inner_region(region, width, goes_on), expected)
