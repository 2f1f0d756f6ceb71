"""The synthetic world as a data set: scenes and clips are generated when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from tvsl.data.base import (
    ClipBatch,
    ClipSet,
    Item,
    Sample,
    SceneData,
    Source,
    ValidationItems,
    draw_targets,
)
from tvsl.data.targets import Boxes, Mask, Target
from tvsl.media.waveform import resampled
from tvsl.synthetic.export import scene_id
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE
from tvsl.synthetic.vocabulary import CLASSES, ClassSplit
from tvsl.synthetic.world import World, WorldPanel, WorldScene
from tvsl.utils.seeds import added

# Encoders are pre-trained on clips of small seeds. Their tokens of clips that they have seen are
# better than those of other clips, so heads are trained on clips of other seeds.
_FIRST_SEED = 1_000_000
_CLIPS = 8000
# Of so many clips fewer than eight classes have a probability below 1e-12.
_FEW_CLIPS = 64


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
        """The world whose scenes are the clips."""
        seed = added(_FIRST_SEED, self.seed)
        return World("train", self.classes, seed, self.twins, self.off_screen)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names of the split."""
        return CLASSES[self.classes]

    def description(self) -> dict[str, JsonValue]:
        """The options, and a hash of the first clip, which changes when the world does."""
        sample = self.world.scene(0).sha256
        return {"data": self.name, **self.model_dump(mode="json"), "sample": sample}

    def labels(self) -> NDArray[np.int64] | None:
        """Class of each clip, (count,); None for many clips, which have enough of every class."""
        if self.count > _FEW_CLIPS:
            return None
        return self.read(range(self.count), SAMPLE_RATE).labels

    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Generate some clips; see the base class."""
        world, names = self.world, self.names
        scenes = [world.scene(int(number)) for number in numbers]
        sounds = [resampled(scene.waveform, SAMPLE_RATE, sample_rate) for scene in scenes]
        return ClipBatch(
            pictures=[scene.picture for scene in scenes],
            waveforms=np.stack(sounds),
            labels=np.array([names.index(scene.labels[0]) for scene in scenes], dtype=np.int64),
        )


class SyntheticData(SceneData):
    """Scenes of the synthetic world.

    Attributes:
        classes: ``seen``, ``unseen`` or ``all``.
        twins: Share of the panels with a silent twin of the source.
        off_screen: Share of the scenes with a sound whose class is not visible.
    """

    name: ClassVar[str] = "synthetic"
    title: ClassVar[str] = "Synthetic world"
    classes: ClassSplit = "seen"
    twins: float = Field(0.2, ge=0, le=1)
    off_screen: float = Field(0.15, ge=0, le=1)

    @property
    def world(self) -> World:
        """The world of the scenes."""
        return World(self.split, self.classes, self.seed, self.twins, self.off_screen)

    @property
    def maker(self) -> World:
        """The maker of the scenes."""
        return self.world

    @property
    def names(self) -> tuple[str, ...]:
        """Class names of the split."""
        return CLASSES[self.classes]

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The first scenes of the split; see the base class."""
        scenes = (self.world.scene(number, self.sources) for number in range(self.count))
        return tuple(
            Item(scene_id(self.world, scene), (), (), self._sources(scene), self.sources)
            for scene in scenes
        )

    def read(self, item: Item, sample_rate: int) -> Sample:
        """Generate a scene; see the base class."""
        scene = self.world.scene(self._numbers[item.id], self.sources)
        return Sample(
            tuple(panel.picture for panel in scene.panels),
            resampled(scene.waveform, SAMPLE_RATE, sample_rate),
            draw_targets(item.sources, item.panels, SIDE, SIDE),
        )

    def clips(self, count: int | None, seed: int) -> SyntheticClips:
        """Clips of the training split; see the base class."""
        # Training clips have other default shares of both than scenes.
        given = self.model_fields_set & {"twins", "off_screen"}
        shares = {name: getattr(self, name) for name in given}
        return SyntheticClips(
            count=count or _CLIPS, seed=added(self.seed, seed), classes=self.classes, **shares
        )

    def validation_items(self, sources: int, count: int) -> ValidationItems:
        """The first scenes of the validation split, with the usual shares; see the base class."""
        data = SyntheticData(
            split="validation", classes=self.classes, seed=self.seed, sources=sources, count=count
        )
        return ValidationItems(data, data.items, SIDE, None)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {item.id: number for number, item in enumerate(self.items)}

    def _sources(self, scene: WorldScene) -> tuple[Source, ...]:
        return tuple(
            Source(panel.label, self._target(panel), place)
            for place, panel in enumerate(scene.panels)
        )

    def _target(self, panel: WorldPanel) -> Target:
        if self.truth == "masks":
            return Mask(panel.mask)
        left, top, right, bottom = (edge / SIDE for edge in panel.boxes[panel.source])
        return Boxes(((left, top, right, bottom),))
