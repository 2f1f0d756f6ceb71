from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.metrics import log_loss

from tvsl.methods.tvsl.losses import class_loss, contrastive_loss, detection_loss


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("printed_sum", [False, True])
def test_detection_loss_equals_sklearn(printed_sum: bool) -> None:
    values = logits(4, 6)
    truth = logits(4, 6, seed=1) > 1
    loss = detection_loss(values, truth, printed_sum).item()
    columns = [
        log_loss(t, 1 / (1 + np.exp(-x)), labels=[False, True])
        for x, t in zip(values.numpy().T, truth.numpy().T, strict=True)
    ]
    assert loss == pytest.approx(sum(columns) if printed_sum else sum(columns) / 6)


@pytest.mark.parametrize("printed_sum", [False, True])
def test_class_loss_equals_sklearn(printed_sum: bool) -> None:
    values, label, batch = logits(7, 5), torch.tensor([0, 4, 4, 1, 2, 0, 3]), 3
    odds = np.exp(values.numpy())
    mean = log_loss(label, odds / odds.sum(axis=1, keepdims=True), labels=range(5))
    expected = mean * 7 / batch if printed_sum else mean
    assert class_loss(values, label, batch, printed_sum).item() == pytest.approx(expected)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    "label", [[0], [0, 0], [0, 1, 2, 3], [0, 1, 0, 2, 0, 1], [5, 5, 5, 5, 5]], ids=str
)
def test_contrastive_loss_equals_log_sum_exp(label: list[int], mask: bool) -> None:
    values = logits(len(label), len(label))
    rows = values.numpy()
    terms = []
    for k in range(len(label)):
        kept = [j for j in range(len(label)) if j == k or not mask or label[j] != label[k]]
        terms.append(logsumexp(rows[k, kept]) - rows[k, k])
        terms.append(logsumexp(rows[kept, k]) - rows[k, k])
    expected = sum(terms) / len(terms)
    loss = contrastive_loss(values, torch.tensor(label), mask).item()
    assert loss == pytest.approx(expected, abs=1e-12)


def test_mask_cuts_gradients_of_same_class_negatives_but_never_the_positive() -> None:
    values = logits(5, 5).requires_grad_()
    contrastive_loss(values, torch.tensor([0, 1, 0, 2, 1]), mask_same_class=True).backward()
    gradient = values.grad
    assert gradient is not None
    masked = {(0, 2), (2, 0), (1, 4), (4, 1)}
    for row in range(5):
        for column in range(5):
            assert (gradient[row, column] == 0) == ((row, column) in masked)
    assert (gradient.diagonal() < 0).all()


def test_single_pair_is_finite() -> None:
    values = logits(1, 1).requires_grad_()
    loss = contrastive_loss(values, torch.tensor([3]), mask_same_class=True)
    loss.backward()
    assert loss.item() == 0.0
    assert values.grad is not None
    assert values.grad.isfinite().all()


def test_loss_at_chance_is_the_log_of_the_number_of_pairs() -> None:
    loss = contrastive_loss(torch.zeros(8, 8), torch.arange(8), mask_same_class=False)
    assert loss.item() == pytest.approx(math.log(8))
