from __future__ import annotations

import torch

from tests.methods.tvsl import oracle
from tvsl.methods.tvsl.modules import correspondence_weights


def test_weights_equal_printed_phi_on_conditioned_copies() -> None:
    generator = torch.Generator().manual_seed(0)
    v, e, guide = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((9, 8), 8, 8)
    )
    conditioned = oracle.phi(list(v), e, list(v))
    expected = torch.stack(oracle.phi(conditioned, guide, conditioned))
    s, c = (torch.stack([oracle.cosine(row, other) for row in v])[None] for other in (e, guide))
    assert (s < 0).any()
    assert (c < 0).any()
    weights = correspondence_weights(s, c)[0]
    torch.testing.assert_close(weights[:, None] * v, expected, rtol=1e-9, atol=0)


def test_ones_leave_the_audio_similarity_alone() -> None:
    audio = torch.tensor([[0.5, -0.25, 0.0]])
    assert torch.equal(correspondence_weights(torch.ones(1, 3), audio), audio)
