"""The base class of all localization methods and of their configs, and the trivial baselines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import torch
from pydantic import ConfigDict, Field, ValidationError
from torch import Tensor, nn
from typing_extensions import Self

from tvsl.encoder import MOST_CHANNELS, Encoder, FlipAverage, ImageTokenMode, PromptableTextEncoder
from tvsl.errors import ShapeError, UsageError, first_problem
from tvsl.methods.operations import AFFINITY, spread, spread_all
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.utils.strict_model import StrictModel

_CENTRE = 0.25  # deviation of the centre's Gaussian, in panels


class MethodConfig(StrictModel):
    """Sizes and hyperparameters of a head; a method with more of them has a subclass.

    Configs come from files of strangers: every number has an upper bound, sizes above all.

    Attributes:
        embedding: D, the size of the encoder's space.
        polarity: 1, or -1 to turn maps upside down, decided on validation data.
        clamp_negative: Whether negative values are cut to 0 before a map is shown or scored, or
            they stretch its range; decided on validation data.
        exponent: Power of the values after that, 2 sharpens a map; decided on validation data.
        affinity: Exponent of the likeness by which maps are spread before all this
            (``operations.spread``); 0 leaves them as they are. Decided on validation data.
        detection_threshold: Classes at or over it sound, calibrated on validation data. None:
            not calibrated, classes that stand out of the vocabulary sound.
        heard_floor: Least evidence in the sound for a class that sounds, calibrated on validation
            data. None: no least.
        seen_floor: The same in the picture.
        flip_average: Averaging with the flipped picture that suits the head, decided on
            validation data; whoever localizes may choose another.
        image_tokens: Dense image tokens that the head is for; the encoder's own when None.
        waveform_scale: Factor of the waveforms; the encoder's own when None.
        square_pictures: Whether pictures are squeezed into a square, not kept in their shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    embedding: int = Field(1024, gt=0, le=MOST_CHANNELS)
    polarity: Literal[1, -1] = 1
    clamp_negative: bool = False
    exponent: float = Field(1.0, gt=0, le=100)
    affinity: float = Field(0.0, ge=0, le=1000)
    detection_threshold: float | None = Field(None, ge=-1e6, le=1e6)
    heard_floor: float | None = Field(None, ge=-1, le=1)
    seen_floor: float | None = Field(None, ge=-1, le=1)
    flip_average: FlipAverage = "none"
    image_tokens: ImageTokenMode | None = None
    waveform_scale: float | None = Field(None, gt=0, le=1e9)
    square_pictures: bool = False

    @property
    def compares_classes(self) -> bool:
        """Tell whether scores or maps of a class depend on the vocabulary's other classes."""
        return False


ConfigT = TypeVar("ConfigT", bound=MethodConfig)


def with_overrides(config: ConfigT, **hyperparameters: Any) -> ConfigT:
    """A checked copy of a config with other values of some hyperparameters.

    Args:
        config: The config.
        hyperparameters: The new values.

    Raises:
        UsageError: There is no such hyperparameter, or a value that it cannot have.
    """
    if not hyperparameters:
        return config
    try:
        return type(config).model_validate({**config.model_dump(), **hyperparameters})
    except ValidationError as error:
        raise UsageError(
            f"The hyperparameters are wrong: {first_problem(error)}.",
            f"Hyperparameters: {', '.join(type(config).model_fields)}.",
        ) from error


Supervision = Literal["none", "video labels"]


