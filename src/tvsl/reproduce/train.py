"""Heads of a reproduction: their training and scoring, and the records of it."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from torch.utils.data import ChainDataset, DataLoader

from tvsl.errors import DivergedError, OutputError, VocabularyError
from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.predict import label_sources
from tvsl.evaluation.score import (
    NOT_ALWAYS,
    Figures,
    HeadScores,
    SceneFigure,
    score_batches,
)
from tvsl.methods.base import Method
from tvsl.methods.checkpoint_io import read_head, save_head
from tvsl.metrics import NEGATIVES, LabelSource
from tvsl.metrics.intervals import Draws
from tvsl.reproduce.experiment import Experiment, StoreSubset
from tvsl.reproduce.specs import (
    SINGLE,
    Curriculum,
    EvalTarget,
    Hyperparameters,
    SceneSet,
    Task,
    TestCondition,
    Training,
)
from tvsl.tokens import Vocabulary
from tvsl.training.calibrate import MAP_SOURCES, calibrate, located, one_figure
from tvsl.training.config import TrainConfig, recipe
from tvsl.training.modules import BatchPlan, SharedTokenBatch, TokenBatches, build_head, fit_head
from tvsl.utils.atomic import writable, write_whole
from tvsl.utils.files import LARGEST_CONFIG, read_small, write_json
from tvsl.utils.strict_model import StrictModel


def train(
    training: Training, experiment: Experiment
) -> tuple[Method, dict[Task, float], dict[str, Any]]:
    """Train a head as `tvsl train` does, and let validation decide its hyperparameters.

    Every head sees the same number of mixtures; the head after the last step counts.

    Args:
        training: The head and its curriculum.
        experiment: Encoder, tokens and scenes.

    Returns:
        The head in evaluation mode, the validation scores by which candidates are compared, higher
        is better, and what validation decided.

    Raises:
        DivergedError: The loss is not finite.
        VocabularyError: The method cannot express the classes.
        UsageError: There is no such method or hyperparameter.
    """
    config = train_config(training, experiment)
    encoder = experiment.encoder_of(training.mode)
    vocabulary = experiment.vocabulary(experiment.benchmark.names(SINGLE, training.half))
    head = build_head(config, encoder, vocabulary).to(encoder.device)
    if training.curriculum is not None:
        data = _batches(training.curriculum, config, experiment, vocabulary)
        fit_head(head, vocabulary, config, data, experiment.config.steps_of(config.batch))
    head.eval()
    scenes = experiment.validation(training.mode, training.half)
    if not scenes:  # of half of the classes there may be none
        return head, {"single": 0.0, "several": 0.0}, {}
    judged = [block for block in scenes if block.sources in MAP_SOURCES]
    decided = calibrate(head, [block for block in judged if located(block)], scenes)
    scores = {block.sources: _validation_score(head, block, training) for block in judged}
    validation: dict[Task, float] = {"single": scores[1], "several": scores.get(2, scores[1])}
    return head, validation, {"calibration": asdict(decided)}


def train_config(training: Training, experiment: Experiment) -> TrainConfig:
    """Recipe of one head, as `tvsl train` would have it.

    Args:
        training: The head.
        experiment: The reproduction.

    Raises:
        UsageError: There is no such method, preset or hyperparameter.
    """
    head, config = training.head, experiment.config
    batch = training.batch or config.batches[0]
    sizes = config.hyperparameters.get(head.method, {})
    return recipe(
        data=experiment.settings.data,
        method=head.method,
        preset=head.preset,
        hyperparameters={**sizes, **dict(head.hyperparameters)},
        steps=config.steps_of(batch),
        batch=batch,
        learning_rate=training.learning_rate,
        schedule=config.schedule,
        seed=training.seed,
    )


@torch.no_grad()
def _validation_score(head: Method, scenes: EncodedBatch, training: Training) -> float:
    """The mean of AP and success rate, or minus the loss where no target is known.

    Detected labels count where the method detects: it is no better for finding the place and not
    the class.
    """
    if located(scenes):
        figures = score_batches(head, [scenes]).figures(scenes.sources > 1)
        sources: tuple[LabelSource, ...] = ("detected", "given", "none")
        return one_figure(next(figures[one] for one in sources if one in figures), scenes.sources)
    if training.curriculum is None:
        return 0.0
    torch.manual_seed(training.seed)
    counts = scenes.counts.to(scenes.tokens.visual.device)
    losses = head.losses(scenes.tokens, counts, scenes.vocabulary)
    return -sum(float(loss) for loss in losses.values())


def _batches(
    curriculum: Curriculum, config: TrainConfig, experiment: Experiment, vocabulary: Vocabulary
) -> DataLoader[SharedTokenBatch]:
    """Training batches, stage after stage."""
    subset = StoreSubset(experiment.store, vocabulary.names)
    stages, start, steps = [], 0, experiment.config.steps_of(config.batch)
    for stage in curriculum.stages:
        stop = round(stage.until * steps)
        plan = BatchPlan(subset.sizes_of(stage.sources), config.batch, config.seed)
        stages.append(TokenBatches(subset, plan, range(start, stop)))
        start = stop
    return DataLoader(ChainDataset(stages), batch_size=None)


def _scored(head: Method, scenes: Iterable[EncodedBatch], condition: TestCondition) -> HeadScores:
    """Scores of a head; pairs without a target count for ``negatives`` alone."""
    if condition.perturbation != "negatives":
        return score_batches(head, scenes)
    sources = [source for source in label_sources(head) if source != "detected"]
    return score_batches(head, scenes, NEGATIVES, sources, raw_confidence=True)


DRAWS = ".npz"
"""Ending of the files with resamples, beside those with figures."""

Outcome = Literal["done", "diverged", "impossible"]


class TrainingRecord(StrictModel):
    """Outcome of a training.

    Attributes:
        training: The training.
        outcome: ``diverged``: the loss was no longer finite. ``impossible``: the head cannot
            express the classes.
        reason: Reason why it was not done.
        seconds: Time that it took.
        validation: Scores by which candidates are compared, by task.
        notes: Choices of validation, with the trials behind them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: dict[str, JsonValue]
    outcome: Outcome
    reason: str | None = None
    seconds: float
    validation: dict[Task, float] = Field({})
    notes: dict[str, JsonValue] = Field({})


