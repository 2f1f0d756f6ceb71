from __future__ import annotations

import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from tvsl.boxes import Box
from tvsl.errors import FontWarning
from tvsl.render.drawing import legend_corner, shorten
from tvsl.render.fonts import text_length

from .test_overlay import LONG


def test_legend_avoids_the_boxes() -> None:
    boxes = [Box(0, 60, 50, 100), Box(0, 0, 30, 20)]
    assert legend_corner((100, 200), (20, 40), boxes) == "bottom right"
    assert legend_corner((100, 200), (20, 40), []) == "bottom left"


@settings(max_examples=60)
@given(st.text(max_size=80), st.integers(8, 60), st.integers(0, 300))
def test_any_text_is_shortened_to_fit(text: str, size: int, width: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FontWarning)
        assert text_length(shorten(text, size, width), size) <= width


def test_shortened_text_ends_with_an_ellipsis() -> None:
    assert shorten("rain", 12, 400) == "rain"
    cut = shorten(LONG, 12, 90)
    assert cut.endswith("…")
    assert LONG.startswith(cut[:-1])
    assert shorten(LONG, 12, 1) == ""
    assert shorten("one\n two\x00\u202e", 12, 400) == "one two\\x00\\u202e"
