"""A reproduction as its processes work on it: encoder, tokens, scenes, and what they share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.data.token_store import StoreKey, TokenBatch, TokenStore, make_store, store_key
from tvsl.encoder import Encoder
from tvsl.errors import StoreError, UsageError, VocabularyError
from tvsl.evaluation.batch import EncodedBatch
from tvsl.loading import load_encoder
from tvsl.methods.base import MethodConfig
from tvsl.reproduce.benchmark import Benchmark, open_benchmark, with_negatives
from tvsl.reproduce.reduced_encoder import (
    ReducedEncoder,
    directions_of,
    read_directions,
    write_directions,
)
from tvsl.reproduce.specs import (
    AS_ALL,
    SINGLE,
    VALIDATION_CONDITIONS,
    Candidates,
    ReproduceConfig,
    SceneSet,
    TokenMode,
)
from tvsl.tokens import TENSORS, Queries, Tokens, Vocabulary
from tvsl.utils.devices import PrecisionChoice
from tvsl.utils.model_folder import keep_tensors
from tvsl.utils.processes import ALONE, Processes, Progress, no_progress

TOKENS_FOLDER = "tokens"
BLOCK = 128
"""Test scenes that are encoded, kept and scored together."""


@dataclass(frozen=True)
class ExperimentConfig:
    """Settings of a reproduction; each process opens it for itself.

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


