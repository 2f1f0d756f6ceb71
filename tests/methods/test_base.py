from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import Tensor

from tests.methods.tvsl.inputs import ragged_labels, tokens, vocabulary
from tvsl.errors import ShapeError, UsageError
from tvsl.methods.base import Method, MethodConfig, Supervision, check_inputs, check_labels
from tvsl.methods.operations import AFFINITY, spread
from tvsl.methods.tvsl import TVSL, TVSLConfig
from tvsl.tokens import Queries, Tokens, Vocabulary


class Flat(Method):
    """The smallest method there can be."""

    name: ClassVar[str] = "flat"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        return torch.zeros(len(queries), *tokens.grid)


class Finding(Flat):
    """Two maps of each clip that no class was asked for."""

    permutation_invariant: ClassVar[bool] = True

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        return self.unlabelled_maps(tokens)[queries.clip, 1]

    def unlabelled_maps(self, tokens: Tokens) -> Tensor:
        cells = torch.arange(2 * tokens.visual.shape[1], dtype=torch.float64)
        return cells.sin().view(1, 2, *tokens.grid).repeat(tokens.batch, 1, 1, 1)


def test_maps_are_spread_where_the_config_says_so() -> None:
    batch, asked = tokens(3), Queries.from_lists([[0], [1, 2], [0]])
    head = Finding()
    plain = head.maps(batch, asked, vocabulary())
    assert torch.equal(head.spread_maps(batch, asked, vocabulary()), plain)
    assert torch.equal(head.spread_unlabelled_maps(batch), head.unlabelled_maps(batch))
    head.set_tuned(affinity=3.0)
    spread_out = head.spread_maps(batch, asked, vocabulary())
    assert torch.allclose(spread_out, spread(plain, batch, asked, 3.0))
    assert not torch.allclose(spread_out, plain)
    found = head.spread_unlabelled_maps(batch)
    assert found.shape == head.unlabelled_maps(batch).shape
    assert torch.allclose(found[asked.clip, 1], spread_out)


def test_method_without_detector_says_so() -> None:
    flat = Flat()
    assert flat.detect(tokens(2), vocabulary()) is None
    assert flat.polarity == 1


def test_method_is_built_from_its_config() -> None:
    config = MethodConfig(embedding=16, polarity=-1, detection_threshold=0.25)
    flat = Flat.from_config(config)
    assert flat.config is config
    assert flat.polarity == -1


def test_a_config_is_made_to_fit_the_classes_of_training() -> None:
    config = MethodConfig(polarity=-1)
    assert Flat.config_for(config, vocabulary()) == MethodConfig(embedding=16, polarity=-1)


def test_maps_that_answer_queries_are_not_permuted() -> None:
    assert not Flat.permutation_invariant
    with pytest.raises(UsageError, match="'flat'"):
        Flat().unlabelled_maps(tokens(2))


def test_validation_decides() -> None:
    head = TVSL(TVSLConfig(embedding=8))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.set_tuned(polarity=-1, detection_threshold=0.5, readout="sum", flip_average="turn")
    assert head.polarity == -1
    assert head.config == TVSLConfig(
        embedding=8, polarity=-1, detection_threshold=0.5, readout="sum", flip_average="turn"
    )
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


@pytest.mark.parametrize(
    ("hyperparameters", "says"),
    [
        ({"polarity": 0}, "polarity"),
        ({"polarity": 2}, "polarity"),
        ({"detection_threshold": float("nan")}, "detection_threshold"),
        ({"flip_average": "both"}, "flip_average"),
        ({"embedding": 9}, "Validation cannot decide embedding"),
        ({"readout": "sum"}, "cannot decide readout.*detection_threshold"),
        ({"colour": 1}, "colour"),
    ],
)
def test_validation_decides_nothing_else(hyperparameters: dict[str, object], says: str) -> None:
    flat = Flat()
    with pytest.raises(UsageError, match=says):
        flat.set_tuned(**hyperparameters)
    assert flat.config == MethodConfig()


def test_method_must_say_how_it_maps() -> None:
    class Nothing(Method):
        pass

    with pytest.raises(TypeError):
        Nothing()  # type: ignore[abstract]


@pytest.mark.parametrize(("head", "of_tokens", "of_words"), [(8, 16, 16), (16, 8, 16), (16, 16, 8)])
def test_sizes_must_agree(head: int, of_tokens: int, of_words: int) -> None:
    with pytest.raises(ShapeError, match="one encoder"):
        check_inputs(head, tokens(2, size=of_tokens), vocabulary(size=of_words))
    if head != of_tokens:
        with pytest.raises(ShapeError, match="one encoder"):
            check_inputs(head, tokens(2, size=of_tokens), None)


