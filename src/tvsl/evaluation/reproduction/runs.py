"""What is known of every head: one JSON file each, with the head beside it, and its figures."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from tvsl.errors import DivergedError, OutputError, VocabularyError
from tvsl.evaluation.reproduction.answers import figures, negative_figures
from tvsl.evaluation.reproduction.bench import Bench, SceneSet
from tvsl.evaluation.reproduction.heads import train
from tvsl.evaluation.reproduction.kinds import Kind
from tvsl.evaluation.reproduction.specs import LabelSource
from tvsl.evaluation.reproduction.trainings import Switches, Task, Training
from tvsl.evaluation.scoring import NOT_ALWAYS, Figures, SceneFigure
from tvsl.localization import write_json
from tvsl.methods.base import Method
from tvsl.methods.checkpoint import load_head, save_head
from tvsl.small_files import LARGEST_CONFIG, read_small
from tvsl.staging import writable
from tvsl.strict_model import StrictModel

Outcome = Literal["done", "diverged", "impossible"]


class RunRecord(StrictModel):
    """What became of a training.

    Attributes:
        training: What was to be trained.
        outcome: ``diverged``: the loss was no longer finite. ``impossible``: the head cannot
            express the classes.
        reason: Why it was not done.
        seconds: What it took.
        validation: What candidates are compared by, by task.
        notes: What validation decided, and from what.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: dict[str, JsonValue]
    outcome: Outcome
    reason: str | None = None
    seconds: float
    validation: dict[Task, float] = Field({})
    notes: dict[str, JsonValue] = Field({})


class ScoreRecord(StrictModel):
    """What a head reaches on a kind of scenes.

    Attributes:
        figures: By the source of labels, in percent; empty where it cannot answer.
        reason: Why it cannot.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: dict[LabelSource, Figures] = Field({})
    reason: str | None = None


Record = TypeVar("Record", bound=BaseModel)


class Runs:
    """The runs in a folder. What is there is whole: a kill loses only what is in work.

    Args:
        folder: Folder of the reproduction.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def head(self, training: Training) -> Path:
        """Where a head is kept."""
        return self.folder / "runs" / training.digest

    def record(self, training: Training) -> RunRecord | None:
        """What became of a training; None if it is still to be done.

        Raises:
            OutputError: The file is damaged.
        """
        return _read(self.head(training).with_suffix(".json"), RunRecord)

    def scores(self, training: Training, kind: Kind, otherwise: Switches) -> ScoreRecord | None:
        """What a head reaches; None if it is still to be measured.

        Raises:
            OutputError: The file is damaged.
        """
        return _read(self._scores(training, kind, otherwise), ScoreRecord)

    def figure(
        self, training: Training, kind: Kind, otherwise: Switches, name: SceneFigure
    ) -> tuple[dict[LabelSource, float], str | None]:
        """One of the figures that a head reaches.

        Args:
            training: Which head.
            kind: On which scenes.
            otherwise: Switches that are set otherwise than validation decided.
            name: Which figure.

        Returns:
            The figure by the source of labels, where it has one, and why it has none.

        Raises:
            OutputError: The file is damaged, or its figures go by other names.
        """
        scores = self.scores(training, kind, otherwise)
        if scores is None:
            return {}, None
        for reached in scores.figures.values():
            if name not in reached and name not in NOT_ALWAYS:
                raise OutputError(
                    f"This record of an earlier run has no figure '{name}'.",
                    "Delete it and start again: the run will be repeated.",
                    self._scores(training, kind, otherwise),
                )
        given = {source: one[name] for source, one in scores.figures.items() if name in one}
        return given, scores.reason

    def has_scores(self, training: Training, kind: Kind, otherwise: Switches) -> bool:
        """Whether it is known what a head reaches."""
        return self._scores(training, kind, otherwise).is_file()

    def train(self, training: Training, bench: Bench) -> RunRecord:
        """Have a head trained, unless it is.

        Args:
            training: What.
            bench: With what.

        Returns:
            What became of it.
        """
        known = self.record(training)
        if known is not None:
            return known
        started = time.monotonic()
        described = json.loads(json.dumps(asdict(training)))
        try:
            trained = train(training, bench)
        except (DivergedError, VocabularyError) as error:
            outcome: Outcome = "diverged" if isinstance(error, DivergedError) else "impossible"
            made = RunRecord(
                training=described,
                outcome=outcome,
                reason=error.problem,
                seconds=time.monotonic() - started,
            )
        else:
            notes = {"training": described, **trained.notes}
            encoder = bench.encoder_of(training.mode)
            save_head(trained.head, encoder, self.head(training), notes, force=True)
            made = RunRecord(
                training=described,
                outcome="done",
                seconds=time.monotonic() - started,
                validation=trained.validation,
                notes=trained.notes,
            )
        _write(made, self.head(training).with_suffix(".json"))
        return made

    def score(
        self, training: Training, kind: Kind, otherwise: Switches, bench: Bench
    ) -> ScoreRecord:
        """Measure a head that was trained, unless it is measured.

        Args:
            training: Which head.
            kind: On which scenes.
            otherwise: Switches that are set otherwise than validation decided.
            bench: With what.

        Returns:
            What it reaches.
        """
        known = self.scores(training, kind, otherwise)
        if known is not None:
            return known
        blocks = bench.scenes(SceneSet(kind, "test", training.mode, training.half))
        try:
            head = self.load(training, bench, otherwise)
            if kind.twist == "negatives":
                made = ScoreRecord(figures=negative_figures(head, blocks))
            else:
                made = ScoreRecord(figures=figures(head, blocks, kind.sources))
        except VocabularyError as error:
            made = ScoreRecord(reason=error.problem)
        _write(made, self._scores(training, kind, otherwise))
        return made

    def load(self, training: Training, bench: Bench, otherwise: Switches = ()) -> Method:
        """Load a head that was trained.

        Args:
            training: Which.
            bench: With what.
            otherwise: Switches that are set otherwise than validation decided.

        Returns:
            The head, in evaluation mode.
        """
        head = load_head(self.head(training), bench.encoder_of(training.mode))
        if otherwise:
            head.decide(**self._decided(training, dict(otherwise)))
        return head

    def _decided(self, training: Training, switches: dict[str, Any]) -> dict[str, Any]:
        """Some switches, with what validation decided beside them: its best trial that has them."""
        record = self.record(training)
        calibration: Any = {} if record is None else record.notes.get("calibration", {})
        for trial in calibration.get("trials", []):
            tried: dict[str, Any] = trial["switches"]
            if all(tried[name] == value for name, value in switches.items() if name in tried):
                return {**tried, **switches}
        return switches

    def _scores(self, training: Training, kind: Kind, otherwise: Switches) -> Path:
        parts = [kind.name, *(f"{name}={value}" for name, value in otherwise)]
        return self.folder / "scores" / training.digest / f"{'-'.join(parts)}.json"


def _read(path: Path, kind: type[Record]) -> Record | None:
    if not path.is_file():
        return None
    remedy = "Delete it and start again: the run will be repeated."
    try:
        return kind.model_validate_json(read_small(path, LARGEST_CONFIG, OutputError, remedy))
    except ValidationError as error:
        raise OutputError("This record of an earlier run is damaged.", remedy, path) from error


def _write(record: BaseModel, path: Path) -> None:
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(record.model_dump(mode="json"), path, force=True)
