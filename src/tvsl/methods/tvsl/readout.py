"""How a map is read out of the similarities ("Inference", Sec. 3.4).

Read literally, the map is s(ĝ_k^a, v̂_k^j). But v̂_k^j is v_j times scalars, and a cosine ignores
scalars up to sign: what remains is |cos(v_j, ĝ_k^a)|. The text has no say in it, and cells that
are anti-correlated with the sound light up. The other readouts keep what the conditioning found.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ReadoutFunction = Callable[[Tensor, Tensor, float], Tensor]


def cosine(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """The paper, literally: |cos(v_j, ĝ_k^a)|."""
    return audio.abs()


def signed(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """cos(v_j, ĝ_k^a), with its sign."""
    return audio


def text_only(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """cos(v_j, e_k): what the class name alone finds."""
    return text


def evidence(text: Tensor, audio: Tensor, exponent: float) -> Tensor:
    """(relu(s) relu(c))^exponent: text and sound must both agree.

    A map without any cell where both are positive falls back to the smaller of the two, so that
    the best compromise is still found.
    """
    agreement = (text.relu() * audio.relu()) ** exponent
    nothing = agreement.amax(dim=-1, keepdim=True) <= 0
    return torch.where(nothing, torch.minimum(text, audio), agreement)


def summed(text: Tensor, audio: Tensor, exponent: float) -> Tensor:  # noqa: ARG001
    """S + c: either may carry a cell."""
    return text + audio


READOUTS: dict[str, ReadoutFunction] = {
    "cosine": cosine,
    "signed": signed,
    "text": text_only,
    "evidence": evidence,
    "sum": summed,
}
"""Each takes s = cos(v_j, e_k) (P, n_v), c = cos(v_j, ĝ_k^a) (P, n_v) and an exponent, and gives
a map (P, n_v)."""

_WITHOUT_TEXT = ("cosine", "signed")


def possible_readouts(image_conditioning: bool) -> tuple[str, ...]:
    """Names of the readouts that a head may have.

    Args:
        image_conditioning: Whether it has phi^v; else the text has no say in the picture.
    """
    return tuple(READOUTS) if image_conditioning else _WITHOUT_TEXT
