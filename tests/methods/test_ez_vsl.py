from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.methods.golden import as_tokens, five_classes, golden, inputs, relative, weight
from tests.methods.tvsl.inputs import clip, queries, ragged_labels, tokens, vocabulary
from tvsl.errors import ShapeError
from tvsl.methods.ez_vsl import EZVSL, EZVSLConfig
from tvsl.tokens import Queries, Tokens

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


def small(seed: int = 0) -> EZVSL:
    torch.manual_seed(seed)
    return EZVSL(EZVSLConfig(embedding=16, dimension=8)).double()


def test_loss_and_gradients_are_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    losses = official().losses(as_tokens(visual, sound), NO_LABELS, five_classes())
    assert losses.keys() == {"contrastive"}
    loss = losses["contrastive"]
    assert relative(loss, golden("ez_vsl.loss")) < 1e-9
    loss.backward()
    for given, name in ((visual, "visual"), (sound, "audio")):
        assert given.grad is not None
        assert relative(given.grad.norm(), golden(f"ez_vsl.grad_{name}_norm")) < 1e-9
        each = given.grad.flatten(1).norm(dim=1)
        assert relative(each, golden(f"ez_vsl.grad_{name}_norm_per_item")) < 1e-9


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


def test_labels_are_not_looked_at() -> None:
    head, given = small(), tokens(4)
    first = head.losses(given, ragged_labels([1, 3, 2, 1]), vocabulary())["contrastive"]
    second = head.losses(given, ragged_labels([2, 1, 4, 7], seed=9), vocabulary(seed=5))
    assert torch.equal(first, second["contrastive"])


def test_one_map_for_all_sources_of_a_clip() -> None:
    head, given = small(), tokens(3)
    maps = head.maps(given, queries((2, 0), (0, 5), (2, 6), (2, 3)), vocabulary())
    assert maps.shape == (4, 3, 4)
    assert torch.equal(maps[0], maps[2])
    assert torch.equal(maps[0], maps[3])
    alone = head.maps(clip(given, [0]), queries((0, 1)), vocabulary())
    torch.testing.assert_close(maps[1:2], alone)


def test_it_learns_which_cell_belongs_to_a_sound() -> None:
    """One cell of each picture shows its sound, turned; the others show the same ground."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    sound, turn = random(64, 16), torch.linalg.qr(random(16, 16)).Q
    visual = 3 * random(1, 1, 16) + 0.5 * random(64, 12, 16)
    place = torch.randint(12, (64,), generator=generator)
    visual[torch.arange(64), place] = sound @ turn
    given = Tokens(visual, sound[:, None], visual.mean(dim=1), sound, (3, 4))
    head, labels = small(), ragged_labels([1] * 64)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = head.losses(given, labels, vocabulary())["contrastive"]
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in head.named_parameters():
            assert parameter.grad is not None, name
            assert bool(torch.isfinite(parameter.grad).all()), name
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    every = Queries(torch.arange(64), torch.zeros(64, dtype=torch.int64))
    found = head.maps(given, every, vocabulary()).flatten(1).argmax(dim=1)
    assert float((found == place).double().mean()) > 0.9


@pytest.mark.parametrize(("size", "words"), [(8, 16), (16, 8)])
def test_another_encoder_s_tokens_are_refused(size: int, words: int) -> None:
    given, names = tokens(2, size=size), vocabulary(size=words)
    with pytest.raises(ShapeError, match="one encoder"):
        small().losses(given, ragged_labels([1, 1]), names)
    with pytest.raises(ShapeError, match="one encoder"):
        small().maps(given, queries((0, 0)), names)


def test_a_query_of_no_clip_is_refused() -> None:
    with pytest.raises(ShapeError, match="clip"):
        small().maps(tokens(2), queries((2, 0)), vocabulary())
