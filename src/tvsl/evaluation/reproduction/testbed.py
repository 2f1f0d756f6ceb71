"""What tables are measured on: clips to train on, and scenes of every kind with their truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.data.clips import ClipSet
from tvsl.encoder import Encoder
from tvsl.evaluation.reproduction.kinds import Kind
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.tokens import Queries, Tokens

Split = Literal["validation", "test"]
MOST_SOURCES = 4
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class ShownScene:
    """A test scene for people to look at.

    Attributes:
        picture: Its panels side by side, RGB, (H, W, 3) uint8.
        labels: What sounds and is seen, source by source.
    """

    picture: Picture
    labels: tuple[str, ...]


class Testbed(ABC):
    """What tables are measured on.

    Attributes:
        title: What pages call it.
        real: Whether it is made of files, and no made-up world.
        paper: The paper's benchmarks that stand beside it, by their name in ``PAPER_SETS``.
        halved: Whether only half of the classes are trained on anyway.
    """

    title: str
    real: bool
    paper: str
    halved: bool

    @property
    @abstractmethod
    def clips(self) -> ClipSet:
        """The clips to train on."""

    @property
    def most_sources(self) -> int:
        """Up to how many training clips are mixed: of different classes, so that many there are."""
        return MOST_SOURCES

    @abstractmethod
    def names(self, kind: Kind, half: bool = False) -> tuple[str, ...]:
        """The classes that sources of a kind of scene are of, and are detected among.

        Args:
            kind: The kind.
            half: Whether for heads that are trained on half of the classes.
        """

    @abstractmethod
    def lacks(self, kind: Kind, split: Split, half: bool = False) -> str | None:
        """Why there are no scenes of a kind; None if there are.

        Args:
            kind: The kind.
            split: The split.
            half: Whether for heads that are trained on half of the classes.
        """

    @abstractmethod
    def count(self, kind: Kind, split: Split, half: bool = False) -> int:
        """How many scenes of a kind there are, as many as the recipe wants at most."""

    @abstractmethod
    def scenes(
        self, encoder: Encoder, kind: Kind, split: Split, numbers: range, half: bool = False
    ) -> EncodedScenes:
        """Make or read scenes, and encode them.

        Args:
            encoder: The frozen encoder.
            kind: The kind; ``negatives`` is not asked for.
            split: The split.
            numbers: Which of them.
            half: Whether for heads that are trained on half of the classes.

        Returns:
            The scenes.
        """

    def require_files(self, blocks: Iterable[tuple[Kind, Split, bool, range]]) -> None:  # noqa: B027
        """Let through only scenes whose files are all there; scenes that are made have none.

        Args:
            blocks: Kind, split, whether for heads of half of the classes, and which scenes.

        Raises:
            MissingFileError: Files are missing.
        """

    @abstractmethod
    def visible(self, kind: Kind, split: Split, numbers: range) -> list[set[str]]:
        """The classes that can be seen in scenes, so far as is known."""

    @abstractmethod
    def shown(self, kind: Kind, numbers: Sequence[int]) -> list[ShownScene]:
        """Test scenes for people to look at."""

    def warnings(self) -> list[str]:
        """What keeps numbers from meaning what they seem to mean."""
        return []

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What identifies it; tokens are kept for this."""


def with_negatives(scenes: EncodedScenes, visible: Sequence[set[str]]) -> EncodedScenes:
    """Give every other scene a sound whose source is nowhere in its picture.

    Args:
        scenes: Scenes of one source each.
        visible: The classes that can be seen in each of them.

    Returns:
        The same scenes, of which every other one has the sound, and is asked for the class, of the
        next scene whose class it does not show. Where every class is shown, a scene stays as it is.
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
    hot = scenes.labels & ~silent[:, None]
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
        labels=hot,
        masks=scenes.masks & ~silent[:, None, None],
        boxes=scenes.boxes & ~silent[:, None, None],
        twins=scenes.twins & ~silent[:, None, None],
    )
