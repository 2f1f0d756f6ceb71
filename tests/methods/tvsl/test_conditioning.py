from __future__ import annotations

import math

import pytest
import torch

from tests.methods.tvsl import oracle
from tests.methods.tvsl.inputs import queries, tokens, vocabulary
from tvsl.methods.tvsl.conditioning import (
    condition_on_all,
    focused,
    from_table,
    similarity,
    to_table,
    weighted_mean,
)

PAIRS = ((2, 3), (0, 1), (2, 0), (3, 3), (2, 6))  # unsorted, ragged, clip 1 without any


def test_table_and_back_are_inverse_and_leave_other_places_zero() -> None:
    pairs = queries(*PAIRS)
    slots = pairs.slots(4)
    rows = torch.arange(1.0, 11.0).view(5, 2)
    table = to_table(rows, slots, 4)
    assert table.shape == (4, 3, 2)
    assert torch.equal(from_table(table, slots), rows)
    assert table.sum() == rows.sum()
    assert (table[1] == 0).all()


def test_similarity_and_mean_equal_weighted_copies() -> None:
    batch, classes, pairs = tokens(4), vocabulary(), queries(*PAIRS)
    slots = pairs.slots(4)
    query = 3.0 * classes.embeddings[pairs.label]  # the length of a query has no say
    weights = similarity(batch.visual, query, slots)
    means = weighted_mean(batch.visual, weights, slots)
    for row, (clip, label) in enumerate(PAIRS):
        v, e = list(batch.visual[clip]), classes.embeddings[label]
        expected = torch.stack([oracle.cosine(token, e) for token in v])
        torch.testing.assert_close(weights[row], expected, rtol=1e-9, atol=0)
        mean = oracle.mean(oracle.phi(v, e, v))
        torch.testing.assert_close(means[row], mean, rtol=1e-9, atol=0)


def test_condition_on_all_equals_one_by_one() -> None:
    batch, classes = tokens(2), vocabulary(5)
    features = condition_on_all(batch.audio, classes.embeddings)
    assert features.shape == (2, 5, 16)
    for clip in range(2):
        for label in range(5):
            a, e = list(batch.audio[clip]), classes.embeddings[label]
            mean = oracle.mean(oracle.phi(a, e, a))
            torch.testing.assert_close(features[clip, label], mean, rtol=1e-9, atol=0)


@pytest.mark.parametrize("focus", [3.0, 30.0])
def test_focus_weighs_tokens_by_a_softmax_of_their_cosines(focus: float) -> None:
    batch, classes = tokens(2), vocabulary(5)
    features = condition_on_all(batch.audio, classes.embeddings, focus)
    for clip in range(2):
        for label in range(5):
            a, e = list(batch.audio[clip]), classes.embeddings[label]
            shares = [math.exp(focus * float(oracle.cosine(one, e))) for one in a]
            weighted = [share * one for share, one in zip(shares, a, strict=True)]
            expected = oracle.total(weighted) / sum(shares)
            torch.testing.assert_close(features[clip, label], expected, rtol=1e-9, atol=1e-12)


def test_without_focus_the_weights_stay_the_cosines() -> None:
    weights = torch.tensor([[0.5, -0.25, 0.0]])
    assert focused(weights, 0.0) is weights
    assert focused(weights, 5.0).mean() == pytest.approx(1)


@pytest.mark.parametrize("factor", [1e-4, 0.5, 40.0, 1e4])
def test_length_of_tokens_does_not_change_similarity(factor: float) -> None:
    batch, classes, pairs = tokens(4), vocabulary(), queries(*PAIRS)
    slots, query = pairs.slots(4), classes.embeddings[pairs.label]
    torch.testing.assert_close(
        similarity(factor * batch.visual, query, slots), similarity(batch.visual, query, slots)
    )


def test_zero_token_has_similarity_zero_and_sane_gradients() -> None:
    batch, pairs = tokens(1), queries((0, 2), (0, 4))
    visual = batch.visual.clone()
    visual[0, 5] = 0
    visual.requires_grad_()
    query = vocabulary().embeddings[pairs.label].requires_grad_()
    slots = pairs.slots(1)
    weights = similarity(visual, query, slots)
    assert (weights[:, 5] == 0).all()
    weighted_mean(visual, weights, slots).square().sum().backward()
    for gradient in (visual.grad, query.grad):
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 100
