from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.methods.class_world import class_world, new_head, train
from tests.methods.golden import (
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    uniform,
)
from tests.methods.official import FIRST, NAMES, SECOND, each, layers, one_hot
from tests.methods.tvsl.inputs import SIZE, queries, ragged_labels, tokens, vocabulary
from tvsl.methods.coarse_to_fine import CoarseToFine, CoarseToFineConfig
from tvsl.tokens import Queries, Tokens

TERMS = {
    "audio_class": "aloss",
    "image_class": "vloss",
    "correspondence": "avcloss",
    "near": "pos_dis",
    "far": "neg_dis",
}


def official() -> CoarseToFine:
    """The head with the golden weights."""
    config = CoarseToFineConfig(
        embedding=512, classes=NAMES, scale_tokens=False, labelled_active=False
    )
    head = CoarseToFine(config).double()
    names = {
        "correspond": "c2f.avc.0",
        "decide_pair": "c2f.avc.2",
        "classify_audio": "c2f.class_a",
        "classify_image": "c2f.class_v",
        "project_audio.0": "c2f.project_a.0",
        "project_audio.2": "c2f.project_a.2",
        "project_image.0": "c2f.project_v.0",
        "project_image.2": "c2f.project_v.2",
    }
    state = layers(head, names)
    for side in ("audio", "image"):
        state[f"classify_{side}.weight"] = 4 * state[f"classify_{side}.weight"]
    for place in (0, 2):
        shared = 0.35 * state[f"project_audio.{place}.weight"]
        state[f"project_image.{place}.weight"] = state[f"project_image.{place}.weight"] + shared
    head.load_state_dict(state, strict=True)
    return head


def clips() -> tuple[Tensor, Tensor, Tokens]:
    """Golden cells of pictures and of sounds, as leaves, and as tokens."""
    visual, sound = inputs()
    noise = uniform("audio_cells", 6, 512, 3, 4).flatten(2)
    audio = (sound[:, :, None] + 0.5 * noise).transpose(1, 2)
    visual, audio = visual.detach().requires_grad_(), audio.detach().requires_grad_()
    return visual, audio, Tokens(visual, audio, visual.mean(dim=1), audio.mean(dim=1), (7, 7))


def small(**hyperparameters: object) -> CoarseToFine:
    torch.manual_seed(0)
    config = CoarseToFineConfig(
        **{"dimension": 8, "hidden": 12, "classes": vocabulary().names, **hyperparameters},
        embedding=SIZE,
    )
    return CoarseToFine(config).double()


@pytest.mark.parametrize(("stage", "progress"), [("stage1", 0.49), ("stage2", 0.5)])
def test_losses_and_gradients_are_golden(stage: str, progress: float) -> None:
    visual, audio, given = clips()
    head = official()
    head.progress = progress
    losses = head.stage_losses(given, one_hot(FIRST) | one_hot(SECOND), one_hot(FIRST))
    assert len(losses) == (3 if stage == "stage1" else 5)
    for name, loss in losses.items():
        assert relative(loss, golden(f"c2f.{stage}.{TERMS[name]}")) < 1e-9, name
    loss = torch.stack(list(losses.values())).sum()
    assert relative(loss, golden(f"c2f.{stage}.loss")) < 1e-9
    if stage == "stage2":
        assert relative(losses["near"] + losses["far"], golden("c2f.stage2.dloss")) < 1e-9
    assert_golden_gradients(loss, visual, audio, f"c2f.{stage}")


def test_what_counts_as_active_is_golden() -> None:
    _, _, given = clips()
    head = official()
    for found, name in zip(head.probabilities(given), ("audio", "visual"), strict=True):
        assert relative(found, golden(f"c2f.prob_{name}")) < 1e-9
    heard, seen = head.active(given)
    pairs = heard.flatten()[:, None] & seen.flatten()
    assert torch.equal(pairs, golden("c2f.stage2.mask").bool())


def test_maps_of_classes_are_golden() -> None:
    _, _, given = clips()
    every = Queries.from_lists([range(5)] * 6)
    maps = official().maps(given, every, five_classes())
    assert relative(maps.unflatten(0, (6, 5)), golden("c2f.map")) < 1e-9


def test_maps_of_whole_sounds_are_golden() -> None:
    _, _, given = clips()
    maps = official().maps(given, each(SECOND), five_classes())
    large = F.interpolate(maps[:, None], 256, mode="bilinear")[:, 0]
    large = large / large.amax(dim=(1, 2), keepdim=True)
    assert relative(large[:, ::16, ::16], golden("c2f.map_single")) < 1e-9


def test_single_precision_is_near_golden() -> None:
    _, _, given = clips()
    head = official().float()
    head.progress = 1.0
    single = Tokens(
        given.visual.float(), given.audio.float(), given.image.float(), given.sound.float(), (7, 7)
    )
    losses = head.stage_losses(single, one_hot(FIRST) | one_hot(SECOND), one_hot(FIRST))
    loss = torch.stack(list(losses.values())).sum()
    assert relative(loss.double(), golden("c2f.stage2.loss")) < 1e-4


# E among many classes


