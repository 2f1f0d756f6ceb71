from __future__ import annotations

import numpy as np
import torch

from tests.methods.tvsl import oracle
from tvsl.methods.tvsl.modules import correspondence_weights


def test_weights_equal_printed_phi_on_conditioned_copies() -> None:
    generator = np.random.default_rng(0)
    v, e, guide = (generator.normal(size=s) for s in ((9, 8), 8, 8))
    conditioned = oracle.phi(v, e, v)
    expected = oracle.phi(conditioned, guide, conditioned)
    s = torch.tensor([[oracle.cosine(row, e) for row in v]], dtype=torch.float64)
    c = torch.tensor([[oracle.cosine(row, guide) for row in v]], dtype=torch.float64)
    assert (s < 0).any()
    assert (c < 0).any()
    weights = correspondence_weights(s, c)[0].numpy()
    np.testing.assert_allclose(weights[:, None] * v, expected, rtol=1e-9)


def test_ones_leave_the_audio_similarity_alone() -> None:
    audio = torch.tensor([[0.5, -0.25, 0.0]])
    assert torch.equal(correspondence_weights(torch.ones(1, 3), audio), audio)
