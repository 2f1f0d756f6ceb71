from __future__ import annotations

import pytest
import torch

from tests.methods.golden import (
    as_tokens,
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    weight,
)
from tests.methods.tvsl.inputs import ragged_labels, tokens, vocabulary
from tvsl.methods.fnac import FNAC, FNACConfig
from tvsl.tokens import Queries

NO_LABELS = ragged_labels([1] * 6, classes=5)
TERMS = ("fns1", "tns", "fns2")


def official() -> FNAC:
    """The head with the golden weights, without dropout, after the warm-up."""
    head = FNAC(FNACConfig(embedding=512, dimension=32)).double().eval()
    state = {}
    for ours, theirs in (("project_image.1", "img_proj"), ("project_audio", "aud_proj")):
        state[f"{ours}.weight"] = weight(f"fnac.{theirs}.weight", 32, 512)
        state[f"{ours}.bias"] = weight(f"fnac.{theirs}.bias", 32)
    head.load_state_dict(state, strict=True)
    head.progress = 1.0
    return head


def small(seed: int = 0, **hyperparameters: float) -> FNAC:
    torch.manual_seed(seed)
    return FNAC(FNACConfig(embedding=16, dimension=8, **hyperparameters)).double()


def test_every_term_and_its_gradients_are_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    losses = official().losses(as_tokens(visual, sound), NO_LABELS, five_classes())
    assert losses.keys() == {"contrastive", *TERMS}
    assert relative(losses["contrastive"], golden("fnac.loss_contrastive")) < 1e-9
    for name in TERMS:
        assert relative(losses[name] / 100, golden(f"fnac.loss_{name}")) < 1e-9
        assert_golden_gradients(losses[name] / 100, visual, sound, f"fnac.{name}")
    total = torch.stack(list(losses.values())).sum()
    assert relative(total, golden("fnac.loss")) < 1e-9
    assert_golden_gradients(total, visual, sound, "fnac")


@pytest.mark.parametrize("progress", [0.0, 0.099])
def test_the_contrastive_term_warms_up_alone(progress: float) -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    head = official()
    head.progress = progress
    losses = head.losses(as_tokens(visual, sound), NO_LABELS, five_classes())
    total = torch.stack(list(losses.values())).sum()
    assert relative(total, golden("fnac.loss_contrastive")) < 1e-9
    assert_golden_gradients(total, visual, sound, "fnac.warmup")
    assert all(losses[name].item() == 0 for name in TERMS)


def test_the_warm_up_ends() -> None:
    head, given = small().eval(), (tokens(4), ragged_labels([1] * 4), vocabulary())
    for progress, warming_up in ((0.0, True), (0.0999, True), (0.1, False), (1.0, False)):
        head.progress = progress
        losses = head.losses(*given)
        assert all((losses[name].item() == 0) == warming_up for name in TERMS)
    head = small(warm_up=0.0).eval()
    assert head.losses(*given)["fns1"].item() > 0


def test_maps_are_golden() -> None:
    every = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    maps = official().maps(as_tokens(*inputs()), every, five_classes())
    assert relative(maps / 0.03, golden("fnac.map")) < 1e-9


def test_dropout_follows_the_seed_and_training_alone() -> None:
    head, given = small(), (tokens(4), ragged_labels([1] * 4), vocabulary())

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return head.losses(*given)["contrastive"].item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)
    head.eval()
    assert loss(1) == loss(2)
