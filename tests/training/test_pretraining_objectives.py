from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tvsl.audioclip.config import (
    AudioCLIPConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP
from tvsl.methods.operations import unit
from tvsl.training.pretraining import (
    best_cells,
    caption_matches,
    draw_count,
    matched_contrastive,
)

from .oracle import info_nce

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(data=st.data(), size=SIZES, scale=st.floats(0.1, 100))
def test_several_matches_share_the_target(
    data: st.DataObject, size: tuple[int, int], scale: float
) -> None:
    logits = scale * data.draw(arrays.arrays(float, size, elements=st.floats(-1, 1)))
    matches = data.draw(arrays.arrays(bool, size))
    if not matches.any():
        matches[0, 0] = True
    found = matched_contrastive(torch.from_numpy(logits), torch.from_numpy(matches))
    assert float(found) == pytest.approx(info_nce(logits, matches), rel=1e-9, abs=1e-9)


def test_three_matches_by_hand() -> None:
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0]]))
    matches = torch.tensor([[True, True, False], [False, True, False]])
    rows = [-(math.log(1 / 8) + math.log(2 / 8)) / 2, -math.log(1 / 8)]
    columns = [-math.log(1 / 4), -(math.log(2 / 3) + math.log(1 / 3)) / 2]  # none in the third
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert float(matched_contrastive(logits, matches)) == pytest.approx(expected)


def test_one_to_one_matches_are_equation_1_halved() -> None:
    torch.manual_seed(0)
    model = AudioCLIP(
        AudioCLIPConfig(
            embedding=8,
            image=ImageEncoderConfig(width=8, blocks=(1, 1, 1, 1), heads=4),
            audio=ModulationAudioEncoderConfig(widths=(4, 4, 4, 4)),
            text=TextEncoderConfig(vocabulary=8, context=4, width=8, layers=1, heads=1),
        )
    )
    image, text = torch.randn(2, 6, 8)
    logits = 100 * unit(image) @ unit(text).T
    order = torch.randperm(6)
    matches = torch.zeros(6, 6, dtype=torch.bool)
    matches[torch.arange(6), order] = True
    found = matched_contrastive(logits, matches)
    expected = model.contrastive_loss(image=image, text=text[order]) / 2
    torch.testing.assert_close(found, expected)


def test_gradients_are_finite_where_rows_have_no_match() -> None:
    torch.manual_seed(0)
    logits = (50 * torch.randn(4, 5)).requires_grad_()
    matches = torch.zeros(4, 5, dtype=torch.bool)
    matches[1, 2] = matches[1, 3] = matches[2, 3] = True
    matched_contrastive(logits, matches).backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert bool((logits.grad[1] != 0).any())


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
