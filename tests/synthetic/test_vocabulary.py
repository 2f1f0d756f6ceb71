from __future__ import annotations

import pytest

from tvsl.errors import VocabularyError
from tvsl.synthetic.pictures import LARGEST, SMALLEST
from tvsl.synthetic.vocabulary import (
    CLASSES,
    SHAPES,
    SIZE_WORDS,
    SURFACES,
    size_word,
    surface_and_shape,
)


def test_half_of_36_classes_are_held_out() -> None:
    seen, unseen, every = (set(CLASSES[name]) for name in ("seen", "unseen", "all"))
    assert (len(seen), len(unseen), len(every)) == (18, 18, 36)
    assert seen | unseen == every
    assert not seen & unseen


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_every_shape_and_surface_is_in_both_halves(split: str) -> None:
    pairs = [surface_and_shape(name) for name in CLASSES[split]]  # type: ignore[index]
    for shape in SHAPES:
        assert sum(pair[1] == shape for pair in pairs) == 3
    for surface in SURFACES:
        assert sum(pair[0] == surface for pair in pairs) == 3


def test_the_study_s_rule_decides() -> None:
    for surface_number, surface in enumerate(SURFACES):
        for shape_number, shape in enumerate(SHAPES):
            expected = (shape_number + surface_number) % 6 in (0, 1, 3)
            assert (f"{surface} {shape}" in CLASSES["seen"]) == expected


@pytest.mark.parametrize("name", ["", "red", "red  disc", "disc red", "purple disc", "red cow"])
def test_other_names_are_an_error_that_lists_what_there_is(name: str) -> None:
    with pytest.raises(VocabularyError, match="striped") as caught:
        surface_and_shape(name)
    assert "triangle" in caught.value.remedy


def test_size_words_cut_the_range_in_three() -> None:
    ratio = (LARGEST / SMALLEST) ** (1 / 3)
    for step, word in enumerate(SIZE_WORDS):
        low, high = SMALLEST * ratio**step, SMALLEST * ratio ** (step + 1)
        assert size_word(low * 1.01) == size_word(high * 0.99) == word
