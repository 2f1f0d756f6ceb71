"""Scenes without pictures: random boxes, masks and twins on a small canvas."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.evaluation.batch import EncodedBatch
from tvsl.tokens import Queries, Tokens, Vocabulary

SIDE = 24
CELLS = 6
CLASSES = 7


def made_scenes(
    count: int = 5, sources: int = 2, seed: int = 0, twins: float = 0.5
) -> EncodedBatch:
    """Scenes whose ground truth is drawn and whose tokens mean nothing."""
    rng = np.random.default_rng(seed)
    pairs, width = count * sources, SIDE * sources
    masks, boxes, others = (np.zeros((pairs, SIDE, width), dtype=np.bool_) for _ in range(3))
    for pair in range(pairs):
        start = SIDE * (pair % sources)
        left, top = rng.integers(1, 9, size=2)
        wide, high = rng.integers(4, 8, size=2)
        box = np.s_[top : top + high, start + left : start + left + wide]
        boxes[pair][box] = True
        masks[pair][box] = rng.random((high, wide)) < 0.8
        masks[pair, top, start + left] = masks[pair, top + high - 1, start + left + wide - 1] = True
        if rng.random() < twins:
            others[pair, 17:22, start + 17 : start + 22] = True
    rows = [rng.permutation(CLASSES)[:sources].tolist() for _ in range(count)]
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    names = tuple(f"class {number}" for number in range(CLASSES))
    tokens = Tokens(
        random(count, CELLS * CELLS * sources, 8),
        random(count, 5, 8),
        random(count, 8),
        random(count, 8),
        (CELLS, CELLS * sources),
        sources,
    )
    truth = (torch.from_numpy(given) for given in (boxes, masks, others))
    vocabulary = Vocabulary(names, F.normalize(random(CLASSES, 8), dim=-1))
    queries = Queries.from_lists(rows)
    return EncodedBatch(queries, *truth, tokens=tokens, vocabulary=vocabulary)