@dataclass
class Experiment:
    """A reproduction as a process works on it.

    Attributes:
        settings: Its settings.
    """

    settings: ExperimentConfig
    _encoders: dict[TokenMode, Encoder] = field(default_factory=dict)
    _vocabularies: dict[tuple[str, ...], Vocabulary] = field(default_factory=dict)
    _validation: dict[tuple[TokenMode, bool], list[EncodedBatch]] = field(default_factory=dict)

    @property
    def config(self) -> ReproduceConfig:
        """The recipe."""
        return self.settings.config

    @cached_property
    def benchmark(self) -> Benchmark:
        """The benchmark that tables are measured on."""
        return open_benchmark(self.settings.data, self.settings.options, self.config)

    @cached_property
    def whole_encoder(self) -> Encoder:
        """The frozen encoder, as it is published."""
        return load_encoder(
            self.settings.model,
            MethodConfig(),
            self.settings.device,
            self.settings.precision,
            self.config.flip_average,
        )

    @cached_property
    def encoder(self) -> Encoder:
        """The frozen encoder, as for all but the table of token modes; see ``directions``."""
        return self._reduced(self.whole_encoder)

    def _reduced(self, encoder: Encoder) -> Encoder:
        if self.config.directions is None:
            return encoder
        return ReducedEncoder(encoder, read_directions(self._directions_file))

    @property
    def _directions_file(self) -> Path:
        return self.settings.folder / TOKENS_FOLDER / "directions.safetensors"

    def make_directions(self) -> None:
        """Find the principal directions of the encoder's space, unless they are known.

        Raises:
            UsageError: The encoder has fewer directions than the recipe wants.
            OutputError: They cannot be written.
        """
        count, path = self.config.directions, self._directions_file
        if count is not None and not path.is_file():
            encoder, clips = self.whole_encoder, self.benchmark.clips
            write_directions(directions_of(encoder, clips, count, self.config.seed), path)

    def require(self, candidates: Candidates) -> None:
        """Check that the encoder has what heads need, before anything is encoded.

        Args:
            candidates: The heads.

        Raises:
            UsageError: It has one kind of image tokens, or no text encoder for learned prompts.
        """
        if candidates.mode != AS_ALL:
            _ = self._audioclip
        if dict(candidates.head.hyperparameters).get("prompt_length", 0) and (
            self.config.directions is not None or self.whole_encoder.text_encoder is None
        ):
            raise UsageError(
                "Learned prompts need a whole text encoder that they can pass through.",
                "Leave the table 'table6' out, or give --model audioclip or mini.",
            )

    @property
    def _audioclip(self) -> AudioCLIPEncoder:
        """The encoder, where it has several kinds of image tokens."""
        if not isinstance(self.whole_encoder, AudioCLIPEncoder):
            raise UsageError(
                "Kinds of image tokens can be compared only of encoders like AudioCLIP.",
                "Leave the table 'tokens' out, or give --model audioclip or mini.",
            )
        return self.whole_encoder

    def encoder_of(self, mode: TokenMode) -> Encoder:
        """The encoder with other image tokens or another flip average."""
        if mode == AS_ALL:
            return self.encoder
        if mode not in self._encoders:
            original = self._audioclip
            other = AudioCLIPEncoder(
                original.model,
                original.precision,
                mode.image_tokens or original.image_tokens,
                mode.flip_average or original.flip_average,
            ).to(original.device)
            self._encoders[mode] = self._reduced(other)
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
            self.benchmark.clips,
            stored_as=self.config.stored_as,
            most_sources=self.benchmark.most_sources,
            seed=self.config.seed,
        )

    @property
    def store_folder(self) -> Path:
        """Folder of the training tokens."""
        return self.settings.folder / TOKENS_FOLDER / "clips"

    @cached_property
    def store(self) -> TokenStore:
        """The training tokens, which are complete."""
        return TokenStore(self.store_folder, self.key)

    def make_store(self, report: Progress = no_progress) -> None:
        """Encode what is missing of the training clips; several processes may."""
        make_store(self.store_folder, self.key, self.encoder, self.benchmark.clips, report)

    def blocks(self, wanted: SceneSet) -> list[range]:
        """Numbers of the scenes of a set by block; validation scenes are one block."""
        count = self.benchmark.count(wanted)
        size = BLOCK if wanted.split == "test" else count
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def path(self, wanted: SceneSet, numbers: range) -> Path:
        """File of a block of scenes.

        Args:
            wanted: The set.
            numbers: Numbers of the scenes in it.
        """
        mode = wanted.mode
        tokens = "-".join(str(one) for one in (mode.image_tokens, mode.flip_average) if one)
        name = f"{wanted.split}-{wanted.condition.name}-{numbers.start:05d}.safetensors"
        folder = self.settings.folder / TOKENS_FOLDER / "scenes" / (tokens or "as-all")
        return folder / ("half" if wanted.half else "all") / name

    def make_scenes(self, wanted: SceneSet, numbers: range) -> None:
        """Encode a block of scenes, if it is not there.

        Args:
            wanted: The set.
            numbers: Numbers of the scenes in it.
        """
        path = self.path(wanted, numbers)
        if path.is_file():
            return
        encoder = self.encoder_of(wanted.mode)
        if wanted.condition.perturbation != "negatives":
            scenes = self.benchmark.scenes(encoder, wanted, numbers)
        else:
            singles = replace(wanted, condition=SINGLE)
            scenes = self.benchmark.scenes(encoder, singles, numbers)
            scenes = with_negatives(scenes, self.benchmark.visible(singles, numbers))
        write_scenes(scenes, path)

    def scenes(self, wanted: SceneSet) -> Iterator[EncodedBatch]:
        """The scenes of a set, block by block."""
        for numbers in self.blocks(wanted):
            path = self.path(wanted, numbers)
            yield read_scenes(path, self.vocabulary, self.encoder.device)

    def validation(self, mode: TokenMode = AS_ALL, half: bool = False) -> list[EncodedBatch]:
        """Encoded scenes of all validation sets; see ``validation_sets``."""
        key = (mode, half)
        if key not in self._validation:
            self._validation[key] = [
                block
                for wanted in self.validation_sets(mode, half)
                for block in self.scenes(wanted)
            ]
        return self._validation[key]

    def validation_sets(self, mode: TokenMode = AS_ALL, half: bool = False) -> list[SceneSet]:
        """Sets of validation scenes, by number of sources.

        Args:
            mode: Encoding of pictures.
            half: Whether they are for heads that are trained on half of the classes.
        """
        sets = (SceneSet(one, "validation", mode, half) for one in VALIDATION_CONDITIONS)
        return [one for one in sets if self.benchmark.lacks(one) is None]


