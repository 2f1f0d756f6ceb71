from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

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
from tests.methods.official import FIRST, NAMES, each, layers, one_hot
from tests.methods.tvsl.inputs import SIZE, queries, ragged_labels, tokens, vocabulary
from tests.shared_files import fill
from tests.small_model import world_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.methods.base import with_overrides
from tvsl.methods.checkpoint_io import read_head, save_head
from tvsl.methods.dsol import DSOL, DSOLConfig, grown
from tvsl.tokens import Queries, Tokens

NEXT = torch.arange(6).roll(-1)
DICTIONARY = ("object_sums", "object_counts", "heard_weight", "heard_bias")


def official(**hyperparameters: object) -> DSOL:
    """The head with the golden weights, its dictionary and its frozen audio head."""
    config = DSOLConfig(embedding=512, classes=NAMES, scale_tokens=False)
    head = DSOL(with_overrides(config, **hyperparameters)).double()
    names = {
        "project_image.0": "dsol.conv_v_1",
        "project_image.2": "dsol.conv_v_2",
        "project_audio.0": "dsol.fc_a_1",
        "project_audio.2": "dsol.fc_a_2",
        "classify_image": "dsol.v_class_layer",
        "classify_audio": "dsol.a_class_layer",
    }
    rest = {
        "scale": torch.tensor(5.0),
        "object_scale": weight("dsol.obj_conv.weight", 1, 1, 1, 1, 1).squeeze(),
        "object_bias": weight("dsol.obj_conv.bias", 1).squeeze(),
        "object_sums": dictionary(),
        "object_counts": torch.ones(5),
        "heard_weight": weight("dsol_fixed.a_class_layer.weight", 5, 512),
        "heard_bias": weight("dsol_fixed.a_class_layer.bias", 5),
    }
    head.load_state_dict({**layers(head, names), **rest}, strict=True)
    return head


def dictionary() -> Tensor:
    return torch.from_numpy(0.2 * fill().uniform("dsol.dictionary", (5, 512)).astype("float64"))


def small(**hyperparameters: object) -> DSOL:
    torch.manual_seed(0)
    config = DSOLConfig(
        **{"dimension": 8, **hyperparameters}, embedding=SIZE, classes=vocabulary().names
    )
    return DSOL(config).double()


# Golden numbers


def test_stage_one_is_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    losses = official().first_stage(as_tokens(visual, sound), one_hot(FIRST), NEXT)
    assert relative(losses["location"], golden("dsol.stage1.loss_location")) < 1e-9
    assert relative(losses["image_class"], golden("dsol.stage1_class.loss_v")) < 1e-9
    assert relative(losses["audio_class"], golden("dsol.stage1_class.loss_a")) < 1e-9
    assert_golden_gradients(losses["location"], visual, sound, "dsol.stage1")
    classes = losses["image_class"] + losses["audio_class"]
    assert relative(classes, golden("dsol.stage1_class.loss")) < 1e-9
    assert_golden_gradients(classes, visual, sound, "dsol.stage1_class")


def test_stage_two_is_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    losses = official().second_stage(as_tokens(visual, sound), NEXT)
    assert relative(losses["category"], golden("dsol.stage2.loss_category")) < 1e-9
    assert relative(2 * losses["location"], golden("dsol.stage2.loss_location")) < 1e-9
    loss = losses["category"] + losses["location"]
    assert relative(loss, golden("dsol.stage2.loss")) < 1e-9
    assert_golden_gradients(loss, visual, sound, "dsol.stage2")


def test_single_precision_is_near_golden() -> None:
    given = as_tokens(*(side.float() for side in inputs()))
    losses = official().float().second_stage(given, NEXT)
    loss = losses["category"] + losses["location"]
    assert relative(loss.double(), golden("dsol.stage2.loss")) < 1e-4