class ScoreRecord(StrictModel):
    """Figures of a head under a test condition.

    Attributes:
        figures: By the source of labels, in percent; empty where it cannot answer.
        reason: Reason why it cannot.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: dict[LabelSource, Figures] = Field({})
    reason: str | None = None


Record = TypeVar("Record", bound=BaseModel)


class HeadStore:
    """Trained heads in a folder, with their records.

    Each is whole: a kill loses only what is in work.

    Args:
        folder: Folder of the reproduction.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def head(self, training: Training) -> Path:
        """Folder of a head."""
        return self.folder / "runs" / training.digest

    def record(self, training: Training) -> TrainingRecord | None:
        """Outcome of a training; None if it is still to be done.

        Raises:
            OutputError: The file is damaged.
        """
        return _read(self.head(training).with_suffix(".json"), TrainingRecord)

    def scores(self, training: Training, target: EvalTarget) -> ScoreRecord | None:
        """Figures of a head; None if it is still to be scored.

        Args:
            training: The training of the head.
            target: The test condition, and hyperparameters that override what validation decided.

        Raises:
            OutputError: The file is damaged.
        """
        return _read(self._scores(training, target), ScoreRecord)

    def figure(
        self, training: Training, target: EvalTarget, name: SceneFigure
    ) -> tuple[dict[LabelSource, float], str | None]:
        """One of the figures that a head reaches.

        Args:
            training: As for ``scores``.
            target: As for ``scores``.
            name: The figure.

        Returns:
            The figure by label source, and the reason why there is none.

        Raises:
            OutputError: The file is damaged, or its figures go by other names.
        """
        scores = self.scores(training, target)
        if scores is None:
            return {}, None
        for reached in scores.figures.values():
            if name not in reached and name not in NOT_ALWAYS:
                raise OutputError(
                    f"This record of an earlier run has no figure '{name}'.",
                    "Delete it and start again: the run will be repeated.",
                    self._scores(training, target),
                )
        given = {source: one[name] for source, one in scores.figures.items() if name in one}
        return given, scores.reason

    def has_scores(self, training: Training, target: EvalTarget) -> bool:
        """Tell whether a head is scored, with resamples for intervals; see ``scores``."""
        path = self._scores(training, target)
        return path.is_file() and path.with_suffix(DRAWS).is_file()

    def draws(
        self, training: Training, target: EvalTarget, name: SceneFigure
    ) -> dict[LabelSource, Draws]:
        """One of the figures of a head on resamples of the scenes, the same for all heads.

        Args:
            training: As for ``scores``.
            target: As for ``scores``.
            name: The figure.

        Returns:
            Its draws by label source, in percent; none where it was not scored.

        Raises:
            OutputError: The file is damaged.
        """
        path = self._scores(training, target).with_suffix(DRAWS)
        if not path.is_file():
            return {}
        try:
            with np.load(path, allow_pickle=False) as kept:
                return {
                    source: kept[f"{source}/{name}"].astype(np.float64)
                    for source in get_args(LabelSource)
                    if f"{source}/{name}" in kept.files
                }
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise OutputError(
                "These resamples of an earlier run are damaged.",
                "Delete the file and start again: the run will be repeated.",
                path,
            ) from error

    def train(self, training: Training, experiment: Experiment) -> TrainingRecord:
        """Train a head, unless it is trained.

        Args:
            training: The training.
            experiment: Encoder, tokens and scenes.
        """
        earlier = self.record(training)
        if earlier is not None:
            return earlier
        started = time.monotonic()
        described = json.loads(json.dumps(asdict(training)))
        try:
            head, validation, notes = train(training, experiment)
        except (DivergedError, VocabularyError) as error:
            outcome: Outcome = "diverged" if isinstance(error, DivergedError) else "impossible"
            made = TrainingRecord(
                training=described,
                outcome=outcome,
                reason=error.problem,
                seconds=time.monotonic() - started,
            )
        else:
            made_notes = {"training": described, **notes}
            encoder = experiment.encoder_of(training.mode)
            save_head(head, encoder, self.head(training), made_notes, force=True)
            made = TrainingRecord(
                training=described,
                outcome="done",
                seconds=time.monotonic() - started,
                validation=validation,
                notes=notes,
            )
        _write(made, self.head(training).with_suffix(".json"))
        return made

    def score(self, training: Training, target: EvalTarget, experiment: Experiment) -> ScoreRecord:
        """Score a trained head, unless it is scored.

        Args:
            training: As for ``scores``.
            target: As for ``scores``.
            experiment: Encoder and scenes.
        """
        condition, overrides = target
        earlier = self.scores(training, target)
        if earlier is not None and self.has_scores(training, target):
            return earlier
        wanted = SceneSet(condition, "test", training.mode, training.half)
        drawn: dict[LabelSource, dict[SceneFigure, Draws]] = {}
        several = condition.sources > 1
        try:
            head = self.load(training, experiment, overrides)
            scores = _scored(head, experiment.scenes(wanted), condition)
            made = ScoreRecord(figures=scores.figures(several))
            drawn = scores.draws(several, experiment.benchmark.clusters(wanted))
        except VocabularyError as error:
            made = ScoreRecord(reason=error.problem)
        path = self._scores(training, target)
        _write_draws(drawn, path.with_suffix(DRAWS))
        _write(made, path)
        return made

    def load(
        self, training: Training, experiment: Experiment, overrides: Hyperparameters = ()
    ) -> Method:
        """Load a head that was trained, in evaluation mode.

        Args:
            training: Its training.
            experiment: The reproduction.
            overrides: Hyperparameters that override what validation decided.
        """
        head = read_head(self.head(training)).build(experiment.encoder_of(training.mode))
        if overrides:
            head.set_tuned(**self._decided(training, dict(overrides)))
        return head

    def decided(self, training: Training) -> Mapping[str, JsonValue]:
        """Hyperparameters that validation decided for a head; none before it is trained."""
        found: Mapping[str, JsonValue] = self._calibration(training).get("hyperparameters", {})
        return found

    def _calibration(self, training: Training) -> dict[str, Any]:
        record = self.record(training)
        calibration: Any = {} if record is None else record.notes.get("calibration", {})
        return dict(calibration)

    def _decided(self, training: Training, hyperparameters: dict[str, Any]) -> dict[str, Any]:
        """Some hyperparameters, and those of validation's best trial that has them."""
        calibration = self._calibration(training)
        for trial in calibration.get("trials", []):
            tried: dict[str, Any] = trial["hyperparameters"]
            if all(
                tried[name] == value for name, value in hyperparameters.items() if name in tried
            ):
                return {**tried, **hyperparameters}
        return hyperparameters

    def _scores(self, training: Training, target: EvalTarget) -> Path:
        condition, overrides = target
        parts = [condition.name, *(f"{name}={value}" for name, value in overrides)]
        return self.folder / "scores" / training.digest / f"{'-'.join(parts)}.json"


