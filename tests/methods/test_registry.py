from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.tvsl.inputs import queries, ragged_labels, tokens, total, vocabulary
from tests.small_model import scene, tone, world_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.errors import UsageError
from tvsl.methods import METHODS
from tvsl.methods.base import Method, with_overrides
from tvsl.methods.operations import AFFINITY


def head(name: str) -> Method:
    torch.manual_seed(0)
    kind = METHODS[name]
    small = {"dimension": 16} if "dimension" in kind.config_type.model_fields else {}
    config = kind.config_for(with_overrides(kind.config_type(), **small), vocabulary())
    made = kind.from_config(config).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, dtype=torch.float64))
        if list(made.parameters()):  # some gather more than gradients tell
            made.losses(tokens(4), ragged_labels([2, 3, 1, 4]), vocabulary())
    return made


def test_every_method_has_one_name() -> None:
    assert {"tvsl", "ez-vsl", "audioclip", "text-only"} <= METHODS.keys()
    assert {"ots", "coarse-to-fine", "dsol", "mix-and-localize", "avgn"} <= METHODS.keys()
    assert {"whole-frame", "centre", "random"} <= METHODS.keys()
    for name, kind in METHODS.items():
        assert kind.name == name
        assert issubclass(kind, Method)
    assert len(set(METHODS.values())) == len(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_maps_may_be_spread_but_where_there_is_nothing_to_choose(name: str) -> None:
    fixed = name in {"whole-frame", "centre", "random", "tvsl-released"}
    choices = {choice.get("affinity") for choice in head(name).readouts()}
    assert choices == ({None} if fixed else {0.0, AFFINITY})


@pytest.mark.parametrize("name", METHODS)
def test_maps_have_one_row_for_each_query(name: str) -> None:
    made, given = head(name).eval(), tokens(3)
    assert isinstance(made.config, METHODS[name].config_type)
    asked = queries((1, 0), (0, 3), (1, 6), (2, 2), (1, 0))
    maps = made.maps(given, asked, vocabulary())
    assert maps.shape == (5, *given.grid)
    assert bool(torch.isfinite(maps).all())
    assert torch.equal(maps[0], maps[4])
    if made.class_aware:
        assert not torch.allclose(maps[0], maps[2])
    else:
        assert torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("name", METHODS)
def test_what_works_untrained_does_not_depend_on_chance(name: str) -> None:
    kind, maps = METHODS[name], []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made = kind.from_config(kind.config_for(kind.config_type(), vocabulary())).double().eval()
        maps.append(made.maps(tokens(2), queries((1, 0), (0, 3)), vocabulary()))
        assert kind.works_untrained or list(made.parameters())
    if kind.works_untrained:
        assert torch.equal(*maps)


@pytest.mark.parametrize("name", METHODS)
def test_detection_scores_every_class_of_every_clip(name: str) -> None:
    scores = head(name).eval().detect(tokens(3), vocabulary())
    if scores is not None:
        assert scores.shape == (3, 7)
        assert bool(torch.isfinite(scores).all())


@pytest.mark.parametrize("name", METHODS)
def test_all_readouts_and_detectors_at_once_are_each_of_them(name: str) -> None:
    made, alone = head(name).eval(), head(name).eval()
    batch, asked, words = tokens(3), queries((0, 1), (2, 4), (0, 6)), vocabulary()
    readouts, detectors = made.readouts(), made.detectors()
    maps = made.maps_of_readouts(batch, asked, words, readouts)
    scores = made.detect_by(batch, words, detectors)
    assert made.config == with_overrides(made.config, **readouts[-1], **detectors[-1])
    for hyperparameters, found in zip(readouts, maps, strict=True):
        alone.set_tuned(**hyperparameters)
        assert torch.equal(found, alone.spread_maps(batch, asked, words))
    for hyperparameters, score in zip(detectors, scores, strict=True):
        alone.set_tuned(**hyperparameters)
        expected = alone.detect(batch, words)
        assert expected is score is None or torch.equal(score, expected)


@pytest.mark.parametrize("name", METHODS)
def test_what_learns_learns_in_every_parameter(name: str) -> None:
    made = head(name)
    labels = ragged_labels([1, 2, 1, 3])
    if not list(made.parameters()):
        with pytest.raises(UsageError):
            made.losses(tokens(4), labels, vocabulary())
        return
    for progress in (0.0, 1.0):  # some train in stages
        made.progress = progress
        total(made.losses(tokens(4), labels, vocabulary())).backward()
    for key, parameter in made.named_parameters():
        if parameter.requires_grad and not key.startswith("logit_scale"):
            assert parameter.grad is not None, key
            assert bool(torch.isfinite(parameter.grad).all()), key


@pytest.mark.parametrize("name", METHODS)
def test_the_encoder_is_left_alone(name: str) -> None:
    encoder = AudioCLIPEncoder(world_model())
    names = encoder.vocabulary(encoder.classes)
    kind = METHODS[name]
    made = kind.from_config(kind.config_for(kind.config_type(), names))
    if not list(made.parameters()):
        return
    before = {key: value.clone() for key, value in encoder.model.state_dict().items()}
    frames = torch.stack([encoder.prepare(scene(seed=seed)) for seed in range(4)])
    sounds = torch.from_numpy(np.stack([tone(0.5, frequency=200.0 + 90 * n) for n in range(4)]))
    given = encoder.encode(frames, sounds)
    for progress in (0.0, 1.0):
        made.progress = progress
        total(made.losses(given, torch.eye(4, dtype=torch.bool), names)).backward()
    assert all(parameter.grad is None for parameter in encoder.model.parameters())
    for key, value in encoder.model.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", METHODS)
def test_what_may_be_permuted_has_candidates(name: str) -> None:
    made, given = head(name).eval(), tokens(3)
    if not made.permutation_invariant:
        with pytest.raises(UsageError, match="maps"):
            made.unlabelled_maps(given)
        return
    candidates = made.unlabelled_maps(given)
    assert candidates.ndim == 4
    assert (len(candidates), *candidates.shape[2:]) == (3, *given.grid)
    asked = queries((1, 0), (0, 3), (1, 6), (2, 2))
    for clip, found in zip(asked.clip, made.maps(given, asked, vocabulary()), strict=True):
        assert any(torch.equal(found, one) for one in candidates[clip])


@pytest.mark.parametrize("name", METHODS)
def test_validation_can_decide_what_all_methods_have(name: str) -> None:
    made = head(name)
    made.set_tuned(polarity=-1, clamp_negative=True, exponent=2.0, flip_average="turn")
    maps = torch.tensor([[[-2.0, 1.0], [-1.0, 0.5]]])
    expected = torch.tensor([[[4.0, 0.0], [1.0, 0.0]]])
    torch.testing.assert_close(made.postprocess(maps), expected)
    for hyperparameters in (*made.readouts(), *made.detectors()):
        made.set_tuned(**hyperparameters)
