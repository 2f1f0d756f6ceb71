from __future__ import annotations

import pytest
import torch

from tests.methods.tvsl import oracle
from tests.methods.tvsl.inputs import tokens, vocabulary
from tvsl.methods.operations import unit
from tvsl.methods.tvsl.detection import (
    EVIDENCE,
    agreement,
    decompose,
    evidence,
    fusion_similarity,
)


@pytest.mark.parametrize(("grid_cells", "few"), [(1, 1), (12, 1), (49, 2), (98, 3), (100, 3)])
def test_evidence_equals_a_loop(grid_cells: int, few: int) -> None:
    generator = torch.Generator().manual_seed(grid_cells)
    visual = torch.randn(3, grid_cells, 8, generator=generator, dtype=torch.float64)
    audio = torch.randn(3, 5, 8, generator=generator, dtype=torch.float64)
    classes = vocabulary(4, size=8).embeddings
    found = evidence(audio, visual, classes)
    scores, agreed = (EVIDENCE[name](*found, classes) for name in ("evidence", "agreement"))
    for clip in range(3):
        for label in range(4):
            e = classes[label]
            heard = oracle.cosine(audio[clip].mean(dim=0), e).item()
            best = sorted((oracle.cosine(v, e).item() for v in visual[clip]), reverse=True)[:few]
            seen = sum(best) / few
            assert scores[clip, label].item() == pytest.approx(heard + seen)
            # As it can be said as well: 3/2 of the weaker and 1/2 of the stronger.
            expected = 1.5 * min(heard, seen) + 0.5 * max(heard, seen)
            assert agreed[clip, label].item() == pytest.approx(expected)


def test_agreement_prefers_what_is_both_heard_and_seen() -> None:
    heard, seen = torch.tensor([[0.9, 0.5]]), torch.tensor([[0.1, 0.5]])
    assert agreement(heard, seen, torch.eye(2)).argmax() == 1


def test_decomposition_sets_aside_what_only_resembles_the_sources() -> None:
    parts = torch.eye(4)
    classes = unit(torch.stack([parts[0] + parts[1], parts[2] + parts[3], parts[0] + parts[2]]))
    heard = unit(1.6 * classes[:1] + classes[1:2]) @ classes.T
    seen = torch.full_like(heard, 0.5)
    by_cosine, decomposed = (
        EVIDENCE[name](heard, seen, classes) for name in ("agreement", "decomposition")
    )
    assert set(by_cosine[0].topk(2).indices.tolist()) == {0, 2}
    assert set(decomposed[0].topk(2).indices.tolist()) == {0, 1}
    added = decomposed - by_cosine
    torch.testing.assert_close(added, 1.5 * decompose(heard, seen, classes))


def test_fusion_similarity_is_a_cosine() -> None:
    fused, classes = 7.0 * tokens(3).image, vocabulary().embeddings
    scores = fusion_similarity(fused, classes)
    assert scores.shape == (3, 7)
    expected = oracle.cosine(fused[2], classes[4]).item()
    assert scores[2, 4].item() == pytest.approx(expected)
