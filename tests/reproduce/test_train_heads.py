from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.reproduce.conftest import MakeBench
from tvsl.errors import DivergedError, VocabularyError
from tvsl.evaluation.score import score_batches
from tvsl.methods.base import Method
from tvsl.methods.ez_vsl import EZVSL
from tvsl.reproduce.experiment import Experiment
from tvsl.reproduce.specs import DUETS, SINGLES, SINGLES_THEN_DUETS, HeadSpec, TokenMode, Training
from tvsl.reproduce.train import train, train_config
from tvsl.tokens import Tokens, Vocabulary
from tvsl.training.calibrate import calibrate, map_score
from tvsl.training.config import find_head
from tvsl.training.modules import BatchPlan, HeadTraining

EZ = HeadSpec("ez-vsl", None, (("dimension", 16),))


def built(training: Training, experiment: Experiment) -> Method:
    condition, hyperparameters = find_head(train_config(training, experiment))
    torch.manual_seed(training.seed)
    vocabulary = experiment.encoder.vocabulary(experiment.benchmark.clips.names)
    return condition.from_config(
        condition.config_for(hyperparameters, vocabulary), experiment.encoder.text_encoder
    )


def stepped(training: Training, experiment: Experiment) -> Method:
    """The same training as a plain loop, without Lightning."""
    config, steps = train_config(training, experiment), experiment.config.steps
    vocabulary = experiment.encoder.vocabulary(experiment.benchmark.clips.names)
    head = built(training, experiment).train()
    (optimizer,), (schedule,) = HeadTraining(head, vocabulary, config, steps).configure_optimizers()
    assert training.curriculum is not None
    (sources,) = training.curriculum.stages[0].sources
    plan = BatchPlan({sources: experiment.store.mixtures()[sources]}, config.batch, config.seed)
    for step in range(steps):
        number, rows = plan.at(step)
        batch = experiment.store.batch(number, torch.from_numpy(rows))
        torch.manual_seed(config.seed * 1_000_003 + step)
        head.progress = step / steps
        loss = sum(head.losses(batch.tokens, batch.labels, vocabulary).values())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule["scheduler"].step()
    return head.eval()


@pytest.mark.parametrize("head", [EZ, HeadSpec("tvsl"), HeadSpec("tvsl", "paper")])
@pytest.mark.parametrize("curriculum", [SINGLES, DUETS])
def test_a_head_is_trained_as_a_plain_loop_would(
    head: HeadSpec, curriculum: object, experiment: Experiment
) -> None:
    training = Training(head, curriculum, 1e-2, 1)  # type: ignore[arg-type]
    found, expected = train(training, experiment)[0], stepped(training, experiment)
    start = built(training, experiment).state_dict()
    assert any(not torch.equal(value, start[name]) for name, value in found.state_dict().items())
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_validation_decides_and_compares(experiment: Experiment) -> None:
    training = Training(HeadSpec("tvsl"), SINGLES, 1e-3)
    head, validation, notes = train(training, experiment)
    again = copy.deepcopy(stepped(training, experiment))
    scenes = experiment.validation()
    assert [part.sources for part in scenes] == [1, 2, 3, 4]
    decided = calibrate(again, scenes[:2], scenes)
    assert notes["calibration"]["hyperparameters"] == decided.hyperparameters
    assert head.config.model_dump().items() >= decided.hyperparameters.items()
    assert not head.training
    names = {"single": ("AP", "IoU@0.5"), "several": ("CAP", "CIoU@0.3")}
    for (task, (average, success)), part in zip(names.items(), scenes[:2], strict=True):
        reached = score_batches(again, [part]).figures(part.sources > 1)["detected"]
        expected = (reached[average] + reached[success]) / 2
        assert validation[task] == pytest.approx(expected)  # type: ignore[index]


def test_a_method_that_detects_nothing_is_compared_by_its_maps(experiment: Experiment) -> None:
    training = Training(EZ, SINGLES, 1e-3)
    head, validation, _ = train(training, experiment)
    for task, part in zip(("single", "several"), experiment.validation()[:2], strict=True):
        maps = head.maps(part.tokens, part.queries, part.vocabulary)
        expected = map_score(head, [maps], [part])
        assert validation[task] == pytest.approx(expected)  # type: ignore[index]


