from __future__ import annotations

import pytest

from tvsl.errors import DivergedError, OutputError
from tvsl.methods.checkpoint_io import read_head
from tvsl.reproduce import runs as module
from tvsl.reproduce.bench import Bench, SceneSet
from tvsl.reproduce.experiment import (
    NEGATIVES,
    SINGLE,
    SINGLES,
    UNSEEN_SINGLE,
    HeadSpec,
    Kind,
    Training,
)
from tvsl.reproduce.runs import Runs
from tvsl.reproduce.train import figures

TRAINING = Training(HeadSpec("tvsl"), SINGLES, 1e-3)


@pytest.fixture
def runs(bench: Bench) -> Runs:
    return Runs(bench.setup.folder)


def scenes_of(bench: Bench, kind: Kind) -> SceneSet:
    wanted = SceneSet(kind, "test")
    for numbers in bench.parts(wanted):
        bench.make_scenes(wanted, numbers)
    return wanted


def test_a_run_is_done_once(runs: Runs, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.record(TRAINING) is None
    made = runs.train(TRAINING, bench)
    assert made.outcome == "done"
    assert made.seconds > 0
    monkeypatch.setattr(module, "train", None)
    assert runs.train(TRAINING, bench) == made == runs.record(TRAINING)


def test_a_head_says_what_it_is(runs: Runs, bench: Bench) -> None:
    runs.train(TRAINING, bench)
    head = read_head(runs.head(TRAINING))
    assert head.notes["training"]["learning_rate"] == 1e-3
    assert head.notes["training"]["regime"]["name"] == "single sources"
    loaded = runs.load(TRAINING, bench)
    assert (
        loaded.config.model_dump().items() >= head.notes["calibration"]["hyperparameters"].items()
    )


def test_scores_are_measured_once(
    runs: Runs, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.train(TRAINING, bench)
    wanted = scenes_of(bench, SINGLE)
    assert not runs.has_scores(TRAINING, SINGLE, ())
    made = runs.score(TRAINING, SINGLE, (), bench)
    assert made.figures == figures(runs.load(TRAINING, bench), bench.scenes(wanted), 1)
    monkeypatch.setattr(module, "figures", None)
    assert runs.score(TRAINING, SINGLE, (), bench) == made
    assert runs.has_scores(TRAINING, SINGLE, ())


def test_other_switches_come_with_what_was_decided_for_them(runs: Runs, bench: Bench) -> None:
    record = runs.train(TRAINING, bench)
    scenes_of(bench, SINGLE)
    trials = record.notes["calibration"]["trials"]  # type: ignore[index, call-overload]
    for trial in trials:  # type: ignore[union-attr]
        hyperparameters = trial["hyperparameters"]  # type: ignore[index, call-overload]
        chosen = {name: hyperparameters[name] for name in ("readout", "affinity")}  # type: ignore[index, call-overload]
        head = runs.load(TRAINING, bench, tuple(chosen.items()))
        assert head.config.model_dump().items() >= hyperparameters.items()  # type: ignore[union-attr]
    best = trials[0]["hyperparameters"]  # type: ignore[index, call-overload]
    head = runs.load(TRAINING, bench, (("query_anchor", 0.25),))
    expected = {**best, "query_anchor": 0.25}  # type: ignore[dict-item]
    assert head.config.model_dump().items() >= expected.items()
    by_sound, by_text = (("readout", "cosine"),), (("readout", "text"),)
    cosine = runs.score(TRAINING, SINGLE, by_sound, bench)
    assert cosine != runs.score(TRAINING, SINGLE, by_text, bench)
    assert runs.scores(TRAINING, SINGLE, by_sound) == cosine


def test_negatives_have_figures_of_their_own(runs: Runs, bench: Bench) -> None:
    runs.train(TRAINING, bench)
    scenes_of(bench, NEGATIVES)
    found = runs.score(TRAINING, NEGATIVES, (), bench).figures
    assert found.keys() == {"given"}
    assert found["given"].keys() == {"confident AP", "max-F1", "LocAcc"}


def test_a_head_that_cannot_express_the_classes_is_noted(runs: Runs, bench: Bench) -> None:
    training = Training(HeadSpec("tvsl", None, (("prompt_length", 32),)), SINGLES, 1e-3)
    made = runs.train(training, bench)
    assert made.outcome == "impossible"
    assert "no room for 32" in str(made.reason)
    assert not runs.head(training).exists()
    assert runs.record(training) == made


def test_a_head_that_diverges_is_noted(
    runs: Runs, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("The loss is not finite.", "Go slower.")

    monkeypatch.setattr(module, "train", diverge)
    training = Training(HeadSpec("tvsl"), SINGLES, 0.25)
    made = runs.train(training, bench)
    assert (made.outcome, made.reason) == ("diverged", "The loss is not finite.")
    assert not runs.head(training).exists()
    assert runs.record(training) == made


def test_a_class_bound_head_cannot_answer_for_unseen_classes(runs: Runs, bench: Bench) -> None:
    training = Training(HeadSpec("avgn", None, (("dimension", 8), ("depth", 1))), SINGLES, 1e-3)
    assert runs.train(training, bench).outcome == "done"
    scenes_of(bench, UNSEEN_SINGLE)
    found = runs.score(training, UNSEEN_SINGLE, (), bench)
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
