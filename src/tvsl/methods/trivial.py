"""Trivial baselines, which use neither picture nor sound: the numbers that chance reaches."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from tvsl.methods.base import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary

_WIDTH = 0.25


class Trivial(Untrained):
    """A map that depends on the grid alone, and on the number of the clip where it is random."""

    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """One map for all queries of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        return self.drawn(queries.clip, tokens.grid, tokens.panels).to(tokens.visual)

    def drawn(self, clips: Tensor, grid: tuple[int, int], panels: int = 1, seed: int = 0) -> Tensor:
        """Maps of some clips: (P, h, w) float32, on the device of ``clips``.

        Args:
            clips: The number of the clip of each map, (P,); the clip's place in a batch, or in a
                data set, so that batches make no difference.
            grid: Height and width of the token grid.
            panels: Number of frames side by side in the grid, each with a map of its own.
            seed: Seed of random maps.
        """
        height, width = grid
        count = int(clips.max()) + 1 if len(clips) else 0
        panel = self.panel(count, height, width // panels, seed).to(clips.device)
        return panel[clips].repeat(1, 1, panels)

    def readouts(self) -> list[dict[str, Any]]:
        """Its map alone: what looks at nothing knows no cells that look alike."""
        return [{}]

    @abstractmethod
    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:
        """Maps of one panel for the first clips: (clips, height, width).

        Args:
            clips: Number of clips.
            height: Rows of the panel's grid.
            width: Columns of the panel's grid.
            seed: Seed of random maps.
        """


class WholeFrame(Trivial):
    """A sound everywhere: a constant map."""

    name: ClassVar[str] = "whole-frame"

    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:  # noqa: ARG002
        """Ones; see the base class."""
        return torch.ones(clips, height, width)


class Centre(Trivial):
    """A sound in the centre of each panel: a Gaussian a quarter of the panel wide."""

    name: ClassVar[str] = "centre"

    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:  # noqa: ARG002
        """Gaussian, the same for each clip; see the base class."""
        down, across = (
            ((torch.arange(size) + 0.5) / size - 0.5) / _WIDTH for size in (height, width)
        )
        hill = torch.exp(-0.5 * (down[:, None] ** 2 + across**2))
        return hill.expand(clips, height, width)


class Noise(Trivial):
    """A sound anywhere: random maps, the same for the same number of a clip."""

    name: ClassVar[str] = "random"

    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:
        """Uniform noise, independent of the number of clips; see the base class."""
        return torch.rand(clips, height, width, generator=torch.Generator().manual_seed(seed))
