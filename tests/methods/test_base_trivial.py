from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.methods.tvsl.inputs import queries, ragged_labels, tokens, vocabulary
from tvsl.errors import ShapeError, UsageError
from tvsl.methods.base import Centre, Noise, Trivial, WholeFrame
from tvsl.tokens import Tokens

METHODS = (WholeFrame, Centre, Noise)
ASKED = queries((1, 0), (0, 3), (1, 6), (2, 2))


def panels(count: int = 2, height: int = 6, width: int = 8) -> Tokens:
    cells = torch.randn(3, height * width * count, 16)
    base = tokens(3)
    return Tokens(
        cells,
        base.audio.float(),
        base.image.float(),
        base.sound.float(),
        (height, width * count),
        count,
    )


@pytest.mark.parametrize("kind", METHODS)
def test_maps_look_at_the_grid_alone(kind: type[Trivial]) -> None:
    method, given = kind(), panels()
    maps = method.maps(given, ASKED, vocabulary())
    assert maps.shape == (4, 6, 16)
    assert maps.dtype == torch.float32
    assert torch.equal(maps[0], maps[2])
    assert torch.equal(maps[..., :8], maps[..., 8:])  # each panel by itself
    others = replace(given, visual=-given.visual, audio=0 * given.audio)
    assert torch.equal(method.maps(others, ASKED, vocabulary(seed=9)), maps)


@pytest.mark.parametrize("kind", METHODS)
def test_they_neither_train_nor_detect(kind: type[Trivial]) -> None:
    with pytest.raises(UsageError, match="nothing to train"):
        kind().losses(tokens(2), ragged_labels([1, 1]), vocabulary())
    assert kind().detect(tokens(2), vocabulary()) is None
    with pytest.raises(ShapeError, match="clip"):
        kind().maps(tokens(2), ASKED, vocabulary())


def test_the_whole_frame_is_everywhere() -> None:
    assert bool((WholeFrame().maps(panels(), ASKED, vocabulary()) == 1).all())


def test_the_centre_is_a_gaussian_of_each_panel() -> None:
    maps = Centre().maps(panels(3), ASKED, vocabulary())
    for row in range(6):
        for column in range(24):
            down, right = (row + 0.5) / 6 - 0.5, (column % 8 + 0.5) / 8 - 0.5
            value = math.exp(-(down**2 + right**2) / (2 * 0.25**2))
            assert float(maps[3, row, column]) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("kind", METHODS)
def test_maps_of_a_clip_depend_on_its_number_alone(kind: type[Trivial]) -> None:
    method, grid = kind(), (6, 16)
    batch = method.maps(panels(), ASKED, vocabulary())
    assert torch.equal(method.drawn(torch.tensor([1, 0, 1, 2]), grid, 2), batch)
    far = method.drawn(torch.tensor([900, 1]), grid, 2)
    assert torch.equal(far[1], batch[0])
    assert method.drawn(torch.tensor([], dtype=torch.int64), grid).shape == (0, 6, 16)
    if kind is Noise:
        assert not torch.equal(far[0], far[1])
        assert not torch.equal(method.drawn(torch.tensor([1]), grid, 2, seed=1)[0], batch[0])


def test_noise_is_even_and_always_the_same() -> None:
    given = panels(1, 40, 40)
    state = torch.get_rng_state()
    first = Noise().maps(given, ASKED, vocabulary())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(Noise().maps(given, ASKED, vocabulary()), first)
    assert not torch.equal(first[0], first[1])  # clips differ
    assert abs(float(first.mean()) - 0.5) < 0.02
    assert abs(float(first.std()) - math.sqrt(1 / 12)) < 0.01
    assert 0 <= float(first.min()) < 0.01
    assert 0.99 < float(first.max()) < 1
