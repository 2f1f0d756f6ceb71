from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.reproduce.conftest import MakeBench
from tvsl.errors import DivergedError, VocabularyError
from tvsl.methods.base import Method
from tvsl.methods.ez_vsl import EZVSL
from tvsl.reproduce.bench import Bench
from tvsl.reproduce.experiment import (
    DUETS,
    SINGLES,
    SINGLES_THEN_DUETS,
    HeadSpec,
    TokenMode,
    Training,
)
from tvsl.reproduce.train import figures, train, train_config
from tvsl.tokens import Tokens, Vocabulary
from tvsl.training.calibrate import calibrate, map_score
from tvsl.training.config import find_head
from tvsl.training.modules import BatchPlan, HeadTraining

EZ = HeadSpec("ez-vsl", None, (("dimension", 16),))


def built(training: Training, bench: Bench) -> Method:
    kind, hyperparameters = find_head(train_config(training, bench))
    torch.manual_seed(training.seed)
    vocabulary = bench.encoder.vocabulary(bench.testbed.clips.names)
    return kind.from_config(
        kind.config_for(hyperparameters, vocabulary), bench.encoder.text_encoder
    )


def stepped(training: Training, bench: Bench) -> Method:
    """The same training as a plain loop, without Lightning."""
    config, steps = train_config(training, bench), bench.config.steps
    vocabulary = bench.encoder.vocabulary(bench.testbed.clips.names)
    head = built(training, bench).train()
    (optimizer,), (schedule,) = HeadTraining(head, vocabulary, config, steps).configure_optimizers()
    assert training.regime is not None
    (sources,) = training.regime.phases[0].sources
    plan = BatchPlan({sources: bench.store.mixtures()[sources]}, config.batch, config.seed)
    for step in range(steps):
        number, rows = plan.at(step)
        batch = bench.store.batch(number, torch.from_numpy(rows))
        torch.manual_seed(config.seed * 1_000_003 + step)
        head.progress = step / steps
        loss = sum(head.losses(batch.tokens, batch.labels, vocabulary).values())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule["scheduler"].step()
    return head.eval()


@pytest.mark.parametrize("head", [EZ, HeadSpec("tvsl"), HeadSpec("tvsl", "paper")])
@pytest.mark.parametrize("regime", [SINGLES, DUETS])
def test_a_head_is_trained_as_a_plain_loop_would(
    head: HeadSpec, regime: object, bench: Bench
) -> None:
    training = Training(head, regime, 1e-2, 1)  # type: ignore[arg-type]
    found, expected = train(training, bench).head, stepped(training, bench)
    start = built(training, bench).state_dict()
    assert any(not torch.equal(value, start[name]) for name, value in found.state_dict().items())
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_validation_decides_and_compares(bench: Bench) -> None:
    training = Training(HeadSpec("tvsl"), SINGLES, 1e-3)
    found = train(training, bench)
    again = copy.deepcopy(stepped(training, bench))
    scenes = bench.validation()
    assert [part.sources for part in scenes] == [1, 2, 3, 4]
    decided = calibrate(again, scenes[:2], scenes)
    assert found.notes["calibration"]["hyperparameters"] == decided.hyperparameters
    assert found.head.config.model_dump().items() >= decided.hyperparameters.items()
    assert not found.head.training
    names = {"single": ("AP", "IoU@0.5"), "several": ("CAP", "CIoU@0.3")}
    for (task, (average, success)), part in zip(names.items(), scenes[:2], strict=True):
        reached = figures(again, [part], part.sources)["detected"]
        expected = (reached[average] + reached[success]) / 2
        assert found.validation[task] == pytest.approx(expected)  # type: ignore[index]


def test_a_method_that_detects_nothing_is_compared_by_its_maps(bench: Bench) -> None:
    training = Training(EZ, SINGLES, 1e-3)
    found = train(training, bench)
    for task, part in zip(("single", "several"), bench.validation()[:2], strict=True):
        maps = found.head.maps(part.tokens, part.queries, part.vocabulary)
        expected = map_score(found.head, [maps], [part])
        assert found.validation[task] == pytest.approx(expected)  # type: ignore[index]


def test_phases_follow_each_other(
    make_bench: MakeBench, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = make_bench(bench.setup.folder, steps=8)
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


def test_what_needs_no_training_is_only_decided(bench: Bench) -> None:
    found = train(Training(HeadSpec("text-only")), bench)
    assert found.validation.keys() == {"single", "several"}
    assert "detection_threshold" in found.notes["calibration"]["hyperparameters"]


def test_other_tokens_have_validation_scenes_of_their_own(bench: Bench) -> None:
    mode = TokenMode("cells", "mirror")
    for wanted in bench.validation_sets(mode):
        for numbers in bench.parts(wanted):
            bench.make_scenes(wanted, numbers)
    one, other = (part[0].tokens.visual for part in (bench.validation(), bench.validation(mode)))
    assert one.shape == other.shape
    assert not torch.allclose(one, other)
    found = train(Training(HeadSpec("audioclip"), mode=mode), bench)
    assert found.head.config.flip_average == "mirror"
    assert bench.encoder.image_tokens == "values"


def test_a_head_that_diverges(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EZVSL, "losses", lambda *_: {"loss": torch.tensor(torch.nan)})
    with pytest.raises(DivergedError, match="step 0 is not finite"):
        train(Training(EZ, SINGLES, 1e-3), bench)


def test_a_prompt_that_does_not_fit(bench: Bench) -> None:
    head = HeadSpec("tvsl", None, (("prompt_length", 32),))
    with pytest.raises(VocabularyError, match="no room for 32"):
        train(Training(head, SINGLES, 1e-3), bench)


def test_where_nobody_knows_where_sources_are_the_loss_compares(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = bench.validation()
    blind = [replace(part, boxes=torch.zeros_like(part.boxes)) for part in known]
    monkeypatch.setattr(Bench, "validation", lambda *_: blind)
    training = Training(HeadSpec("tvsl"), SINGLES, 1e-3)
    found = train(training, bench)
    again = stepped(training, bench)
    for task, part in zip(("single", "several"), blind[:2], strict=True):
        with torch.no_grad():
            losses = again.losses(part.tokens, part.labels, part.vocabulary)
        loss = float(sum(losses.values()))
        assert found.validation[task] == pytest.approx(-loss)  # type: ignore[index]
    assert (found.head.config.exponent, found.head.config.clamp_negative) == (1, False)
    assert found.notes["calibration"]["trials"] == []
    assert found.head.config.detection_threshold is not None
    untrained = train(Training(HeadSpec("audioclip")), bench)
    assert untrained.validation == {"single": 0, "several": 0}


def test_without_any_scenes_a_head_stays_as_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "validation", lambda *_: [])
    found = train(Training(HeadSpec("tvsl"), SINGLES, 1e-3), bench)
    assert found.validation == {"single": 0, "several": 0}
    assert found.head.config.detection_threshold is None


def test_single_sources_stand_in_for_several(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    singles = bench.validation()[:1]
    monkeypatch.setattr(Bench, "validation", lambda *_: singles)
    found = train(Training(EZ, DUETS, 1e-3), bench)
    assert found.validation["several"] == found.validation["single"]


def test_settings_of_lightning_are_left_as_they_were(bench: Bench, tmp_path: Path) -> None:
    import logging

    before = logging.getLogger("lightning.pytorch").level
    train(Training(EZ, SINGLES, 1e-3), bench)
    assert logging.getLogger("lightning.pytorch").level == before
    assert list(tmp_path.iterdir()) == []
