from __future__ import annotations

import pytest
import torch

from tests.methods.tvsl.inputs import SIZE, tokens, vocabulary
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.errors import ShapeError
from tvsl.methods.operations import by_panel, others, two_layers
from tvsl.methods.ots import OTS, OTSConfig


def head(**hyperparameters: object) -> OTS:
    return OTS(OTSConfig(embedding=SIZE, **hyperparameters))


def test_tokens_are_scaled_to_a_mean_square_of_one() -> None:
    given = tokens(3)
    given.visual[0, 0] = 0
    read = head().read(given)
    for name in ("visual", "audio", "image", "sound"):
        before, after = getattr(given, name), getattr(read, name)
        squares = after.square().mean(dim=-1)
        expected = torch.ones_like(squares)
        if name == "visual":
            expected[0, 0] = 0  # what has no length keeps none
        torch.testing.assert_close(squares, expected)
        torch.testing.assert_close(after * before.norm(dim=-1, keepdim=True), 4 * before)
    assert (read.grid, read.panels) == (given.grid, given.panels)


def test_tokens_may_stay_as_they_are() -> None:
    given = tokens(3)
    assert head(scale_tokens=False).read(given, vocabulary()) is given


@pytest.mark.parametrize(("size", "words"), [(8, 16), (16, 8)])
def test_another_encoder_s_tokens_are_refused(size: int, words: int) -> None:
    with pytest.raises(ShapeError, match="one encoder"):
        head().read(tokens(2, size=size), vocabulary(size=words))
    with pytest.raises(ShapeError, match="one encoder"):
        head().read(tokens(2, size=8))


def test_weights_decay_as_the_original_s() -> None:
    made = head(weight_decay=0.25)
    (group,) = made.parameter_groups(0.5)
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)
    assert [id(one) for one in group["params"]] == [id(one) for one in made.parameters()]
    assert head().parameter_groups(0.5)[0]["weight_decay"] == 1e-5


def test_every_clip_gets_another_and_every_clip_is_used() -> None:
    drawn = set()
    for seed in range(40):
        torch.manual_seed(seed)
        partner = others(4, torch.device("cpu"))
        assert sorted(partner.tolist()) == [0, 1, 2, 3]
        assert not bool((partner == torch.arange(4)).any())
        drawn.add(tuple(partner.tolist()))
    assert len(drawn) == 6  # all cycles of four
    assert others(2, torch.device("cpu")).tolist() == [1, 0]
    assert len(others(1, torch.device("cpu"))) == 0


def test_two_layers_have_a_relu_between() -> None:
    layers = two_layers(3, 2, hidden=5, bias=False).double()
    first, second = (layer.detach() for layer in layers.parameters())
    assert first.shape == (5, 3)
    assert second.shape == (2, 5)
    given = torch.randn(4, 3, dtype=torch.float64)
    expected = (given @ first.T).clamp(min=0) @ second.T
    torch.testing.assert_close(layers(given), expected)
    assert [tuple(p.shape) for p in two_layers(3, 2).parameters()] == [(2, 3), (2,), (2, 2), (2,)]


def test_panels_are_taken_apart() -> None:
    single = tokens(6)
    frames = FrameTokens(single.visual, single.image, single.grid)
    joined = join_panels(frames, SoundTokens(single.audio[::3], single.sound[::3]), 3)
    assert torch.equal(by_panel(joined.visual, joined).flatten(0, 1), single.visual)
