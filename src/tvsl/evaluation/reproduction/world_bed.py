"""The synthetic world as a testbed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tvsl.data.synthetic import SyntheticClips, SyntheticData
from tvsl.encoder import Encoder
from tvsl.evaluation.reproduction.config import ReproduceConfig
from tvsl.evaluation.reproduction.kinds import Kind
from tvsl.evaluation.reproduction.testbed import ShownScene, Split, Testbed
from tvsl.evaluation.scenes import EncodedScenes, encode_scenes
from tvsl.synthetic.vocabulary import ClassSplit
from tvsl.synthetic.world import World


class WorldBed(Testbed):
    """Scenes of the world; training knows half of its classes.

    Args:
        config: The recipe.
    """

    title = "the synthetic world"
    real = False
    paper = "VGGSound"
    halved = True

    def __init__(self, config: ReproduceConfig) -> None:
        self.config = config

    @cached_property
    def clips(self) -> SyntheticClips:
        """Clips of the training split."""
        return SyntheticData(split="train").clips(self.config.clips, self.config.seed)

    def world(self, kind: Kind, split: Split) -> World:
        """The world that scenes of a kind are from."""
        shares = {"twins": {"twins": 1.0}, "off-screen": {"off_screen": 1.0}}
        classes: ClassSplit = "unseen" if kind.part == "unseen" else "seen"
        given = shares.get(kind.twist or "", {})
        return World(split, classes, self.config.seed, **given)

    def names(self, kind: Kind, half: bool = False) -> tuple[str, ...]:  # noqa: ARG002
        """The seen or the unseen classes."""
        return self.world(kind, "test").names

    def lacks(self, kind: Kind, split: Split, half: bool = False) -> str | None:  # noqa: ARG002
        """It has scenes of every kind."""
        return None

    def count(self, kind: Kind, split: Split, half: bool = False) -> int:  # noqa: ARG002
        """As many as the recipe wants."""
        if split == "validation":
            return self.config.validation_scenes
        return 500 if self.config.test_scenes is None else self.config.test_scenes

    def scenes(
        self,
        encoder: Encoder,
        kind: Kind,
        split: Split,
        numbers: range,
        half: bool = False,  # noqa: ARG002
    ) -> EncodedScenes:
        """Make and encode scenes; see the base class."""
        world = self.world(kind, split)
        return encode_scenes(encoder, world, kind.sources, len(numbers), start=numbers.start)

    def visible(self, kind: Kind, split: Split, numbers: range) -> list[set[str]]:
        """The classes of all objects."""
        world = self.world(kind, split)
        scenes = (world.scene(number, kind.sources) for number in numbers)
        return [
            {thing.label for panel in scene.panels for thing in panel.objects} for scene in scenes
        ]

    def shown(self, kind: Kind, numbers: Sequence[int]) -> list[ShownScene]:
        """Pictures of test scenes."""
        world = self.world(kind, "test")
        scenes = [world.scene(number, kind.sources) for number in numbers]
        return [ShownScene(scene.picture, scene.labels) for scene in scenes]

    def record(self) -> dict[str, Any]:
        """The clips' description, which changes when the world does."""
        return {"data": "synthetic", "clips": self.clips.description()}
