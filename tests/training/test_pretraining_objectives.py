from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tvsl.methods.operations import unit
from tvsl.training.pretraining import (
    best_cells,
    caption_matches,
    draw_count,
)

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(cells=st.integers(1, 7), clips=st.integers(1, 3), queries=st.integers(1, 4), data=st.data())
def test_the_best_cells_are_counted(
    cells: int, clips: int, queries: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, cells))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1_000)))
    seen = unit(torch.randn(clips, cells, 5, generator=generator, dtype=torch.float64))
    asked = unit(torch.randn(queries, 5, generator=generator, dtype=torch.float64))
    found = best_cells(seen, asked, count)
    for clip in range(clips):
        for query in range(queries):
            cosines = [float(cell @ asked[query]) for cell in seen[clip]]
            expected = sum(sorted(cosines)[-count:]) / count
            assert float(found[clip, query]) == pytest.approx(expected)


NAMED = st.tuples(*(st.integers(-1, 2) for _ in range(3)))
THING = st.one_of(st.just((-1, -1, -1)), st.tuples(*(st.integers(0, 2) for _ in range(3))))


def is_true_of(caption: tuple[int, ...], things: list[tuple[int, ...]]) -> bool:
    for thing in things:
        if thing == (-1, -1, -1):
            continue
        if all(word in (-1, own) for word, own in zip(caption, thing, strict=True)):
            return True
    return False


@example(captions=[(-1, -1, -1)], items=[[(-1, -1, -1)] * 3, [(0, 1, 2)] * 3])
@given(
    captions=st.lists(NAMED, min_size=1, max_size=6),
    items=st.lists(st.lists(THING, min_size=3, max_size=3), min_size=1, max_size=5),
)
def test_captions_are_true_of_what_has_all_they_name(
    captions: list[tuple[int, ...]], items: list[list[tuple[int, ...]]]
) -> None:
    things: NDArray[np.int8] = np.array(items, dtype=np.int8)
    found = caption_matches(torch.tensor(captions, dtype=torch.int8), torch.from_numpy(things))
    expected = [[is_true_of(caption, item) for caption in captions] for item in items]
    assert found.tolist() == expected


def test_counts_are_drawn_evenly() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([draw_count(generator, 4, 8) for _ in range(2_000)])
    shares = torch.bincount(drawn, minlength=10) / 2_000
    assert shares[:4].sum() == shares[9:].sum() == 0
    assert bool(((shares[4:9] - 0.2).abs() < 0.05).all())
    assert draw_count(generator, 3, 3) == 3
