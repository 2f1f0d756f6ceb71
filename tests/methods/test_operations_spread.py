from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tvsl.methods.operations import spread
from tvsl.tokens import Queries, Tokens


def made_up(batch: int, grid: tuple[int, int], panels: int, seed: int = 0) -> Tokens:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return Tokens(
        visual=noise(batch, grid[0] * grid[1], 6),
        audio=noise(batch, 2, 6),
        image=noise(batch, 6),
        sound=noise(batch, 6),
        grid=grid,
        panels=panels,
    )


def one_by_one(maps: Tensor, tokens: Tokens, queries: Queries, exponent: float) -> Tensor:
    """The formula, cell by cell."""
    result = torch.zeros_like(maps)
    height, width = tokens.grid
    wide = width // tokens.panels
    for pair, clip in enumerate(queries.clip.tolist()):
        cells = tokens.visual[clip].view(height, width, -1)
        for row in range(height):
            for column in range(width):
                first = column // wide * wide
                total = weight = 0.0
                for r in range(height):
                    for c in range(first, first + wide):
                        a, b = cells[row, column].tolist(), cells[r, c].tolist()
                        product = sum(x * y for x, y in zip(a, b, strict=True))
                        cosine = product / math.hypot(*a) / math.hypot(*b)
                        w = max(0.0, cosine) ** exponent
                        total += w * float(maps[pair, r, c])
                        weight += w
                result[pair, row, column] = total / weight
    return result


@pytest.mark.parametrize("panels", [1, 2])
@pytest.mark.parametrize("exponent", [1.0, 4.0])
def test_formula(panels: int, exponent: float) -> None:
    tokens = made_up(3, (2, 4), panels)
    queries = Queries.from_lists([[0, 1], [], [2]])
    maps = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(1))
    expected = one_by_one(maps, tokens, queries, exponent)
    torch.testing.assert_close(spread(maps, tokens, queries, exponent), expected)


def test_zero_leaves_maps_alone() -> None:
    tokens, maps = made_up(1, (2, 4), 1), torch.rand(1, 2, 4)
    assert spread(maps, tokens, Queries.from_lists([[0]]), 0.0) is maps


def test_a_cell_without_direction_keeps_its_value() -> None:
    tokens = made_up(1, (2, 2), 1)
    tokens.visual[0, 2] = 0
    maps = torch.tensor([[[0.1, 0.2], [0.9, 0.3]]])
    found = spread(maps, tokens, Queries.from_lists([[0]]), 3.0)
    assert found[0, 1, 0] == pytest.approx(0.9)
    assert found.isfinite().all()


def test_a_dim_part_of_an_object_is_lit_by_the_rest_and_the_ground_is_not() -> None:
    tokens = made_up(1, (1, 4), 1)
    thing, ground = torch.eye(6)[:2]
    tokens.visual[0] = torch.stack([thing, thing, ground, ground])
    maps = torch.tensor([[[1.0, 0.2, 0.3, 0.1]]])
    found = spread(maps, tokens, Queries.from_lists([[0]]), 20.0)
    torch.testing.assert_close(found, torch.tensor([[[0.6, 0.6, 0.2, 0.2]]]))


@settings(max_examples=30)
@given(
    sources=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    panels=st.integers(1, 3),
    exponent=st.floats(0.5, 30),
    seed=st.integers(0, 99),
)
def test_values_stay_within_their_frame(
    sources: list[int], panels: int, exponent: float, seed: int
) -> None:
    tokens = made_up(len(sources), (3, 2 * panels), panels, seed)
    queries = Queries.from_lists([list(range(count)) for count in sources])
    maps = torch.randn(len(queries), *tokens.grid)
    found = spread(maps, tokens, queries, exponent)
    before, after = (one.unflatten(2, (panels, 2)) for one in (maps, found))
    assert (after.amax(dim=(1, 3)) <= before.amax(dim=(1, 3)) + 1e-5).all()
    assert (after.amin(dim=(1, 3)) >= before.amin(dim=(1, 3)) - 1e-5).all()
