from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.training.oracle import info_nce
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP
from tvsl.contrastive import symmetric_info_nce
from tvsl.methods.operations import unit

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def test_both_directions_are_added_or_averaged() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.5, 1.0, -1.0], [0.0, 3.0, 0.0]])
    expected = 0.0
    for axis in (0, 1):
        shares = logits.exp() / logits.exp().sum(dim=axis, keepdim=True)
        expected -= float(shares.diag().log().mean())
    assert float(symmetric_info_nce(logits, "sum")) == pytest.approx(expected, rel=1e-6)
    assert float(symmetric_info_nce(logits, "mean")) == pytest.approx(expected / 2, rel=1e-6)


@given(data=st.data(), size=SIZES, scale=st.floats(0.1, 100))
def test_several_matches_share_the_target(
    data: st.DataObject, size: tuple[int, int], scale: float
) -> None:
    logits = scale * data.draw(arrays.arrays(float, size, elements=st.floats(-1, 1)))
    matches = data.draw(arrays.arrays(bool, size))
    if not matches.any():
        matches[0, 0] = True
    found = symmetric_info_nce(torch.from_numpy(logits), "mean", torch.from_numpy(matches))
    assert float(found) == pytest.approx(info_nce(logits, matches), rel=1e-9, abs=1e-9)


def test_three_matches_by_hand() -> None:
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0]]))
    matches = torch.tensor([[True, True, False], [False, True, False]])
    rows = [-(math.log(1 / 8) + math.log(2 / 8)) / 2, -math.log(1 / 8)]
    columns = [-math.log(1 / 4), -(math.log(2 / 3) + math.log(1 / 3)) / 2]  # none in the third
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert float(symmetric_info_nce(logits, "mean", matches)) == pytest.approx(expected)


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
    found = symmetric_info_nce(logits, "mean", matches)
    expected = model.contrastive_loss(image=image, text=text[order]) / 2
    torch.testing.assert_close(found, expected)


def test_gradients_are_finite_where_rows_have_no_match() -> None:
    torch.manual_seed(0)
    logits = (50 * torch.randn(4, 5)).requires_grad_()
    matches = torch.zeros(4, 5, dtype=torch.bool)
    matches[1, 2] = matches[1, 3] = matches[2, 3] = True
    symmetric_info_nce(logits, "mean", matches).backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert bool((logits.grad[1] != 0).any())
