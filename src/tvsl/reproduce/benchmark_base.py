"""The interface of benchmarks: clips to train on, scenes with their truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.data.base import ClipSet
from tvsl.data.files import FileDataSet
from tvsl.encoder import Encoder
from tvsl.evaluation.batch import EncodedBatch
from tvsl.reproduce.specs import BenchmarkName, ReproduceConfig, SceneSet, TestCondition
from tvsl.tokens import Queries, Tokens

MOST_SOURCES = 4


PreviewScene = tuple[NDArray[np.uint8], tuple[str, ...]]
"""Panels of a scene side by side, RGB, (H, W, 3), and the classes of its sources."""


class Benchmark(ABC):
    """Data that tables are measured on: clips to train on, and scenes with their truth.

    Attributes:
        title: Title on pages.
        real: Whether it is made of files, and no made-up world.
        paper: The paper's benchmarks that stand beside it, by their name in ``PAPER_SETS``.
        halved: Whether only half of the classes are trained on anyway.
        expectations: Name of what is expected of it in ``expectations.py``; None for nothing.
    """

    title: str
    real: bool
    paper: str
    halved: bool
    expectations: BenchmarkName | None = None

    @property
    @abstractmethod
    def clips(self) -> ClipSet:
        """The clips to train on."""

    @property
    def most_sources(self) -> int:
        """Largest number of training clips that are mixed; each is of another class."""
        return MOST_SOURCES

    @abstractmethod
    def names(self, condition: TestCondition, half: bool = False) -> tuple[str, ...]:
        """Classes of the sources under a condition, among which they are detected.

        Args:
            condition: The condition.
            half: Whether for heads that are trained on half of the classes.
        """

    @abstractmethod
    def lacks(self, wanted: SceneSet) -> str | None:
        """Reason why there are no such scenes; None if there are some."""

    @abstractmethod
    def count(self, wanted: SceneSet) -> int:
        """Number of scenes of a set, at most as many as the recipe wants."""

    @abstractmethod
    def scenes(self, encoder: Encoder, wanted: SceneSet, numbers: range) -> EncodedBatch:
        """Make or read scenes, and encode them.

        Args:
            encoder: The frozen encoder.
            wanted: The set; never one of the condition ``negatives``.
            numbers: Numbers of the scenes in it.
        """

    def require_files(self, blocks: Iterable[tuple[SceneSet, range]]) -> None:  # noqa: B027
        """Check that the files of scenes are all there; scenes that are made have none.

        Raises:
            MissingFileError: Files are missing.
        """

    @abstractmethod
    def visible(self, wanted: SceneSet, numbers: range) -> list[set[str]]:
        """Known visible classes of scenes.

        Args:
            wanted: The set.
            numbers: Numbers of the scenes in it.
        """

    @abstractmethod
    def preview(self, condition: TestCondition, numbers: Sequence[int]) -> list[PreviewScene]:
        """Pictures and classes of test scenes, to be shown.

        Args:
            condition: The condition.
            numbers: Numbers of the scenes.
        """

    def warnings(self) -> list[str]:
        """Warnings that stand beside the numbers."""
        return []

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Identity of the benchmark; tokens are kept for it."""


def with_negatives(scenes: EncodedBatch, visible: Sequence[set[str]]) -> EncodedBatch:
    """Give every other scene a sound whose source is nowhere in its picture.

    Args:
        scenes: Scenes of one source each.
        visible: The classes that can be seen in each of them.

    Returns:
        The same scenes. Every other one has the sound and the class of the next scene whose class
        it does not show, and stays as it is where every class is shown.
    """
    labels = scenes.queries.label.clone()
    sounds = torch.arange(len(labels))
    for row in range(1, len(labels), 2):
        others = (np.arange(1, len(labels)) + row) % len(labels)
        names = (scenes.vocabulary.names[int(labels[other])] for other in others)
        fitting = (n for n, name in zip(others, names, strict=True) if name not in visible[row])
        sounds[row] = int(next(fitting, row))
    silent = sounds != torch.arange(len(labels))
    tokens = scenes.tokens
    return replace(
        scenes,
        tokens=Tokens(
            tokens.visual,
            tokens.audio[sounds],
            tokens.image,
            tokens.sound[sounds],
            tokens.grid,
            tokens.panels,
        ),
        queries=Queries(scenes.queries.clip, labels[sounds]),
        targets=scenes.targets & ~silent[:, None, None],
        masks=None,
        twins=None,
    )


class DrawnHalves(Benchmark):
    """A benchmark whose unseen classes are drawn, since its data set has none of its own.

    Attributes:
        data: The data set.
        config: The recipe.
    """

    halved = False
    data: FileDataSet
    config: ReproduceConfig

    @cached_property
    def halves(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The classes that Table 4 trains on, and those that are unseen then; drawn by the seed."""
        return draw_halves(self.data.names, self.config.seed)

    def names(self, condition: TestCondition, half: bool = False) -> tuple[str, ...]:
        """All classes, or one of the halves; see the base class."""
        if condition.part == "unseen":
            return self.halves[1]
        return self.halves[0] if half else self.data.names


def draw_halves(names: Sequence[str], seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draw half of some classes.

    Args:
        names: The classes.
        seed: Seed of the draw.

    Returns:
        Half of them, the larger one where they are odd, and the others; each in their order.
    """
    order = np.random.default_rng((seed, len(names))).permutation(len(names))
    first = {names[place] for place in order[: -(-len(names) // 2)]}
    known = tuple(name for name in names if name in first)
    return known, tuple(name for name in names if name not in first)