class StoreSubset:
    """The mixtures of a store whose members are of some classes, numbered anew.

    Args:
        store: The store.
        names: The classes, in the order of the labels.

    Attributes:
        sizes: Number of mixtures of each number of sources.
    """

    def __init__(self, store: TokenStore, names: tuple[str, ...]) -> None:
        self._store = store
        self._columns = torch.tensor([store.names.index(name) for name in names])
        self._rows = {number: self._rows_of(number) for number in store.mixtures()}
        self.sizes = {number: len(rows) for number, rows in self._rows.items()}

    def sizes_of(self, sources: Sequence[int]) -> dict[int, int]:
        """Number of mixtures by number of sources.

        Raises:
            VocabularyError: None of any of them.
        """
        sizes = {number: self.sizes.get(number, 0) for number in sources}
        if not any(sizes.values()):
            numbers = " or ".join(map(str, sources))
            raise VocabularyError(
                f"There are no mixtures of {numbers} sources among the clips of these "
                f"{len(self._columns)} classes.",
                "Give more clips or classes.",
            )
        return sizes

    def batch(self, sources: int, rows: Tensor) -> TokenBatch:
        """Read mixtures.

        Args:
            sources: Their number of sources.
            rows: Their new rows, (B,).
        """
        tokens, labels = self._store.batch(sources, self._rows[sources][rows])
        return TokenBatch(tokens, labels[:, self._columns])

    def _rows_of(self, sources: int) -> Tensor:
        """Rows of the mixtures all of whose members are of these classes."""
        labels = self._store.labels(sources)
        return torch.isin(labels, self._columns).all(dim=1).nonzero()[:, 0]


_TRUTH = ("targets", "masks", "twins")
_STATED = "tvsl"


def write_scenes(scenes: EncodedBatch, path: Path) -> None:
    """Write scenes: all of the file, or nothing.

    Args:
        scenes: The scenes; what is true or false is kept in one bit.
        path: The file.

    Raises:
        OutputError: It cannot be written.
    """
    tokens = scenes.tokens.to("cpu")
    tensors = {name: getattr(tokens, name).contiguous() for name in TENSORS}
    truth = {name: getattr(scenes, name) for name in _TRUTH}
    tensors |= {name: _packed(one) for name, one in truth.items() if one is not None}
    tensors |= {"clip": scenes.queries.clip.cpu(), "label": scenes.queries.label.cpu()}
    stated = {
        "names": scenes.vocabulary.names,
        "grid": tokens.grid,
        "panels": tokens.panels,
        "size": scenes.size,
    }
    header = {_STATED: json.dumps(stated)}
    keep_tensors(tensors, path, header, "Encoded scenes")