def test_maps_are_golden() -> None:
    visual, sound = inputs()
    head, given = official(), as_tokens(visual, sound)
    found = head.audio_distribution(given)
    assert relative(found, golden("dsol.stage2.audio_distribution")) < 1e-9
    objects = head.object_maps(given).unflatten(2, (7, 7))
    assert relative(objects, golden("dsol.stage2.object_map")) < 1e-9
    assert relative(objects.softmax(dim=1), golden("dsol.stage2.map_without_3")) < 1e-9
    alone = head.maps(given, each(FIRST), five_classes())
    assert relative(alone, golden("dsol.map")) < 1e-9
    several = head.maps(given, Queries.from_lists([range(5)] * 6), five_classes())
    assert relative(several.unflatten(0, (6, 5)), golden("dsol.stage2.map")) < 1e-9
    other = head.maps(as_tokens(visual[NEXT], sound), each(FIRST), five_classes())
    scores = torch.stack([alone, other], dim=1).amax(dim=(2, 3)).flatten()
    assert relative(scores, golden("dsol.stage1.score")) < 1e-9


@pytest.mark.parametrize(("threshold", "suffix"), [(0.05, ""), (0.6, "_mask_0.6")])
def test_the_dictionary_is_golden(threshold: float, suffix: str) -> None:
    head, given = official(mask_threshold=threshold), as_tokens(*inputs())
    features = head.object_features(given)
    assert relative(features[:, ::8], golden(f"dsol.object_features{suffix}")) < 1e-9
    head.object_sums.zero_()
    head.object_counts.zero_()
    head.keep(given, one_hot(FIRST))
    assert relative(head.dictionary()[:, ::8], golden(f"dsol.dictionary{suffix}")) < 1e-9


def test_the_grown_mask_is_golden() -> None:
    head, given = official(), as_tokens(*inputs())
    mask = (head.location_maps(given) > 0.6).unflatten(1, (7, 7))
    assert torch.equal(grown(mask), golden("dsol.dilated_mask_0.6").bool())


def test_small_masks_have_no_inside_to_grow_from() -> None:
    mask = torch.ones(2, 1, 3, dtype=torch.bool)
    mask[1, 0, 1] = False
    assert torch.equal(grown(mask), mask)
    one = torch.zeros(1, 3, 3, dtype=torch.bool)
    one[0, 1, 1] = True
    assert grown(one)[0].int().tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


# What stage 1 leaves to stage 2


def kept(head: DSOL) -> dict[str, Tensor]:
    state = head.state_dict()
    return {name: state[name].clone() for name in DICTIONARY}


def step(head: DSOL, progress: float, seed: int = 0) -> None:
    torch.manual_seed(seed)
    head.progress = progress
    with torch.no_grad():
        head.losses(tokens(4, seed=seed), ragged_labels([1, 2, 1, 3], seed=seed), vocabulary())


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_stage_one_gathers_and_stage_two_does_not() -> None:
    head = small()
    empty = kept(head)
    head.eval()
    step(head, 0.0)
    assert same(kept(head), empty)  # nothing is learned from validation
    head.train()
    step(head, 0.0)
    first = kept(head)
    assert not same(first, empty)
    assert torch.equal(first["heard_weight"], head.classify_audio.weight)
    assert torch.equal(first["heard_bias"], head.classify_audio.bias)
    with torch.no_grad():
        head.classify_audio.weight.add_(1)
    step(head, 0.75, seed=1)
    assert same(kept(head), first)
    step(head, 0.74, seed=1)
    assert torch.equal(head.heard_weight, head.classify_audio.weight)


def test_the_dictionary_is_a_mean_that_forgets() -> None:
    head = small(dictionary_memory=0.5)
    sums, counts = torch.zeros(7, SIZE).double(), torch.zeros(7).double()
    for seed in range(3):
        scaled = head.prepare(tokens(4, seed=seed))
        labels = ragged_labels([1, 2, 1, 3], seed=seed)
        head.keep(scaled, labels)
        features = head.object_features(scaled)
        sums, counts = sums / 2, counts / 2
        for clip in range(4):
            for label in labels[clip].nonzero()[:, 0].tolist():
                sums[label] += features[clip] / labels[clip].sum()
                counts[label] += 1 / labels[clip].sum()
    for label in range(7):
        expected = sums[label] / counts[label] if counts[label] > 0 else torch.zeros(SIZE).double()
        torch.testing.assert_close(head.dictionary()[label], expected)


