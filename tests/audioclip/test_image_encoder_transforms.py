from __future__ import annotations

import numpy as np
import pytest
import torch

from tvsl.audioclip.image_encoder import normalise
from tvsl.errors import ShapeError


def test_normalise_uses_clips_mean_and_deviation() -> None:
    pixels = np.array([[[[0, 128, 255]]]], dtype=np.uint8)
    found = normalise(pixels)[0, :, 0, 0]
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    expected = [(v / 255 - m) / d for v, m, d in zip((0, 128, 255), mean, deviation, strict=True)]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 2, 2, 4), (1, 3, 2, 2)])
def test_normalise_refuses(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        normalise(np.zeros(shape, dtype=np.uint8))
