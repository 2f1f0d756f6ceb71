from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from tests.methods.tvsl.inputs import SIZE, queries, ragged_labels, tokens, vocabulary
from tvsl.errors import ShapeError, UsageError, VocabularyError
from tvsl.methods import METHODS
from tvsl.methods.adapted import CLASS_READOUTS, ClosedVocabulary, uses_whole_sound
from tvsl.methods.base import with_overrides
from tvsl.methods.ots import OTS, OTSConfig
from tvsl.tokens import Queries, Tokens, Vocabulary

BOUND = [name for name, kind in METHODS.items() if issubclass(kind, ClosedVocabulary)]


def head(name: str) -> ClosedVocabulary:
    """A head for the seven classes that has seen each of them."""
    torch.manual_seed(0)
    kind = METHODS[name]
    config = kind.config_for(with_overrides(kind.config_type(), dimension=16), vocabulary())
    made = kind.from_config(config).double()
    assert isinstance(made, ClosedVocabulary)
    with torch.no_grad():
        made.losses(tokens(7), torch.eye(7, dtype=torch.bool), vocabulary())
    return made.eval()


def part(rows: Sequence[int]) -> Vocabulary:
    """Some of the classes, in another order."""
    whole = vocabulary()
    return Vocabulary(tuple(whole.names[row] for row in rows), whole.embeddings[list(rows)])


def strange() -> Vocabulary:
    """The classes, the last of them by another name."""
    whole = vocabulary()
    return replace(whole, names=(*whole.names[:-1], "a kazoo"))


def test_there_are_such_methods() -> None:
    assert {"coarse-to-fine", "dsol", "avgn"} <= set(BOUND)


@pytest.mark.parametrize("name", BOUND)
def test_the_config_keeps_the_classes_of_training(name: str) -> None:
    made = head(name)
    assert made.config.classes == vocabulary().names
    assert made.config.embedding == SIZE
    assert made.supervision == "video labels"
    again = METHODS[name].from_config(
        type(made.config).model_validate_json(made.config.model_dump_json())
    )
    assert again.state_dict().keys() == made.state_dict().keys()


@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("classes", [(), ("a", "b", "a"), ("a", "b", " A")])
def test_no_head_without_classes(name: str, classes: tuple[str, ...]) -> None:
    kind = METHODS[name]
    config = kind.config_type(embedding=SIZE, classes=classes)
    with pytest.raises(UsageError, match="names"):
        kind.from_config(config)


@pytest.mark.parametrize("name", BOUND)
def test_classes_are_matched_in_any_spelling(name: str) -> None:
    made, given, asked = head(name), tokens(3), queries((0, 0), (2, 1))
    shouted = replace(vocabulary(), names=tuple(f" {n.upper()}" for n in vocabulary().names))
    found = made.maps(given, asked, shouted)
    torch.testing.assert_close(found, made.maps(given, asked, vocabulary()), rtol=0, atol=0)


@pytest.mark.parametrize("name", BOUND)
def test_classes_are_matched_by_name(name: str) -> None:
    made, given, rows = head(name), tokens(3), [5, 1, 3]
    asked = queries((0, 0), (0, 2), (2, 1), (1, 2), (2, 0))
    other = Queries(asked.clip, torch.tensor(rows)[asked.label])
    found = made.maps(given, asked, part(rows))
    torch.testing.assert_close(found, made.maps(given, other, vocabulary()), rtol=0, atol=0)
    scores = made.detect(given, vocabulary())
    assert scores is not None
    torch.testing.assert_close(made.detect(given, part(rows)), scores[:, rows], rtol=0, atol=0)


@pytest.mark.parametrize("name", BOUND)
def test_labels_are_matched_by_name(name: str) -> None:
    made, given, rows = head(name), tokens(3), [5, 1, 3]
    labels = ragged_labels([1, 2, 3], classes=3)
    wide = torch.zeros(3, 7, dtype=torch.bool)
    wide[:, rows] = labels
    found = []
    for said, names in ((labels, part(rows)), (wide, vocabulary()), (wide, strange())):
        torch.manual_seed(4)
        found.append(made.losses(given, said, names))
    assert found[0] == found[1] == found[2]  # nothing of the strange class sounds