def test_phases_follow_each_other(
    make_bench: MakeBench, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = make_bench(experiment.settings.folder, steps=8)
    panels: list[int] = []
    real = EZVSL.losses

    def told(
        self: EZVSL, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary
    ) -> dict[str, Tensor]:
        panels.append(tokens.panels)
        return real(self, tokens, labels, vocabulary)

    monkeypatch.setattr(EZVSL, "losses", told)
    train(Training(EZ, SINGLES_THEN_DUETS, 1e-3), longer)
    assert panels == [1] * 6 + [2] * 2


def test_what_needs_no_training_is_only_decided(experiment: Experiment) -> None:
    _, validation, notes = train(Training(HeadSpec("text-only")), experiment)
    assert validation.keys() == {"single", "several"}
    assert "detection_threshold" in notes["calibration"]["hyperparameters"]


def test_other_tokens_have_validation_scenes_of_their_own(experiment: Experiment) -> None:
    mode = TokenMode("cells", "mirror")
    for wanted in experiment.validation_sets(mode):
        for numbers in experiment.blocks(wanted):
            experiment.make_scenes(wanted, numbers)
    one, other = (
        part[0].tokens.visual for part in (experiment.validation(), experiment.validation(mode))
    )
    assert one.shape == other.shape
    assert not torch.allclose(one, other)
    head, _, _ = train(Training(HeadSpec("audioclip"), mode=mode), experiment)
    assert head.config.flip_average == "mirror"
    assert experiment.encoder.image_tokens == "values"


def test_a_head_that_diverges(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EZVSL, "losses", lambda *_: {"loss": torch.tensor(torch.nan)})
    with pytest.raises(DivergedError, match="step 0 is not finite"):
        train(Training(EZ, SINGLES, 1e-3), experiment)


def test_a_prompt_that_does_not_fit(experiment: Experiment) -> None:
    head = HeadSpec("tvsl", None, (("prompt_length", 32),))
    with pytest.raises(VocabularyError, match="no room for 32"):
        train(Training(head, SINGLES, 1e-3), experiment)


def test_where_nobody_knows_where_sources_are_the_loss_compares(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = experiment.validation()
    blind = [replace(part, targets=torch.zeros_like(part.targets)) for part in known]
    monkeypatch.setattr(Experiment, "validation", lambda *_: blind)
    training = Training(HeadSpec("tvsl"), SINGLES, 1e-3)
    head, validation, notes = train(training, experiment)
    again = stepped(training, experiment)
    for task, part in zip(("single", "several"), blind[:2], strict=True):
        with torch.no_grad():
            losses = again.losses(part.tokens, part.labels, part.vocabulary)
        loss = float(sum(losses.values()))
        assert validation[task] == pytest.approx(-loss)  # type: ignore[index]
    assert (head.config.exponent, head.config.clamp_negative) == (1, False)
    assert notes["calibration"]["trials"] == []
    assert head.config.detection_threshold is not None
    _, untrained, _ = train(Training(HeadSpec("audioclip")), experiment)
    assert untrained == {"single": 0, "several": 0}


def test_without_any_scenes_a_head_stays_as_it_is(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Experiment, "validation", lambda *_: [])
    head, validation, _ = train(Training(HeadSpec("tvsl"), SINGLES, 1e-3), experiment)
    assert validation == {"single": 0, "several": 0}
    assert head.config.detection_threshold is None


def test_single_sources_stand_in_for_several(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    singles = experiment.validation()[:1]
    monkeypatch.setattr(Experiment, "validation", lambda *_: singles)
    _, validation, _ = train(Training(EZ, DUETS, 1e-3), experiment)
    assert validation["several"] == validation["single"]


def test_settings_of_lightning_are_left_as_they_were(
    experiment: Experiment, tmp_path: Path
) -> None:
    import logging

    before = logging.getLogger("lightning.pytorch").level
    train(Training(EZ, SINGLES, 1e-3), experiment)
    assert logging.getLogger("lightning.pytorch").level == before
    assert list(tmp_path.iterdir()) == []