class Method(nn.Module, ABC):
    """A head that localizes; a new method is one file with one subclass of this.

    Args:
        config: Its sizes and hyperparameters.

    Class attributes:
        - name: Name in the registry and in a head's file.
        - config_type: The class of its configs.
        - supervision: Labels that training needs beside the clips.
        - class_aware: Whether maps depend on the queried class; a class-agnostic method returns
            the same map for every query of a clip.
        - works_untrained: Whether a head is of use as it is built.
        - permutation_invariant: Whether the method finds sources without knowing which is which, so
            that evaluation may assign its ``unlabelled_maps`` to the true sources.
        - shares_batch: Whether several processes may each give ``losses`` a part of a batch: it
            compares across the batch by ``tvsl.global_batch``. The others are given the whole
            batch in every process. A class that defines ``losses`` says so itself.
        - tunable: Hyperparameters that change no parameter, so that validation may decide them.

    Attributes:
        config: As given, or as ``set_tuned`` left it.
        progress: Share of the training that is done, from 0 to 1; the trainer sets it before
            each step, for methods that train in stages or warm up.
    """

    name: ClassVar[str]
    config_type: ClassVar[type[MethodConfig]] = MethodConfig
    supervision: ClassVar[Supervision]
    class_aware: ClassVar[bool]
    works_untrained: ClassVar[bool] = False
    permutation_invariant: ClassVar[bool] = False
    shares_batch: ClassVar[bool] = False
    tunable: ClassVar[frozenset[str]] = frozenset(
        {
            "polarity",
            "clamp_negative",
            "exponent",
            "affinity",
            "detection_threshold",
            "heard_floor",
            "seen_floor",
            "flip_average",
        }
    )

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a class that defines other losses say anew whether they may be given parts."""
        super().__init_subclass__(**options)
        if "losses" in vars(cls) and "shares_batch" not in vars(cls):
            cls.shares_batch = False

    def __init__(self, config: MethodConfig = MethodConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__()
        self.config = config
        self.progress = 0.0

    @classmethod
    def from_config(
        cls,
        config: MethodConfig,
        text_encoder: PromptableTextEncoder | None = None,  # noqa: ARG003
    ) -> Self:
        """Build an untrained head, in training mode.

        Args:
            config: A ``config_type``.
            text_encoder: The frozen text encoder, for methods that learn prompts.

        Raises:
            UsageError: Hyperparameters that contradict each other.
        """
        return cls(config)

    @classmethod
    def config_for(cls, config: MethodConfig, vocabulary: Vocabulary) -> MethodConfig:
        """Config of a head that is about to be trained on some classes.

        Args:
            config: A ``config_type``.
            vocabulary: The classes of the training labels.

        Returns:
            The config with the size of the vocabulary's embeddings, and whatever else of the
            classes the method keeps for good.
        """
        return with_overrides(config, embedding=vocabulary.embeddings.shape[1])

    @classmethod
    def config_on(cls, config: MethodConfig, encoder: Encoder) -> MethodConfig:  # noqa: ARG003
        """Config of a head with what it takes over from its encoder, beside the size.

        Args:
            config: A ``config_type``.
            encoder: The encoder.

        Returns:
            The config with the encoder's own values where it leaves them open.
        """
        return config

    @classmethod
    def on_encoder(cls, config: MethodConfig, encoder: Encoder) -> Self:
        """Build an untrained head for an encoder, in training mode, on the CPU.

        Args:
            config: A ``config_type``, of the size of the encoder's embeddings.
            encoder: The encoder.

        Raises:
            UsageError: Hyperparameters that contradict each other.
        """
        return cls.from_config(cls.config_on(config, encoder), encoder.text_encoder)

    @property
    def rows_together(self) -> int:
        """Number of neighbouring clips that ``losses`` takes together, which are not parted."""
        return 1

    @property
    def polarity(self) -> int:
        """1, or -1 where the raw maps are lower on the source than around it."""
        return self.config.polarity

    def postprocess(self, maps: Tensor) -> Tensor:
        """Raw maps as they are shown and scored: polarity, clamp and exponent.

        The three are decided on validation data by the same rule for every method
        (``training/calibrate.py``), else a comparison would be one of these choices.

        Args:
            maps: Raw maps of ``spread_maps``, (P, h, w).

        Returns:
            Maps of the same shape, higher on the source. One that is nowhere positive is not
            clamped: nothing would be left of it.
        """
        maps = maps * self.config.polarity
        if self.config.clamp_negative:
            hopeless = maps.amax(dim=(1, 2), keepdim=True) <= 0
            maps = torch.where(hopeless, maps, maps.relu())
        if self.config.exponent != 1:
            maps = maps.sign() * maps.abs() ** self.config.exponent
        return maps

    def set_tuned(self, **hyperparameters: Any) -> None:
        """Set hyperparameters as validation data decided; they are stored with the head.

        Args:
            hyperparameters: Of those in ``tunable``.

        Raises:
            UsageError: Another hyperparameter, or a value that it cannot have.
        """
        others = sorted(hyperparameters.keys() - self.tunable)
        if others:
            raise UsageError(
                f"Validation cannot decide {', '.join(others)}.",
                f"It decides {', '.join(sorted(self.tunable))}.",
            )
        self.config = with_overrides(self.config, **hyperparameters)

    @abstractmethod
    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """Training losses of a batch.

        Args:
            tokens: B clips.
            labels: Classes that sound in each clip, (B, N) bool, or the number of sources of
                each, (B, N) integers.
            vocabulary: N classes.

        Returns:
            Scalars by name; their sum is minimised.
        """

    @abstractmethod
    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Raw maps of P (clip, source) pairs on the token grid, (P, h, w).

        Args:
            tokens: B clips.
            queries: P pairs; any number per clip.
            vocabulary: N classes.
        """

    def spread_maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Maps of ``maps``, spread over alike cells where the config says so.

        Args:
            tokens: B clips.
            queries: P pairs.
            vocabulary: N classes.

        Returns:
            Maps on the token grid, (P, h, w), as ``postprocess`` takes them.
        """
        return spread(self.maps(tokens, queries, vocabulary), tokens, queries, self.config.affinity)

    def maps_of_readouts(
        self,
        tokens: Tokens,
        queries: Queries,
        vocabulary: Vocabulary,
        readouts: Sequence[Mapping[str, Any]],
    ) -> list[Tensor]:
        """Maps of ``spread_maps`` with each of some readouts; the last one stays set.

        Maps that only differ in how they are spread are made once, and so are the weights of
        spreading.

        Args:
            tokens: B clips.
            queries: P pairs.
            vocabulary: N classes.
            readouts: Hyperparameters, as ``readouts`` gives them.
        """
        read = self.reader(tokens, queries, vocabulary)
        maps: dict[frozenset[tuple[str, Any]], Tensor] = {}
        wanted = []
        for hyperparameters in readouts:
            self.set_tuned(**hyperparameters)
            readout = frozenset(hyperparameters.items() - {("affinity", self.config.affinity)})
            wanted.append((readout, self.config.affinity))
            if readout not in maps:
                maps[readout] = read()
        found: dict[Any, Tensor] = {}
        for affinity in {affinity for _, affinity in wanted}:
            same = [one for one in wanted if one[1] == affinity]
            spread_maps = spread_all([maps[one] for one, _ in same], tokens, queries, affinity)
            found |= zip(same, spread_maps, strict=True)
        return [found[one] for one in wanted]

    def reader(
        self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary
    ) -> Callable[[], Tensor]:
        """A function that gives ``maps`` by the readout that is set when it is called.

        A method whose readouts share most of their work does that once.

        Args:
            tokens: B clips.
            queries: P pairs.
            vocabulary: N classes.

        Returns:
            A function of nothing, which gives maps on the token grid, (P, h, w).
        """
        return lambda: self.maps(tokens, queries, vocabulary)

    def spread_unlabelled_maps(self, tokens: Tokens) -> Tensor:
        """Maps of ``unlabelled_maps``, spread likewise: (B, M, h, w).

        Args:
            tokens: B clips.

        Raises:
            UsageError: The method's maps answer queries.
        """
        maps = self.unlabelled_maps(tokens)
        clips = torch.arange(len(maps), device=maps.device).repeat_interleave(maps.shape[1])
        queries = Queries(clips, torch.zeros_like(clips))
        flat = spread(maps.flatten(0, 1), tokens, queries, self.config.affinity)
        return flat.view(maps.shape)

    def unlabelled_maps(self, tokens: Tokens) -> Tensor:  # noqa: ARG002
        """Raw maps of the sources that a permutation-invariant method finds, without names.

        Args:
            tokens: B clips.

        Returns:
            M maps for each clip on the token grid, (B, M, h, w), shown and scored as ``maps`` are.

        Raises:
            UsageError: The method's maps answer queries.
        """
        raise UsageError(
            f"The maps of the method '{self.name}' are not to be permuted.", "Use `maps`."
        )

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Groups of parameters for an optimiser, with ``params`` and ``lr``; here one of all."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def readouts(self) -> list[dict[str, Any]]:
        """Readouts of a map as hyperparameters for ``set_tuned``; validation chooses one.

        Each comes spread and not; see ``operations.spread``.
        """
        return spread_and_not([{}])

    def detectors(self) -> list[dict[str, Any]]:
        """Detectors, each as hyperparameters for ``set_tuned``; validation chooses one."""
        return [{}]

    @classmethod
    def can_detect(cls) -> bool:
        """Tell whether ``detect`` gives scores."""
        return cls.detect is not Method.detect

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor | None:  # noqa: ARG002
        """Score how likely each class sounds and is seen.

        Args:
            tokens: B clips.
            vocabulary: N classes.

        Returns:
            Scores, (B, N), or None for a method that cannot detect.
        """
        return None

    def detect_by(
        self, tokens: Tokens, vocabulary: Vocabulary, detectors: Sequence[Mapping[str, Any]]
    ) -> list[Tensor | None]:
        """Scores of ``detect`` with each of some detectors; the last one stays set.

        A method whose detectors share most of their work may do that once.

        Args:
            tokens: B clips.
            vocabulary: N classes.
            detectors: Hyperparameters, as ``detectors`` gives them.

        Returns:
            Scores of each, (B, N), or None for a method that cannot detect.
        """
        found = []
        for hyperparameters in detectors:
            self.set_tuned(**hyperparameters)
            found.append(self.detect(tokens, vocabulary))
        return found

    def evidence(self, tokens: Tokens, vocabulary: Vocabulary) -> tuple[Tensor, Tensor] | None:  # noqa: ARG002
        """Evidence of each class on its two sides: what is heard, and what is seen.

        A score that joins the two lets a class through that is heard clearly and seen nowhere, or
        seen clearly beside a noise. ``heard_floor`` and ``seen_floor`` keep such a class out.

        Args:
            tokens: B clips.
            vocabulary: N classes.

        Returns:
            Cosines in the sound and in the best cells, each (B, N); None for a method without.
        """
        return None


def spread_and_not(readouts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Readouts for ``set_tuned``, each with maps as they are and spread (``operations.spread``)."""
    return [{**one, "affinity": exponent} for one in readouts for exponent in (0.0, AFFINITY)]


