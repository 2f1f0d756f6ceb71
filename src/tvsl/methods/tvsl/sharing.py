"""Each token of a mixture's sound shared out among the classes that may sound.

phi^a weights a token with its cosine to one class name and knows nothing of the others, so that
Mean(Ã_k) keeps much of what else sounds: cosines with all names are alike. In a mixture model a
token would belong to each class by its responsibility, a softmax over all classes n of

    beta cos(a_j, e_n) + log w_n,

w being the decomposition of the whole sound (``decomposition.py``). Here phi^a's weight is
multiplied by it, at inference. It is no part of the paper; `tvsl reproduce improvements` says what
it is worth. Of one class alone, or of cosines that are all alike, nothing changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.methods.tvsl.decomposition import decompose
from tvsl.methods.tvsl.detection import evidence
from tvsl.methods.tvsl.direction import unit
from tvsl.tokens import Slots

_FLOOR = 1e-3


def log_normaliser(audio: Tensor, visual: Tensor, classes: Tensor, sharpness: float) -> Tensor:
    """How well all classes together explain each token: what responsibilities are divided by.

    Args:
        audio: A', (B, n_a, D).
        visual: V', (B, n_v, D).
        classes: Unit text embeddings e_n of the vocabulary, (N, D).
        sharpness: beta.

    Returns:
        log sum_n w_n exp(beta cos(a_j, e_n)), (B, n_a); a class without weight has a little.
    """
    prior = decompose(*evidence(audio, visual, classes), classes) + _FLOOR
    cosines = unit(audio) @ classes.T
    return torch.logsumexp(sharpness * cosines + prior.log()[:, None], dim=-1)


def shares(similarity: Tensor, normaliser: Tensor, slots: Slots, sharpness: float) -> Tensor:
    """Responsibility of a pair's class for each token of its sound.

    Args:
        similarity: s_kj = cos(a_j, e_k), (P, n_a).
        normaliser: What ``log_normaliser`` gave, (B, n_a).
        slots: Which clip each pair belongs to.
        sharpness: beta.

    Returns:
        The responsibilities over their mean, (P, n_a): how loud a class is does not count, only
        where it sounds.
    """
    belonging = sharpness * similarity - normaliser[slots.clip]
    return belonging.softmax(dim=-1) * similarity.shape[1]
