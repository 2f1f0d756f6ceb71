"""Types of a reproduction: recipe, heads, curricula, test conditions, rows and tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from tvsl.data.base import Split
from tvsl.data.token_store import StoredType
from tvsl.encoder import MOST_CHANNELS, FlipAverage, ImageTokenMode
from tvsl.errors import UsageError, first_problem
from tvsl.evaluation.score import SceneFigure
from tvsl.metrics import LabelSource
from tvsl.training.config import Schedule
from tvsl.utils.strict_model import StrictModel

Hyperparameters = tuple[tuple[str, JsonValue], ...]
"""Hyperparameters of a method with their values, as part of something that is compared."""

Task = Literal["single", "several"]
"""Task that a head is chosen for: single sources, or mixtures."""


@dataclass(frozen=True)
class Stage:
    """A stage of a training.

    Attributes:
        sources: Numbers of sources of its mixtures; each batch has one number.
        until: Share of the training at which it ends.
    """

    sources: tuple[int, ...]
    until: float = 1.0


@dataclass(frozen=True)
class Curriculum:
    """Mixtures that a head is trained on, stage after stage.

    Attributes:
        name: Title on pages.
        stages: The stages; the last one ends at 1.
        half: Whether half of the classes are left out as unseen ones (Table 4).
    """

    name: str
    stages: tuple[Stage, ...]
    half: bool = False

    @property
    def most_sources(self) -> int:
        """The largest number of sources."""
        return max(number for stage in self.stages for number in stage.sources)


SINGLES = Curriculum("single sources", (Stage((1,)),))
DUETS = Curriculum("duets", (Stage((2,)),))
SINGLES_THEN_DUETS = Curriculum("single sources, then duets", (Stage((1,), 0.75), Stage((2,))))
MIXTURES = Curriculum("mixtures of one to four", (Stage((1, 2, 3, 4)),))


@dataclass(frozen=True)
class TokenMode:
    """Encoding of pictures that differs from the rest of the reproduction.

    Attributes:
        image_tokens: Dense image tokens.
        flip_average: Averaging with the flipped picture.
    """

    image_tokens: ImageTokenMode | None = None
    flip_average: FlipAverage | None = None


AS_ALL = TokenMode()


@dataclass(frozen=True)
class HeadSpec:
    """A method with its hyperparameters.

    Attributes:
        method: Name of the method.
        preset: Preset of its hyperparameters, for T-VSL.
        hyperparameters: Hyperparameters that are set otherwise.
    """

    method: str
    preset: str | None = None
    hyperparameters: Hyperparameters = ()


@dataclass(frozen=True)
class Training:
    """The training of one head.

    Attributes:
        head: The head.
        curriculum: Its curriculum; None without training.
        learning_rate: Highest rate of Adam; None without training.
        seed: Seed of everything that is drawn.
        mode: Encoding of pictures.
        batch: Mixtures of a step; None without training.
    """

    head: HeadSpec
    curriculum: Curriculum | None = None
    learning_rate: float | None = None
    seed: int = 0
    mode: TokenMode = AS_ALL
    batch: int | None = None

    @property
    def half(self) -> bool:
        """Tell whether it is on half of the classes."""
        return self.curriculum is not None and self.curriculum.half

    @property
    def title(self) -> str:
        """Curriculum, mixtures of a step and learning rate on pages; empty without training."""
        if self.curriculum is None:
            return ""
        return f"{self.curriculum.name}, {self.batch} at {self.learning_rate:g}"

    @property
    def digest(self) -> str:
        """Name of its files, a hash of all fields."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Candidates:
    """Candidates of which validation chooses one: what a row of a table stands for.

    Attributes:
        head: The head.
        curricula: Its curricula; none without training.
        task: Task that the choice is made for.
        mode: Encoding of pictures.
    """

    head: HeadSpec
    curricula: tuple[Curriculum, ...] = ()
    task: Task = "single"
    mode: TokenMode = AS_ALL

    @property
    def half(self) -> bool:
        """Tell whether training is on half of the classes."""
        return any(curriculum.half for curriculum in self.curricula)


