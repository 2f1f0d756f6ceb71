from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.methods.class_world import ClassWorld, class_world, new_head, train
from tests.methods.golden import (
    as_tokens,
    assert_golden_gradients,
    golden,
    inputs,
    relative,
)
from tests.methods.official import layers
from tests.methods.tvsl.inputs import SIZE, queries, ragged_labels, tokens, vocabulary
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.errors import ShapeError, UsageError
from tvsl.methods.mix_and_localize import (
    MixAndLocalize,
    MixAndLocalizeConfig,
    random_halves,
)
from tvsl.methods.ots import OTS, OTSConfig
from tvsl.metrics import permutation_invariant_average_precision
from tvsl.tokens import Queries, Tokens, Vocabulary


def official() -> MixAndLocalize:
    """The head with the golden weights."""
    head = MixAndLocalize(MixAndLocalizeConfig(embedding=512, scale_tokens=False)).double()
    names = {"project_image.0": "mix.conv_v_1", "project_image.2": "mix.conv_v_2"}
    for node in (0, 1):
        for place in (0, 2):
            names[f"project_nodes.{node}.{place}"] = f"mix.fc_a_{node + 1}.{place}"
    head.load_state_dict(layers(head, names), strict=True)
    return head


def small(nodes: int = 2) -> MixAndLocalize:
    torch.manual_seed(0)
    return MixAndLocalize(MixAndLocalizeConfig(embedding=SIZE, dimension=8, nodes=nodes)).double()


def test_loss_and_gradients_are_golden() -> None:
    visual, sound = (given.requires_grad_() for given in inputs())
    loss = official().walk_loss(visual.unflatten(0, (3, 2)), sound[:3], sound[3:])
    assert relative(loss, golden("mix.loss")) < 1e-9
    assert_golden_gradients(loss, visual, sound, "mix")


def test_candidates_are_golden() -> None:
    visual, sound = inputs()
    found = official().unlabelled_maps(as_tokens(visual, sound[[0, 0, 1, 1, 2, 2]]))
    assert relative(found, golden("mix.map")) < 1e-9


def test_single_precision_is_near_golden() -> None:
    visual, sound = (given.float() for given in inputs())
    loss = official().float().walk_loss(visual.unflatten(0, (3, 2)), sound[:3], sound[3:])
    assert relative(loss.double(), golden("mix.loss")) < 1e-4


@pytest.mark.parametrize(("pictures", "nodes"), [(2, 2), (3, 2), (2, 3), (4, 4)])
def test_the_walk_step_by_step(pictures: int, nodes: int) -> None:
    head, groups = small(nodes), 3
    generator = torch.Generator().manual_seed(5)
    cells, first, second = (
        torch.randn(*shape, SIZE, generator=generator, dtype=torch.float64)
        for shape in ((groups, pictures, 6), (groups,), (groups,))
    )
    used, logs = min(pictures, nodes), []
    for group in range(groups):
        with torch.no_grad():
            seen = F.normalize(head.project_image(cells[group]), dim=-1).numpy()
            times = [
                [
                    F.normalize(project(sound[group]), dim=0).numpy()
                    for project in head.project_nodes
                ]
                for sound in (second, first)
            ]
        scores = [
            np.array([[max(seen[n] @ time[k]) for n in range(pictures)] for k in range(used)])
            / 0.07
            for time in times
        ]
        to_picture = np.exp(scores[0]) / np.exp(scores[0]).sum(axis=1, keepdims=True)
        to_node = (np.exp(scores[1]) / np.exp(scores[1]).sum(axis=0)).T
        logs += np.log(np.diag(to_picture @ to_node)).tolist()
    found = float(head.walk_loss(cells, first, second).detach())
    assert found == pytest.approx(-np.mean(logs), rel=1e-12)


def panels_of(single: Tokens, panels: int) -> Tokens:
    """Neighbouring clips side by side, with the mean of their sounds."""
    frames = FrameTokens(single.visual, single.image, single.grid)
    audio = single.audio.unflatten(0, (-1, panels)).mean(dim=1)
    return join_panels(frames, SoundTokens(audio, audio.mean(dim=1)), panels)


