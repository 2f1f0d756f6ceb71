"""The synthetic world as a data set: clips that are made when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, JsonValue

from tvsl.data.clips import ClipBatch, ClipSet, resampled
from tvsl.synthetic.sounds import SAMPLE_RATE
from tvsl.synthetic.vocabulary import CLASSES, ClassSplit
from tvsl.synthetic.world import World

# Other clips than those that an encoder with a small seed was pre-trained on: what it makes of
# clips that it has seen is better than what a head will meet.
_FIRST_SEED = 1_000_000


class SyntheticClips(ClipSet):
    """Clips of the world's training split.

    Attributes:
        classes: ``seen``, ``unseen`` or ``all``.
        twins: Share of the clips with a silent twin of the source.
        off_screen: Share of the clips with a sound whose class is not visible.
    """

    name: ClassVar[str] = "synthetic"
    classes: ClassSplit = "seen"
    twins: float = Field(0.35, ge=0, le=1)
    off_screen: float = Field(0.1, ge=0, le=1)

    @property
    def world(self) -> World:
        """The split that the clips are scenes of."""
        return World("train", self.classes, _FIRST_SEED + self.seed, self.twins, self.off_screen)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names of the split."""
        return CLASSES[self.classes]

    def description(self) -> dict[str, JsonValue]:
        """The options, and a hash of the first clip, which changes when the world does."""
        scene = self.world.scene(0)
        digest = hashlib.sha256(scene.picture.tobytes())
        digest.update(np.rint(scene.waveform * 32768).astype("<i2").tobytes())
        return {"data": self.name, **self.model_dump(mode="json"), "sample": digest.hexdigest()}

    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Make some clips; see the base class."""
        world, names = self.world, self.names
        scenes = [world.scene(int(number)) for number in numbers]
        sounds = [resampled(scene.waveform, SAMPLE_RATE, sample_rate) for scene in scenes]
        return ClipBatch(
            pictures=[scene.picture for scene in scenes],
            waveforms=np.stack(sounds),
            labels=np.array([names.index(scene.labels[0]) for scene in scenes], dtype=np.int64),
        )
