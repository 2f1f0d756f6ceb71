"""Experiments: heads, what they are trained on, test conditions, and tables of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import JsonValue

from tvsl.encoder import FlipAverage, ImageTokenMode
from tvsl.evaluation.score import SceneFigure
from tvsl.metrics import LabelSource

Hyperparameters = tuple[tuple[str, JsonValue], ...]
"""Hyperparameters of a method with their values, as part of something that is compared."""

Task = Literal["single", "several"]
"""Task that a head is chosen for: single sources, or mixtures."""


@dataclass(frozen=True)
class Stage:
    """A stretch of a training.

    Attributes:
        sources: Its batches are mixtures of these numbers of sources, one number each.
        until: Up to which share of the training it lasts.
    """

    sources: tuple[int, ...]
    until: float = 1.0


@dataclass(frozen=True)
class Curriculum:
    """Mixtures that a head is trained on, stage after stage.

    Attributes:
        name: What pages call it.
        stages: One after the other; the last one lasts until 1.
        half: Whether half of the classes are left out, to be met as unseen ones (Table 4).
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
        hyperparameters: Hyperparameters that are set overrides.
    """

    method: str
    preset: str | None = None
    hyperparameters: Hyperparameters = ()


@dataclass(frozen=True)
class Training:
    """One head to be had.

    Attributes:
        head: Which.
        curriculum: What it is trained on; None for one that needs no training.
        learning_rate: Highest rate of Adam; None without training.
        seed: Decides everything that is drawn.
        mode: How pictures are encoded.
    """

    head: HeadSpec
    curriculum: Curriculum | None = None
    learning_rate: float | None = None
    seed: int = 0
    mode: TokenMode = AS_ALL

    @property
    def half(self) -> bool:
        """Tell whether it knows half of the classes only."""
        return self.curriculum is not None and self.curriculum.half

    @property
    def digest(self) -> str:
        """A name for its files, which changes with everything that it states."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Candidates:
    """Candidates of which validation chooses one: what a row of a table stands for.

    Attributes:
        head: The head.
        curricula: What it may be trained on; nothing for one that needs no training.
        task: What the choice is made for.
        mode: How pictures are encoded.
    """

    head: HeadSpec
    curricula: tuple[Curriculum, ...] = ()
    task: Task = "single"
    mode: TokenMode = AS_ALL

    @property
    def half(self) -> bool:
        """Tell whether its heads know half of the classes only."""
        return any(curriculum.half for curriculum in self.curricula)


ClassSubset = Literal["known", "unseen"]
Perturbation = Literal["twins", "off-screen", "negatives"]


@dataclass(frozen=True)
class TestCondition:
    """A condition that scenes are tested under.

    Attributes:
        name: What files and columns call it.
        title: What pages call it.
        sources: K, the number of sources.
        part: Whether its classes were known to training, or are the other half.
        perturbation: Every source has a silent twin of its class (``twins``), every
            mixture has a sound whose class is nowhere visible (``off-screen``), or of every other
            scene all that sounds is nowhere visible (``negatives``).
    """

    name: str
    title: str
    sources: int
    part: ClassSubset = "known"
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

LABEL_TITLES: dict[LabelSource, str] = {
    "given": "labels given",
    "detected": "labels detected",
    "none": "no labels",
    "assigned": "no labels, assigned by the truth",
}
WITHOUT_HELP: tuple[LabelSource, ...] = ("none", "detected")
"""Those with which a method is told nothing at test but how many sources there are."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        title: What the table calls it.
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


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What the table calls it; ``{success}`` stands for the data's success rate.
        condition: The scenes that it is measured on.
        figure: The figure; ``success`` for the data's success rate.
        head: Which of a row's heads is measured.
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
        name: What the command line calls it.
        title: What pages call it.
        says: What it compares, in a sentence.
        rows: Its rows.
        columns: Its columns.
        labels: The label sources that it shows, where a method has several.
        paper: Number of the paper's table; None for one of our own.
    """

    name: str
    title: str
    says: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    labels: tuple[LabelSource, ...] = ("detected", "given", "assigned", "none")
    paper: int | None = None

    def needs(self) -> Iterator[tuple[Candidates, TestCondition, Hyperparameters]]:
        """Every head with the scenes it is scored on, and the hyperparameters set overrides."""
        for row in self.rows:
            for column in self.columns:
                for condition in column.conditions:
                    yield row.candidates(column.head), condition, row.overrides
