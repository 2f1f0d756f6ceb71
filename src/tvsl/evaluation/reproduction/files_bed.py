"""Data sets in files as testbeds: their items are scenes, and mixtures are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from tvsl.data import find_data
from tvsl.data.checking import MISSING_REMEDY, require_files
from tvsl.data.dataset import DecisionItems, Item
from tvsl.data.file_clips import FileClips
from tvsl.data.files import FileDataSet
from tvsl.data.mixed import mix
from tvsl.data.mixing import draw_mixtures
from tvsl.data.targets import Boxes, Nowhere, Target
from tvsl.encoder import Encoder
from tvsl.errors import UsageError
from tvsl.evaluation.item_scenes import encode_items
from tvsl.evaluation.reproduction.config import ReproduceConfig
from tvsl.evaluation.reproduction.kinds import Kind
from tvsl.evaluation.reproduction.shown_items import shown_item
from tvsl.evaluation.reproduction.testbed import MOST_SOURCES, ShownScene, Split, Testbed
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.metrics import hash_ids

PAIRS: Mapping[str, str] = {
    "vggsound-single": "vggsound-duet",
    "vgg-instruments-single": "vgg-instruments-multi",
    "music-solo": "music-duet",
}
"""Data sets whose benchmark has a list of its own for two sources."""
_PAPER: Mapping[str, str] = {
    "vgg-instruments-single": "VGGSound-Instruments",
    "music-solo": "MUSIC",
}


class FilesBed(Testbed):
    """Scenes of a data set in files.

    Args:
        data: The data set, its test split.
        options: Its options.
        config: The recipe.

    Raises:
        UsageError: Its items have no classes.
    """

    real = True
    halved = False

    def __init__(
        self, data: FileDataSet, options: Mapping[str, Any], config: ReproduceConfig
    ) -> None:
        if len(data.names) < 2:
            raise UsageError(
                f"The data set '{data.name}' has no classes to train on.",
                "Tables need a data set whose items have class labels.",
            )
        self.data, self.options, self.config = data, options, config
        self.title = data.title
        self.paper = _PAPER.get(data.name, "VGGSound")
        self.items = lru_cache(maxsize=None)(self._items)

    @cached_property
    def clips(self) -> FileClips:
        """Clips of the training split but those that decisions are made on."""
        clips = self.data.clips(self.config.clips, self.config.seed)
        return clips.without({item.id for item in self._decision_items})

    @property
    def most_sources(self) -> int:
        """As many as the clips have classes, but no more than four."""
        return min(MOST_SOURCES, len({item.labels[0] for item in self.clips.chosen}))

    @cached_property
    def halves(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The classes that Table 4 trains on, and those that are unseen then; drawn by the seed."""
        names = self.data.names
        order = np.random.default_rng((self.config.seed, len(names))).permutation(len(names))
        first = set(order[: -(-len(names) // 2)].tolist())
        return (
            tuple(name for number, name in enumerate(names) if number in first),
            tuple(name for number, name in enumerate(names) if number not in first),
        )

    def names(self, kind: Kind, half: bool = False) -> tuple[str, ...]:
        """All classes, or one of the halves; see the base class."""
        if kind.part == "unseen":
            return self.halves[1]
        return self.halves[0] if half else self.data.names

    def lacks(self, kind: Kind, split: Split, half: bool = False) -> str | None:
        """Why there are no such scenes; see the base class."""
        if kind.twist == "twins":
            return "nothing tells which pictures show a silent object of the sounding class"
        try:
            found = self.items(kind, split, half)
        except UsageError as error:
            return error.problem
        return None if found else "no scene is left"

    def count(self, kind: Kind, split: Split, half: bool = False) -> int:
        """How many scenes there are, as many as the recipe wants at most."""
        return len(self.items(kind, split, half))

    def scenes(
        self, encoder: Encoder, kind: Kind, split: Split, numbers: range, half: bool = False
    ) -> EncodedScenes:
        """Read and encode scenes; see the base class."""
        items = self.items(kind, split, half)[numbers.start : numbers.stop]
        vocabulary = encoder.vocabulary(self.names(kind, half))
        wanted = DecisionItems(self.data, items, self.data.side, self.clips.window)
        return encode_items(wanted, encoder, vocabulary)

    def require_files(self, blocks: Iterable[tuple[Kind, Split, bool, range]]) -> None:
        """Look for the files of scenes; see the base class."""
        found = {
            item.id: item
            for kind, split, half, numbers in blocks
            for item in self.items(kind, split, half)[numbers.start : numbers.stop]
        }
        require_files(found.values(), MISSING_REMEDY)

    def visible(self, kind: Kind, split: Split, numbers: range) -> list[set[str]]:
        """The classes of the labels: more is not known."""
        items = self.items(kind, split, False)[numbers.start : numbers.stop]
        return [{str(label) for label in item.labels} for item in items]

    def shown(self, kind: Kind, numbers: Sequence[int]) -> list[ShownScene]:
        """Pictures of test scenes."""
        items = self.items(kind, "test", False)
        return [shown_item(items[number], self.data) for number in numbers]

    def record(self) -> dict[str, Any]:
        """The clips' description, and the names of the test items."""
        return {
            "data": self.data.name,
            "clips": self.clips.description(),
            "items": hash_ids(item.id for item in self.data.items),
        }

    def warnings(self) -> list[str]:
        """That test items were trained on, or left out, or are of other lists."""
        trained = {item.id for item in self.clips.chosen}
        both = sum(item.id in trained for item in self._singles("test"))
        # Lines of other splits serve training and validation: they are no warning.
        told = [f"{what}: {text}" for what, text in self.data.notes if what != "Not used"]
        if both:
            told.append(f"{both} of the test items are training clips, too.")
        return told

    def _items(self, kind: Kind, split: Split, half: bool) -> tuple[Item, ...]:
        names = set(self.names(kind, half))
        singles = [item for item in self._singles(split) if item.labels[0] in names]
        found = self._of_sources(kind.sources, split, singles, names)
        if kind.twist == "off-screen":
            found = with_further_sounds(found, singles)
        most = self.config.validation_scenes if split == "validation" else self.config.test_scenes
        if most is None or len(found) <= most:
            return tuple(found)
        rng = np.random.default_rng((self.config.seed, kind.sources))
        chosen = np.sort(rng.permutation(len(found))[:most])
        return tuple(found[number] for number in chosen)

    def _singles(self, split: Split) -> list[Item]:
        """Items of one labelled source; test items only where it is known where the source is."""
        if split == "test":
            return [item for item in self.data.items if item.panels == 1 and _has_one_source(item)]
        # Where lists have no splits, what could be kept from training is tested, too.
        tested = {item.id for item in self.data.items}
        return [item for item in self._decision_items if item.id not in tested]

    @cached_property
    def _decision_items(self) -> tuple[Item, ...]:
        return self.data.decision_items(1, self.config.validation_scenes).items

    def _of_sources(
        self, sources: int, split: Split, singles: list[Item], names: set[str]
    ) -> list[Item]:
        if sources == 1:
            return singles
        pairs = PAIRS.get(self.data.name)
        if sources == 2 and split == "test" and pairs is not None:
            listed = find_data(pairs, **self.options).items
            return [item for item in listed if set(item.labels) <= names]
        rows = {name: row for row, name in enumerate(self.data.names)}
        labels = np.array([rows[str(item.labels[0])] for item in singles], dtype=np.int64)
        drawn = draw_mixtures(labels, sources, seed=self.config.seed)
        return [mix([singles[number] for number in members]) for members in drawn]


def with_further_sounds(scenes: Sequence[Item], singles: Sequence[Item]) -> list[Item]:
    """Add to each scene a sound of a class that is none of its own.

    Args:
        scenes: The scenes.
        singles: Items whose sounds may be added.

    Returns:
        The scenes to which one can be added; each takes the next that fits.
    """
    found = []
    for place, scene in enumerate(scenes):
        order = (singles[(place + 1 + step) % len(singles)] for step in range(len(singles)))
        other = next((item for item in order if item.labels[0] not in scene.labels), None)
        if other is not None:
            sounds = (*scene.sounds, *other.sounds)
            found.append(replace(scene, id=f"{scene.id}~{other.id}", sounds=sounds))
    return found


def _has_one_source(item: Item) -> bool:
    return len(item.sources) == 1 and item.labels[0] is not None and _is_somewhere(item)


def _is_somewhere(item: Item) -> bool:
    return all(_drawn(source.target) for source in item.sources)


def _drawn(target: Target) -> bool:
    if isinstance(target, Boxes):
        return bool(target.boxes)
    return not isinstance(target, Nowhere)
