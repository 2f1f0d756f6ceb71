from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.everyday.made_model import randomize
from tvsl.everyday.space import SILENCE, Space, SpaceConfig

CONFIG = SpaceConfig(
    meaning=7,
    sounding=5,
    seen=4,
    heard=3,
    temperature=0.2,
    meaning_share=0.3,
    cell_sounding=0.4,
    moment_meaning=0.25,
    cell_features=0.7,
    moment_features=0.35,
    prior_floor=0.02,
)
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def space() -> Space:
    made = Space(CONFIG)
    randomize(made, 3)
    return made


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def described(space: Space, sentences: Tensor) -> tuple[Array, Array]:
    """N and H of names, as the module's docstring defines them."""
    buffers = {name: value.double().numpy() for name, value in space.named_buffers()}
    m = unit(sentences.double().numpy() - buffers["mean"])
    classes = unit(buffers["sound_names"] - buffers["mean"])
    exponents = np.exp(m @ classes.T / 0.2)
    shares = exponents / exponents.sum(axis=-1, keepdims=True)
    return unit(m @ buffers["meaning"]), unit(shares @ buffers["sounding"])


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_texts(space: Space) -> None:
    sentences = rows(6, 384)
    n, h = described(space, sentences)
    expected = np.concatenate([0.3**0.5 * n, 0.7**0.5 * h, np.zeros((6, 7))], axis=-1)
    found = space.text(sentences)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(found.norm(dim=-1).numpy(), 1, atol=1e-6)


def test_shares_of_sounds_sum_to_one(space: Space) -> None:
    shares = space.likeness(space.sound_names)
    assert shares.shape == (521, 521)
    assert torch.equal(shares.argmax(dim=-1), torch.arange(521))  # each is most like itself
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(521))


def test_cells(space: Space) -> None:
    kinds, classes = rows(2, 3, 90).sigmoid(), rows(2, 3, 1000, seed=1).softmax(dim=-1)
    features = rows(2, 3, 1392, seed=2)
    of_kinds, of_classes = (
        described(space, names) for names in (space.kind_names, space.picture_names)
    )
    n, h = (
        kinds.double().numpy() @ of_kinds[part] + classes.double().numpy() @ of_classes[part]
        for part in range(2)
    )
    centred = features.double() - space.seen_mean.double()
    f = unit((centred @ space.seen.double()).numpy())
    expected = np.concatenate([n, 0.4 * h, 0.7 * f, np.zeros((2, 3, 3))], axis=-1)
    np.testing.assert_allclose(space.cells(kinds, classes, features).numpy(), expected, atol=1e-4)


def weights(space: Space, logits: Tensor) -> Array:
    """Probabilities over how often a class is said, 2 floor / (prior + floor) each."""
    prior = space.prior.double().numpy()
    found = 1 / (1 + np.exp(-logits.double().numpy())) * 0.04 / (prior + 0.02)
    found[..., 494] = 0
    return np.asarray(found)


def test_moments(space: Space) -> None:
    logits, features = rows(2, 3, 521), rows(2, 3, 1024, seed=1)
    n, h = described(space, space.sound_names)
    w = weights(space, logits)
    centred = features.double() - space.heard_mean.double()
    f = unit((centred @ space.heard.double()).numpy())
    expected = np.concatenate([0.25 * w @ n, w @ h, np.zeros((2, 3, 4)), 0.35 * f], axis=-1)
    np.testing.assert_allclose(space.moments(logits, features).numpy(), expected, atol=1e-3)


def test_silence_counts_for_nothing(space: Space) -> None:
    logits, features = rows(1, 2, 521), rows(1, 2, 1024, seed=1)
    louder = logits.clone()
    louder[..., SILENCE] = 50
    assert torch.equal(space.moments(logits, features), space.moments(louder, features))
    louder[..., SILENCE - 1] = 50
    assert not torch.equal(space.moments(logits, features), space.moments(louder, features))


def test_inputs_stay_as_they_are(space: Space) -> None:
    logits, features = rows(1, 2, 521), rows(1, 2, 1024, seed=1)
    before = logits.clone(), features.clone()
    space.moments(logits, features)
    assert torch.equal(logits, before[0])
    assert torch.equal(features, before[1])


def test_other_buffers_are_seen_once_prepared() -> None:
    space = Space(CONFIG)
    randomize(space, 3)
    kinds, classes, features = rows(1, 1, 90), rows(1, 1, 1000), rows(1, 1, 1392)
    first = space.cells(kinds, classes, features)
    randomize(space, 4)
    second = space.prepared().cells(kinds, classes, features)
    other = Space(CONFIG)
    randomize(other, 4)
    assert not torch.equal(first, second)
    assert torch.equal(second, other.cells(kinds, classes, features))


@pytest.mark.parametrize("field", ["meaning", "sounding", "seen", "heard"])
def test_sizes_add_up(field: str) -> None:
    assert CONFIG.embedding == 19
    assert CONFIG.model_copy(update={field: getattr(CONFIG, field) + 2}).embedding == 21


def test_familiarity_is_likeness_to_the_nearest_names(space: Space) -> None:
    buffers = {name: value.double().numpy() for name, value in space.named_buffers()}
    known = np.concatenate([buffers[f"{part}_names"] for part in ("sound", "picture", "kind")])
    sentences = rows(5, 384)
    cosines = unit(sentences.double().numpy() - buffers["mean"]) @ unit(known - buffers["mean"]).T
    expected = np.sort(cosines, axis=1)[:, -10:].mean(axis=1)
    np.testing.assert_allclose(space.familiarity(sentences).numpy(), expected, atol=1e-5)
