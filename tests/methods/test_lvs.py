from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.methods.golden import (
    as_tokens,
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    uniform,
)
from tests.methods.tvsl.inputs import ragged_labels
from tvsl.methods.lvs import LVS, MIN_MASK_TEMPERATURE, LVSConfig, masked_mean, soft_mask
from tvsl.tokens import Queries

NO_LABELS = ragged_labels([1] * 6, classes=5)
EVERY = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))


def official() -> LVS:
    """The paper has no projection; the untrained head has the identity."""
    return LVS(LVSConfig(embedding=512)).double()


def negative_inputs() -> tuple[Tensor, Tensor]:
    """As ``inputs``, but picture 3 is unlike its own sound everywhere."""
    _, sound = inputs()
    gate, noise = uniform("gate", 6, 1, 7, 7), uniform("visual", 6, 512, 7, 7)
    gate[3] = -0.5 - 0.5 * gate[3].abs()
    visual = gate * sound[:, :, None, None] + 0.5 * noise
    return visual.flatten(2).transpose(1, 2), sound


INPUTS = {"lvs": inputs, "lvs_negative": negative_inputs}


@pytest.mark.parametrize("name", INPUTS)
def test_loss_and_gradients_are_golden(name: str) -> None:
    visual, sound = (given.requires_grad_() for given in INPUTS[name]())
    losses = official().losses(as_tokens(visual, sound), NO_LABELS, five_classes())
    assert losses.keys() == {"contrastive"}
    loss = losses["contrastive"]
    assert relative(loss, golden(f"{name}.loss")) < 1e-9  # as released, the second is 183
    assert_golden_gradients(loss, visual, sound, name)


@pytest.mark.parametrize("name", INPUTS)
def test_maps_and_masks_are_golden(name: str) -> None:
    head, given = official(), as_tokens(*INPUTS[name]())
    maps = head.maps(given, EVERY, five_classes())
    assert relative(maps, golden(f"{name}.map")) < 1e-9
    assert relative(head.confident(maps), golden(f"{name}.pos_mask")) < 1e-9
    assert relative(head.background(maps), golden(f"{name}.neg_mask")) < 1e-9


def test_logits_are_golden_where_the_released_code_has_no_fault() -> None:
    """Its columns: the own pair, all pairs, the background; our first is among all pairs."""
    head, (visual, sound) = official(), inputs()
    cells = as_tokens(visual.repeat_interleave(6, dim=0), sound.repeat(6, 1))
    every = Queries(torch.arange(36), torch.zeros(36, dtype=torch.int64))
    cosines = head.maps(cells, every, five_classes()).flatten(1)
    means = masked_mean(cosines, head.confident(cosines)).view(6, 6) / 0.07
    released = golden("lvs.logits_as_released")
    others = ~torch.eye(6, dtype=torch.bool)
    assert relative(means.diag(), released[:, 0]) < 1e-9
    assert relative(means[others], released[:, 1:7][others]) < 1e-9


@pytest.mark.parametrize("threshold", [-1.0, 0.4, 1.0])
@pytest.mark.parametrize("temperature", [MIN_MASK_TEMPERATURE, -MIN_MASK_TEMPERATURE])
def test_the_masked_mean_is_finite_wherever_the_cosines_lie(
    threshold: float, temperature: float
) -> None:
    for cosines in (torch.full((3, 4), -1.0), torch.ones(3, 4), torch.linspace(-1, 1, 12)[None]):
        given = cosines.requires_grad_()
        mean = masked_mean(given, soft_mask(given, threshold, temperature))
        mean.sum().backward()
        assert given.grad is not None
        assert bool(torch.isfinite(given.grad).all())
        low, high = given.min().item() - 1e-5, given.max().item() + 1e-5
        assert low <= mean.min().item() <= mean.max().item() <= high


def test_a_mask_that_would_vanish_is_refused() -> None:
    with pytest.raises(ValidationError, match="mask_temperature"):
        LVSConfig(mask_temperature=0.01)


def test_far_below_the_threshold_the_best_cells_decide() -> None:
    cosines = torch.tensor([0.1, 0.2, 0.25], dtype=torch.float64)
    weights = (cosines / 0.03).softmax(dim=0)
    mean = masked_mean(cosines, soft_mask(cosines, 0.65, 0.03))
    assert float(mean) == pytest.approx(float((weights * cosines).sum()), rel=1e-4)