ClassSubset = Literal["seen", "unseen"]
Perturbation = Literal["twins", "off-screen", "negatives"]


@dataclass(frozen=True)
class TestCondition:
    """A condition that scenes are tested under.

    Attributes:
        name: Name in files and columns.
        title: Title on pages.
        sources: K, the number of sources.
        classes: Whether its classes are those of training, or the other half.
        perturbation: Every source has a silent twin of its class (``twins``), every
            mixture has a sound whose class is nowhere visible (``off-screen``), or of every other
            scene all that sounds is nowhere visible (``negatives``).
    """

    name: str
    title: str
    sources: int
    classes: ClassSubset = "seen"
    perturbation: Perturbation | None = None


SINGLE = TestCondition("single", "single sources", 1)
DUET = TestCondition("duet", "duets", 2)
TRIO = TestCondition("trio", "mixtures of three", 3)
QUARTET = TestCondition("quartet", "mixtures of four", 4)
UNSEEN_SINGLE = TestCondition("unseen-single", "single sources of unseen classes", 1, "unseen")
UNSEEN_DUET = TestCondition("unseen-duet", "duets of unseen classes", 2, "unseen")
TWIN_SINGLE = TestCondition(
    "twin-single", "single sources with a silent twin", 1, perturbation="twins"
)
TWIN_DUET = TestCondition(
    "twin-duet", "duets, each source with a silent twin", 2, perturbation="twins"
)
OFF_SCREEN_SINGLE = TestCondition(
    "off-screen-single", "single sources and a sound off screen", 1, perturbation="off-screen"
)
OFF_SCREEN_DUET = TestCondition(
    "off-screen-duet", "duets and a sound off screen", 2, perturbation="off-screen"
)
NEGATIVES = TestCondition(
    "negatives",
    "single sources, every other one silent and out of sight",
    1,
    perturbation="negatives",
)

TEST_CONDITIONS: Mapping[str, TestCondition] = {
    condition.name: condition
    for condition in (
        SINGLE,
        DUET,
        TRIO,
        QUARTET,
        UNSEEN_SINGLE,
        UNSEEN_DUET,
        TWIN_SINGLE,
        TWIN_DUET,
        OFF_SCREEN_SINGLE,
        OFF_SCREEN_DUET,
        NEGATIVES,
    )
}
"""All of them by name."""

VALIDATION_CONDITIONS = (SINGLE, DUET, TRIO, QUARTET)
"""Maps are decided on the first two, detection on all of them."""


@dataclass(frozen=True)
class SceneSet:
    """All scenes of a condition and a split, which are encoded once.

    Attributes:
        condition: The condition.
        split: The split.
        mode: Encoding of pictures.
        half: Whether they are for heads that are trained on half of the classes.
    """

    condition: TestCondition
    split: Split
    mode: TokenMode = AS_ALL
    half: bool = False


LABEL_TITLES: dict[LabelSource, str] = {
    "given": "labels given",
    "detected": "labels detected",
    "none": "no labels",
    "assigned": "no labels, assigned by the truth",
}
WITHOUT_HELP: tuple[LabelSource, ...] = ("none", "detected")
"""Label sources with which a method knows nothing but the number of sources."""


EvalTarget = tuple[TestCondition, Hyperparameters]
"""A test condition, and the hyperparameters that override what validation decided."""


@dataclass(frozen=True)
class RowSpec:
    """A row of a table.

    Attributes:
        title: Title in the table.
        single: The head of columns for single sources.
        several: The head of columns for mixtures.
        paper: Row of ``paper_numbers``; None for a row of our own.
        overrides: Hyperparameters that are set otherwise than validation decided, with what it
            decided beside them.
        trivial: Whether it looks at nothing.
    """

    title: str
    single: Candidates
    several: Candidates
    paper: str | None = None
    overrides: Hyperparameters = ()
    trivial: bool = False

    def candidates(self, task: Task) -> Candidates:
        """The head of columns for a task."""
        return self.single if task == "single" else self.several


