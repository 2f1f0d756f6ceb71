"""Maps that look at nothing: every table shows what they reach by chance."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from tvsl.methods.untrained import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary

_WIDTH = 0.25


class Trivial(Untrained):
    """A map that depends on the grid alone."""

    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """The same map for every query of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        height, width = tokens.grid
        panel = self.panel(tokens.batch, height, width // tokens.panels).to(tokens.visual)
        return panel.repeat(1, 1, tokens.panels)[queries.clip]

    @abstractmethod
    def panel(self, clips: int, height: int, width: int) -> Tensor:
        """The map of one panel for each clip, (clips, height, width)."""


class WholeFrame(Trivial):
    """Everything sounds."""

    name: ClassVar[str] = "whole-frame"

    def panel(self, clips: int, height: int, width: int) -> Tensor:
        """Ones."""
        return torch.ones(clips, height, width)


class Centre(Trivial):
    """The centre of each panel sounds: a Gaussian a quarter of the panel wide."""

    name: ClassVar[str] = "centre"

    def panel(self, clips: int, height: int, width: int) -> Tensor:
        """The Gaussian, the same for each clip."""
        down, across = (
            ((torch.arange(size) + 0.5) / size - 0.5) / _WIDTH for size in (height, width)
        )
        hill = torch.exp(-0.5 * (down[:, None] ** 2 + across**2))
        return hill.expand(clips, height, width)


class Noise(Trivial):
    """Any cell sounds; the same cells for the same batch."""

    name: ClassVar[str] = "random"

    def panel(self, clips: int, height: int, width: int) -> Tensor:
        """Uniform noise of a fixed seed."""
        return torch.rand(clips, height, width, generator=torch.Generator().manual_seed(0))