def test_neighbours_of_a_batch_are_mixed() -> None:
    """One cell of sound has no halves: nothing is drawn, and both ways can be compared."""
    head, single = small(), tokens(7, audio=1)
    scaled = head.prepare(single)
    pairs = scaled.visual[:6].unflatten(0, (3, 2))
    sound = scaled.audio[:6, 0].unflatten(0, (3, 2)).mean(dim=1)
    loss = head.losses(single, ragged_labels([1] * 7), vocabulary())
    assert loss.keys() == {"cycle"}
    torch.testing.assert_close(loss["cycle"], head.walk_loss(pairs, sound, sound))
    side_by_side = panels_of(tokens(6, audio=1), 2)
    mixed = head.losses(side_by_side, ragged_labels([2] * 3), vocabulary())["cycle"]
    expected = head.walk_loss(pairs, *(2 * [head.prepare(side_by_side).audio[:, 0]]))
    torch.testing.assert_close(mixed, expected)


@settings(max_examples=30)
@given(cells=st.integers(1, 9), seed=st.integers(0, 99))
def test_halves_share_no_cell(cells: int, seed: int) -> None:
    torch.manual_seed(seed)
    first, second = random_halves(torch.eye(cells).expand(3, -1, -1))
    half = max(1, cells // 2)
    for part in (first, second):
        assert torch.equal((part > 0).sum(dim=1), torch.full((3,), half))
        torch.testing.assert_close(part.sum(dim=1), torch.ones(3))
    shared = (first > 0) & (second > 0)
    assert bool(shared.any()) == (cells == 1)


@pytest.mark.parametrize(("clips", "nodes"), [(1, 2), (3, 2), (2, 4)])
def test_few_clips_are_no_error(clips: int, nodes: int) -> None:
    loss = small(nodes).losses(tokens(clips), ragged_labels([1] * clips), vocabulary())["cycle"]
    assert bool(torch.isfinite(loss))
    loss.backward()


def test_labels_are_not_looked_at() -> None:
    head, losses = small(), []
    for labels, names in (([1, 3, 2, 1], vocabulary()), ([2, 1, 4, 7], vocabulary(seed=5))):
        torch.manual_seed(1)
        losses.append(head.losses(tokens(4), ragged_labels(labels), names)["cycle"])
    assert torch.equal(*losses)


# Which node is whose


def pointing(places: list[int], peaks: list[float]) -> tuple[MixAndLocalize, Tokens]:
    """A head whose nodes point at one cell each, and a clip with a class in each cell."""
    head = small(nodes=len(places))
    eye = torch.eye(12, SIZE, dtype=torch.float64)[None]
    clip = Tokens(eye, torch.zeros(1, 2, SIZE).double(), eye[:, 0], eye[:, 0], (3, 4))
    maps = torch.zeros(1, len(places), 12, dtype=torch.float64)
    for node, (place, peak) in enumerate(zip(places, peaks, strict=True)):
        maps[0, node, place] = peak
    object.__setattr__(head, "unlabelled_maps", lambda _: maps.unflatten(2, (3, 4)))
    return head, clip


def classes_in_cells(cells: list[int]) -> Vocabulary:
    rows = torch.eye(12, SIZE, dtype=torch.float64)[cells]
    return Vocabulary(tuple(f"cell {cell}" for cell in cells), rows)


def nodes_for(head: MixAndLocalize, clip: Tokens, names: Vocabulary, *labels: int) -> list[int]:
    """The peaks' cells of the maps that the classes get."""
    maps = head.maps(clip, queries(*((0, label) for label in labels)), names)
    return maps.flatten(1).argmax(dim=1).tolist()


def test_nodes_go_to_the_names_that_they_point_at() -> None:
    head, clip = pointing([7, 2], [0.9, 0.8])
    names = classes_in_cells([2, 7, 5])
    assert nodes_for(head, clip, names, 0, 1) == [2, 7]
    assert nodes_for(head, clip, names, 1, 0) == [7, 2]
    assert nodes_for(head, clip, names, 1, 2) == [7, 2]  # what is left over
    assert nodes_for(head, clip, names, 0, 1, 0) == [2, 7, 2]


def test_both_names_would_take_one_node() -> None:
    """The permutation is best as a whole: a class that fits both gives way."""
    head, clip = pointing([7, 2], [0.9, 0.8])
    both = torch.zeros(1, SIZE, dtype=torch.float64)
    both[0, [7, 2]] = torch.tensor([0.8, 0.6], dtype=torch.float64)
    names = Vocabulary(("both", "seven"), torch.cat([both, torch.eye(12, SIZE).double()[7:8]]))
    assert nodes_for(head, clip, names, 0, 1) == [2, 7]


def test_names_left_without_a_node_share_one() -> None:
    head, clip = pointing([7, 2], [0.9, 0.8])
    mixed = torch.zeros(1, SIZE, dtype=torch.float64)
    mixed[0, [7, 5]] = torch.tensor([0.6, 0.8], dtype=torch.float64)
    rows = torch.cat([torch.eye(12, SIZE).double()[[2, 7]], mixed])
    assert nodes_for(head, clip, Vocabulary(("2", "7", "more"), rows), 0, 1, 2) == [2, 7, 7]


def test_a_class_alone_gets_the_node_with_the_larger_maximum() -> None:
    names = classes_in_cells([2, 7])
    for peaks, cell in (([0.9, 0.8], 7), ([0.7, 0.8], 2)):
        head, clip = pointing([7, 2], peaks)
        assert nodes_for(head, clip, names, 0) == [cell]
        assert nodes_for(head, clip, names, 1, 1) == [cell, cell]


def test_clips_are_asked_each_by_itself() -> None:
    head, given, names = small(), tokens(3), vocabulary()
    asked = queries((2, 0), (0, 5), (2, 6), (1, 1), (1, 2), (0, 5))
    maps = head.maps(given, asked, names)
    assert maps.shape == (6, 3, 4)
    for number in range(3):
        rows = [row for row in range(6) if int(asked.clip[row]) == number]
        part = Queries(asked.clip[rows], asked.label[rows])
        torch.testing.assert_close(maps[rows], head.maps(given, part, names), rtol=0, atol=0)
    assert head.maps(given, Queries.from_lists([[], [], []]), names).shape == (0, 3, 4)


def test_candidates_are_for_methods_without_names() -> None:
    assert small(3).unlabelled_maps(tokens(2)).shape == (2, 3, 3, 4)
    assert MixAndLocalize.permutation_invariant
    with pytest.raises(ShapeError, match="one encoder"):
        small().unlabelled_maps(tokens(2, size=8))
    assert not OTS.permutation_invariant
    with pytest.raises(UsageError, match="maps"):
        OTS(OTSConfig(embedding=SIZE)).unlabelled_maps(tokens(2))


# Learning


def assigned(head: MixAndLocalize, world: ClassWorld) -> float:
    """PIAP over the cells, in place of pixels."""
    with torch.no_grad():
        maps = head.unlabelled_maps(world.tokens)
    targets = world.things.unflatten(1, world.tokens.grid)
    frames = torch.arange(len(maps)).repeat_interleave(2)
    scores = permutation_invariant_average_precision(
        maps.flatten(0, 1), targets, frames, world.queries.clip
    )
    return float(scores.mean())


def test_it_learns_to_tell_two_sources_apart() -> None:
    head = new_head(MixAndLocalize)
    assert isinstance(head, MixAndLocalize)
    single, duet = class_world(64, seed=1), class_world(64, panels=2, seed=1)
    before, blind = (single.hits(head), duet.hits(head)), assigned(head, duet)
    losses = train(head, [class_world(256), class_world(256, panels=2)], steps=120, rate=0.01)
    assert losses[-2]["cycle"] < 0.8 * losses[0]["cycle"]  # of single sources
    assert losses[-1]["cycle"] < 0.5 * losses[1]["cycle"]  # of two
    assert single.hits(head) > max(0.6, before[0] + 0.3)
    assert duet.hits(head) > max(0.6, before[1] + 0.3)
    assert assigned(head, duet) > blind + 0.3