def check_inputs(size: int, tokens: Tokens, vocabulary: Vocabulary | None) -> None:
    """Check the size of embeddings.

    Args:
        size: D, of the head.
        tokens: The clips.
        vocabulary: The classes, if there are any.

    Raises:
        ShapeError: Tokens or vocabulary have another size.
    """
    words = size if vocabulary is None else vocabulary.embeddings.shape[1]
    if not size == tokens.size == words:
        raise ShapeError(
            f"The head is for embeddings of size {size}, tokens have {tokens.size} and the "
            f"vocabulary {words}.",
            "Use one encoder for all three.",
        )


def check_labels(labels: Tensor, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
    """Check training labels.

    Args:
        labels: (B, N) bool, or numbers of sources.
        tokens: B clips.
        vocabulary: N classes.

    Returns:
        Classes that sound in each clip, (B, N) bool, whatever their number of sources.

    Raises:
        ShapeError: Not bool or whole numbers (B, N), a negative one, or a clip without any label.
    """
    whole = not (labels.is_floating_point() or labels.is_complex())
    if not whole or tuple(labels.shape) != (tokens.batch, len(vocabulary)):
        raise ShapeError(
            f"Labels must be bool or whole numbers ({tokens.batch}, {len(vocabulary)}), got "
            f"{tuple(labels.shape)} {labels.dtype}.",
            "Give one row per clip and one column per class.",
        )
    if labels.dtype != torch.bool and bool((labels < 0).any()):
        raise ShapeError(
            "A clip has a negative number of sources of a class.", "Count them from 0."
        )
    if not bool(labels.any(dim=1).all()):
        raise ShapeError("A clip has no label.", "Leave clips without labels out of training.")
    return labels.bool()


class Untrained(Method):
    """A method without parameters and losses."""

    supervision: ClassVar[Supervision] = "none"
    works_untrained: ClassVar[bool] = True

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Refuse: there are no losses; see the base class.

        Raises:
            UsageError: Always.
        """
        raise UsageError("This method has nothing to train.", "Use it as it is.")


class Trivial(Untrained):
    """A baseline that uses neither picture nor sound: the numbers that chance reaches.

    Its map depends on the grid alone, and on the number of the clip where it is random.
    """

    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """One map for all queries of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        return self.drawn(queries.clip, tokens.grid, tokens.panels).to(tokens.visual)

    def drawn(self, clips: Tensor, grid: tuple[int, int], panels: int = 1, seed: int = 0) -> Tensor:
        """Maps of some clips: (P, h, w) float32, on the device of ``clips``.

        Args:
            clips: The number of the clip of each map, (P,); the clip's place in a batch, or in a
                data set, so that batches make no difference.
            grid: Height and width of the token grid.
            panels: Number of frames side by side in the grid, each with a map of its own.
            seed: Seed of random maps.
        """
        height, width = grid
        count = int(clips.max()) + 1 if len(clips) else 0
        panel = self.panel(count, height, width // panels, seed).to(clips.device)
        return panel[clips].repeat(1, 1, panels)

    def readouts(self) -> list[dict[str, Any]]:
        """Its map alone: what looks at nothing knows no cells that look alike."""
        return [{}]

    @abstractmethod
    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:
        """Maps of one panel for the first clips: (clips, height, width).

        Args:
            clips: Number of clips.
            height: Rows of the panel's grid.
            width: Columns of the panel's grid.
            seed: Seed of random maps.
        """


class WholeFrame(Trivial):
    """A sound everywhere: a constant map."""

    name: ClassVar[str] = "whole-frame"

    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:  # noqa: ARG002
        """Ones; see the base class."""
        return torch.ones(clips, height, width)


class Centre(Trivial):
    """A sound in the centre of each panel: a Gaussian a quarter of the panel wide."""

    name: ClassVar[str] = "centre"

    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:  # noqa: ARG002
        """Gaussian, the same for each clip; see the base class."""
        down, across = (
            ((torch.arange(size) + 0.5) / size - 0.5) / _CENTRE for size in (height, width)
        )
        hill = torch.exp(-0.5 * (down[:, None] ** 2 + across**2))
        return hill.expand(clips, height, width)


class Noise(Trivial):
    """A sound anywhere: random maps, the same for the same number of a clip."""

    name: ClassVar[str] = "random"

    def panel(self, clips: int, height: int, width: int, seed: int) -> Tensor:
        """Uniform noise, independent of the number of clips; see the base class."""
        return torch.rand(clips, height, width, generator=torch.Generator().manual_seed(seed))
