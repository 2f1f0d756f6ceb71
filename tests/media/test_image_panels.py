from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tvsl.errors import UsageError
from tvsl.media.image import cut_panels

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize("panels", [1, 2, 3, 4, 12])
def test_panels_are_equal_and_stand_side_by_side(panels: int) -> None:
    parts = cut_panels(PICTURE, panels)
    assert [part.shape for part in parts] == [(5, 12 // panels, 3)] * panels
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), PICTURE)


@pytest.mark.parametrize("panels", [5, 24, 0, -1])
def test_what_does_not_divide_the_width_is_refused(panels: int) -> None:
    with pytest.raises(UsageError, match=rf"12 pixels wide .* {panels} equal panels") as caught:
        cut_panels(PICTURE, panels, Path("duet.png"))
    assert caught.value.path == Path("duet.png")
