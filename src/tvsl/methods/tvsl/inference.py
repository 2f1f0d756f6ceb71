"""Inference (Sec. 3.4): readouts of a map, and tokens shared out among classes.

Readouts. Read literally, the map is s(ĝ_k^a, v̂_k^j). But v̂_k^j is v_j times scalars, and a cosine
ignores scalars up to sign: what remains is |cos(v_j, ĝ_k^a)|. The text has no say in it, and cells
that are anti-correlated with the sound light up. The other readouts keep what the conditioning
found.

Shares. phi^a weights a token with its cosine to one class name and knows nothing of the others, so
that Mean(Ã_k) keeps much of what else sounds: cosines with all names are alike. In a mixture model
a token would belong to each class by its responsibility, a softmax over all classes n of

    beta cos(a_j, e_n) + log w_n,

w being the decomposition of the whole sound (``detection.py``). Here phi^a's weight is multiplied
by it. Of one class alone, or of cosines that are all alike, nothing changes.

Shares are no part of the paper; `docs/how-tvsl-works.md` and `tvsl reproduce improvements` say what
they are worth.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tvsl.methods.operations import cosines
from tvsl.methods.tvsl.detection import decompose, evidence
from tvsl.tokens import Slots


def _evidence(text: Tensor, audio: Tensor, exponent: float) -> Tensor:
    """Text and sound must both agree; the best compromise where no cell has both positive."""
    agreement = (text.relu() * audio.relu()) ** exponent
    nothing = agreement.amax(dim=-1, keepdim=True) <= 0
    return torch.where(nothing, torch.minimum(text, audio), agreement)


READOUTS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cosine": lambda text, audio, exponent: audio.abs(),  # noqa: ARG005
    "signed": lambda text, audio, exponent: audio,  # noqa: ARG005
    "text": lambda text, audio, exponent: text,  # noqa: ARG005
    "evidence": _evidence,
    "sum": lambda text, audio, exponent: text + audio,  # noqa: ARG005
}
"""Each takes s = cos(v_j, e_k) (P, n_v), c = cos(v_j, ĝ_k^a) (P, n_v) and an exponent, and gives
a map (P, n_v): ``cosine`` |c|, the paper literally; ``signed`` c; ``text`` s, what the class name
alone finds; ``evidence`` (relu(s) relu(c))^exponent, or the smaller of s and c where it is 0 in all
cells; ``sum`` s + c."""

_WITHOUT_TEXT = ("cosine", "signed")


def possible_readouts(image_conditioning: bool) -> tuple[str, ...]:
    """Names of the readouts of a head; without phi^v the text has no say in the picture."""
    return tuple(READOUTS) if image_conditioning else _WITHOUT_TEXT


_FLOOR = 1e-3


def log_normaliser(audio: Tensor, visual: Tensor, classes: Tensor, sharpness: float) -> Tensor:
    """Logarithm of the sum that responsibilities are divided by.

    Args:
        audio: A', (B, n_a, D).
        visual: V', (B, n_v, D).
        classes: Unit text embeddings e_n of the vocabulary, (N, D).
        sharpness: beta.

    Returns:
        log sum_n w_n exp(beta cos(a_j, e_n)), (B, n_a); a class without weight has a little.
    """
    prior = decompose(*evidence(audio, visual, classes), classes) + _FLOOR
    likeness = cosines(audio, classes)
    return torch.logsumexp(sharpness * likeness + prior.log()[:, None], dim=-1)


def responsibilities(
    similarity: Tensor, normaliser: Tensor, slots: Slots, sharpness: float
) -> Tensor:
    """Responsibility of a pair's class for each token of its sound.

    Args:
        similarity: s_kj = cos(a_j, e_k), (P, n_a).
        normaliser: From ``log_normaliser``, (B, n_a).
        slots: The place of each pair in a table.
        sharpness: beta.

    Returns:
        The responsibilities over their mean, (P, n_a): how loud a class is does not count, only
        where it sounds.
    """
    belonging = sharpness * similarity - normaliser[slots.clip]
    return belonging.softmax(dim=-1) * similarity.shape[1]
