from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mini_bundle import write_mini_bundle
from tests.small_model import random_head
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.data.synthetic import SyntheticData
from tvsl.errors import UsageError, WeightsError
from tvsl.evaluation.evaluator import Evaluator, load_models
from tvsl.evaluation.predict import evaluation_config
from tvsl.loading import untrained_methods
from tvsl.methods import METHODS
from tvsl.methods.checkpoint_io import save_head
from tvsl.training.config import recipe


@pytest.fixture(scope="module")
def heads(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two heads like the model's own, and one that wants another flip average."""
    folder = tmp_path_factory.mktemp("heads")
    encoder = AudioCLIPEncoder(load_audioclip(bundle))
    return [
        save_head(random_head(128, seed, flip_average=flip), encoder, folder / f"head-{seed}")
        for seed, flip in ((1, "turn"), (2, "turn"), (3, "none"))
    ]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a head."""
    folder = write_mini_bundle(tmp_path_factory.mktemp("bare") / "mini")
    (folder / "head").rename(folder.parent / "head")
    return folder


def names(found: object) -> list[str]:
    return [entry.name for entry in found.methods]  # type: ignore[attr-defined]


def test_the_model_s_own_head(bundle: Path) -> None:
    found = load_models(bundle, device="cpu")
    assert names(found) == ["tvsl (own head)"]
    assert found.model == "tiny"
    assert found.encoder.flip_average == "turn"  # as the head wants it
    assert not found.methods[0].method.training
    assert not found.square


def test_several_heads_and_methods(bundle: Path, heads: list[Path]) -> None:
    found = load_models(bundle, heads[:2], ["text-only", "tvsl"], "cpu")
    trained = [f"tvsl ({head})" for head in heads[:2]]
    assert names(found) == [*trained, "text-only (untrained)", "tvsl (untrained)"]
    prints = {entry.sha256 for entry in found.methods}
    assert len(prints) == 4
    again = load_models(bundle, heads[:2], ["text-only", "tvsl"], "cpu")
    assert {entry.sha256 for entry in again.methods} == prints
    again.methods[0].method.set_tuned(exponent=2.0)
    assert again.methods[0].sha256 not in prints


def test_a_method_beside_the_own_head(bundle: Path) -> None:
    found = load_models(bundle, methods=["audioclip"], device="cpu")
    assert names(found) == ["tvsl (own head)", "audioclip (untrained)"]


def test_a_model_without_a_head(bare: Path) -> None:
    assert names(load_models(bare, device="cpu")) == ["tvsl (untrained)"]
    found = load_models(bare, methods=["text-only"], device="cpu")
    assert names(found) == ["text-only (untrained)"]


def test_heads_must_want_the_same_encoder(bundle: Path, heads: list[Path]) -> None:
    with pytest.raises(UsageError, match="wants the encoder with flip_average 'turn'"):
        load_models(bundle, [heads[0], heads[2]], device="cpu")
    found = load_models(bundle, [heads[0], heads[2]], device="cpu", flip_average="mirror")
    assert found.encoder.flip_average == "mirror"


def test_a_head_of_another_encoder(bare: Path, heads: list[Path]) -> None:
    other = write_mini_bundle(bare.parent / "other", seed=5)
    with pytest.raises(WeightsError, match="another encoder"):
        load_models(other, heads[:1], device="cpu")


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        (["best"], "no method 'best'"),
        (["ez-vsl"], "has to be trained first"),
        (["centre"], "in every table"),
        (["text-only", "text-only"], "twice"),
    ],
)
def test_methods_that_cannot_be(methods: list[str], says: str, bundle: Path) -> None:
    with pytest.raises(UsageError, match=says):
        load_models(bundle, methods=methods, device="cpu")


def test_methods_that_need_no_training() -> None:
    found = untrained_methods()
    trivial = {"centre", "whole-frame", "random"}
    assert set(found) == {n for n, kind in METHODS.items() if kind.works_untrained} - trivial
    assert {"tvsl", "tvsl-released", "text-only", "audioclip"} <= set(found)
    assert "ez-vsl" not in found


def test_the_released_code_untrained_on_its_own_encoder(bundle: Path, heads: list[Path]) -> None:
    found = load_models(bundle, methods=["tvsl-released"], device="cpu")
    assert names(found) == ["tvsl-released (untrained)"]  # the model's own head wants another
    assert found.encoder.image_tokens == "released"
    assert found.square
    for others in ({"heads": heads[:1]}, {"methods": ["tvsl", "tvsl-released"]}):
        chosen = {"methods": ["tvsl-released"], **others}
        with pytest.raises(UsageError, match="wants the encoder with"):
            load_models(bundle, device="cpu", **chosen)


RECIPE = recipe().model_dump(mode="json")
TRAINING = {"head": {"method": "tvsl"}, "learning_rate": 1e-4, "seed": 0}


@pytest.mark.parametrize(
    ("first", "second", "pooled"),
    [
        ({}, {}, True),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "seed": 1}}, True),
        ({"recipe": RECIPE, "step": 50}, {"recipe": RECIPE, "step": 100}, True),
        ({"recipe": RECIPE}, {}, False),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "steps": 9}}, False),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "epochs": 9.0}}, False),
        (
            {"recipe": {**RECIPE, "steps": 9}},
            {"recipe": {**RECIPE, "steps": 9, "epochs": 9.0}},
            True,
        ),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "learning_rate": 1e-3}}, False),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "clips": 100}}, False),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "data": "folder"}}, False),
        ({"recipe": RECIPE}, {"recipe": {**RECIPE, "data_options": {"seed": 1}}}, False),
        ({"training": TRAINING}, {"training": {**TRAINING, "seed": 1}}, True),
        ({"training": TRAINING}, {"training": {**TRAINING, "learning_rate": 1e-3}}, False),
        ({"recipe": "by hand"}, {"recipe": "by hand"}, True),
        ({"recipe": "by hand"}, {"recipe": "by foot"}, False),
    ],
)
def test_only_heads_that_were_trained_alike_have_a_mean(
    first: dict[str, Any], second: dict[str, Any], pooled: bool, bundle: Path, tmp_path: Path
) -> None:
    encoder = AudioCLIPEncoder(load_audioclip(bundle))
    folders = [
        save_head(random_head(128, seed, flip_average="turn"), encoder, tmp_path / f"{seed}", notes)
        for seed, notes in enumerate((first, second))
    ]
    models = load_models(bundle, folders, device="cpu")
    evaluator = Evaluator(models, SyntheticData(count=1), evaluation_config())
    expected = {"tvsl, mean of 2 heads": tuple(names(models))} if pooled else {}
    assert evaluator.scorer.runs == expected