def distances(head: CoarseToFine, heard: Tensor, seen: Tensor) -> tuple[float, float]:
    losses = head._distance_losses(head.prepare(tokens(4)), heard, seen)
    return float(losses["near"].detach()), float(losses["far"].detach())


def test_the_distance_losses_pair_by_pair() -> None:
    head, scaled = small(), small().prepare(tokens(4))
    heard, seen = ragged_labels([2, 3, 1, 4]), ragged_labels([3, 1, 2, 2], seed=8)
    with torch.no_grad():
        audio, image = (
            head._class_vectors(cells, classify, project)
            for cells, classify, project in (
                (scaled.audio, head.classify_audio, head.project_audio),
                (scaled.visual, head.classify_image, head.project_image),
            )
        )
    near, far = [], []
    for row in heard.nonzero().tolist():
        for column in seen.nonzero().tolist():
            distance = float((audio[row[0], row[1]] - image[column[0], column[1]]).norm())
            if row == column:
                near.append(distance**2)
            else:
                far.append(max(0.0, 1.4 - distance) ** 2)
    assert near
    expected = (sum(near) / len(near), sum(far) / len(far))
    assert distances(head, heard, seen) == pytest.approx(expected, rel=1e-6)


def test_a_part_of_the_active_stands_for_all() -> None:
    heard, seen = ragged_labels([5, 6, 7, 6]), ragged_labels([6, 5, 7, 7], seed=8)
    near, far = distances(small(), heard, seen)
    few = small(most_active=8)
    found = []
    for seed in range(100):
        torch.manual_seed(seed)
        found.append(distances(few, heard, seen))
    assert {one[0] for one in found} == {near}
    drawn = torch.tensor([one[1] for one in found])
    assert drawn.std() > 0
    assert float(drawn.mean()) == pytest.approx(far, abs=float(4 * drawn.std() / 100**0.5))


def test_nothing_active_costs_nothing() -> None:
    none = torch.zeros(4, 7, dtype=torch.bool)
    assert distances(small(), none, none) == (0, 0)
    assert distances(small(), none, ragged_labels([1, 2, 1, 1])) == (0, 0)


def test_labels_are_active_whatever_the_heads_say() -> None:
    given, labels = tokens(4), ragged_labels([1, 2, 1, 3])
    for labelled, costs in ((True, True), (False, False)):
        head = small(labelled_active=labelled, probability=0.999)
        head.progress = 1.0
        assert bool(head.losses(given, labels, vocabulary())["near"] > 0) == costs


def test_coinciding_vectors_have_finite_gradients() -> None:
    head, labels = small(), ragged_labels([7] * 4)
    head.project_image.load_state_dict(head.project_audio.state_dict())
    head.classify_image.load_state_dict(head.classify_audio.state_dict())
    head.progress = 1.0
    given = tokens(4)
    alike = Tokens(
        given.visual[:1].expand(4, -1, -1), given.visual[:1].expand(4, -1, -1), *2 * [given.sound],
        given.grid,
    )  # fmt: skip
    torch.stack(list(head.losses(alike, labels, vocabulary()).values())).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


# Reading maps out


def test_readouts_answer_one_and_several() -> None:
    head, given, names = small(), tokens(3), vocabulary()
    several, alone = queries((1, 0), (1, 4)), queries((1, 4))
    by_class = head.maps(given, several, names)
    whole = head.maps(given, alone, names)[0]
    assert not torch.allclose(by_class[1], whole)
    head.set_tuned(readout="class")
    assert torch.equal(head.maps(given, alone, names)[0], by_class[1])
    head.set_tuned(readout="whole")
    assert torch.equal(head.maps(given, several, names), torch.stack([whole, whole]))
    readouts = dict.fromkeys(choice["readout"] for choice in head.readouts())
    assert list(readouts) == ["original", "class", "whole"]


def test_the_likeliest_class_counts_however_unlikely() -> None:
    head, given, names = small(probability=0.999, readout="class"), tokens(3), vocabulary()
    heard, _ = head.probabilities(head.prepare(given))
    likeliest = Queries(torch.arange(3), heard.argmax(dim=1))
    expected = head.maps(given, likeliest, names)
    head.set_tuned(readout="whole")
    torch.testing.assert_close(head.maps(given, likeliest, names), expected)


def test_it_learns_in_two_stages() -> None:
    head = cast(CoarseToFine, new_head(CoarseToFine, hidden=64))
    single, duet = class_world(64, seed=1), class_world(64, panels=2, seed=1)
    before = single.hits(head), duet.hits(head)
    losses = train(head, [class_world(256), class_world(256, panels=2)], steps=100, rate=0.01)
    assert "near" not in losses[49]
    for term in ("audio_class", "image_class", "correspondence"):
        assert losses[-1][term] < 0.7 * losses[1][term], term
    assert losses[-1]["near"] + losses[-1]["far"] < 0.5 * (losses[51]["near"] + losses[51]["far"])
    assert single.hits(head) > max(0.8, before[0] + 0.3)
    assert duet.hits(head) > max(0.8, before[1] + 0.3)
    scores = head.detect(duet.tokens, duet.vocabulary)
    found = scores.topk(2, dim=1).indices.sort(dim=1).values
    assert float((found == duet.queries.label.view(-1, 2).sort(dim=1).values).double().mean()) > 0.8
