from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.small_model import (
    CLASSES,
    RATE,
    random_head,
    scene,
    tone,
    write_bundle,
    write_small_checkpoint,
)
from tvsl import Localizer, models
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.errors import UsageError, VocabularyError, WeightsError
from tvsl.loading import load
from tvsl.methods import METHODS
from tvsl.methods.checkpoint_io import save_head
from tvsl.methods.lvs import LVSConfig
from tvsl.methods.tvsl import TVSLConfig, preset

DECIDED = {"polarity": -1, "detection_threshold": 1.0, "readout": "sum", "flip_average": "turn"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a head."""
    return write_bundle(tmp_path_factory.mktemp("plain") / "world")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with a trained head."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "world", random_head(**DECIDED))


@pytest.fixture(scope="module")
def apart(plain: Path) -> Path:
    """Another head for it, in a folder of its own."""
    head = random_head(seed=2, detection_threshold=0.5)
    return save_head(head, AudioCLIPEncoder(load_audioclip(plain)), plain.parent / "best")


# Which head


def test_a_bundle_brings_its_head(bundle: Path) -> None:
    loaded = load(bundle, device="cpu")
    assert loaded.name == "world/tvsl (own head)"
    assert loaded.encoder.flip_average == "turn"
    assert loaded.method.polarity == -1
    expected = random_head().state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in loaded.method.state_dict().items())


def test_a_model_without_a_head_gets_the_zero_shot_one(plain: Path) -> None:
    loaded = load(str(plain), device="cpu")
    assert loaded.name == "world/tvsl"
    assert loaded.encoder.flip_average == "none"
    assert loaded.method.config == preset("tvsl", embedding=32)


@pytest.mark.parametrize("where", ["plain", "bundle"])
def test_another_head_is_taken_where_one_is_named(
    where: str, apart: Path, request: pytest.FixtureRequest
) -> None:
    loaded = load(request.getfixturevalue(where), head=str(apart), device="cpu")
    assert loaded.name == "world/tvsl (best)"
    assert loaded.method.config.detection_threshold == 0.5
    assert loaded.encoder.flip_average == "none"


@pytest.mark.parametrize("preset", ["tvsl", "paper", "released"])
def test_a_preset_leaves_the_bundle_s_head_alone(bundle: Path, preset: str) -> None:
    loaded = load(bundle, preset=preset, device="cpu")
    assert loaded.name == f"world/{preset}"
    assert loaded.encoder.flip_average == "none"
    assert loaded.method.config.detection_threshold != DECIDED["detection_threshold"]


def test_a_config_of_one_s_own(bundle: Path) -> None:
    loaded = load(bundle, preset=TVSLConfig(readout="text"), device="cpu")
    assert loaded.name == "world/tvsl (own hyperparameters)"
    assert loaded.method.config == TVSLConfig(readout="text", embedding=32)


def test_the_preset_hears_and_sees_as_released(bundle: Path) -> None:
    loaded = load(bundle, preset="released", device="cpu")
    assert loaded.encoder.config.waveform_scale == 1.0
    assert loaded.encoder.image_tokens == "released"
    assert Localizer.from_pretrained(bundle, preset="released", device="cpu").fit == "square"
    assert Localizer.from_pretrained(bundle, device="cpu").fit == "aspect"


def test_a_head_s_own_loudness_and_tokens_are_obeyed(plain: Path, tmp_path: Path) -> None:
    encoder = AudioCLIPEncoder(load_audioclip(plain, waveform_scale=2.0), image_tokens="cells")
    head = random_head()
    head.config = head.config.model_copy(update={"waveform_scale": 2.0, "image_tokens": "cells"})
    save_head(head, encoder, tmp_path / "loud")
    loaded = load(plain, head=tmp_path / "loud", device="cpu")
    assert loaded.encoder.config.waveform_scale == 2.0
    assert loaded.encoder.image_tokens == "cells"


@pytest.mark.parametrize("flip", ["none", "mirror"])
def test_the_flip_average_can_be_chosen(bundle: Path, flip: Any) -> None:
    assert load(bundle, device="cpu", flip_average=flip).encoder.flip_average == flip


def test_a_head_and_a_preset_exclude_each_other(bundle: Path, apart: Path) -> None:
    with pytest.raises(UsageError, match="not both"):
        Localizer.from_pretrained(bundle, head=apart, preset="tvsl")


# Which method


@pytest.mark.parametrize("method", [name for name, kind in METHODS.items() if kind.works_untrained])
def test_a_method_of_use_untrained_is_loaded_by_its_name(plain: Path, method: str) -> None:
    loaded = load(plain, method=method, device="cpu")
    assert loaded.name == f"world/{method}"
    assert type(loaded.method) is METHODS[method]
    assert loaded.method.config.embedding == 32


@pytest.mark.parametrize(
    "method", [name for name, kind in METHODS.items() if not kind.works_untrained]
)
@pytest.mark.parametrize("model", ["plain", "bundle", "audioclip"])
def test_a_method_that_needs_training_says_how_before_anything_is_fetched(
    model: str, method: str, request: pytest.FixtureRequest
) -> None:
    where = model if model == "audioclip" else request.getfixturevalue(model)
    with pytest.raises(UsageError) as caught:
        load(where, method=method, device="cpu")
    assert f"'{method}'" in caught.value.problem
    assert f"tvsl train --method {method}" in caught.value.remedy
    assert "--head" in caught.value.remedy


def test_the_model_s_own_head_is_taken_where_it_is_of_the_method(bundle: Path) -> None:
    assert load(bundle, method="tvsl", device="cpu").name == "world/tvsl (own head)"
    other = load(bundle, method="text-only", device="cpu")
    assert other.name == "world/text-only"
    assert other.encoder.flip_average == "none"


def test_a_head_must_be_of_the_named_method(plain: Path, apart: Path, tmp_path: Path) -> None:
    assert load(plain, head=apart, method="tvsl", device="cpu").name == "world/tvsl (best)"
    torch.manual_seed(0)
    head = METHODS["lvs"].from_config(LVSConfig(embedding=32, exponent=2.0))
    folder = save_head(head, AudioCLIPEncoder(load_audioclip(plain)), tmp_path / "mine")
    loaded = load(plain, head=folder, method="lvs", device="cpu")
    assert loaded.name == "world/lvs (mine)"
    assert loaded.method.config == head.config.model_copy(update={"image_tokens": "values"})
    with pytest.raises(UsageError, match="is of the method 'lvs', not of 'fnac'") as caught:
        Localizer.from_pretrained(plain, head=folder, method="fnac")
    assert caught.value.path == folder


def test_a_preset_and_a_method_exclude_each_other(plain: Path) -> None:
    with pytest.raises(UsageError, match="not both"):
        Localizer.from_pretrained(plain, preset="paper", method="tvsl")


def test_an_unknown_method_is_told_the_known_ones(plain: Path) -> None:
    with pytest.raises(UsageError, match=r"no method 'tsvl'.*tvsl, .*ez-vsl"):
        load(plain, method="tsvl")


@pytest.mark.parametrize("name", ["audioclip", "absent.pt"])
def test_a_wrong_head_is_said_before_anything_is_fetched(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such folder") as caught:
        load(name, head=tmp_path / "nothing")
    assert caught.value.path == tmp_path / "nothing"


def test_a_head_of_another_model_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", seed=3)
    with pytest.raises(WeightsError, match="another encoder"):
        load(other, head=bundle / "head", device="cpu")
    shutil.copytree(bundle / "head", other / "head")
    with pytest.raises(WeightsError, match="another encoder"):
        load(other, device="cpu")
    assert load(other, preset="tvsl", device="cpu").name == "other/tvsl"


def test_a_bundle_whose_head_is_broken_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "head" / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=str(copy / "head")):
        load(copy, device="cpu")


def test_heads_and_models_are_not_mixed_up(bundle: Path) -> None:
    with pytest.raises(WeightsError, match="head"):
        load(bundle / "head", device="cpu")
    with pytest.raises(WeightsError, match="describes no head"):
        load(bundle, head=bundle, device="cpu")


def test_a_head_for_a_single_file(tmp_path: Path) -> None:
    path = write_small_checkpoint(tmp_path)
    save_head(random_head(), AudioCLIPEncoder(load_audioclip(path)), tmp_path / "mine")
    assert load(path, device="cpu").name == "small.safetensors/tvsl"
    loaded = load(path, head=tmp_path / "mine", device="cpu")
    assert loaded.name == "small.safetensors/tvsl (mine)"


def test_the_present_folder_has_a_name(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    assert load(".", head="head", device="cpu").name == "world/tvsl (head)"


# The embedded model


def test_mini_is_loaded_from_inside_the_package(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.resources, "files", lambda _: tmp_path)
    with pytest.raises(WeightsError, match="make mini"):
        Localizer.from_pretrained("mini")
    shutil.copytree(bundle, tmp_path / "pretrained" / "mini")
    mini = Localizer.from_pretrained("mini", device="cpu")
    assert mini.name == "mini/tvsl (own head)"
    same = Localizer.from_pretrained(bundle, device="cpu")
    maps = [
        localizer.localize(scene(), (tone(0.5), RATE), labels=CLASSES[:1]).sources[0].grid
        for localizer in (mini, same)
    ]
    np.testing.assert_array_equal(*maps)


# What is asked of a method


@pytest.mark.parametrize("method", ["audioclip", "whole-frame", "centre", "random"])
def test_a_class_agnostic_method_gives_every_label_the_same_map(plain: Path, method: str) -> None:
    localizer = Localizer.from_pretrained(plain, method=method, device="cpu")
    asked = (scene(), (tone(0.5), RATE))
    first, second = localizer.localize(*asked, labels=CLASSES[:2]).sources
    assert (first.label, second.label) == CLASSES[:2]
    np.testing.assert_array_equal(first.grid, second.grid)
    with pytest.raises(UsageError, match=f"'{method}' cannot detect") as caught:
        localizer.localize(*asked)
    assert "labels" in caught.value.remedy


@pytest.mark.parametrize("method", ["text-only", "tvsl"])
def test_a_class_aware_method_detects_and_tells_labels_apart(plain: Path, method: str) -> None:
    localizer = Localizer.from_pretrained(plain, method=method, device="cpu")
    encoded = localizer.encode(scene(), (tone(0.5), RATE))
    first, second = localizer.localize_encoded(encoded, labels=CLASSES[:2]).sources
    assert np.any(first.grid != second.grid)
    assert len(localizer.localize_encoded(encoded, sources=3).sources) == 3


# What is detected


@pytest.fixture(scope="module")
def localizer(bundle: Path) -> Localizer:
    return Localizer.from_pretrained(bundle, device="cpu")


def test_without_a_vocabulary_the_model_s_own_classes_are_detected(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), (tone(0.5), RATE))
    found = localizer.localize_encoded(encoded, sources=4)
    assert {source.label for source in found.sources} == set(CLASSES)
    named = localizer.localize_encoded(encoded, vocabulary=CLASSES, sources=4)
    assert [source.score for source in found.sources] == [s.score for s in named.sources]
    with pytest.raises(UsageError, match="from 1 to 4"):
        localizer.localize_encoded(encoded, sources=5)


def test_the_head_s_threshold_decides_how_many(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), (tone(0.5), RATE))
    ranked = localizer.localize_encoded(encoded, sources=4).sources
    between = (ranked[1].score + ranked[2].score) / 2
    before = localizer.method.config
    localizer.method.set_tuned(detection_threshold=between)
    found = localizer.localize_encoded(encoded)
    localizer.method.config = before
    assert [source.label for source in found.sources] == [s.label for s in ranked[:2]]


@pytest.mark.parametrize("which", ["labels", "vocabulary"])
def test_words_that_the_model_lacks_are_named_before_any_work(
    localizer: Localizer, which: str
) -> None:
    names: Any = {which: ["red star", "dog barking"]}
    for ask in (
        lambda: localizer.localize("absent.png", "absent.wav", **names),
        lambda: localizer.localize_video("absent.mp4", **names),
    ):
        with pytest.raises(VocabularyError, match="'dog', 'barking'") as caught:
            ask()
        assert "red, blue, star, ring, small, large" in caught.value.remedy
        assert "--model everyday" in caught.value.remedy


def test_other_names_of_known_words_are_understood(localizer: Localizer) -> None:
    found = localizer.localize(scene(), (tone(0.5), RATE), labels=["Large Ring", "small star"])
    assert [source.label for source in found.sources] == ["Large Ring", "small star"]
