from __future__ import annotations

import numpy as np
import pytest

from tvsl.errors import DivergedError, OutputError
from tvsl.evaluation.score import score_batches
from tvsl.methods.checkpoint_io import read_head
from tvsl.reproduce import train as module
from tvsl.reproduce.experiment import Experiment
from tvsl.reproduce.specs import (
    NEGATIVES,
    SINGLE,
    SINGLES,
    UNSEEN_SINGLE,
    HeadSpec,
    SceneSet,
    TestCondition,
    Training,
)
from tvsl.reproduce.train import Runs

TRAINING = Training(HeadSpec("tvsl"), SINGLES, 1e-3)


@pytest.fixture
def runs(experiment: Experiment) -> Runs:
    return Runs(experiment.settings.folder)


def scenes_of(experiment: Experiment, condition: TestCondition) -> SceneSet:
    wanted = SceneSet(condition, "test")
    for numbers in experiment.blocks(wanted):
        experiment.make_scenes(wanted, numbers)
    return wanted


def test_a_run_is_done_once(
    runs: Runs, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs.record(TRAINING) is None
    made = runs.train(TRAINING, experiment)
    assert made.outcome == "done"
    assert made.seconds > 0
    monkeypatch.setattr(module, "train", None)
    assert runs.train(TRAINING, experiment) == made == runs.record(TRAINING)


def test_a_head_says_what_it_is(runs: Runs, experiment: Experiment) -> None:
    runs.train(TRAINING, experiment)
    head = read_head(runs.head(TRAINING))
    assert head.notes["training"]["learning_rate"] == 1e-3
    assert head.notes["training"]["curriculum"]["name"] == "single sources"
    loaded = runs.load(TRAINING, experiment)
    assert (
        loaded.config.model_dump().items() >= head.notes["calibration"]["hyperparameters"].items()
    )


def test_scores_are_measured_once(
    runs: Runs, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.train(TRAINING, experiment)
    wanted = scenes_of(experiment, SINGLE)
    assert not runs.has_scores(TRAINING, (SINGLE, ()))
    made = runs.score(TRAINING, (SINGLE, ()), experiment)
    scores = score_batches(runs.load(TRAINING, experiment), experiment.scenes(wanted))
    assert made.figures == scores.figures(False)
    monkeypatch.setattr(module, "score_batches", None)
    assert runs.score(TRAINING, (SINGLE, ()), experiment) == made
    assert runs.has_scores(TRAINING, (SINGLE, ()))
    for source, figures in made.figures.items():
        for name, value in figures.items():
            drawn = runs.draws(TRAINING, (SINGLE, ()), name)[source]
            assert len(drawn) == 1000
            assert np.nanmin(drawn) - 1e-4 <= value <= np.nanmax(drawn) + 1e-4


def test_overrides_come_with_what_was_decided_for_them(runs: Runs, experiment: Experiment) -> None:
    record = runs.train(TRAINING, experiment)
    scenes_of(experiment, SINGLE)
    trials = record.notes["calibration"]["trials"]  # type: ignore[index, call-overload]
    for trial in trials:  # type: ignore[union-attr]
        hyperparameters = trial["hyperparameters"]  # type: ignore[index, call-overload]
        chosen = {name: hyperparameters[name] for name in ("readout", "affinity")}  # type: ignore[index, call-overload]
        head = runs.load(TRAINING, experiment, tuple(chosen.items()))
        assert head.config.model_dump().items() >= hyperparameters.items()  # type: ignore[union-attr]
    best = trials[0]["hyperparameters"]  # type: ignore[index, call-overload]
    head = runs.load(TRAINING, experiment, (("query_anchor", 0.25),))
    expected = {**best, "query_anchor": 0.25}  # type: ignore[dict-item]
    assert head.config.model_dump().items() >= expected.items()
    by_sound, by_text = (("readout", "cosine"),), (("readout", "text"),)
    cosine = runs.score(TRAINING, (SINGLE, by_sound), experiment)
    assert cosine != runs.score(TRAINING, (SINGLE, by_text), experiment)
    assert runs.scores(TRAINING, (SINGLE, by_sound)) == cosine


def test_negatives_have_figures_of_their_own(runs: Runs, experiment: Experiment) -> None:
    runs.train(TRAINING, experiment)
    scenes_of(experiment, NEGATIVES)
    found = runs.score(TRAINING, (NEGATIVES, ()), experiment).figures
    assert found.keys() == {"given"}
    assert found["given"].keys() >= {"confident AP", "max-F1", "LocAcc"}


def test_a_head_that_cannot_express_the_classes_is_noted(
    runs: Runs, experiment: Experiment
) -> None:
    training = Training(HeadSpec("tvsl", None, (("prompt_length", 32),)), SINGLES, 1e-3)
    made = runs.train(training, experiment)
    assert made.outcome == "impossible"
    assert "no room for 32" in str(made.reason)
    assert not runs.head(training).exists()
    assert runs.record(training) == made


def test_a_head_that_diverges_is_noted(
    runs: Runs, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("The loss is not finite.", "Go slower.")

    monkeypatch.setattr(module, "train", diverge)
    training = Training(HeadSpec("tvsl"), SINGLES, 0.25)
    made = runs.train(training, experiment)
    assert (made.outcome, made.reason) == ("diverged", "The loss is not finite.")
    assert not runs.head(training).exists()
    assert runs.record(training) == made


def test_a_class_bound_head_cannot_answer_for_unseen_classes(
    runs: Runs, experiment: Experiment
) -> None:
    training = Training(HeadSpec("avgn", None, (("dimension", 8), ("depth", 1))), SINGLES, 1e-3)
    assert runs.train(training, experiment).outcome == "done"
    scenes_of(experiment, UNSEEN_SINGLE)
    found = runs.score(training, (UNSEEN_SINGLE, ()), experiment)
    assert found.figures == {}
    assert "trained on 18 classes" in str(found.reason)


@pytest.mark.parametrize("content", ["", "{", '{"outcome": "perfect"}'])
def test_a_damaged_record_is_named(content: str, runs: Runs) -> None:
    training = Training(HeadSpec("tvsl"), SINGLES, 0.5)
    path = runs.head(training).with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(OutputError, match="damaged") as raised:
        runs.record(training)
    assert raised.value.path == path
    path.unlink()
