from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.methods.class_world import class_world, new_head, train
from tests.methods.golden import (
    as_tokens,
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    weight,
)
from tests.methods.official import FIRST, NAMES, SECOND, each, layers, one_hot
from tests.methods.tvsl.inputs import SIZE, queries, ragged_labels, tokens, vocabulary
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.methods.avgn import AVGN, AVGNConfig
from tvsl.methods.base import with_overrides

TAU = 0.03
LAYERS = {
    "project_image": "img_proj",
    "project_audio": "aud_proj",
    "presence_image": "fc_prob_v",
    "presence_audio": "fc_prob_a",
    "classify_token": "fc_cls",
}
GROUPING = {
    "norm_tokens": "norm_tokens",
    "norm_features": "norm_x",
    "mix_tokens.0": "mlp_inter.fc1",
    "mix_tokens.2": "mlp_inter.fc2",
    "norm_mixed": "norm_post_tokens",
    "ask.attention.query": "pre_assign_attn.attn.q_proj",
    "ask.attention.key": "pre_assign_attn.attn.k_proj",
    "ask.attention.value": "pre_assign_attn.attn.v_proj",
    "ask.attention.join": "pre_assign_attn.attn.proj",
    "ask.norm_mlp": "pre_assign_attn.norm2",
    "ask.mlp.0": "pre_assign_attn.mlp.fc1",
    "ask.mlp.2": "pre_assign_attn.mlp.fc2",
    "ask.norm": "pre_assign_attn.norm_post",
    "assign.query": "assign.q_proj",
    "assign.key": "assign.k_proj",
    "assign.value": "assign.v_proj",
    "assign.join": "assign.proj",
    "norm_groups": "norm_new_x",
    "mlp.0": "mlp_channels.fc1",
    "mlp.2": "mlp_channels.fc2",
}
BLOCK = {
    "norm_attention": "norm1",
    "norm_mlp": "norm2",
    "attention.join": "attn.proj",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}


def official() -> AVGN:
    """The head with the golden weights."""
    config = AVGNConfig(
        embedding=512, dimension=32, classes=NAMES, scale_tokens=False, normalise_groups=False
    )
    head = AVGN(config).double().eval()
    state = layers(head, {ours: f"avgn.{theirs}" for ours, theirs in LAYERS.items()})
    state["class_tokens"] = weight("avgn.av_token", 5, 32)
    for ours, theirs in (("image", "avgn.visual_encoder"), ("audio", "avgn.audio_encoder")):
        names = {f"group_{ours}.{name}": f"{theirs}.grouping.{n}" for name, n in GROUPING.items()}
        state |= layers(head, names)
        for block in range(3):
            place, source = f"group_{ours}.blocks.{block}", f"{theirs}.blocks.{block}"
            names = {f"{place}.{name}": f"{source}.{n}" for name, n in BLOCK.items()}
            state |= layers(head, names) | _attention(place, source)
    head.load_state_dict(state, strict=True)
    return head


def _attention(place: str, source: str) -> dict[str, Tensor]:
    """The three layers that the official block keeps in one."""
    weights = weight(f"{source}.attn.qkv.weight", 96, 32).chunk(3)
    biases = weight(f"{source}.attn.qkv.bias", 96).chunk(3)
    result = {}
    for name, values, bias in zip(("query", "key", "value"), weights, biases, strict=True):
        result[f"{place}.attention.{name}.weight"] = values
        result[f"{place}.attention.{name}.bias"] = bias
    return result


def small(**hyperparameters: object) -> AVGN:
    torch.manual_seed(0)
    sizes = {"dimension": 16, "depth": 1, "classes": vocabulary().names, **hyperparameters}
    return AVGN(AVGNConfig(**sizes, embedding=SIZE)).double()


# Golden numbers


def test_losses_and_gradients_are_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    head = official()
    losses = head.grouped_losses(
        as_tokens(visual, sound), FIRST, one_hot(FIRST), one_hot(FIRST) | one_hot(SECOND)
    )
    for name, theirs in (("loc", "loss_loc"), ("tok", "loss_token"), ("pred", "loss_pred")):
        assert relative(losses[name], golden(f"avgn.{theirs}")) < 1e-9, name
    loss = torch.stack(list(losses.values())).sum()
    assert relative(loss, golden("avgn.loss")) < 1e-9
    assert_golden_gradients(loss, visual, sound, "avgn")
    assert_golden_gradients(losses["loc"], visual, sound, "avgn.loc")
    assert_golden_gradients(losses["pred"], visual, sound, "avgn.pred")
    (of_tokens,) = torch.autograd.grad(loss, (head.class_tokens,))
    assert relative(of_tokens.norm(), golden("avgn.grad_token_norm")) < 1e-9


def test_groups_are_golden() -> None:
    head, given = official(), as_tokens(*inputs())
    _, image, audio = head.groups(given)
    assert relative(image, golden("avgn.visual_groups")) < 1e-9
    assert relative(audio, golden("avgn.audio_groups")) < 1e-9
    sides = zip((head.group_image, head.group_audio), head.features(given), strict=True)
    for (group, features), name in zip(sides, ("visual", "audio"), strict=True):
        shares = group.assign.shares(*group.attended(features, head.class_tokens))
        assert relative(shares, golden(f"avgn.{name}_assignment")) < 1e-9
    for found, name in zip(head.presences(given), ("visual", "audio"), strict=True):
        assert relative(found, golden(f"avgn.prob_{name}")) < 1e-9
    assert (
        relative(
            head.detect(given, five_classes()),
            golden("avgn.prob_visual") * golden("avgn.prob_audio"),
        )
        < 1e-9
    )


