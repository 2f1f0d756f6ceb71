from __future__ import annotations

import pytest
import torch

from tests.methods.golden import as_tokens, five_classes, golden, inputs, relative, weight
from tests.methods.tvsl.inputs import ragged_labels, tokens, vocabulary
from tvsl.methods.ez_vsl import EZVSL, EZVSLConfig
from tvsl.methods.margin_nce import MarginNCE, MarginNCEConfig
from tvsl.tokens import Queries

NO_LABELS = ragged_labels([1] * 6, classes=5)


def with_golden_weights(margin: float, temperature: float) -> MarginNCE:
    """EZ-VSL's weights: no code of MarginNCE exists."""
    config = MarginNCEConfig(embedding=512, dimension=32, margin=margin, temperature=temperature)
    head = MarginNCE(config).double()
    state = {}
    for ours, theirs in (("project_image", "img_proj"), ("project_audio", "aud_proj")):
        state[f"{ours}.weight"] = weight(f"ez_vsl.{theirs}.weight", 32, 512)
        state[f"{ours}.bias"] = weight(f"ez_vsl.{theirs}.bias", 32)
    head.load_state_dict(state, strict=True)
    return head


@pytest.mark.parametrize("temperature", [0.03, 0.07])
@pytest.mark.parametrize("row", range(4))
def test_loss_is_golden(row: int, temperature: float) -> None:
    margin = float(golden("margin_nce.by_formula.margins")[row])
    head, given = with_golden_weights(margin, temperature), as_tokens(*inputs())
    losses = head.losses(given, NO_LABELS, five_classes())
    assert losses.keys() == {"contrastive"}
    expected = golden(f"margin_nce.by_formula.loss_tau_{temperature}")[row]
    assert relative(losses["contrastive"], expected) < 1e-9
    both = golden(f"margin_nce.by_formula.loss_directions_tau_{temperature}")[row]
    assert relative(losses["contrastive"], both.sum()) < 1e-9


def test_maps_are_those_of_ez_vsl() -> None:
    every = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    maps = with_golden_weights(-0.2, 0.03).maps(as_tokens(*inputs()), every, five_classes())
    assert relative(maps / 0.03, golden("ez_vsl.map")) < 1e-9


def test_a_margin_of_zero_is_ez_vsl() -> None:
    torch.manual_seed(0)
    plain = EZVSL(EZVSLConfig(embedding=16, dimension=8)).double()
    head = MarginNCE(MarginNCEConfig(embedding=16, dimension=8, margin=0.0)).double()
    head.load_state_dict(plain.state_dict())
    asked = (tokens(4), ragged_labels([1] * 4), vocabulary())
    assert torch.equal(head.losses(*asked)["contrastive"], plain.losses(*asked)["contrastive"])
