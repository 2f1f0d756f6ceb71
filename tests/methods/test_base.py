from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from tests.methods.tvsl.inputs import ragged_labels, tokens, vocabulary
from tvsl.errors import ShapeError, UsageError
from tvsl.methods.base import Method, Supervision, check_inputs, check_labels
from tvsl.methods.config import MethodConfig
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


def test_method_without_detector_says_so() -> None:
    flat = Flat()
    assert flat.detect(tokens(2), vocabulary()) is None
    assert flat.polarity == 1


def test_method_is_built_from_its_config() -> None:
    config = MethodConfig(embedding=16, polarity=-1, detection_threshold=0.25)
    flat = Flat.from_config(config)
    assert flat.config is config
    assert flat.polarity == -1


def test_validation_decides() -> None:
    head = TVSL(TVSLConfig(embedding=8))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.decide(polarity=-1, detection_threshold=0.5, readout="sum", flip_average="turn")
    assert head.polarity == -1
    assert head.config == TVSLConfig(
        embedding=8, polarity=-1, detection_threshold=0.5, readout="sum", flip_average="turn"
    )
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


@pytest.mark.parametrize(
    ("switches", "says"),
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
def test_validation_decides_nothing_else(switches: dict[str, object], says: str) -> None:
    flat = Flat()
    with pytest.raises(UsageError, match=says):
        flat.decide(**switches)
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


def test_sizes_that_agree_pass() -> None:
    check_inputs(16, tokens(2), vocabulary())
    check_labels(ragged_labels([1, 3]), tokens(2), vocabulary())


@pytest.mark.parametrize(
    "labels",
    [
        ragged_labels([1, 3]).long(),
        ragged_labels([1, 3]).float(),
        ragged_labels([1, 3, 1]),
        ragged_labels([1, 3], classes=6),
        ragged_labels([1, 3])[0],
        ragged_labels([1, 0]),
    ],
    ids=["int", "float", "clips", "classes", "one axis", "clip without label"],
)
def test_wrong_labels_are_refused(labels: Tensor) -> None:
    with pytest.raises(ShapeError):
        check_labels(labels, tokens(2), vocabulary())


def test_tokens_of_no_clip_need_no_labels() -> None:
    nothing = replace(tokens(1), **{k: getattr(tokens(1), k)[:0] for k in FIELDS})
    check_labels(torch.zeros(0, 7, dtype=torch.bool), nothing, vocabulary())


FIELDS = ("visual", "audio", "image", "sound")
