"""Ground truth of the location of a source: boxes, masks, or nowhere, drawn at any size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UnreadableMediaError

RelativeBox = tuple[float, float, float, float]
"""Left, top, right, bottom relative to a picture's width and height, each in [0, 1]."""

Shape = tuple[int, int]
"""Height and width of a picture in pixels."""

Drawn = NDArray[np.float32]

# Shares such as 29 / 112 times 112 must not fall just below the whole number.
_SLACK = 1e-6
# Reduced sides are rounded up, down or to even numbers.
_ROUNDING = 1


class Target(Protocol):
    """Ground truth of a map."""

    def draw(self, height: int, width: int) -> Drawn:
        """Draw the target at a size.

        Args:
            height: H, in pixels.
            width: W, in pixels.

        Returns:
            (H, W) in [0, 1]: 1 on the source, 0 elsewhere, between where annotators disagree.

        Raises:
            MediaError: Its file cannot be used.
        """


@dataclass(frozen=True)
class Boxes:
    """The union of some boxes; empty without any.

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
        """Resize the mask to its nearest pixels; see ``Target``."""
        rows = (np.arange(height) * 2 + 1) * self.drawn.shape[0] // (2 * height)
        columns = (np.arange(width) * 2 + 1) * self.drawn.shape[1] // (2 * width)
        drawn: Drawn = self.drawn[rows[:, None], columns].astype(np.float32)
        return drawn


@dataclass(frozen=True)
class FileTarget(ABC):
    """A target in a file, which is read when it is drawn.

    Attributes:
        path: The file.
    """

    path: Path

    @abstractmethod
    def load(self, shape: Shape | None) -> Target:
        """Read the file.

        Args:
            shape: Height and width of its picture; None where it is not known.

        Raises:
            MediaError: The file cannot be used, or is for a picture of another shape.
        """

    def require_shape(
        self, found: Shape, shape: Shape | None, mask: str = "mask", picture: str = "picture"
    ) -> None:
        """Refuse the file of a picture of another shape.

        Args:
            found: Height and width of the file's content.
            shape: Height and width of its picture; None where it is not known.
            mask: Name of the content, for the message.
            picture: Name of the picture, for the message.

        Raises:
            UnreadableMediaError: One is no resized copy of the other.
        """
        if shape is not None and not same_shape(found, shape):
            raise UnreadableMediaError(
                f"The {mask} has {in_pixels(found)} pixels, its {picture} {in_pixels(shape)}.",
                "Check which of them is turned, and that they belong together.",
                self.path,
            )

    def draw(self, height: int, width: int) -> Drawn:
        """Read and draw it; see ``Target``."""
        return self.load(None).draw(height, width)


@dataclass(frozen=True)
class SideBySide:
    """A source in several panels.

    Attributes:
        panels: Its target in each panel, from left to right.
    """

    panels: tuple[Target, ...]

    def draw(self, height: int, width: int) -> Drawn:
        """Draw the panels, each in an equal share of the width; see ``Target``."""
        share = width // len(self.panels)
        return np.concatenate([panel.draw(height, share) for panel in self.panels], axis=1)


@dataclass(frozen=True)
class Nowhere:
    """The empty target of a sound without a visible source, or of silence."""

    def draw(self, height: int, width: int) -> Drawn:
        """Return zeros; see ``Target``."""
        return np.zeros((height, width), dtype=np.float32)


def pixel_box(box: RelativeBox, height: int, width: int) -> tuple[int, int, int, int]:
    """A box in pixels.

    Args:
        box: The relative box.
        height: H.
        width: W.

    Returns:
        Left, top, right, bottom, ends exclusive; fractions of a pixel are cut off, as in the public
        evaluators (EZ-VSL, SLAVC, AVGN, SSLalignment: ``astype(int)``).
    """
    left, top, right, bottom = (
        math.floor(share * size + _SLACK)
        for share, size in zip(box, (width, height) * 2, strict=True)
    )
    return left, top, right, bottom


def clipped(box: Sequence[float]) -> RelativeBox | None:
    """Clip a box to the picture.

    Args:
        box: Left, top, right, bottom; public annotations hold some wild values.

    Returns:
        The box, clipped at the edges; None if nothing is left of it or a value is no number.
    """
    left, top, right, bottom = (min(max(float(value), 0.0), 1.0) for value in box)
    return (left, top, right, bottom) if left < right and top < bottom else None


def loaded(target: Target, shape: Shape | None, panels: Sequence[Shape]) -> Target:
    """Load the files of a target.

    Args:
        target: Any target.
        shape: Height and width of its picture.
        panels: Height and width of each panel of the item, for a source in several panels.

    Raises:
        MediaError: A file cannot be used, or is for a picture of another shape.
    """
    if isinstance(target, SideBySide):
        pairs = zip(target.panels, panels, strict=True)
        return SideBySide(tuple(loaded(panel, size, panels) for panel, size in pairs))
    return target.load(shape) if isinstance(target, FileTarget) else target


def same_shape(stated: Shape, found: Shape) -> bool:
    """Tell whether one picture may be a resized copy of another.

    Only the aspect ratio counts: pictures are often reduced before they are used.

    Args:
        stated: Height and width of one picture.
        found: Height and width of the other.

    Returns:
        Whether one factor scales both sides, up to rounding in the smaller picture.
    """
    larger, smaller = sorted((stated, found), key=math.prod, reverse=True)
    sides = list(zip(larger, smaller, strict=True))
    least = max((reduced - _ROUNDING) / side for side, reduced in sides)
    most = min((reduced + _ROUNDING) / side for side, reduced in sides)
    return least < most


def in_pixels(shape: Shape) -> str:
    """Format a shape as width x height."""
    return f"{shape[1]} x {shape[0]}"


def files_of(target: Target) -> tuple[Path, ...]:
    """Files that must be read to draw a target."""
    if isinstance(target, SideBySide):
        return tuple(path for panel in target.panels for path in files_of(panel))
    return (target.path,) if isinstance(target, FileTarget) else ()
