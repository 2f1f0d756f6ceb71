from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods.tvsl import oracle
from tests.methods.tvsl.inputs import config, head, queries, tokens, unit, vocabulary
from tvsl.methods.tvsl.conditioning import similarity, weighted_mean
from tvsl.methods.tvsl.detection import decompose, evidence
from tvsl.methods.tvsl.inference import log_normaliser, responsibilities
from tvsl.tokens import Queries, Vocabulary

SHARPNESS = 10.0
PAIRS = ((0, 1), (0, 4), (2, 4))


def test_shares_equal_a_loop() -> None:
    batch, words = tokens(3), vocabulary()
    asked = queries(*PAIRS)
    slots = asked.slots(3)
    classes = words.embeddings
    cosines = similarity(batch.audio, classes[asked.label], slots)
    found = responsibilities(
        cosines, log_normaliser(batch.audio, batch.visual, classes, SHARPNESS), slots, SHARPNESS
    )
    weights = decompose(*evidence(batch.audio, batch.visual, classes), classes)
    for row, (clip, label) in enumerate(PAIRS):
        belonging = []
        for sound in batch.audio[clip]:
            of_all = [
                (float(weights[clip, n]) + 1e-3)
                * math.exp(SHARPNESS * oracle.cosine(sound, classes[n]).item())
                for n in range(len(words))
            ]
            belonging.append(of_all[label] / sum(of_all))
        expected = np.array(belonging) / np.mean(belonging)
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-5)


def mixture() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A sound of two like classes in turn, pictures that show both, the class names."""
    classes = unit(torch.eye(3, 8) + torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0]))[1:]
    classes = unit(classes + 0.8 * classes.flip(0))
    sound = classes[[0, 0, 0, 1, 1, 1]][None]
    return sound, classes[None], classes


def test_each_class_is_given_its_own_part_of_a_mixture() -> None:
    sound, picture, classes = mixture()
    asked = Queries(torch.tensor([0, 0]), torch.tensor([0, 1]))
    slots = asked.slots(1)
    cosines = similarity(sound, classes, slots)
    weights = responsibilities(
        cosines, log_normaliser(sound, picture, classes, SHARPNESS), slots, SHARPNESS
    )
    torch.testing.assert_close(weights.mean(dim=1), torch.ones(2))
    shared = unit(weighted_mean(sound, cosines * weights, slots)) @ classes.T
    alone = unit(weighted_mean(sound, cosines, slots)) @ classes.T
    assert (shared.diag() > alone.diag()).all()
    other = shared.flip(1).diag()
    assert (other < alone.flip(1).diag()).all()


@pytest.mark.parametrize("classes", [1, 7])
def test_one_class_alone_takes_all(classes: int) -> None:
    batch, words = tokens(3), vocabulary(classes)
    asked = queries((0, 0), (2, 0))
    shared, plain = (
        head(random=False, responsibility=beta).similarities(batch, asked, words)[1]
        for beta in (SHARPNESS, 0.0)
    )
    assert torch.allclose(shared, plain, atol=1e-6) == (classes == 1)


def test_training_does_not_share() -> None:
    batch, words = tokens(3), vocabulary()
    labels = torch.zeros(3, len(words), dtype=torch.bool)
    labels[:, :2] = True
    shared, plain = (
        head(responsibility=beta).losses(batch, labels, words) for beta in (SHARPNESS, 0.0)
    )
    for name, loss in shared.items():
        torch.testing.assert_close(loss, plain[name], rtol=0, atol=0)


def test_order_of_the_vocabulary_does_not_matter() -> None:
    batch, words = tokens(2), vocabulary()
    order = torch.arange(len(words)).flip(0)
    turned = Vocabulary(tuple(words.names[i] for i in order), words.embeddings[order])
    built = head(responsibility=SHARPNESS)
    last = len(words) - 1
    torch.testing.assert_close(
        built.similarities(batch, queries((0, 2), (1, 5)), words)[1],
        built.similarities(batch, queries((0, last - 2), (1, last - 5)), turned)[1],
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("hyperparameters", "compares"),
    [
        ({}, True),
        ({"responsibility": 0.0}, False),
        ({"audio_conditioning": False}, False),
        ({"responsibility": 0.0, "detector": "decomposition"}, True),
    ],
    ids=str,
)
def test_config_says_whether_classes_are_compared(
    hyperparameters: dict[str, Any], compares: bool
) -> None:
    assert config("tvsl", **hyperparameters).compares_classes is compares
    batch = tokens(3)
    built = head(random=False, **hyperparameters)
    few, many = vocabulary(2), vocabulary(7)
    asked = queries((0, 0), (2, 1))
    one, other = (built.maps(batch, asked, words) for words in (few, many))
    first, second = (built.detect(batch, words)[:, :2] for words in (few, many))
    same = torch.allclose(one, other, atol=1e-6) and torch.allclose(first, second, atol=1e-6)
    assert same is not compares
