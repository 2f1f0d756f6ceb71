"""The benchmarks: the made-up world, real mixtures, data sets of files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, ValidationError

from tvsl.data import DATA_SETS, find_data, make_data
from tvsl.data.base import MISSING_REMEDY, ClipSet, Item, Split, ValidationItems, require_files
from tvsl.data.composites import Composites
from tvsl.data.files import FileClips, FileDataSet
from tvsl.data.mixtures import draw_mixtures, mix, with_further_sounds
from tvsl.data.real import RealClips, RealData
from tvsl.data.synthetic import SyntheticClips, SyntheticData
from tvsl.data.targets import Boxes, Nowhere
from tvsl.encoder import Encoder
from tvsl.errors import DataError, UsageError, first_problem
from tvsl.evaluation.batch import (
    EncodedBatch,
    encode_items,
    encode_scenes,
    number_recordings,
)
from tvsl.evaluation.record import hash_truth, options_of
from tvsl.media.image import resize
from tvsl.metrics import hash_ids
from tvsl.reproduce.specs import (
    BenchmarkKind,
    BenchmarkName,
    ReproduceConfig,
    SceneSet,
    TestCondition,
)
from tvsl.synthetic.world import World
from tvsl.tokens import Queries, Tokens
from tvsl.utils.strict_model import StrictModel

MOST_SOURCES = 4


PreviewScene = tuple[NDArray[np.uint8], tuple[str, ...]]
"""Panels of a scene side by side, RGB, (H, W, 3), and the classes of its sources."""


class Benchmark(ABC):
    """Data that tables are measured on: clips to train on, and scenes with their truth.

    Attributes:
        title: Title on pages.
        real: Whether it is made of files, and no made-up world.
        paper: The paper's benchmarks that stand beside it, by their name in ``PAPER_SETS``.
        halved: Whether only half of the classes are trained on anyway.
        expectations: Name of what is expected of it in ``expectations.py``; None for nothing.
    """

    title: str
    real: bool
    paper: str
    halved: bool
    expectations: BenchmarkName | None = None

    @property
    @abstractmethod
    def clips(self) -> ClipSet:
        """The clips to train on."""

    @property
    def most_sources(self) -> int:
        """Largest number of training clips that are mixed; each is of another class."""
        return MOST_SOURCES

    @abstractmethod
    def names(self, condition: TestCondition, half: bool = False) -> tuple[str, ...]:
        """Classes of the sources under a condition, among which they are detected.

        Args:
            condition: The condition.
            half: Whether for heads that are trained on half of the classes.
        """

    @abstractmethod
    def lacks(self, wanted: SceneSet) -> str | None:
        """Reason why there are no such scenes; None if there are some."""

    @abstractmethod
    def count(self, wanted: SceneSet) -> int:
        """Number of scenes of a set, at most as many as the recipe wants."""

    @abstractmethod
    def scenes(self, encoder: Encoder, wanted: SceneSet, numbers: range) -> EncodedBatch:
        """Make or read scenes, and encode them.

        Args:
            encoder: The frozen encoder.
            wanted: The set; never one of the condition ``negatives``.
            numbers: Numbers of the scenes in it.
        """

    def require_files(self, blocks: Iterable[tuple[SceneSet, range]]) -> None:  # noqa: B027
        """Check that the files of scenes are all there; scenes that are made have none.

        Raises:
            MissingFileError: Files are missing.
        """

    @abstractmethod
    def visible(self, wanted: SceneSet, numbers: range) -> list[set[str]]:
        """Known visible classes of scenes.

        Args:
            wanted: The set.
            numbers: Numbers of the scenes in it.
        """

    def clusters(self, wanted: SceneSet) -> tuple[int, ...] | None:  # noqa: ARG002
        """Number of each scene's recording, which intervals draw whole.

        Returns:
            None where each scene stands for itself.
        """
        return None

    @abstractmethod
    def preview(self, condition: TestCondition, numbers: Sequence[int]) -> list[PreviewScene]:
        """Pictures and classes of test scenes, to be shown.

        Args:
            condition: The condition.
            numbers: Numbers of the scenes.
        """

    def warnings(self) -> list[str]:
        """Warnings that stand beside the numbers."""
        return []

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Identity of the benchmark; tokens are kept for it."""


