from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.golden import as_tokens, five_classes, golden, inputs, relative, uniform, weight
from tests.methods.tvsl.inputs import ragged_labels, tokens, vocabulary
from tvsl.methods.alignment import Alignment, AlignmentConfig, View, nearest_others
from tvsl.tokens import Queries, Tokens

OWN = torch.arange(6)
VIEWS = [View(0, OWN), View(1, OWN), View(2, OWN)]


def with_golden_weights() -> Alignment:
    """p_v and p_a by formula; what stands in for the backbones is the identity."""
    head = Alignment(AlignmentConfig(embedding=512, dimension=32)).double()
    with torch.no_grad():
        for ours, theirs in ((head.align_image, "p_v"), (head.align_audio, "p_a")):
            ours.weight.copy_(weight(f"alignment.{theirs}.weight", 32, 512))
            ours.bias.copy_(weight(f"alignment.{theirs}.bias", 32))
    return head


def golden_versions() -> tuple[list[Tensor], list[Tensor]]:
    """The clips, their augmentations and their neighbours."""
    visual, sound = inputs()
    augmented = uniform("base", 1, 512) + 0.35 * uniform("audio_aug", 6, 512)
    neighbour = uniform("base", 1, 512) + 0.35 * uniform("audio_nn", 6, 512)
    gate = uniform("gate", 6, 1, 7, 7)
    pictures = [
        (gate * heard[:, :, None, None] + 0.5 * uniform(name, 6, 512, 7, 7)).flatten(2)
        for name, heard in (("visual_aug", sound), ("visual_nn", neighbour))
    ]
    return [visual, *(one.transpose(1, 2) for one in pictures)], [sound, augmented, neighbour]


def test_similarities_are_golden() -> None:
    localisation, alignment = with_golden_weights().similarities(*golden_versions())
    prefix = "alignment.by_formula"
    assert relative(localisation[0][0], golden(f"{prefix}.s_localisation")) < 1e-9
    assert relative(alignment[0][0], golden(f"{prefix}.s_alignment")) < 1e-9


def test_losses_of_all_views_are_golden() -> None:
    head = with_golden_weights()
    found = dict(
        zip(
            ("localisation", "alignment"),
            head.similarities(*golden_versions()),
            strict=True,
        )
    )
    total = torch.zeros((), dtype=torch.float64)
    plain = torch.zeros((), dtype=torch.float64)
    for name, versions in found.items():
        pairs = golden(f"alignment.by_formula.loss_{name}_pairs")
        for row, look in enumerate(VIEWS):
            for column, sound in enumerate(VIEWS):
                loss = head.contrast(versions, [look], [sound])
                assert relative(loss, pairs[row, column]) < 1e-9, (name, row, column)
        total += head.contrast(versions, VIEWS, VIEWS).detach()
        plain += head.contrast(versions, VIEWS[:1], VIEWS[:1]).detach()
    assert relative(total, golden("alignment.by_formula.loss")) < 1e-9
    assert relative(plain, golden("alignment.by_formula.loss_one_pair")) < 1e-9


def test_without_noise_and_neighbours_the_loss_is_four_times_that_of_one_pair() -> None:
    head = with_golden_weights()
    head.config = head.config.model_copy(update={"noise": 0.0, "neighbours": False})
    labels = ragged_labels([1] * 6, classes=5)
    losses = head.losses(as_tokens(*inputs()), labels, five_classes())
    assert losses.keys() == {"localisation", "alignment"}
    total = torch.stack(list(losses.values())).sum()
    assert relative(total, 4 * golden("alignment.by_formula.loss_one_pair")) < 1e-9


def test_maps_are_golden() -> None:
    every = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    maps = with_golden_weights().maps(as_tokens(*inputs()), every, five_classes())
    assert relative(maps, golden("lvs.map")) < 1e-9


def test_the_nearest_other_clip_is_found() -> None:
    generator = torch.Generator().manual_seed(4)
    pooled = torch.randn(9, 5, generator=generator)
    found = nearest_others(pooled).tolist()
    for row, neighbour in enumerate(found):
        cosines = [
            -2.0 if other == row else float(torch.cosine_similarity(pooled[row], pooled[other], 0))
            for other in range(9)
        ]
        assert neighbour == max(range(9), key=cosines.__getitem__)
    assert nearest_others(pooled[:1]).tolist() == [0]


@pytest.mark.parametrize("seen_by_a_neighbour", [False, True])
def test_a_neighbour_s_own_clip_is_no_negative(seen_by_a_neighbour: bool) -> None:
    """Against loops: row i is the picture of clip look_i, column j the sound of clip sound_j."""
    head = Alignment(AlignmentConfig(embedding=16)).double()
    generator = torch.Generator().manual_seed(1)
    similarity = torch.rand(4, 4, generator=generator, dtype=torch.float64)
    look = [1, 0, 1, 2] if seen_by_a_neighbour else [0, 1, 2, 3]
    sound = [3, 3, 0, 1]
    loss = 0.0
    for i in range(4):
        for rows_vary in (True, False):
            pairs = [(k, i) if rows_vary else (i, k) for k in range(4)]
            kept = [(r, c) for r, c in pairs if r == c or look[r] != sound[c]]
            terms = [math.exp(float(similarity[look[r], sound[c]]) / 0.07) for r, c in kept]
            own = math.exp(float(similarity[look[i], sound[i]]) / 0.07)
            loss -= math.log(own / sum(terms)) / 4
    views = View(0, torch.tensor(look)), View(0, torch.tensor(sound))
    found = head.contrast([[similarity]], views[:1], views[1:])
    assert float(found) == pytest.approx(loss, rel=1e-12)


def test_augmentations_follow_the_seed() -> None:
    head = Alignment(AlignmentConfig(embedding=16, dimension=8)).double()
    given = (tokens(4), ragged_labels([1] * 4), vocabulary())

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return head.losses(*given)["localisation"].item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)
    head.eval()
    assert loss(1) == loss(2)


def test_an_augmentation_is_as_long_as_the_config_says() -> None:
    """The noise of two views of one token is unlike: their cosine is 1 / (1 + noise²)."""
    size = 4096
    head = Alignment(AlignmentConfig(embedding=size, dimension=2, noise=0.5, neighbours=False))
    row = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []
    real = head.similarities

    def spy(pictures: Sequence[Tensor], sounds: Sequence[Tensor]) -> Any:
        seen.extend((*pictures, *sounds))
        return real(pictures, sounds)

    head.similarities = spy  # type: ignore[method-assign]
    names = vocabulary(size=size)
    given = Tokens(row[:, None], row[:, None], row, row, (1, 1))
    torch.manual_seed(5)
    head.losses(given, ragged_labels([1, 1]), names)
    visual, noisy, sound, noisier = seen
    assert torch.equal(visual, given.visual)
    assert torch.equal(sound, given.sound)
    for plain, augmented in ((visual, noisy), (sound, noisier)):
        added = (augmented - plain).norm(dim=-1) / plain.norm(dim=-1)
        torch.testing.assert_close(added, torch.full_like(added, 0.5), rtol=0.05, atol=0)
    cosine = torch.cosine_similarity(noisy[:, 0], noisier, dim=-1)
    torch.testing.assert_close(cosine, torch.full_like(cosine, 0.8), rtol=0.05, atol=0)
