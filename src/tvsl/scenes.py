"""Scenes with exact truth: panels side by side, objects in them, and one mixture of sounds.

The made-up world (``tvsl.synthetic``) and composites of photographs (``tvsl.data.composites``) both
make them, under the same conditions: silent objects, silent twins of the sounding object, sounds
off screen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UsageError

PixelBox = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, ends exclusive."""


class SceneObject(Protocol):
    """An object of a panel."""

    @property
    def label(self) -> str:
        """Its class."""

    @property
    def sounds(self) -> bool:
        """True for the object that makes the panel's sound."""

    @property
    def twin(self) -> bool:
        """True for the silent twin of the object that sounds, and for that object."""


@dataclass(frozen=True, eq=False)
class ScenePanel:
    """One picture of a scene: one object that sounds, and silent ones.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        objects: Its objects, in random order.
        masks: Their visible pixels, which do not overlap, (n, H, W) bool.
        waveform: Sound of this picture's object, (S,) float32.
    """

    picture: NDArray[np.uint8]
    objects: Sequence[SceneObject]
    masks: NDArray[np.bool_]
    waveform: NDArray[np.float32]

    @cached_property
    def source(self) -> int:
        """Index of the object that sounds."""
        return next(number for number, thing in enumerate(self.objects) if thing.sounds)

    @property
    def label(self) -> str:
        """Class of the object that sounds."""
        return self.objects[self.source].label

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Mask of the object that sounds, (H, W)."""
        mask: NDArray[np.bool_] = self.masks[self.source]
        return mask

    @property
    def boxes(self) -> tuple[PixelBox, ...]:
        """Bounding box of every object; four zeros where it is not known where the object is."""
        return tuple(box_of(mask) for mask in self.masks)

    @property
    def twin(self) -> int | None:
        """Index of the silent twin of the object that sounds, if there is one."""
        silent = (n for n, thing in enumerate(self.objects) if thing.twin and not thing.sounds)
        return next(silent, None)


@dataclass(frozen=True, eq=False)
class Scene:
    """K sources: K panels side by side, and all their sounds together.

    Attributes:
        panels: K pictures of one size; each holds one source, the K classes differ.
        waveform: The mixture in [-1, 1], (S,) float32.
        off_screen: Class of a sound that no panel shows, or None.
        index: The scene's number in its split.
        sample_rate: Samples of the sounds in a second.
    """

    panels: Sequence[ScenePanel]
    waveform: NDArray[np.float32]
    off_screen: str | None
    index: int
    sample_rate: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that sound and are seen, panel by panel."""
        return tuple(panel.label for panel in self.panels)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The panels side by side, (H, K * W, 3) uint8 RGB."""
        return np.concatenate([panel.picture for panel in self.panels], axis=1)

    @property
    def sha256(self) -> str:
        """Hash of picture and sound, in 16 bits, which changes when its maker does."""
        digest = hashlib.sha256(self.picture.tobytes())
        digest.update(np.rint(self.waveform * 32768).astype("<i2").tobytes())
        return digest.hexdigest()

    def mask(self, number: int) -> NDArray[np.bool_]:
        """Mask of a source over the whole width: (H, K * W) bool.

        Args:
            number: Index of the source, 0 to K - 1.

        Raises:
            UsageError: There is no such source.
        """
        if not 0 <= number < len(self.panels):
            raise UsageError(
                f"The scene has no source {number}.", f"Give 0 to {len(self.panels) - 1}."
            )
        masks = [panel.mask & (number == place) for place, panel in enumerate(self.panels)]
        return np.concatenate(masks, axis=1)


class SceneMaker(Protocol):
    """A split of scenes, each made from its number alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names of the sources."""

    def scene(self, index: int, sources: int = 1) -> Scene:
        """Make a scene; the same arguments make the same scene on every machine.

        Args:
            index: Number of the scene, from 0.
            sources: K, the number of sources.

        Raises:
            UsageError: There are no scenes of so many sources.
            MediaError: A file cannot be used; it is never replaced by another.
        """


def box_of(mask: NDArray[np.bool_]) -> PixelBox:
    """Smallest box around a mask (H, W): left, top, right, bottom in pixels, ends exclusive.

    That of an empty mask is four zeros.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
