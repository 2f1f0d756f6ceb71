from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.methods.golden import (
    GRID,
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    uniform,
    weight,
)
from tests.methods.tvsl.inputs import ragged_labels, tokens, vocabulary
from tvsl.methods.wav2clip import Variant, Wav2CLIP, Wav2CLIPConfig
from tvsl.tokens import Queries, Tokens

NO_LABELS = ragged_labels([1] * 6, classes=5)
VARIANTS: tuple[Variant, ...] = ("clip_loss", "clip_loss_i", "clip_loss_x")
EVERY = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))


def official(variant: Variant) -> Wav2CLIP:
    """The head with the golden MLPs; what stands in for the audio network is the identity."""
    head = Wav2CLIP(Wav2CLIPConfig(embedding=512, variant=variant)).double().eval()
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if "transform" in name:
                module, layer, kind = name.split(".")
                golden_name = f"wav2clip.{module}.sequential.{layer}.{kind}"
                parameter.copy_(weight(golden_name, *parameter.shape))
        head.log_scales.fill_(math.log(1 / 0.07))
    return head


def frames() -> Tensor:
    return uniform("base", 1, 512) + 0.35 * uniform("frames", 6, 3, 512)


def as_tokens(pictures: Tensor, sound: Tensor) -> Tokens:
    """Tokens whose pooled picture is the mean over a clip's frames."""
    visual, _ = inputs()
    return Tokens(visual, sound[:, None], pictures.mean(dim=1), sound, GRID)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_and_gradients_are_golden(variant: Variant) -> None:
    head, prefix = official(variant), f"wav2clip.{variant}"
    pictures, sound = (given.requires_grad_() for given in (frames(), inputs()[1]))
    losses = head.losses(as_tokens(pictures, sound), NO_LABELS, five_classes())
    loss = torch.stack(list(losses.values())).sum()
    assert relative(loss, golden(f"{prefix}.loss")) < 1e-9
    assert_golden_gradients(loss, pictures, sound, prefix)
    (scales,) = torch.autograd.grad(loss, head.log_scales)
    assert relative(scales, golden(f"{prefix}.grad_logit_scale")) < 1e-9


def test_both_terms_of_the_default_are_golden() -> None:
    assert Wav2CLIPConfig().variant == "clip_loss_x"
    losses = official("clip_loss_x").losses(
        as_tokens(frames(), inputs()[1]), NO_LABELS, five_classes()
    )
    assert losses.keys() == {"mlp_audio_image", "audio_mlp_image"}
    for name, theirs in (
        ("mlp_audio_image", "loss_mlp_audio_vs_image"),
        ("audio_mlp_image", "loss_audio_vs_mlp_image"),
    ):
        assert relative(2 * losses[name], golden(f"wav2clip.clip_loss_x.{theirs}")) < 1e-9


def test_maps_are_golden() -> None:
    """The paper defines none; without MLPs it is the plain cosine."""
    maps = official("clip_loss").maps(as_tokens(frames(), inputs()[1]), EVERY, five_classes())
    assert relative(maps, golden("lvs.map")) < 1e-9


@pytest.mark.parametrize("variant", VARIANTS)
def test_maps_are_cosines_in_the_first_aligned_spaces(variant: Variant) -> None:
    head, given = official(variant), as_tokens(frames(), inputs()[1])
    cells, sound = given.visual, given.sound
    if variant == "clip_loss_i":
        cells = head.image_transform(cells)
    if variant == "clip_loss_x":
        sound = head.audio_transform(sound)
    expected = torch.cosine_similarity(cells, sound[:, None], dim=-1).view(6, 7, 7)
    torch.testing.assert_close(head.maps(given, EVERY, five_classes()), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_learns(variant: Variant) -> None:
    torch.manual_seed(0)
    config = Wav2CLIPConfig(embedding=16, hidden=8, variant=variant)
    head = Wav2CLIP(config).double()
    losses = head.losses(tokens(4), ragged_labels([1] * 4), vocabulary())
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_the_scale_is_not_clamped() -> None:
    head, given = official("clip_loss"), as_tokens(frames(), inputs()[1])
    before = head.losses(given, NO_LABELS, five_classes())["audio_image"]
    with torch.no_grad():
        head.log_scales.fill_(math.log(1000.0))
    after = head.losses(given, NO_LABELS, five_classes())["audio_image"]
    cosines = torch.cosine_similarity(given.sound[:, None], given.image[None], dim=-1)
    expected = -(1000 * cosines).log_softmax(1).diag() - (1000 * cosines).log_softmax(0).diag()
    torch.testing.assert_close(after, expected.mean() / 2)
    assert before.item() != after.item()
