"""Copies, pickles and messages to other processes of what is loaded, also after its first use."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods.tvsl.inputs import queries, tokens, vocabulary
from tests.small_model import RATE, scene, tone, write_bundle, write_small_checkpoint
from tvsl import Localization, Localizer
from tvsl.methods import METHODS
from tvsl.methods.base import with_overrides


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301


@pytest.fixture(scope="module", params=["own words", "clip"])
def used(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    """A localizer that has been used, so that whatever it keeps is there."""
    folder = tmp_path_factory.mktemp("model")
    bundle = request.param == "own words"
    path = write_bundle(folder / "m") if bundle else write_small_checkpoint(folder)
    localizer = Localizer.from_pretrained(path, device="cpu")
    found(localizer)
    assert localizer.encoder.fingerprint
    return localizer


def found(localizer: Localizer) -> Localization:
    return localizer.localize(scene(), (tone(0.5), RATE), labels=["red star", "blue ring"])


def assert_equal(first: Localization, second: Localization) -> None:
    assert [source.label for source in first.sources] == [s.label for s in second.sources]
    for one, other in zip(first.sources, second.sources, strict=True):
        np.testing.assert_array_equal(one.grid, other.grid)
        assert one.score == other.score


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_used_localizer_can_be_copied(used: Localizer, copied: Callable[[Any], Any]) -> None:
    expected = found(used)
    again = copied(used)
    assert_equal(found(again), expected)
    assert_equal(found(used), expected)
    assert again.encoder.fingerprint == used.encoder.fingerprint
    assert not any(value.requires_grad for value in again.encoder.model.parameters())
    assert not again.encoder.model.train().training


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_is_served(used: Localizer, protocol: int) -> None:
    expected = found(used)
    again, result = pickle.loads(pickle.dumps((used, expected), protocol))  # noqa: S301
    assert_equal(result, expected)
    assert_equal(found(again), expected)
    labels = ["red star", "blue ring"]
    ids = [one.encoder.vocabulary(labels).token_ids for one in (used, again)]
    assert torch.equal(*ids)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_so_can_an_encoder_and_what_it_gives(used: Localizer, copied: Callable[[Any], Any]) -> None:
    encoded = used.encode(scene(), (tone(0.5), RATE))
    encoder = copied(used.encoder)
    frames, sound = torch.randn(1, 3, 224, 224), torch.randn(1, 22_050) / 9
    one, other = used.encoder.encode(frames, sound), encoder.encode(frames, sound)
    torch.testing.assert_close(one.visual, other.visual, rtol=0, atol=0)
    torch.testing.assert_close(one.audio, other.audio, rtol=0, atol=0)
    expected = used.localize_encoded(encoded, labels=["red star"])
    assert_equal(used.localize_encoded(copied(encoded), labels=["red star"]), expected)
    assert_equal(copied(expected), expected)


def test_another_process_finds_the_same(tmp_path: Path) -> None:
    localizer = Localizer.from_pretrained(write_bundle(tmp_path / "m"), device="cpu")
    expected = found(localizer)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert_equal(pool.submit(found, localizer).result(), expected)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_every_head_can_be_copied(name: str, copied: Callable[[Any], Any]) -> None:
    torch.manual_seed(0)
    kind = METHODS[name]
    sized = {"dimension": 16} if "dimension" in kind.config_type.model_fields else {}
    head = kind.from_config(
        kind.config_for(with_overrides(kind.config_type(), **sized), vocabulary())
    )
    head = head.double().eval()
    given, asked = tokens(3), queries((0, 0), (2, 1))
    with torch.no_grad():
        expected = head.maps(given, asked, vocabulary())
        torch.testing.assert_close(
            copied(head).maps(given, asked, vocabulary()), expected, rtol=0, atol=0
        )