DROP = "drop"
"""Column of ``paper_numbers`` with the drop from the first number of sources to the last."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Title in the table; ``{success}`` stands for the data's success rate.
        condition: The test condition.
        figure: The figure; ``success`` for the data's success rate.
        head: Task of the row's head that is scored.
        paper: Column of ``paper_numbers``, with ``{single}``, ``{several}`` and ``{success}`` for
            the benchmarks that stand beside ours; None for a column of our own.
        falls_from: The column shows by how much of its value on these scenes the figure is lower.
    """

    title: str
    condition: TestCondition
    figure: SceneFigure | Literal["success"]
    head: Task
    paper: str | None = None
    falls_from: TestCondition | None = None

    @property
    def task(self) -> Task:
        """Task that it measures, which decides the success rate."""
        return "single" if self.condition.sources == 1 else "several"

    @property
    def low_is_good(self) -> bool:
        """Tell whether lower is better."""
        return self.falls_from is not None

    @property
    def conditions(self) -> tuple[TestCondition, ...]:
        """All scenes that it needs."""
        return (self.condition,) if self.falls_from is None else (self.condition, self.falls_from)


@dataclass(frozen=True)
class TableSpec:
    """A table.

    Attributes:
        name: Name on the command line.
        title: Title on pages.
        says: The comparison, in a sentence.
        rows: Its rows.
        columns: Its columns.
        labels: The label sources that it shows, where a method has several.
        paper: Number of the paper's table; None for one of our own.
        reference: Title of the row that all others are compared with, if any.
    """

    name: str
    title: str
    says: str
    rows: tuple[RowSpec, ...]
    columns: tuple[Column, ...]
    labels: tuple[LabelSource, ...] = ("detected", "given", "assigned", "none")
    paper: int | None = None
    reference: str | None = None

    def needs(self) -> Iterator[tuple[Candidates, TestCondition, Hyperparameters]]:
        """Candidates with their test conditions and overrides, row by row."""
        for row in self.rows:
            for column in self.columns:
                for condition in column.conditions:
                    yield row.candidates(column.head), condition, row.overrides


class ReproduceConfig(StrictModel):
    """The recipe of all tables; the same for every row of a table.

    Attributes:
        clips: Training clips; all there are when None.
        validation_scenes: Validation scenes of each number of sources, at most.
        test_scenes: Test scenes of each condition, at most; all there are when None.
        steps: Optimiser steps of a head that takes the first of ``batches`` in each. With another
            one it takes as many more or fewer as keep the number of mixtures.
        batches: Mixtures of a step, of which validation chooses for every method.
        learning_rates: Rates of which validation chooses for every head.
        further_rates: Most rates that are tried beyond these, one by one, where the best so far is
            the lowest or the highest; each is a third or three times of the one before. Variants
            of a method try its rate instead.
        schedule: Of the learning rate.
        seeds: Heads of every learned row.
        hyperparameters: Sizes and the like of methods that suit encoder and steps, by method.
        flip_average: Averaging with the flipped picture, for all methods.
        directions: Principal directions of the encoder's space that are kept, for all methods; all
            of them when None.
        stored_as: Type of the training tokens on disk.
        pictures: Test scenes that the figures show.
        seed: Decides clips, scenes and pictures; heads have their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clips: int | None = Field(None, gt=1, le=10_000_000)
    validation_scenes: int = Field(200, gt=0, le=1_000_000)
    test_scenes: int | None = Field(None, gt=0, le=10_000_000)
    steps: int = Field(2000, gt=0, le=1_000_000_000)
    batches: tuple[Annotated[int, Field(gt=0, le=1_000_000)], ...] = Field((256, 64), min_length=1)
    learning_rates: tuple[float, ...] = Field((3e-4, 1e-3), min_length=1)
    further_rates: int = Field(4, ge=0, le=100)
    schedule: Schedule = "cosine"
    seeds: int = Field(3, ge=1, le=10_000)
    hyperparameters: dict[str, dict[str, JsonValue]] = Field({})
    flip_average: FlipAverage = "none"
    directions: int | None = Field(None, gt=1, le=MOST_CHANNELS)
    stored_as: StoredType = "bfloat16"
    pictures: int = Field(4, gt=0, le=1000)
    seed: int = Field(0, ge=0, lt=2**63)

    def steps_of(self, batch: int) -> int:
        """Number of optimiser steps of a head.

        Args:
            batch: Mixtures of each.
        """
        return max(1, self.steps * self.batches[0] // batch)


# No projection is wider than the space that it starts from: that costs much and adds nothing.
# AVGN learns to detect in so few steps only with one block and without a mean over the classes.
_MINI_HYPERPARAMETERS: dict[str, dict[str, JsonValue]] = {
    "ez-vsl": {"dimension": 128},
    "margin-nce": {"dimension": 128},
    "fnac": {"dimension": 128},
    "alignment": {"dimension": 128},
    "wav2clip": {"hidden": 128},
    "avgn": {"dimension": 64, "depth": 1, "sum_presences": True},
}

_QUICK_FILES: dict[str, Any] = {
    "validation_scenes": 4,
    "test_scenes": 4,
    "steps": 2,
    "batches": (4,),
    "learning_rates": (1e-4,),
    "further_rates": 0,
    "seeds": 1,
    "hyperparameters": {"avgn": {"dimension": 64}},
    "pictures": 1,
}

BenchmarkName = Literal["world", "new classes", "real mixtures"]
"""The benchmarks that something is expected of (``expectations.py``)."""

BenchmarkKind = Literal["synthetic", "new classes", "composites", "files"]
"""The made-up world with classes that its encoder knows or has not met, mixtures made of real
photographs and sounds, or a data set's own clips."""

