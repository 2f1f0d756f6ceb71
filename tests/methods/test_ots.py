from __future__ import annotations

import torch

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
from tests.methods.official import FIRST, each, layers
from tests.methods.tvsl.inputs import SIZE, clip, queries, ragged_labels, tokens, vocabulary
from tvsl.methods.ots import OTS, OTSConfig

NEXT = torch.arange(6).roll(-1)


def official() -> OTS:
    """The head with the golden weights."""
    head = OTS(OTSConfig(embedding=512, scale_tokens=False)).double()
    names = {
        "project_image.0": "ots.im_conv5",
        "project_image.1": "ots.im_conv6",
        "project_audio.0": "ots.aud_fc1",
        "project_audio.2": "ots.aud_fc2",
    }
    calibration = {
        "weight": weight("ots.fus_conv7.weight", 1, 1).squeeze(),
        "bias": weight("ots.fus_conv7.bias", 1).squeeze(),
    }
    head.load_state_dict({**layers(head, names), **calibration}, strict=True)
    return head


def small() -> OTS:
    torch.manual_seed(0)
    return OTS(OTSConfig(embedding=SIZE, dimension=8)).double()


def test_loss_and_gradients_are_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    loss = official().pair_loss(as_tokens(visual, sound), NEXT)
    assert relative(loss, golden("ots.loss")) < 1e-9
    assert_golden_gradients(loss, visual, sound, "ots")


def test_maps_are_golden() -> None:
    visual, sound = inputs()
    head, asked = official(), each(FIRST)
    own = head.maps(as_tokens(visual, sound), asked, five_classes())
    assert relative(own, golden("ots.map")) < 1e-9
    other = head.maps(as_tokens(visual, sound[NEXT]), asked, five_classes())
    assert relative(other, golden("ots.map_negative")) < 1e-9
    best = torch.cat([own, other]).amax(dim=(1, 2))
    assert relative(best, golden("ots.score")) < 1e-9


def test_single_precision_is_near_golden() -> None:
    visual, sound = (given.float() for given in inputs())
    loss = official().float().pair_loss(as_tokens(visual, sound), NEXT)
    assert relative(loss.double(), golden("ots.loss")) < 1e-4


def test_the_loss_takes_the_sound_of_another_clip() -> None:
    head, given = small(), tokens(4)
    found = set()
    for seed in range(20):
        torch.manual_seed(seed)
        losses = head.losses(given, ragged_labels([1, 3, 2, 1]), vocabulary())
        assert losses.keys() == {"correspondence"}
        found.add(round(float(losses["correspondence"].detach()), 12))
    scaled = head.prepare(given)
    cycles = ([1, 2, 3, 0], [1, 3, 0, 2], [2, 3, 1, 0], [2, 0, 3, 1], [3, 2, 0, 1], [3, 0, 1, 2])
    expected = {
        round(float(head.pair_loss(scaled, torch.tensor(one)).detach()), 12) for one in cycles
    }
    assert found == expected


def test_labels_are_not_looked_at() -> None:
    head, given, losses = small(), tokens(4), []
    for labels, names in (([1, 3, 2, 1], vocabulary()), ([2, 1, 4, 7], vocabulary(seed=5))):
        torch.manual_seed(1)
        losses.append(head.losses(given, ragged_labels(labels), names)["correspondence"])
    assert torch.equal(*losses)


def test_a_clip_alone_has_no_negative() -> None:
    head, one = small(), tokens(1)
    loss = head.losses(one, ragged_labels([1]), vocabulary())["correspondence"]
    best = head.maps(one, queries((0, 0)), vocabulary()).amax()
    torch.testing.assert_close(loss, -best.log())


def test_one_map_for_all_sources_of_a_clip() -> None:
    head, given = small(), tokens(3)
    maps = head.maps(given, queries((2, 0), (0, 5), (2, 6)), vocabulary())
    assert torch.equal(maps[0], maps[2])
    alone = head.maps(clip(given, [0]), queries((0, 1)), vocabulary())
    torch.testing.assert_close(maps[1:2], alone)


def test_it_learns_where_a_sound_comes_from() -> None:
    head, unseen = new_head(OTS), class_world(64, seed=1)
    before = unseen.hits(head)
    losses = train(head, [class_world(256), class_world(256, panels=2)], steps=60, rate=0.01)
    assert losses[-1]["correspondence"] < 0.75 * losses[0]["correspondence"]
    assert unseen.hits(head) > max(0.7, before + 0.3)
