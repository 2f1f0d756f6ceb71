"""Encoders, tokens and scenes that a process of a reproduction works with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.data.token_encoding import Report, make_store, store_key
from tvsl.data.token_store import StoreKey, TokenBatch, TokenStore
from tvsl.encoder import Encoder
from tvsl.errors import UsageError, VocabularyError
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.loading import load_encoder
from tvsl.methods.base import MethodConfig
from tvsl.reproduce.benchmark import Split, Testbed, open_testbed, with_negatives
from tvsl.reproduce.config import ReproduceConfig
from tvsl.reproduce.experiment import AS_ALL, SINGLE, VALIDATION_KINDS, Kind, TokenMode
from tvsl.reproduce.scene_store import read_scenes, write_scenes
from tvsl.tokens import Vocabulary
from tvsl.utils.devices import PrecisionChoice

TOKENS_FOLDER = "tokens"
BLOCK = 128
"""Test scenes that are encoded, kept and scored together."""


@dataclass(frozen=True)
class Setup:
    """What a reproduction works on; each process opens it for itself.

    Attributes:
        config: The recipe.
        model: Name or path of the encoder.
        data: Name of the data set.
        options: Its options.
        folder: Folder of the reproduction.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the encoder.
    """

    config: ReproduceConfig
    model: str
    data: str
    options: Mapping[str, JsonValue]
    folder: Path
    device: str = "auto"
    precision: PrecisionChoice = "float32"


@dataclass(frozen=True)
class SceneSet:
    """Scenes that are encoded once.

    Attributes:
        kind: Which kind.
        split: Of which split.
        mode: How pictures are encoded.
        half: Whether for heads that are trained on half of the classes.
    """

    kind: Kind
    split: Split
    mode: TokenMode = AS_ALL
    half: bool = False


@dataclass
class Bench:
    """A reproduction as a process works on it.

    Attributes:
        setup: What it works on.
    """

    setup: Setup
    _encoders: dict[TokenMode, Encoder] = field(default_factory=dict)
    _vocabularies: dict[tuple[str, ...], Vocabulary] = field(default_factory=dict)
    _validation: dict[tuple[TokenMode, bool], list[EncodedScenes]] = field(default_factory=dict)

    @property
    def config(self) -> ReproduceConfig:
        """The recipe."""
        return self.setup.config

    @cached_property
    def testbed(self) -> Testbed:
        """What tables are measured on."""
        return open_testbed(self.setup.data, self.setup.options, self.config)

    @cached_property
    def encoder(self) -> Encoder:
        """The frozen encoder, as for all but the table of token modes."""
        return load_encoder(
            self.setup.model,
            MethodConfig(),
            self.setup.device,
            self.setup.precision,
            self.config.flip_average,
        )

    def encoder_of(self, mode: TokenMode) -> Encoder:
        """The encoder with other image tokens or another flip average."""
        if mode == AS_ALL:
            return self.encoder
        if mode not in self._encoders:
            known = self.encoder
            if not isinstance(known, AudioCLIPEncoder):
                raise UsageError(
                    "Only AudioCLIP has several kinds of image tokens and flip averages.",
                    "Leave this table out.",
                )
            self._encoders[mode] = AudioCLIPEncoder(
                known.model,
                known.precision,
                mode.image_tokens or known.image_tokens,
                mode.flip_average or known.flip_average,
            ).to(known.device)
        return self._encoders[mode]

    def vocabulary(self, names: tuple[str, ...]) -> Vocabulary:
        """Class names with their embeddings; one object for the same names."""
        if names not in self._vocabularies:
            self._vocabularies[names] = self.encoder.vocabulary(names)
        return self._vocabularies[names]

    @cached_property
    def key(self) -> StoreKey:
        """The key of the training tokens."""
        return store_key(
            self.encoder,
            self.testbed.clips,
            stored_as=self.config.stored_as,
            most_sources=self.testbed.most_sources,
            seed=self.config.seed,
        )

    @property
    def store_folder(self) -> Path:
        """Where training tokens are."""
        return self.setup.folder / TOKENS_FOLDER / "clips"

    @cached_property
    def store(self) -> TokenStore:
        """The training tokens, which are complete."""
        return TokenStore(self.store_folder, self.key)

    def make_store(self, report: Report | None = None) -> None:
        """Encode what is missing of the training clips; several processes may."""
        make_store(self.store_folder, self.key, self.encoder, self.testbed.clips, report)

    def parts(self, wanted: SceneSet) -> list[range]:
        """The numbers of the scenes of a set, block by block; decisions look at all at once."""
        count = self.testbed.count(wanted.kind, wanted.split, wanted.half)
        size = BLOCK if wanted.split == "test" else count
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def path(self, wanted: SceneSet, numbers: range) -> Path:
        """Where a block of scenes is kept."""
        mode = wanted.mode
        tokens = "-".join(str(one) for one in (mode.image_tokens, mode.flip_average) if one)
        name = f"{wanted.split}-{wanted.kind.name}-{numbers.start:05d}.safetensors"
        folder = self.setup.folder / TOKENS_FOLDER / "scenes" / (tokens or "as-all")
        return folder / ("half" if wanted.half else "all") / name

    def make_scenes(self, wanted: SceneSet, numbers: range) -> None:
        """Encode a block of scenes, if it is not there."""
        path = self.path(wanted, numbers)
        if path.is_file():
            return
        encoder, kind, split = self.encoder_of(wanted.mode), wanted.kind, wanted.split
        if kind.twist != "negatives":
            scenes = self.testbed.scenes(encoder, kind, split, numbers, wanted.half)
        else:
            scenes = self.testbed.scenes(encoder, SINGLE, split, numbers, wanted.half)
            scenes = with_negatives(scenes, self.testbed.visible(SINGLE, split, numbers))
        write_scenes(scenes, path)

    def scenes(self, wanted: SceneSet) -> Iterator[EncodedScenes]:
        """The scenes of a set, block by block."""
        for numbers in self.parts(wanted):
            path = self.path(wanted, numbers)
            yield read_scenes(path, self.vocabulary, self.encoder.device)

    def validation(self, mode: TokenMode = AS_ALL, half: bool = False) -> list[EncodedScenes]:
        """Validation scenes of one source, of two, and so on; nothing where there are none."""
        key = (mode, half)
        if key not in self._validation:
            self._validation[key] = [
                part for wanted in self.validation_sets(mode, half) for part in self.scenes(wanted)
            ]
        return self._validation[key]

    def validation_sets(self, mode: TokenMode = AS_ALL, half: bool = False) -> list[SceneSet]:
        """The sets that decisions are made on."""
        return [
            SceneSet(kind, "validation", mode, half)
            for kind in VALIDATION_KINDS
            if self.testbed.lacks(kind, "validation", half) is None
        ]


class StorePart:
    """Some of a store's mixtures, numbered anew.

    Args:
        store: The store.
        names: The classes that members may be of; labels count in their order.

    Attributes:
        sizes: How many mixtures there are of each number of sources.
    """

    def __init__(self, store: TokenStore, names: tuple[str, ...]) -> None:
        self._store = store
        self._columns = torch.tensor([store.names.index(name) for name in names])
        self._rows = {number: self._known(number) for number in store.mixtures()}
        self.sizes = {number: len(rows) for number, rows in self._rows.items()}

    def sizes_of(self, sources: Sequence[int]) -> dict[int, int]:
        """How many mixtures there are of some numbers of sources.

        Raises:
            VocabularyError: None of any of them.
        """
        sizes = {number: self.sizes.get(number, 0) for number in sources}
        if not any(sizes.values()):
            told = " or ".join(str(number) for number in sources)
            raise VocabularyError(
                f"There are no mixtures of {told} sources among the clips of these "
                f"{len(self._columns)} classes.",
                "Give more clips or classes.",
            )
        return sizes

    def batch(self, sources: int, rows: Tensor) -> TokenBatch:
        """Read mixtures of one number of sources, by their new rows (B,)."""
        tokens, labels = self._store.batch(sources, self._rows[sources][rows])
        return TokenBatch(tokens, labels[:, self._columns])

    def _known(self, sources: int) -> Tensor:
        """Rows of the mixtures all of whose members are of these classes."""
        labels = self._store.labels(sources)
        return torch.isin(labels, self._columns).all(dim=1).nonzero()[:, 0]
