"""Rules for every method of the family, each under its own loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.methods.token_world import SIZE, TokenWorld, token_world
from tests.methods.tvsl.inputs import clip, queries, ragged_labels, tokens, total, vocabulary
from tests.training.tiny import tiny_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.errors import ShapeError
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.cosine import CosineMethod, all_cosines, one_map
from tvsl.tokens import Tokens

FAMILY = [name for name, kind in METHODS.items() if issubclass(kind, CosineMethod)]
SMALL: dict[str, dict[str, Any]] = {
    name: {field: 24 for field in ("dimension", "hidden") if field in kind.config_type.model_fields}
    for name, kind in METHODS.items()
}


def head(name: str, size: int = 16, **hyperparameters: Any) -> Method:
    torch.manual_seed(0)
    kind = METHODS[name]
    return kind.from_config(kind.config_type(embedding=size, **SMALL[name], **hyperparameters))


def small(name: str) -> Method:
    return head(name).double()


def test_the_family_is_whole() -> None:
    assert set(FAMILY) == {
        "lvs",
        "ez-vsl",
        "margin-nce",
        "fnac",
        "alignment",
        "audioclip-finetuned",
        "wav2clip",
    }


# What they share


def test_shared_cosines_equal_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    cells = torch.nn.functional.normalize(torch.randn(3, 6, 4, generator=generator), dim=-1)
    sounds = torch.nn.functional.normalize(torch.randn(3, 4, generator=generator), dim=-1)
    every = all_cosines(cells, sounds)
    maps = one_map(cells, sounds, (2, 3), queries((2, 0), (0, 1)))
    assert every.shape == (3, 3, 6)
    for row in range(3):
        for column in range(3):
            for cell in range(6):
                expected = float(cells[row, cell] @ sounds[column])
                assert float(every[row, column, cell]) == pytest.approx(expected, abs=1e-6)
    for found, number in zip(maps, (2, 0), strict=True):
        torch.testing.assert_close(found, every[number, number].view(2, 3))


# Contracts


@pytest.mark.parametrize("name", FAMILY)
def test_labels_are_not_looked_at(name: str) -> None:
    made, given, found = small(name).eval(), tokens(4), []
    assert made.supervision == "none"
    for labels, names in (
        (ragged_labels([1, 3, 2, 1]), vocabulary()),
        (ragged_labels([2, 1, 4, 7], seed=9), vocabulary(seed=5)),
    ):
        torch.manual_seed(3)
        found.append(total(made.losses(given, labels, names)))
    assert torch.equal(*found)


@pytest.mark.parametrize("name", FAMILY)
def test_one_map_for_all_sources_and_each_clip_by_itself(name: str) -> None:
    made, given = small(name).eval(), replace(tokens(3), panels=2)
    maps = made.maps(given, queries((2, 0), (0, 5), (2, 6), (2, 3)), vocabulary())
    assert maps.shape == (4, 3, 4)
    assert torch.equal(maps[0], maps[2])
    assert torch.equal(maps[0], maps[3])
    alone = made.maps(clip(given, [0]), queries((0, 1)), vocabulary())
    torch.testing.assert_close(maps[1:2], alone)
    assert made.detect(given, vocabulary()) is None


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("clips", [1, 2, 5])
def test_losses_and_gradients_are_finite(name: str, clips: int) -> None:
    """Also in single precision, for a batch of one and for a clip that has no direction."""
    made, given = head(name), tokens(clips)
    parts = {part: getattr(given, part).float() for part in ("visual", "audio", "image", "sound")}
    for part in parts.values():
        part[-1] = 0
    names = replace(vocabulary(), embeddings=vocabulary().embeddings.float())
    for progress in (0.0, 1.0):
        made.progress = progress
        made.zero_grad()
        losses = made.losses(Tokens(**parts, grid=given.grid), ragged_labels([1] * clips), names)
        assert all(loss.shape == () for loss in losses.values())
        total(losses).backward()
        for key, parameter in made.named_parameters():
            assert parameter.grad is not None, key
            assert bool(torch.isfinite(parameter.grad).all()), key


@pytest.mark.parametrize("name", FAMILY)
def test_the_encoder_stays_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    encoder = AudioCLIPEncoder(tiny_model())
    before = {key: value.clone() for key, value in encoder.model.state_dict().items()}
    given = encoder.encode(torch.rand(3, 3, 112, 112), torch.rand(3, 16_000) - 0.5)
    names = encoder.vocabulary(encoder.classes[:7])
    made = head(name)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    total(made.losses(given, ragged_labels([1] * 3), names)).backward()
    optimizer.step()
    assert all(parameter.grad is None for parameter in encoder.model.parameters())
    for key, value in encoder.model.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(("size", "words"), [(8, 16), (16, 8)])
def test_another_encoder_s_tokens_are_refused(name: str, size: int, words: int) -> None:
    given, names = tokens(2, size=size), vocabulary(size=words)
    with pytest.raises(ShapeError, match="one encoder"):
        small(name).losses(given, ragged_labels([1, 1]), names)
    with pytest.raises(ShapeError, match="one encoder"):
        small(name).maps(given, queries((0, 0)), names)


@pytest.mark.parametrize("name", FAMILY)
def test_a_query_of_no_clip_is_refused(name: str) -> None:
    with pytest.raises(ShapeError, match="clip"):
        small(name).maps(tokens(2), queries((2, 0)), vocabulary())


# Learning


def train(made: Method, steps: int, learning_rate: float) -> None:
    """Train on clips of one and of two panels in turn."""
    optimizer = torch.optim.Adam(made.parameters(), lr=learning_rate)
    for step in range(steps):
        world = token_world(48, panels=1 + step % 2, seed=step)
        torch.manual_seed(step)
        made.progress = step / steps
        loss = total(made.losses(world.tokens, world.labels, world.vocabulary))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    made.progress = 1.0


def loss_on(made: Method, world: TokenWorld) -> float:
    """The loss of a trained head, without what training alone draws."""
    made.eval()
    made.progress = 1.0
    torch.manual_seed(0)
    loss = total(made.losses(world.tokens, world.labels, world.vocabulary)).item()
    made.train()
    return loss


@pytest.mark.parametrize("name", FAMILY)
def test_it_learns_what_a_sound_looks_like(name: str) -> None:
    made = head(name, SIZE)
    unseen = [token_world(48, panels, seed=1000) for panels in (1, 2)]
    losses = [loss_on(made, world) for world in unseen]
    hits = [world.hits(made) for world in unseen]
    train(made, 60, 0.01)
    for world, loss, hit in zip(unseen, losses, hits, strict=True):
        assert loss_on(made, world) < 0.7 * loss
        assert world.hits(made) > max(0.8, hit + 0.2)