def test_maps_are_golden() -> None:
    head, given = official(), as_tokens(*inputs())
    for label, name in ((FIRST, "map"), (SECOND, "map_source2")):
        maps = head.maps(given, each(label), five_classes())
        assert relative(maps / TAU, golden(f"avgn.{name}")) < 1e-9


def test_normalised_groups_scale_maps_alone() -> None:
    head, given = official(), as_tokens(*inputs())
    whole = head.maps(given, each(FIRST), five_classes())
    head.config = with_overrides(head.config, normalise_groups=True)
    cosines = head.maps(given, each(FIRST), five_classes())
    _, _, audio = head.groups(given)
    lengths = audio[torch.arange(6), FIRST].norm(dim=1)
    torch.testing.assert_close(cosines * lengths[:, None, None], whole)


def test_single_precision_is_near_golden() -> None:
    given = as_tokens(*(side.float() for side in inputs()))
    labels = one_hot(FIRST), one_hot(FIRST) | one_hot(SECOND)
    losses = official().float().grouped_losses(given, FIRST, *labels)
    loss = torch.stack(list(losses.values())).sum()
    assert relative(loss.double(), golden("avgn.loss")) < 1e-4


# What is ours


def test_a_class_of_each_clip_is_located() -> None:
    head, labels = small().eval(), ragged_labels([1, 2, 1, 1])
    given, options = tokens(4), labels[1].nonzero()[:, 0].tolist()
    found = set()
    for seed in range(20):
        torch.manual_seed(seed)
        found.add(round(float(head.losses(given, labels, vocabulary())["loc"].detach()), 12))
    scaled, expected = head.prepare(given), set()
    for option in options:
        located = labels.int().argmax(dim=1)
        located[1] = option
        losses = head.grouped_losses(scaled, located, labels, labels)
        expected.add(round(float(losses["loc"].detach()), 12))
    assert found == expected
    assert len(expected) == 2


def test_presences_may_be_summed_over_the_classes() -> None:
    labels, given = ragged_labels([1, 2, 1, 1]), tokens(4)
    mean, total = (small(sum_presences=summed).eval() for summed in (False, True))
    total.load_state_dict(mean.state_dict())
    scaled, located = mean.prepare(given), labels.int().argmax(dim=1)
    by_mean, by_sum = (
        head.grouped_losses(scaled, located, labels, labels) for head in (mean, total)
    )
    seen, heard = (side.detach() for side in mean.presences(scaled))
    truth, rows = labels.double(), len(labels)
    expected = sum(
        float(-(side.log() * truth).sum() - ((1 - side).log() * (1 - truth)).sum())
        for side in (seen, heard)
    )
    assert float(by_sum["pred"].detach()) == pytest.approx(expected / rows)
    assert float(by_mean["pred"].detach()) == pytest.approx(expected / labels.numel())
    assert torch.equal(by_sum["loc"], by_mean["loc"])


def test_fine_grids_are_grouped_coarsely_panel_by_panel() -> None:
    single, grid = tokens(4), (3, 4)
    frames = FrameTokens(single.visual, single.image, grid)
    audio = single.audio[::2]
    given = join_panels(frames, SoundTokens(audio, audio.mean(dim=1)), 2)
    head = small(group_grid=2)
    cells, _ = head.features(given)
    coarse = head._coarse(cells, given).unflatten(1, (2, 4))
    for clip in range(2):
        for panel in range(2):
            canvas = cells[clip].unflatten(0, (3, 8))[:, 4 * panel : 4 * panel + 4]
            apart = F.adaptive_avg_pool2d(canvas.permute(2, 0, 1), (2, 2)).permute(1, 2, 0)
            torch.testing.assert_close(coarse[clip][:, 2 * panel : 2 * panel + 2], apart)
    assert small(group_grid=4)._coarse(cells, given) is cells
    assert head.maps(given, queries((0, 1)), vocabulary()).shape == (1, 3, 8)


def test_branches_are_dropped_in_training_alone() -> None:
    given, labels, names = tokens(4), ragged_labels([1] * 4), vocabulary()
    head = small(drop_path=0.9)

    def losses(seed: int) -> float:
        torch.manual_seed(seed)
        return float(head.losses(given, labels, names)["loc"].detach())

    assert losses(0) == losses(0)
    assert len({losses(seed) for seed in range(5)}) > 1
    head.eval()
    assert len({losses(seed) for seed in range(5)}) == 1


def test_dropped_branches_keep_their_mean() -> None:
    drop = small(drop_path=0.25).group_audio.blocks[0].drop
    torch.manual_seed(0)
    values = drop(torch.ones(4000, 2, 3))
    assert set(values.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert bool((values == values[:, :1, :1]).all())
    assert float(values.mean()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("hyperparameters", [{"dimension": 12}, {"depth": 0}, {"drop_path": 1.0}])
def test_impossible_sizes_are_refused(hyperparameters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(hyperparameters))):
        AVGNConfig(**hyperparameters)  # type: ignore[arg-type]


def test_it_learns_what_each_class_looks_like() -> None:
    head = new_head(AVGN, dimension=32, depth=1)
    # Of a ground that is the same everywhere contrast tells nothing, and some classes stay on it.
    world, unseen = (
        class_world(clips, seed=seed, ground=0.5, noise=0.5) for clips, seed in ((256, 0), (64, 1))
    )
    before = unseen.hits(head)
    losses = train(head, [world], steps=80, rate=5e-3)
    for term in ("loc", "tok", "pred"):
        assert losses[-1][term] < 0.5 * losses[0][term], term
    assert unseen.hits(head) > max(0.7, before + 0.3)