def test_sizes_that_agree_pass() -> None:
    check_inputs(16, tokens(2), vocabulary())
    check_inputs(16, tokens(2), None)
    labels = ragged_labels([1, 3])
    for counted in (labels, labels.long(), 2 * labels.to(torch.uint8)):
        assert torch.equal(check_labels(counted, tokens(2), vocabulary()), labels)


@pytest.mark.parametrize(
    "labels",
    [
        -ragged_labels([1, 3]).long(),
        ragged_labels([1, 3]).float(),
        ragged_labels([1, 3]).to(torch.complex64),
        ragged_labels([1, 3, 1]),
        ragged_labels([1, 3], classes=6),
        ragged_labels([1, 3])[0],
        ragged_labels([1, 0]),
    ],
    ids=["negative", "float", "complex", "clips", "classes", "one axis", "clip without label"],
)
def test_wrong_labels_are_refused(labels: Tensor) -> None:
    with pytest.raises(ShapeError):
        check_labels(labels, tokens(2), vocabulary())


def test_tokens_of_no_clip_need_no_labels() -> None:
    nothing = replace(tokens(1), **{k: getattr(tokens(1), k)[:0] for k in FIELDS})
    check_labels(torch.zeros(0, 7, dtype=torch.bool), nothing, vocabulary())


FIELDS = ("visual", "audio", "image", "sound")


def shown(maps: Tensor, **decided: object) -> Tensor:
    return Flat(MethodConfig(**decided)).postprocess(maps)


VALUES = arrays.arrays(np.float64, (3, 2, 4), elements=st.integers(-96, 96).map(lambda n: n / 32))
EXPONENTS = st.sampled_from([0.5, 1.0, 1.7, 2.0, 3.0])


@given(VALUES, st.sampled_from([1, -1]), st.booleans(), EXPONENTS)
def test_maps_are_shown_as_decided(
    values: NDArray[np.float64], polarity: int, clamp: bool, exponent: float
) -> None:
    found = shown(
        torch.from_numpy(values), polarity=polarity, clamp_negative=clamp, exponent=exponent
    ).numpy()
    for given_map, found_map in zip(values, found, strict=True):
        turned = [polarity * value for value in given_map.flat]
        if clamp and max(turned) > 0:
            turned = [max(value, 0.0) for value in turned]
        expected = [math.copysign(abs(value) ** exponent, value) for value in turned]
        np.testing.assert_allclose(found_map.flat, expected, rtol=1e-12, atol=1e-300)


@given(VALUES, st.sampled_from([1, -1]), st.booleans(), EXPONENTS)
def test_what_is_shown_keeps_the_order(
    values: NDArray[np.float64], polarity: int, clamp: bool, exponent: float
) -> None:
    found = shown(
        torch.from_numpy(values), polarity=polarity, clamp_negative=clamp, exponent=exponent
    ).numpy()
    for given_map, found_map in zip(values, found, strict=True):
        order = np.argsort(polarity * given_map, axis=None)
        assert (np.diff(found_map.flat[order]) >= -1e-12).all()
        if polarity * given_map.flat[order[-1]] <= 0:  # nothing positive: nothing is cut away
            assert len(np.unique(found_map)) == len(np.unique(abs(given_map) ** exponent))


def test_maps_are_shown_each_by_itself() -> None:
    maps = torch.tensor([[[-1.0, -4.0]], [[-1.0, 4.0]], [[0.0, -4.0]]])
    found = shown(maps, clamp_negative=True, exponent=0.5)
    assert found.tolist() == [[[-1.0, -2.0]], [[0.0, 2.0]], [[0.0, -2.0]]]


def test_undecided_maps_are_shown_as_they_are() -> None:
    maps = torch.randn(2, 3, 4)
    assert torch.equal(shown(maps), maps)
    assert torch.equal(shown(maps, polarity=-1), -maps)
    assert shown(maps[:0], clamp_negative=True, exponent=2.0).shape == (0, 3, 4)
    kept = maps.clone()
    shown(maps, polarity=-1, clamp_negative=True, exponent=2.0)
    assert torch.equal(maps, kept)


def test_a_method_has_one_readout_and_one_detector_unless_it_says_more() -> None:
    assert Flat().readouts() == [{"affinity": 0.0}, {"affinity": AFFINITY}]
    assert Flat().detectors() == [{}]
    assert Flat().parameter_groups(0.1) == [{"params": [], "lr": 0.1}]
    head = TVSL(TVSLConfig(embedding=8))
    for hyperparameters in (head.readouts(), head.detectors()):
        assert len(hyperparameters) > 1
        assert len({tuple(choice.items()) for choice in hyperparameters}) == len(hyperparameters)
        for choice in hyperparameters:
            head.set_tuned(**choice)
            assert vars(head.config).items() >= choice.items()