def read_scenes(
    path: Path, vocabulary: Callable[[tuple[str, ...]], Vocabulary], device: torch.device | str
) -> EncodedBatch:
    """Read scenes; on a CPU their tokens are mapped into memory, and not to be written to.

    Args:
        path: The file.
        vocabulary: From class names to a vocabulary on the device.
        device: Device of tokens and queries; the truth stays on the CPU.

    Raises:
        StoreError: The file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stated = json.loads((file.metadata() or {})[_STATED])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        (height, width), grid = stated["size"], stated["grid"]
        names = tuple(stated["names"])
        tokens = Tokens(
            **{name: tensors[name] for name in TENSORS}, grid=tuple(grid), panels=stated["panels"]
        )
        queries = Queries(tensors["clip"], tensors["label"])
        truth = {
            name: _unpacked(tensors[name], height * width).unflatten(1, (height, width))
            for name in _TRUTH
            if name in tensors
        }
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise StoreError(
            "The file is truncated or damaged.",
            "Delete it and start again: it will be made anew.",
            path,
        ) from error
    return EncodedBatch(
        queries.to(device), **truth, tokens=tokens.to(device), vocabulary=vocabulary(names)
    )


def _packed(values: Tensor) -> Tensor:
    """(n, ...) bool as bits, (n, bytes) uint8."""
    return torch.from_numpy(np.packbits(values.cpu().flatten(1).numpy(), axis=1))


def _unpacked(packed: Tensor, count: int) -> Tensor:
    """The first bits of each row, (n, count) bool."""
    bits = np.unpackbits(packed.numpy(), axis=1, count=count)
    return torch.from_numpy(bits.view(np.bool_))


class WorkItem(Protocol):
    """A piece of work that any process can do; what it makes is on disk when it is done."""

    def do(self, experiment: Experiment) -> None:
        """Do it, unless it is done."""


@dataclass(frozen=True)
class Leader:
    """The first process of a reproduction, which gives out the work.

    The others wait for work (``help_with_work``) and decide nothing, so that what is done and what
    is left is read from the disk by one process alone.

    Attributes:
        experiment: Its experiment.
        team: The processes, of which it is one.
    """

    experiment: Experiment
    team: Processes = ALONE

    def do(self, work: Sequence[WorkItem], report: Callable[[int], None]) -> None:
        """Do some work.

        Args:
            work: Its items, begun in this order.
            report: Called with the number of items done since the last call, which may be 0.

        Raises:
            TvslError: An item cannot be done; what was done before stays.
            LostProcessError: Another process has ended, perhaps for lack of memory.
        """
        self.team.broadcast(list(work))
        reported = 0

        def count(done: int) -> None:
            nonlocal reported
            report(done - reported)
            reported = done

        _do_share(work, self.experiment, self.team, count)
        report(len(work) - reported)

    def make_store(self, report: Progress) -> None:
        """Encode the training clips, which all processes do together.

        Args:
            report: Called with clips so far and in all.
        """
        others: list[WorkItem] = [EncodeClips(helper) for helper in range(1, self.team.count)]
        self.team.broadcast(others)
        self.experiment.make_store(report)
        _do_share(others, self.experiment, self.team, lambda _: None)


def help_with_work(experiment: Experiment, team: Processes) -> None:
    """Do work that the first process has, as long as it leads.

    Args:
        experiment: The experiment of this process, another one than the first.
        team: The processes.

    Raises:
        TvslError: An item cannot be done.
        LostProcessError: Another process has ended.
    """
    nothing: list[WorkItem] | None = None
    while (work := team.broadcast(nothing)) is not None:
        _do_share(work, experiment, team, lambda _: None)


def _do_share(
    work: Sequence[WorkItem], experiment: Experiment, team: Processes, count: Callable[[int], None]
) -> None:
    """Do the items that no other process takes, and wait for the others."""
    add = team.counter()
    for item in team.taken(work):
        item.do(experiment)
        count(add(1))
    team.meet()


@contextmanager
def leading(experiment: Experiment, team: Processes) -> Iterator[Leader]:
    """Lead the processes of a reproduction, and let them go at the end.

    Args:
        experiment: The experiment of this process, the first one.
        team: The processes.

    Yields:
        The first of them.
    """
    yield Leader(experiment, team)
    team.broadcast(None)


@dataclass(frozen=True)
class EncodeClips:
    """Encode training clips, together with the other processes that do.

    Attributes:
        helper: Number of the process among them.
    """

    helper: int

    def do(self, experiment: Experiment) -> None:
        """Encode the clips that no other process encodes."""
        experiment.make_store()


@dataclass(frozen=True)
class EncodeScenes:
    """Encode a block of scenes.

    Attributes:
        wanted: The set.
        numbers: Numbers of the scenes in it.
    """

    wanted: SceneSet
    numbers: range

    def do(self, experiment: Experiment) -> None:
        """Encode them, if they are not there."""
        experiment.make_scenes(self.wanted, self.numbers)