@pytest.mark.parametrize("name", BOUND)
def test_zero_shot_is_refused(name: str) -> None:
    made, given = head(name), tokens(2)
    message = "'a kazoo' is not among them.*zero-shot transfer is impossible"
    with pytest.raises(VocabularyError, match=message):
        made.maps(given, queries((0, 2), (1, 6)), strange())
    with pytest.raises(VocabularyError, match=message):
        made.detect(given, strange())
    with pytest.raises(VocabularyError, match=message):
        made.losses(given, torch.eye(7, dtype=torch.bool)[5:], strange())
    known = made.maps(given, queries((0, 2), (1, 5)), strange())
    assert torch.equal(known, made.maps(given, queries((0, 2), (1, 5)), vocabulary()))


@pytest.mark.parametrize("name", BOUND)
def test_what_does_not_fit_is_refused(name: str) -> None:
    made = head(name)
    with pytest.raises(ShapeError, match="clip"):
        made.maps(tokens(2), queries((2, 0)), vocabulary())
    with pytest.raises(ShapeError, match="Labels"):
        made.losses(tokens(2), ragged_labels([1, 2, 1]), vocabulary())
    with pytest.raises(ShapeError, match="no label"):
        made.losses(tokens(2), ragged_labels([1, 0]), vocabulary())
    with pytest.raises(ShapeError, match="one encoder"):
        made.detect(tokens(2, size=8), vocabulary())


@pytest.mark.parametrize("name", BOUND)
def test_one_clip_can_be_learned_from(name: str) -> None:
    made, one = head(name).train(), tokens(1)
    for progress in (0.0, 1.0):
        made.progress = progress
        losses = made.losses(one, ragged_labels([2]), vocabulary())
        assert all(bool(torch.isfinite(loss)) for loss in losses.values())


def test_readouts_choose_what_answers() -> None:
    asked = queries((1, 3), (0, 2), (1, 4), (2, 5), (2, 5))
    assert uses_whole_sound("original", asked).tolist() == [False, True, False, True, True]
    assert uses_whole_sound("class", asked).tolist() == [False] * 5
    assert uses_whole_sound("whole", asked).tolist() == [True] * 5
    assert set(CLASS_READOUTS) == {"original", "class", "whole"}


def test_no_query_is_alone_among_none() -> None:
    none = Queries.from_lists([[], []])
    assert none.alone().tolist() == []
    assert uses_whole_sound("original", none).dtype == torch.bool


@pytest.mark.parametrize("name", BOUND)
def test_no_query_gives_no_map(name: str) -> None:
    given: Tokens = tokens(2)
    assert head(name).maps(given, Queries.from_lists([[], []]), vocabulary()).shape == (0, 3, 4)


def ots(**hyperparameters: object) -> OTS:
    return OTS(OTSConfig(embedding=SIZE, **hyperparameters))


def test_tokens_are_scaled_to_a_mean_square_of_one() -> None:
    given = tokens(3)
    given.visual[0, 0] = 0
    scaled = ots().prepare(given)
    for name in ("visual", "audio", "image", "sound"):
        before, after = getattr(given, name), getattr(scaled, name)
        squares = after.square().mean(dim=-1)
        expected = torch.ones_like(squares)
        if name == "visual":
            expected[0, 0] = 0  # what has no length keeps none
        torch.testing.assert_close(squares, expected)
        torch.testing.assert_close(after * before.norm(dim=-1, keepdim=True), 4 * before)
    assert (scaled.grid, scaled.panels) == (given.grid, given.panels)


def test_tokens_may_stay_as_they_are() -> None:
    given = tokens(3)
    assert ots(scale_tokens=False).prepare(given, vocabulary()) is given


@pytest.mark.parametrize(("size", "words"), [(8, 16), (16, 8)])
def test_another_encoder_s_tokens_are_refused(size: int, words: int) -> None:
    with pytest.raises(ShapeError, match="one encoder"):
        ots().prepare(tokens(2, size=size), vocabulary(size=words))
    with pytest.raises(ShapeError, match="one encoder"):
        ots().prepare(tokens(2, size=8))


def test_weights_decay_as_the_original_s() -> None:
    made = ots(weight_decay=0.25)
    (group,) = made.parameter_groups(0.5)
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)
    assert [id(one) for one in group["params"]] == [id(one) for one in made.parameters()]
    assert ots().parameter_groups(0.5)[0]["weight_decay"] == 1e-5
