"""Where a source is: boxes, masks, or nowhere, drawn at any size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RelativeBox = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of a picture's width and height, each in [0, 1]."""

Shape = tuple[int, int]
"""Height and width of a picture in pixels."""

Drawn = NDArray[np.float32]

# Shares such as 29 / 112 times 112 must not fall just below the whole number.
_SLACK = 1e-6
# Reduced sides are rounded up, down or to even numbers.
_ROUNDING = 1


class Target(Protocol):
    """What a map is scored against."""

    def draw(self, height: int, width: int) -> Drawn:
        """Draw it at a size.

        Args:
            height: H, in pixels.
            width: W, in pixels.

        Returns:
            (H, W) in [0, 1]: 1 on the source, 0 elsewhere, between where annotators disagree.

        Raises:
            MediaError: A file that holds it cannot be used.
        """


@dataclass(frozen=True)
class Boxes:
    """The union of some boxes; nothing where there is none.

    Attributes:
        boxes: The boxes.
    """

    boxes: tuple[RelativeBox, ...]

    def draw(self, height: int, width: int) -> Drawn:
        """Draw the union; see ``Target``."""
        drawn = np.zeros((height, width), dtype=np.float32)
        for box in self.boxes:
            left, top, right, bottom = pixel_box(box, height, width)
            drawn[top:bottom, left:right] = 1
        return drawn


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask in memory.

    Attributes:
        drawn: (H, W) bool.
    """

    drawn: NDArray[np.bool_]

    def draw(self, height: int, width: int) -> Drawn:
        """The nearest pixels of the mask; see ``Target``."""
        rows = (np.arange(height) * 2 + 1) * self.drawn.shape[0] // (2 * height)
        columns = (np.arange(width) * 2 + 1) * self.drawn.shape[1] // (2 * width)
        drawn: Drawn = self.drawn[rows[:, None], columns].astype(np.float32)
        return drawn


@dataclass(frozen=True)
class FileTarget(ABC):
    """A target in a file of its own, which is read when it is drawn.

    Attributes:
        path: The file.
    """

    path: Path

    @abstractmethod
    def load(self, shape: Shape | None) -> Target:
        """Read it.

        Args:
            shape: Height and width of the picture that it belongs to; None where it is not known.

        Returns:
            What it holds.

        Raises:
            MediaError: The file cannot be used, or is for a picture of another shape.
        """

    def draw(self, height: int, width: int) -> Drawn:
        """Read and draw it; see ``Target``."""
        return self.load(None).draw(height, width)


@dataclass(frozen=True)
class SideBySide:
    """A source that several panels show.

    Attributes:
        parts: Where it is in each of the panels, from left to right.
    """

    parts: tuple[Target, ...]

    def draw(self, height: int, width: int) -> Drawn:
        """Draw the parts, each in an equal share of the width; see ``Target``."""
        return np.concatenate(
            [part.draw(height, width // len(self.parts)) for part in self.parts], axis=1
        )


@dataclass(frozen=True)
class Nowhere:
    """A sound whose source is not in the picture, or none at all."""

    def draw(self, height: int, width: int) -> Drawn:
        """Zeros; see ``Target``."""
        return np.zeros((height, width), dtype=np.float32)


def pixel_box(box: RelativeBox, height: int, width: int) -> tuple[int, int, int, int]:
    """A box in pixels.

    Args:
        box: Its shares.
        height: H.
        width: W.

    Returns:
        Left, top, right, bottom, ends exclusive; parts of a pixel are dropped, as the public
        evaluators do (EZ-VSL, SLAVC, AVGN, SSLalignment: ``astype(int)``).
    """
    left, top, right, bottom = (
        math.floor(share * size + _SLACK)
        for share, size in zip(box, (width, height) * 2, strict=True)
    )
    return left, top, right, bottom


def clipped(box: Sequence[float]) -> RelativeBox | None:
    """A box inside the picture.

    Args:
        box: Left, top, right, bottom; public annotations hold some wild values.

    Returns:
        The box cut off at the picture's edges, or None where nothing is left of it or a value is
        no number.
    """
    left, top, right, bottom = (min(max(float(value), 0.0), 1.0) for value in box)
    return (left, top, right, bottom) if left < right and top < bottom else None


def loaded(target: Target, shape: Shape | None, panels: Sequence[Shape]) -> Target:
    """A target without files: what they hold.

    Args:
        target: Any target.
        shape: Height and width of the picture that it is drawn in.
        panels: Those of each panel of the item, for a source that several panels show.

    Returns:
        The target, in memory.

    Raises:
        MediaError: A file cannot be used, or is for a picture of another shape.
    """
    if isinstance(target, SideBySide):
        parts = zip(target.parts, panels, strict=True)
        return SideBySide(tuple(loaded(part, one, panels) for part, one in parts))
    return target.load(shape) if isinstance(target, FileTarget) else target


def same_shape(stated: Shape, found: Shape) -> bool:
    """Tell whether a picture could be another one reduced or enlarged.

    Only the shape counts, not the size: pictures are often reduced before they are used.

    Args:
        stated: Height and width of the one.
        found: Those of the other.

    Returns:
        Whether one factor leads from each side to the other, up to rounding in the smaller one.
    """
    larger, smaller = sorted((stated, found), key=math.prod, reverse=True)
    sides = list(zip(larger, smaller, strict=True))
    least = max((reduced - _ROUNDING) / side for side, reduced in sides)
    most = min((reduced + _ROUNDING) / side for side, reduced in sides)
    return least < most


def in_pixels(shape: Shape) -> str:
    """A shape as people write it: width x height."""
    return f"{shape[1]} x {shape[0]}"


def files_of(target: Target) -> tuple[Path, ...]:
    """The files that must be read to draw a target."""
    if isinstance(target, SideBySide):
        return tuple(path for part in target.parts for path in files_of(part))
    return (target.path,) if isinstance(target, FileTarget) else ()