_WORLD: dict[str, Any] = {
    "clips": 4000,
    "validation_scenes": 150,
    "test_scenes": 300,
    "steps": 300,
    "batches": (32, 8),
    "hyperparameters": _MINI_HYPERPARAMETERS,
    "flip_average": "turn",
}
_QUICK_WORLD: dict[str, Any] = {
    "clips": 64,
    "validation_scenes": 8,
    "test_scenes": 8,
    "steps": 3,
    "batches": (8, 4),
    "learning_rates": (1e-4, 1e-3),
    "further_rates": 0,
    "seeds": 2,
    "hyperparameters": _MINI_HYPERPARAMETERS,
    "pictures": 1,
}

_PRESETS: Mapping[tuple[BenchmarkKind, str], dict[str, Any]] = {
    # Where the encoder knows the classes, validation prefers small rates for most rows.
    ("synthetic", "full"): {**_WORLD, "learning_rates": (3e-4, 1e-3)},
    ("synthetic", "quick"): _QUICK_WORLD,
    ("new classes", "full"): {**_WORLD, "learning_rates": (1e-3, 3e-3)},
    ("new classes", "quick"): _QUICK_WORLD,
    # Tokens of real pictures are many: what a head costs is their number times D squared.
    ("composites", "full"): {
        "clips": 1000,
        "validation_scenes": 40,
        "test_scenes": 150,
        "steps": 150,
        "batches": (32, 8),
        "learning_rates": (1e-3, 3e-3),
        "directions": 192,
        "hyperparameters": _MINI_HYPERPARAMETERS,
    },
    ("composites", "quick"): _QUICK_FILES,
    ("files", "full"): {},
    ("files", "quick"): _QUICK_FILES,
}
PRESETS = ("full", "quick")
"""``full`` gives numbers that mean something; ``quick`` only shows that everything runs."""


def reproduce_config(kind: BenchmarkKind, preset: str = "full", **fields: Any) -> ReproduceConfig:
    """A recipe with the defaults of its preset.

    Args:
        kind: Kind of the benchmark.
        preset: One of ``PRESETS``.
        fields: Fields that are set otherwise.

    Raises:
        UsageError: There is no such preset or field, or a value that it cannot have.
    """
    if preset not in PRESETS:
        raise UsageError(f"There is no scale '{preset}'.", f"Scales: {', '.join(PRESETS)}.")
    try:
        return ReproduceConfig.model_validate({**_PRESETS[kind, preset], **fields})
    except ValidationError as error:
        raise UsageError(
            f"The recipe is wrong: {first_problem(error)}.",
            f"Fields: {', '.join(ReproduceConfig.model_fields)}.",
        ) from error