def with_negatives(scenes: EncodedBatch, visible: Sequence[set[str]]) -> EncodedBatch:
    """Give every other scene a sound whose source is nowhere in its picture.

    Args:
        scenes: Scenes of one source each.
        visible: The classes that can be seen in each of them.

    Returns:
        The same scenes. Every other one has the sound and the class of the next scene whose class
        it does not show, and stays as it is where every class is shown.
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
        targets=scenes.targets & ~silent[:, None, None],
        masks=None,
        twins=None,
    )


class DrawnHalves(Benchmark):
    """A benchmark whose unseen classes are drawn, since its data set has none of its own.

    Attributes:
        data: The data set.
        config: The recipe.
    """

    halved = False
    data: FileDataSet
    config: ReproduceConfig

    @cached_property
    def halves(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The classes that Table 4 trains on, and those that are unseen then; drawn by the seed."""
        return draw_halves(self.data.names, self.config.seed)

    def names(self, condition: TestCondition, half: bool = False) -> tuple[str, ...]:
        """All classes, or one of the halves; see the base class."""
        if condition.classes == "unseen":
            return self.halves[1]
        return self.halves[0] if half else self.data.names


def draw_halves(names: Sequence[str], seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draw half of some classes.

    Args:
        names: The classes.
        seed: Seed of the draw.

    Returns:
        Half of them, the larger one where they are odd, and the others; each in their order.
    """
    order = np.random.default_rng((seed, len(names))).permutation(len(names))
    first = {names[place] for place in order[: -(-len(names) // 2)]}
    seen = tuple(name for name in names if name in first)
    return seen, tuple(name for name in names if name not in first)


_ANY_RATE = 16_000


WorldClasses = Literal["seen", "unseen", "all"]
"""Half of the classes of the made-up world, or all of them."""
_DEVELOPMENT = (
    "Test scenes of development: other ones than those that published figures are measured on."
)
_SHARES: Mapping[str, Any] = {"twins": {"twins": 1.0}, "off-screen": {"off_screen": 1.0}}


class SceneBenchmark(Benchmark):
    """Scenes that are made, with exact truth."""

    config: ReproduceConfig

    @abstractmethod
    def maker(self, wanted: SceneSet) -> World | Composites:
        """Maker of the scenes of a set."""

    def count(self, wanted: SceneSet) -> int:
        """Number of scenes that the recipe wants."""
        if wanted.split == "validation":
            return self.config.validation_scenes
        return 500 if self.config.test_scenes is None else self.config.test_scenes

    def scenes(self, encoder: Encoder, wanted: SceneSet, numbers: range) -> EncodedBatch:
        """Make and encode scenes; see the base class."""
        maker, sources = self.maker(wanted), wanted.condition.sources
        return encode_scenes(encoder, maker, sources, len(numbers), start=numbers.start)

    def preview(self, condition: TestCondition, numbers: Sequence[int]) -> list[PreviewScene]:
        """Pictures and classes of test scenes; see the base class."""
        maker = self.maker(SceneSet(condition, "test"))
        scenes = (maker.scene(number, condition.sources) for number in numbers)
        return [(scene.picture, scene.labels) for scene in scenes]


_DEVELOPMENT_SEED = 3_000_000
FINAL_SEED = 8_000_000
"""Added to the seed of the final test scenes. With 0 and 7,000,000 earlier presets and recipes were
measured. What is changed after figures of these scenes have been seen needs another number."""
_OTHER_HALF: Mapping[WorldClasses, WorldClasses] = {"seen": "unseen", "unseen": "seen"}
_TITLES: Mapping[WorldClasses, str] = {
    "seen": "the synthetic world, classes that its encoders know",
    "unseen": "the synthetic world, classes that its encoders have not met",
    "all": "the synthetic world, all classes, of which its encoders have met half",
}
_EXPECTED: Mapping[WorldClasses, BenchmarkName] = {"seen": "world", "unseen": "new classes"}


class SyntheticOptions(StrictModel):
    """Options of the made-up world as a benchmark.

    Attributes:
        classes: Classes that heads are trained and tested on. Encoders of ``tvsl pretrain`` know
            the ``seen`` half; the ``unseen`` one is new to them. Table 4 tests on the other half,
            which with ``unseen`` is the one that the encoder knows; ``all`` leaves none for it.
        development: Whether test scenes are of other seeds than the published ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: WorldClasses = "seen"
    development: bool = False


class SyntheticBenchmark(SceneBenchmark):
    """Scenes of the world; training knows half of its classes.

    Args:
        config: The recipe.
        options: The classes, and whether for development.
    """

    real = False
    paper = "VGGSound"
    halved = True

    def __init__(
        self,
        config: ReproduceConfig,
        options: SyntheticOptions = SyntheticOptions(),  # noqa: B008  (frozen)
    ) -> None:
        self.config, self.options = config, options
        self.title = _TITLES[options.classes]
        self.expectations = _EXPECTED.get(options.classes)

    @cached_property
    def clips(self) -> SyntheticClips:
        """Clips of the training split."""
        data = SyntheticData(split="train", classes=self.options.classes)
        return data.clips(self.config.clips, self.config.seed)

    def maker(self, wanted: SceneSet) -> World:
        """World of the scenes of a set."""
        classes = self.options.classes
        if wanted.condition.classes == "unseen":
            classes = _OTHER_HALF[classes]
        seed = self.config.seed
        if wanted.split == "test":
            seed += _DEVELOPMENT_SEED if self.options.development else FINAL_SEED
        given = _SHARES.get(wanted.condition.perturbation or "", {})
        return World(wanted.split, classes, seed, **given)

    def names(self, condition: TestCondition, half: bool = False) -> tuple[str, ...]:  # noqa: ARG002
        """Half of the classes; see the base class."""
        return self.maker(SceneSet(condition, "test")).names

    def lacks(self, wanted: SceneSet) -> str | None:
        """Reason why it has no scenes of a condition; see the base class."""
        if wanted.condition.classes == "unseen" and self.options.classes == "all":
            return "heads are trained on all classes"
        return None

    def visible(self, wanted: SceneSet, numbers: range) -> list[set[str]]:
        """Classes of all objects; see the base class."""
        maker = self.maker(wanted)
        scenes = (maker.scene(number, wanted.condition.sources) for number in numbers)
        return [{one.label for panel in scene.panels for one in panel.objects} for scene in scenes]

    def record(self) -> dict[str, Any]:
        """Description of the clips, which changes when the world does, and the options."""
        options = self.options.model_dump(mode="json", exclude_defaults=True)
        final = {} if self.options.development else {"final_seed": FINAL_SEED}
        return {"data": "synthetic", "clips": self.clips.description(), **options, **final}

    def warnings(self) -> list[str]:
        """Warning of scenes that are not the published ones."""
        return [_DEVELOPMENT] if self.options.development else []


class RealBenchmark(DrawnHalves, SceneBenchmark):
    """Scenes of real photographs and sounds.

    Args:
        data: The data set; its own shares hold where a condition states none.
        config: The recipe.
    """

    title = "real mixtures"
    real = True
    paper = "VGGSound"
    expectations = "real mixtures"
    data: RealData

    def __init__(self, data: RealData, config: ReproduceConfig) -> None:
        self.data, self.config = data, config
        # Makers keep the photographs that they have read.
        self._kept = lru_cache(maxsize=None)(self._maker)

    @cached_property
    def clips(self) -> RealClips:
        """Clips of the training split."""
        return self.data.clips(self.config.clips, self.config.seed)

    @property
    def most_sources(self) -> int:
        """Number of classes to train on, at most 4."""
        return min(MOST_SOURCES, len(self.clips.data.maker.sounding))

    def maker(self, wanted: SceneSet) -> Composites:
        """Maker of the scenes of a set; see the base class."""
        return self._kept(wanted)

    def lacks(self, wanted: SceneSet) -> str | None:
        """Reason why there are no such scenes; see the base class."""
        if not self.data.has_items(wanted.split):
            reason = f"the index has no files of the split '{wanted.split}'"
            test = "; `--option development=true` tests on those of 'validation'"
            return reason + test if wanted.split == "test" else reason
        try:
            self.maker(wanted).plan(0, wanted.condition.sources)
        except UsageError as error:
            return error.problem
        return None

    def require_files(self, blocks: Iterable[tuple[SceneSet, range]]) -> None:
        """Check that the files of the splits are all there; see the base class."""
        splits = sorted({wanted.split for wanted, _ in blocks})
        require_files((item for split in splits for item in self._items(split)), MISSING_REMEDY)

    def visible(self, wanted: SceneSet, numbers: range) -> list[set[str]]:
        """Classes of all objects; see the base class."""
        plans = (self.maker(wanted).plan(n, wanted.condition.sources) for n in numbers)
        return [{one.label for panel in plan.panels for one in panel.objects} for plan in plans]

    def warnings(self) -> list[str]:
        """Warning of scenes that are not the published ones."""
        return [_DEVELOPMENT] if self.data.development else []

    def record(self) -> dict[str, Any]:
        """Description of the clips, and the names of the files that are tested with."""
        splits: tuple[Split, ...] = ("validation", "test")
        names = [item.id for split in splits for item in self._items(split)]
        clips = self.clips.description()
        return {"data": self.data.name, "clips": clips, "items": hash_ids(names)}

    def _maker(self, wanted: SceneSet) -> Composites:
        names = self.names(wanted.condition, wanted.half)
        fixed = {"split": wanted.split, "classes": names, "seed": self.config.seed, "grid": False}
        shares = _SHARES.get(wanted.condition.perturbation or "", {})
        return self.data.changed(**fixed, **shares).maker

    def _items(self, split: Split) -> tuple[Item, ...]:
        """Files of a split that scenes may be made of."""
        if not self.data.has_items(split):
            return ()
        return self.data.changed(split=split).for_check().items


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


class FileBenchmark(DrawnHalves):
    """Scenes of a data set in files.

    Args:
        data: The data set, its test split.
        options: Its options.
        config: The recipe.

    Raises:
        UsageError: Its items have no classes.
    """

    real = True

    def __init__(
        self, data: FileDataSet, options: Mapping[str, Any], config: ReproduceConfig
    ) -> None:
        pairs = PAIRS.get(data.name)
        self.pairs: FileDataSet | None = None
        if pairs is not None:
            found = find_data(pairs, **options)
            assert isinstance(found, FileDataSet)
            self.pairs = found.beside(data)
            data = data.beside(self.pairs)
        if len(data.names) < 2:
            raise UsageError(
                f"The data set '{data.name}' has no classes to train on.",
                "Tables need a data set whose items have class labels.",
            )
        self.data, self.config = data, config
        self.title = data.title
        self.paper = _PAPER.get(data.name, "VGGSound")
        self.items = lru_cache(maxsize=None)(self._items)

    @cached_property
    def clips(self) -> FileClips:
        """Clips of the training split but those that decisions are made on."""
        clips = self.data.clips(self.config.clips, self.config.seed)
        return clips.without({item.id for item in self._validation_items})

    @property
    def most_sources(self) -> int:
        """Number of classes of the clips, at most 4."""
        return min(MOST_SOURCES, len({item.labels[0] for item in self.clips.chosen}))

    def lacks(self, wanted: SceneSet) -> str | None:
        """Reason why there are no such scenes; see the base class."""
        if wanted.condition.perturbation == "twins":
            return "nothing tells which pictures show a silent object of the sounding class"
        try:
            found = self.items(wanted)
        except UsageError as error:
            return error.problem
        return None if found else "no scene is left"

    def count(self, wanted: SceneSet) -> int:
        """Number of scenes; see the base class."""
        return len(self.items(wanted))

    def scenes(self, encoder: Encoder, wanted: SceneSet, numbers: range) -> EncodedBatch:
        """Read and encode scenes; see the base class."""
        items = self.items(wanted)[numbers.start : numbers.stop]
        vocabulary = encoder.vocabulary(self.names(wanted.condition, wanted.half))
        scenes = ValidationItems(self.data, items, self.data.side, self.clips.window)
        return encode_items(scenes, encoder, vocabulary)

    def require_files(self, blocks: Iterable[tuple[SceneSet, range]]) -> None:
        """Check the files of scenes; see the base class."""
        found = {
            item.id: item
            for wanted, numbers in blocks
            for item in self.items(wanted)[numbers.start : numbers.stop]
        }
        require_files(found.values(), MISSING_REMEDY)

    def visible(self, wanted: SceneSet, numbers: range) -> list[set[str]]:
        """Classes of the labels, which is all that is known; see the base class."""
        items = self.items(wanted)[numbers.start : numbers.stop]
        return [{str(label) for label in item.labels} for item in items]

    def clusters(self, wanted: SceneSet) -> tuple[int, ...]:
        """Number of each scene's recording; see the base class."""
        return number_recordings(self.items(wanted))

    def preview(self, condition: TestCondition, numbers: Sequence[int]) -> list[PreviewScene]:
        """Pictures at the size of their targets, and classes; see the base class."""
        items, size = self.items(SceneSet(condition, "test")), (self.data.side, self.data.side)
        shown = []
        for item in (items[number] for number in numbers):
            pictures = self.data.read(item, _ANY_RATE).pictures
            picture = np.concatenate([resize(one, size) for one in pictures], axis=1)
            shown.append((picture, tuple(str(label) for label in item.labels)))
        return shown

    def record(self) -> dict[str, Any]:
        """Description of the clips, the options, and all that the lists state of the scenes."""
        pairs: tuple[Item, ...] = ()
        if self.pairs is not None:
            # A list that no chosen table needs may be missing.
            with suppress(DataError):
                pairs = self.pairs.items
        return {
            "data": self.data.name,
            "options": options_of(self.data),
            "clips": self.clips.description(),
            "items": hash_ids(item.id for item in (*self.data.items, *pairs)),
            "truth": hash_truth((*self.data.items, *pairs, *self._validation_items)),
        }

    def warnings(self) -> list[str]:
        """Warnings of test items that were trained on, left out, or are of other lists."""
        trained = {item.id for item in self.clips.chosen}
        both = sum(item.id in trained for item in self._singles("test"))
        # Lines of other splits serve training and validation: they are no warning.
        found = [f"{what}: {text}" for what, text in self.data.notes if what != "Not used"]
        if both:
            found.append(f"{both} of the test items are training clips, too.")
        return found

    def _items(self, wanted: SceneSet) -> tuple[Item, ...]:
        condition, config = wanted.condition, self.config
        names = set(self.names(condition, wanted.half))
        singles = [item for item in self._singles(wanted.split) if item.labels[0] in names]
        found = self._of_sources(condition.sources, wanted.split, singles, names)
        if condition.perturbation == "off-screen":
            found = with_further_sounds(found, singles)
        most = config.validation_scenes if wanted.split == "validation" else config.test_scenes
        if most is None or len(found) <= most:
            return tuple(found)
        rng = np.random.default_rng((config.seed, condition.sources))
        chosen = np.sort(rng.permutation(len(found))[:most])
        return tuple(found[number] for number in chosen)

    def _singles(self, split: Split) -> list[Item]:
        """Items of one labelled source; test items only where it is known where the source is."""
        if split == "test":
            return [item for item in self.data.items if item.panels == 1 and _has_one_source(item)]
        # Where lists have no splits, what could be kept from training is tested, too.
        tested = {item.id for item in self.data.items}
        return [item for item in self._validation_items if item.id not in tested]

    @cached_property
    def _validation_items(self) -> tuple[Item, ...]:
        return self.data.validation_items(1, self.config.validation_scenes).items

    def _of_sources(
        self, sources: int, split: Split, singles: list[Item], names: set[str]
    ) -> list[Item]:
        if sources == 1:
            return singles
        if sources == 2 and split == "test" and self.pairs is not None:
            return [item for item in self.pairs.items if set(item.labels) <= names]
        rows = {name: row for row, name in enumerate(self.data.names)}
        labels = np.array([rows[str(item.labels[0])] for item in singles], dtype=np.int64)
        drawn = draw_mixtures(labels, sources, seed=self.config.seed)
        return [mix([singles[number] for number in members]) for members in drawn]


def _has_one_source(item: Item) -> bool:
    """Tell whether an item has one source, with a class and a known place."""
    if len(item.sources) != 1 or item.labels[0] is None:
        return False
    target = item.sources[0].target
    return bool(target.boxes) if isinstance(target, Boxes) else not isinstance(target, Nowhere)


MODELS: Mapping[BenchmarkKind, str] = {
    "synthetic": "mini",
    "new classes": "mini-pooled",
    "composites": "everyday",
    "files": "audioclip",
}
"""The encoder that each kind of benchmark is measured with, unless another one is given."""


def kind_of(data: str, options: Mapping[str, Any]) -> BenchmarkKind:
    """Kind of the benchmark of a data set.

    Args:
        data: Name of the data set.
        options: Its options.

    Raises:
        UsageError: There is no such data set.
    """
    if data == SyntheticData.name:
        return "synthetic" if options.get("classes", "seen") == "seen" else "new classes"
    return "composites" if issubclass(DATA_SETS.resolve(data), RealData) else "files"


def open_benchmark(data: str, options: Mapping[str, Any], config: ReproduceConfig) -> Benchmark:
    """Open the benchmark of a data set.

    Args:
        data: Name of the data set: ``synthetic``, or one of files whose items have one source.
        options: Its options.
        config: The recipe.

    Raises:
        UsageError: There is no such data set or option, or tables cannot be measured on it.
        DataError: A list of it cannot be used.
    """
    if data == SyntheticData.name:
        return SyntheticBenchmark(config, _synthetic_options(options))
    found = make_data(DATA_SETS.resolve(data), options)
    if isinstance(found, RealData):
        return RealBenchmark(found, config)
    if not isinstance(found, FileDataSet):
        raise UsageError(
            f"No tables can be made from the data set '{data}'.",
            "Choose synthetic, real or one in files (`tvsl data list`).",
        )
    return FileBenchmark(found, options, config)


def _synthetic_options(options: Mapping[str, Any]) -> SyntheticOptions:
    try:
        return SyntheticOptions.model_validate(dict(options))
    except ValidationError as error:
        classes = ", ".join(get_args(WorldClasses))
        raise UsageError(
            f"This cannot be chosen for tables: {first_problem(error)}.",
            f"Options: classes (one of {classes}), development=true; each table sets the others.",
        ) from error