def test_what_was_gathered_is_stored(tmp_path: Path) -> None:
    encoder = AudioCLIPEncoder(world_model())
    names = encoder.vocabulary(encoder.classes)
    head = DSOL(cast(DSOLConfig, DSOL.config_for(DSOLConfig(), names)))
    frames, waveforms = torch.randn(4, 3, 224, 224), torch.randn(4, 22050) / 10
    given = encoder.encode(frames, waveforms)
    head.losses(given, torch.eye(4, dtype=torch.bool), names)
    save_head(head, encoder, tmp_path / "head")
    loaded = cast(DSOL, read_head(tmp_path / "head").build(encoder))
    assert same(kept(loaded), kept(head))
    head.progress = loaded.progress = 1.0
    found = []
    for one in (head.eval(), loaded):
        torch.manual_seed(0)
        found.append(one.losses(given, torch.eye(4, dtype=torch.bool), names)["category"])
    assert torch.equal(*found)


def apart_and_joined(clips: int) -> tuple[Tokens, Tokens]:
    """Pictures with a sound for each two of them, one by one and side by side."""
    single = tokens(clips)
    frames = FrameTokens(single.visual, single.image, single.grid)
    sounds = SoundTokens(single.audio[::2], single.sound[::2])
    doubled = SoundTokens(*(side.repeat_interleave(2, dim=0) for side in sounds))
    return join_panels(frames, doubled, 1), join_panels(frames, sounds, 2)


def test_masks_grow_within_their_panel() -> None:
    head = small(mask_threshold=0.6)
    apart, joined = (head.object_features(head.prepare(given)) for given in apart_and_joined(6))
    torch.testing.assert_close(joined, apart.unflatten(0, (3, 2)).mean(dim=1))


def test_quarters_are_those_of_every_panel() -> None:
    """Other pictures add to the loss of canvases the mean of what their panels add."""
    head, partner = small(), torch.tensor([1, 2, 3, 0])
    doubled = torch.stack([2 * partner, 2 * partner + 1], dim=1).flatten()
    found = []
    for given, partners in zip(apart_and_joined(8), (doubled, partner), strict=True):
        scaled = head.prepare(given)
        own = head.second_stage(scaled, partner[:0])["location"]
        found.append(head.second_stage(scaled, partners)["location"] - own)
    torch.testing.assert_close(*found)


# Reading maps out


def test_readouts_answer_one_and_several() -> None:
    head, given, names = small(), tokens(3), vocabulary()
    step(head, 0.0)
    step(head, 0.0, seed=1)
    head.eval()
    several, alone = queries((1, 0), (1, 4)), queries((1, 4))
    by_class = head.maps(given, several, names)
    whole = head.maps(given, alone, names)[0]
    assert not torch.allclose(by_class[0], by_class[1])
    head.set_tuned(readout="class")
    assert torch.equal(head.maps(given, alone, names)[0], by_class[1])
    head.set_tuned(readout="whole")
    assert torch.equal(head.maps(given, several, names), torch.stack([whole, whole]))
    readouts = dict.fromkeys(choice["readout"] for choice in head.readouts())
    assert list(readouts) == ["original", "class", "whole"]


def test_it_learns_in_two_stages() -> None:
    head = new_head(DSOL)
    single, duet = class_world(64, seed=1), class_world(64, panels=2, seed=1)
    before = single.hits(head), duet.hits(head)
    losses = train(head, [class_world(256), class_world(256, panels=2)], steps=120, rate=0.01)
    assert losses[89].keys() == {"location", "image_class", "audio_class"}
    assert losses[90].keys() == {"category", "location"}
    for term in ("location", "image_class", "audio_class"):
        assert losses[88][term] < 0.9 * losses[0][term], term
    assert single.hits(head) > max(0.7, before[0] + 0.3)
    assert duet.hits(head) > max(0.8, before[1] + 0.3)
    scores = head.detect(duet.tokens, duet.vocabulary)
    assert scores is not None
    found = scores.topk(2, dim=1).indices.sort(dim=1).values
    assert float((found == duet.queries.label.view(-1, 2).sort(dim=1).values).double().mean()) > 0.8
