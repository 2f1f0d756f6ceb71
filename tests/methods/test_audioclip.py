from __future__ import annotations

import pytest
import torch

from tests.methods.golden import as_tokens, five_classes, golden, inputs, relative
from tests.methods.tvsl.inputs import queries, ragged_labels, tokens, vocabulary
from tvsl.errors import UsageError
from tvsl.methods.audioclip import AudioCLIPSimilarity
from tvsl.tokens import Queries


def test_maps_are_golden() -> None:
    """Of the backbones' own features the map is LVS's: the plain cosine."""
    every = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    maps = AudioCLIPSimilarity().maps(as_tokens(*inputs()), every, five_classes())
    assert relative(maps, golden("lvs.map")) < 1e-9


def test_one_map_for_all_sources_of_a_clip() -> None:
    given = tokens(3)
    asked = queries((2, 0), (0, 5), (2, 6))
    maps = AudioCLIPSimilarity().maps(given, asked, vocabulary())
    assert torch.equal(maps[0], maps[2])
    for clip, found in zip((2, 0), maps, strict=False):
        cells, sound = given.visual[clip], given.sound[clip]
        cosines = (cells @ sound) / (cells.norm(dim=1) * sound.norm())
        torch.testing.assert_close(found, cosines.view(3, 4))


def test_it_neither_trains_nor_detects() -> None:
    method = AudioCLIPSimilarity()
    with pytest.raises(UsageError, match="nothing to train"):
        method.losses(tokens(2), ragged_labels([1, 1]), vocabulary())
    assert method.detect(tokens(2), vocabulary()) is None
