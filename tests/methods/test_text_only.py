from __future__ import annotations

import math

import pytest
import torch

from tests.methods.tvsl.inputs import queries, ragged_labels, tokens, unit, vocabulary
from tvsl.errors import ShapeError, UsageError
from tvsl.methods.text_only import TextOnly
from tvsl.methods.tvsl import TVSL, TVSLConfig


def test_maps_are_cosines_of_cells_and_names() -> None:
    given, names = tokens(3), vocabulary()
    pairs = ((2, 4), (0, 0), (2, 1), (1, 6))
    maps = TextOnly().maps(given, queries(*pairs), names)
    assert maps.shape == (4, 3, 4)
    for (clip, label), found in zip(pairs, maps, strict=True):
        for row in range(3):
            for column in range(4):
                cell = given.visual[clip, 4 * row + column]
                cosine = float(cell @ names.embeddings[label]) / float(cell.norm())
                assert float(found[row, column]) == pytest.approx(cosine)


def test_the_sound_is_not_listened_to() -> None:
    given, names = tokens(2), vocabulary()
    hushed = type(given)(given.visual, 0 * given.audio, given.image, 0 * given.sound, given.grid)
    asked = queries((0, 1), (1, 2))
    torch.testing.assert_close(
        TextOnly().maps(hushed, asked, names), TextOnly().maps(given, asked, names)
    )


def test_it_detects_by_what_is_heard_and_by_the_best_cells() -> None:
    given, names = tokens(3), vocabulary()
    found = TextOnly().detect(given, names)
    heard = unit(given.audio.mean(dim=1))
    for clip in range(3):
        for label, name in enumerate(names.embeddings):
            cosines = sorted((unit(given.visual[clip]) @ name).tolist(), reverse=True)
            count = math.ceil(0.03 * 12)
            expected = float(heard[clip] @ name) + sum(cosines[:count]) / count
            assert float(found[clip, label]) == pytest.approx(expected)
            seen = sum(cosines[:count]) / count
            for method in (TextOnly(), TVSL(TVSLConfig(embedding=given.size))):
                sides = [float(side[clip, label]) for side in method.evidence(given, names)]
                assert sides == pytest.approx([float(heard[clip] @ name), seen], abs=1e-6)


def test_there_is_nothing_to_train() -> None:
    with pytest.raises(UsageError, match="nothing to train"):
        TextOnly().losses(tokens(2), ragged_labels([1, 1]), vocabulary())
    assert not list(TextOnly().parameters())


def test_another_encoder_s_names_are_refused() -> None:
    with pytest.raises(ShapeError, match="one encoder"):
        TextOnly().maps(tokens(2), queries((0, 0)), vocabulary(size=8))
    with pytest.raises(ShapeError, match="one encoder"):
        TextOnly().detect(tokens(2), vocabulary(size=8))