def _read(path: Path, record: type[Record]) -> Record | None:
    if not path.is_file():
        return None
    remedy = "Delete it and start again: the run will be repeated."
    try:
        return record.model_validate_json(read_small(path, LARGEST_CONFIG, OutputError, remedy))
    except ValidationError as error:
        raise OutputError("This record of an earlier run is damaged.", remedy, path) from error


def _write(record: BaseModel, path: Path) -> None:
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(record.model_dump(mode="json"), path, force=True)


def _write_draws(drawn: Mapping[LabelSource, Mapping[SceneFigure, Draws]], path: Path) -> None:
    arrays: dict[str, Any] = {
        f"{source}/{name}": draws.astype(np.float32)
        for source, by_name in drawn.items()
        for name, draws in by_name.items()
    }

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)

    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, write)


@dataclass(frozen=True)
class TrainHead:
    """Train a head, and score it.

    Attributes:
        training: The training.
        targets: Test conditions; none while candidates are compared.
    """

    training: Training
    targets: tuple[EvalTarget, ...] = ()

    def done(self, heads: HeadStore) -> bool:
        """Tell whether nothing is left to do."""
        record = heads.record(self.training)
        if record is None or record.outcome != "done":
            return record is not None
        return all(heads.has_scores(self.training, one) for one in self.targets)

    def do(self, experiment: Experiment) -> None:
        """Train and score, unless it is done."""
        heads = HeadStore(experiment.settings.folder)
        if heads.train(self.training, experiment).outcome == "done":
            for target in self.targets:
                heads.score(self.training, target, experiment)
