from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.methods.golden import (
    as_tokens,
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    weight,
)
from tests.methods.tvsl.inputs import ragged_labels
from tvsl.methods.ez_vsl import EZVSL, EZVSLConfig
from tvsl.tokens import Queries

TAU = 0.03
NO_LABELS = ragged_labels([1] * 6, classes=5)


def official() -> EZVSL:
    """The head with the golden weights."""
    head = EZVSL(EZVSLConfig(embedding=512, dimension=32)).double()
    state = {}
    for ours, theirs in (("project_image", "img_proj"), ("project_audio", "aud_proj")):
        state[f"{ours}.weight"] = weight(f"ez_vsl.{theirs}.weight", 32, 512)
        state[f"{ours}.bias"] = weight(f"ez_vsl.{theirs}.bias", 32)
    head.load_state_dict(state, strict=True)
    return head


def test_loss_and_gradients_are_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    losses = official().losses(as_tokens(visual, sound), NO_LABELS, five_classes())
    assert losses.keys() == {"contrastive"}
    loss = losses["contrastive"]
    assert relative(loss, golden("ez_vsl.loss")) < 1e-9
    assert_golden_gradients(loss, visual, sound, "ez_vsl")


def test_maps_are_golden() -> None:
    visual, sound = inputs()
    every = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    maps = official().maps(as_tokens(visual, sound), every, five_classes())
    assert relative(maps / TAU, golden("ez_vsl.map")) < 1e-9
    large = F.interpolate(maps[:, None], 224, mode="bilinear", align_corners=True)[:, 0]
    low, high = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
    assert relative(((large - low) / (high - low))[:, ::8, ::8], golden("ez_vsl.map_224")) < 1e-9


def test_similarity_of_every_picture_with_every_sound_is_golden() -> None:
    """The loss sees s_ij = max over cells; a map of clip (picture i, sound j) shows it."""
    visual, sound = inputs()
    pairs = as_tokens(visual.repeat_interleave(6, dim=0), sound.repeat(6, 1))
    every = Queries(torch.arange(36), torch.zeros(36, dtype=torch.int64))
    best = official().maps(pairs, every, five_classes()).amax(dim=(1, 2)).view(6, 6)
    assert relative(best, golden("ez_vsl.similarity")) < 1e-9
    rows, columns = (best / TAU).log_softmax(dim=1), (best / TAU).log_softmax(dim=0)
    loss = -(rows.diag().mean() + columns.diag().mean())
    assert relative(loss, golden("ez_vsl.loss")) < 1e-9


def test_single_precision_is_near_golden() -> None:
    visual, sound = (given.float() for given in inputs())
    loss = official().float().losses(as_tokens(visual, sound), NO_LABELS, five_classes())
    assert relative(loss["contrastive"].double(), golden("ez_vsl.loss")) < 1e-4
