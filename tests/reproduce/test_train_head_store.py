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
    TRIO,
    UNSEEN_SINGLE,
    HeadSpec,
    SceneSet,
    TestCondition,
    Training,
)
from tvsl.reproduce.train import HeadStore

TRAINING = Training(HeadSpec("tvsl"), SINGLES, 1e-3)


@pytest.fixture
def heads(experiment: Experiment) -> HeadStore:
    return HeadStore(experiment.settings.folder)


def scenes_of(experiment: Experiment, condition: TestCondition) -> SceneSet:
    wanted = SceneSet(condition, "test")
    for numbers in experiment.blocks(wanted):
        experiment.make_scenes(wanted, numbers)
    return wanted


def test_a_run_is_done_once(
    heads: HeadStore, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heads.record(TRAINING) is None
    made = heads.train(TRAINING, experiment)
    assert made.outcome == "done"
    assert made.seconds > 0
    monkeypatch.setattr(module, "train", None)
    assert heads.train(TRAINING, experiment) == made == heads.record(TRAINING)


def test_a_head_says_what_it_is(heads: HeadStore, experiment: Experiment) -> None:
    heads.train(TRAINING, experiment)
    head = read_head(heads.head(TRAINING))
    assert head.notes["training"]["learning_rate"] == 1e-3
    assert head.notes["training"]["curriculum"]["name"] == "single sources"
    loaded = heads.load(TRAINING, experiment)
    assert (
        loaded.config.model_dump().items() >= head.notes["calibration"]["hyperparameters"].items()
    )


def test_scores_are_measured_once(
    heads: HeadStore, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads.train(TRAINING, experiment)
    wanted = scenes_of(experiment, SINGLE)
    assert not heads.has_scores(TRAINING, (SINGLE, ()))
    made = heads.score(TRAINING, (SINGLE, ()), experiment)
    scores = score_batches(heads.load(TRAINING, experiment), experiment.scenes(wanted))
    assert made.figures == scores.figures(False)
    monkeypatch.setattr(module, "score_batches", None)
    assert heads.score(TRAINING, (SINGLE, ()), experiment) == made
    assert heads.has_scores(TRAINING, (SINGLE, ()))
    for source, figures in made.figures.items():
        for name, value in figures.items():
            drawn = heads.draws(TRAINING, (SINGLE, ()), name)[source]
            assert len(drawn) == 1000
            assert np.nanmin(drawn) - 1e-4 <= value <= np.nanmax(drawn) + 1e-4


def test_scenes_of_one_recording_are_drawn_together(
    heads: HeadStore, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads.train(TRAINING, experiment)
    count = experiment.benchmark.count(scenes_of(experiment, TRIO))
    monkeypatch.setattr(type(experiment.benchmark), "clusters", lambda *_: (0,) * count)
    made = heads.score(TRAINING, (TRIO, ()), experiment)
    for source, figures in made.figures.items():
        for name, value in figures.items():
            drawn = heads.draws(TRAINING, (TRIO, ()), name)[source]
            assert drawn == pytest.approx(value, abs=1e-3)


def test_overrides_come_with_what_was_decided_for_them(
    heads: HeadStore, experiment: Experiment
) -> None:
    record = heads.train(TRAINING, experiment)
    scenes_of(experiment, SINGLE)
    trials = record.notes["calibration"]["trials"]  # type: ignore[index, call-overload]
    for trial in trials:  # type: ignore[union-attr]
        hyperparameters = trial["hyperparameters"]  # type: ignore[index, call-overload]
        chosen = {name: hyperparameters[name] for name in ("readout", "affinity")}  # type: ignore[index, call-overload]
        head = heads.load(TRAINING, experiment, tuple(chosen.items()))
        assert head.config.model_dump().items() >= hyperparameters.items()  # type: ignore[union-attr]
    best = trials[0]["hyperparameters"]  # type: ignore[index, call-overload]
    head = heads.load(TRAINING, experiment, (("query_anchor", 0.25),))
    expected = {**best, "query_anchor": 0.25}  # type: ignore[dict-item]
    assert head.config.model_dump().items() >= expected.items()
    by_sound, by_text = (("readout", "cosine"),), (("readout", "text"),)
    cosine = heads.score(TRAINING, (SINGLE, by_sound), experiment)
    assert cosine != heads.score(TRAINING, (SINGLE, by_text), experiment)
    assert heads.scores(TRAINING, (SINGLE, by_sound)) == cosine


def test_negatives_have_figures_of_their_own(heads: HeadStore, experiment: Experiment) -> None:
    heads.train(TRAINING, experiment)
    scenes_of(experiment, NEGATIVES)
    found = heads.score(TRAINING, (NEGATIVES, ()), experiment).figures
    assert found.keys() == {"given"}
    assert found["given"].keys() >= {"confident AP", "max-F1", "LocAcc"}


def test_a_head_that_cannot_express_the_classes_is_noted(
    heads: HeadStore, experiment: Experiment
) -> None:
    training = Training(HeadSpec("tvsl", None, (("prompt_length", 32),)), SINGLES, 1e-3)
    made = heads.train(training, experiment)
    assert made.outcome == "impossible"
    assert "no room for 32" in str(made.reason)
    assert not heads.head(training).exists()
    assert heads.record(training) == made


def test_a_head_that_diverges_is_noted(
    heads: HeadStore, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("The loss is not finite.", "Go slower.")

    monkeypatch.setattr(module, "train", diverge)
    training = Training(HeadSpec("tvsl"), SINGLES, 0.25)
    made = heads.train(training, experiment)
    assert (made.outcome, made.reason) == ("diverged", "The loss is not finite.")
    assert not heads.head(training).exists()
    assert heads.record(training) == made


def test_a_class_bound_head_cannot_answer_for_unseen_classes(
    heads: HeadStore, experiment: Experiment
) -> None:
    training = Training(HeadSpec("avgn", None, (("dimension", 8), ("depth", 1))), SINGLES, 1e-3)
    assert heads.train(training, experiment).outcome == "done"
    scenes_of(experiment, UNSEEN_SINGLE)
    found = heads.score(training, (UNSEEN_SINGLE, ()), experiment)
    assert found.figures == {}
    assert "trained on 18 classes" in str(found.reason)


@pytest.mark.parametrize("content", ["", "{", '{"outcome": "perfect"}'])
def test_a_damaged_record_is_named(content: str, heads: HeadStore) -> None:
    training = Training(HeadSpec("tvsl"), SINGLES, 0.5)
    path = heads.head(training).with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(OutputError, match="damaged") as raised:
        heads.record(training)
    assert raised.value.path == path
    path.unlink()
