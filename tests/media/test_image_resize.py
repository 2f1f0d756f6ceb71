from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tvsl.media.image import MAX_ASPECT, fitting_size, resize


@given(height=st.integers(1, 9000), width=st.integers(1, 9000))
def test_fitting_size_is_whole_cells_of_about_the_same_aspect(height: int, width: int) -> None:
    found = fitting_size((height, width), 224, 32)
    assert min(found) == 224
    assert all(side % 32 == 0 for side in found)
    assert max(found) <= 224 * MAX_ASPECT
    aspect = min(max(height, width) / min(height, width), MAX_ASPECT)
    assert abs(max(found) - 224 * aspect) <= 16 + 1e-6
    if found[0] != found[1]:
        assert (found[0] > found[1]) == (height > width)


def test_resize_keeps_places() -> None:
    picture = np.zeros((40, 80, 3), dtype=np.uint8)
    picture[:20, :40] = 255
    small = resize(picture, (10, 20))
    assert small.shape == (10, 20, 3)
    assert small[:4, :9].min() > 250
    assert small[6:].max() < 5
