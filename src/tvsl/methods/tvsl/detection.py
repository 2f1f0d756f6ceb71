"""Detection of the sounding classes (Sec. 3.2), with P_f as printed and without any training.

Printed, Ŷ = sim(T, F_av) is learned. The training-free detectors are no part of the paper. Two
compare the cosines of a class with the sound and with the picture. The third decomposes the sound:
the sum of two sounds is close to the names of both, and nearly as close to the name of a third
class that shares something with each; one by one, cosines cannot tell it from them. Together they
can: what two names explain needs no third. So the sound is written as a sum of all names with
weights of 0 or more, of which most become 0,

    w = argmin_{w >= 0} ½ ‖mean(A') / ‖mean(A')‖ − Σ_n w_n e_n‖² + rho/2 ‖w‖² − lambda Σ_n w_n p_n,

where p_n, how clearly a class is seen beyond the average class, says which of two explanations of a
sound is likelier. Bhalla et al. (SpLiCE, NeurIPS 2024) decompose CLIP's embeddings in this way to
explain them; here it decides which classes sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch.nn.functional import linear

from tvsl.methods.operations import cosines, unit

RIDGE = 0.1
"""rho: names that are almost alike share the weight between them."""

SEEN_SHARE = 0.5
"""lambda. Both were chosen on validation scenes of the made-up world; half or double of either
moves the detection of duets by less than half a point (`benchmarks/constants.py`)."""

EVIDENCE_PERCENT = 3
"""Share of the cells that tell whether a class is seen."""

DECOMPOSITION_SHARE = 1.5

_DIGITS = 3
_stated: ContextVar[Tensor | None] = ContextVar("largest eigenvalue", default=None)


def decompose(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:
    """Weights w of the classes in a mixture, by Nesterov's projected gradient.

    Args:
        heard: cos(mean(A'), e_n), (B, N).
        seen: Score of each class in the picture, (B, N).
        classes: Unit text embeddings e_n, (N, D).

    Returns:
        w of 0 or more, (B, N), to about three digits.
    """
    names = classes.to(heard.dtype)
    prior = seen - seen.mean(dim=1, keepdim=True)
    target = heard + SEEN_SHARE * prior
    stated = _stated.get()
    if stated is not None:
        return _decompose_traced(target, names, stated + RIDGE)
    product, steepest = _likeness(names)
    steepest += RIDGE
    condition = math.sqrt(steepest / RIDGE)
    momentum = (condition - 1) / (condition + 1)
    weights = ahead = torch.zeros_like(target)
    for _ in range(math.ceil(condition * _DIGITS * math.log(10))):
        slope = product(ahead) + RIDGE * ahead - target
        following = (ahead - slope / steepest).clamp_min(0)
        ahead = following + momentum * (following - weights)
        weights = following
    return weights


@contextmanager
def stated_eigenvalue(value: Tensor) -> Iterator[None]:
    """Let ``decompose`` take the largest eigenvalue of the names' cosines from its caller.

    A graph cannot compute it: ONNX knows no eigenvalues.
    """
    token = _stated.set(value)
    try:
        yield
    finally:
        _stated.reset(token)


def largest_eigenvalue(classes: Tensor) -> float:
    """Largest eigenvalue of the cosines of some names, (N, D)."""
    return _likeness(classes.float())[1]


def _decompose_traced(target: Tensor, names: Tensor, steepest: Tensor) -> Tensor:
    """``decompose`` as a loop of a graph, whose number of steps depends on the names."""
    condition = (steepest / RIDGE).sqrt()
    momentum = (condition - 1) / (condition + 1)
    last = (condition * (_DIGITS * math.log(10))).ceil().long()

    def goes_on(step: Tensor, weights: Tensor, ahead: Tensor) -> Tensor:  # noqa: ARG001
        return step < last

    def advance(step: Tensor, weights: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        slope = linear(ahead @ names, names) + RIDGE * ahead - target
        following = (ahead - slope / steepest).clamp_min(0)
        return step + 1, following, following + momentum * (following - weights)

    start = torch.zeros((), dtype=torch.int64), torch.zeros_like(target), torch.zeros_like(target)
    weights: Tensor = torch.while_loop(goes_on, advance, start)[1]
    return weights


def _likeness(names: Tensor) -> tuple[Callable[[Tensor], Tensor], float]:
    """Product of rows (B, N) with the names' cosines, and the largest eigenvalue of these.

    The smaller of N and D decides the order: neither time nor memory grows with N squared.
    """
    few = len(names) <= names.shape[1]
    gram = names @ names.T if few else names.T @ names
    largest = float(torch.linalg.eigvalsh(gram.float())[-1])
    if few:
        return lambda rows: rows @ gram, largest
    return lambda rows: (rows @ names) @ names.T, largest


def fusion_similarity(fused: Tensor, classes: Tensor) -> Tensor:
    """Similarities Ŷ = sim(T, F_av) (Sec. 3.2): cosines, (B, N).

    Args:
        fused: F_av = P_f([Mean(A') + Mean(V')]), (B, D).
        classes: Unit text embeddings T, (N, D).
    """
    return unit(fused) @ classes.T


def evidence(audio: Tensor, visual: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of each class in the whole sound and in the best few cells, without any training.

    Args:
        audio: A', (B, n_a, D).
        visual: V', (B, n_v, D).
        classes: Unit text embeddings, (N, D).

    Returns:
        cos(Mean(A'), e) and the mean of the highest 3 % of cos(v_j, e), each (B, N).
    """
    heard = unit(audio.mean(dim=1)) @ classes.T
    cells = cosines(visual, classes)
    few = (EVIDENCE_PERCENT * visual.shape[1] + 99) // 100
    return heard, cells.topk(few, dim=1).values.mean(dim=1)


def evidence_sum(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:  # noqa: ARG001
    """Sum of both scores, (B, N): a class that is heard clearly may hardly be seen.

    Args:
        heard: Scores in the sound, (B, N).
        seen: Scores in the picture, (B, N).
        classes: Unit text embeddings, (N, D); not used.
    """
    return heard + seen


def agreement(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:  # noqa: ARG001
    """Sum less half of the difference, (B, N); see ``evidence_sum`` for the arguments.

    Of an unseen class the neighbours that training knew are heard or seen more clearly, but
    seldom both. `tvsl reproduce improvements` compares the detectors.
    """
    return heard + seen - (heard - seen).abs() / 2


def decomposition(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:
    """Agreement plus 3/2 of the class's weight in the sound, (B, N); see ``evidence_sum``.

    A class that only resembles two others which sound has no weight.
    """
    agreed = agreement(heard, seen, classes)
    return agreed + DECOMPOSITION_SHARE * decompose(heard, seen, classes)


EVIDENCE = {
    "evidence": evidence_sum,
    "agreement": agreement,
    "decomposition": decomposition,
}
"""Detectors without training: each takes the two (B, N) of ``evidence`` and the unit text
embeddings (N, D), and gives scores (B, N)."""
