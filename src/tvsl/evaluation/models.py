"""Models that are evaluated side by side: heads on one encoder, trained or not."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from tvsl.encoder import Encoder, FlipAverage
from tvsl.errors import UsageError
from tvsl.loading import UntrainedHead, load_encoder, model_name, own_head
from tvsl.methods import METHODS
from tvsl.methods.base import Method, MethodConfig
from tvsl.methods.checkpoint_io import StoredHead, read_head
from tvsl.methods.trivial import Trivial
from tvsl.methods.tvsl import TVSL
from tvsl.utils.devices import PrecisionChoice
from tvsl.utils.model_folder import fingerprint
from tvsl.utils.progress import Progress

# What these say of the encoder must be one thing for all heads that are evaluated on it.
_ENCODER_FIELDS = ("image_tokens", "waveform_scale", "flip_average", "square_pictures")


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A method in the table.

    Attributes:
        name: Name in the table.
        method: The head, in evaluation mode.
        trained: Whether it was trained.
    """

    name: str
    method: Method
    trained: bool = False

    @property
    def recipe(self) -> str:
        """Method and hyperparameters: heads that share them differ by their seeds alone."""
        fixed = self.method.config.model_dump_json(exclude=set(self.method.tunable))
        return f"{self.method.name} {fixed}"

    @property
    def sha256(self) -> str:
        """Fingerprint of the head with all its hyperparameters, as they are now."""
        described = f"{self.method.name} {self.method.config.model_dump_json()}"
        return fingerprint(described, self.method.state_dict())


@dataclass(frozen=True, eq=False)
class EvaluatedModels:
    """All that is evaluated in one pass over an encoder's tokens.

    Attributes:
        model: Name of the encoder.
        encoder: The encoder.
        methods: The methods, the one first that cases are chosen by.
    """

    model: str
    encoder: Encoder
    methods: tuple[EvaluatedModel, ...]

    @property
    def square(self) -> bool:
        """Tell whether the heads want pictures squeezed into a square."""
        return self.methods[0].method.config.square_pictures


_Sources = dict[str, "StoredHead | UntrainedHead"]


def load_models(
    model: str | Path | Encoder,
    heads: Sequence[str | Path] = (),
    methods: Sequence[str | type[Method]] = (),
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
) -> EvaluatedModels:
    """Load an encoder with all heads that are to be evaluated on it, trained ones first.

    Args:
        model: Name, path or reference of the encoder, or itself.
        heads: Folders of trained heads; the model's own when there are none, if it has one that
            goes with the methods.
        methods: Methods that need no training, or their names or references; ``tvsl``, the
            zero-shot head, where there would be nothing else.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: Average with the flipped picture's tokens; the heads' choice when None.
        progress: Called with bytes so far and in all while weights are fetched.

    Raises:
        UsageError: There is no such method, it needs training, one comes twice, or the heads want
            different encoders.
        WeightsError: The encoder or a head cannot be had or used.
        VocabularyError: The vocabulary file is missing.
    """
    sources, config = _chosen(model, heads, methods, flip_average)
    encoder = load_encoder(model, config, device, precision, flip_average, progress)
    built = tuple(
        EvaluatedModel(name, source.build(encoder), isinstance(source, StoredHead))
        for name, source in sources.items()
    )
    return EvaluatedModels(model_name(model), encoder, built)


def chosen_methods(
    model: str | Path | Encoder,
    heads: Sequence[str | Path] = (),
    methods: Sequence[str | type[Method]] = (),
    flip_average: FlipAverage | None = None,
) -> dict[str, type[Method]]:
    """Methods that would be evaluated, by their names in the table; no weights are read.

    Args:
        model: As for ``load_models``.
        heads: As for ``load_models``.
        methods: As for ``load_models``.
        flip_average: As for ``load_models``.

    Raises:
        UsageError: As for ``load_models``.
        WeightsError: A head cannot be used.
    """
    sources, _ = _chosen(model, heads, methods, flip_average)
    return {name: source.method for name, source in sources.items()}


def _chosen(
    model: str | Path | Encoder,
    heads: Sequence[str | Path],
    methods: Sequence[str | type[Method]],
    flip_average: FlipAverage | None,
) -> tuple[_Sources, MethodConfig]:
    """The heads by what the table calls them, and the config that their encoder shall have."""
    sources: _Sources = {}
    wanted = set(_ENCODER_FIELDS) - ({"flip_average"} if flip_average is not None else set())
    fresh = [_fresh(method) for method in methods]
    own = None if heads else own_head(model)
    # Nobody named it: it gives way to a method that was named and wants another encoder.
    if own is not None and all(_difference(own, one, wanted) is None for one in fresh):
        sources[f"{own.method.name} (own head)"] = own
    for path in heads:
        head = read_head(path)
        _put(sources, f"{head.method.name} ({path})", head)
    for one in fresh:
        _put(sources, f"{one.method.name} (untrained)", one)
    if not sources:
        _put(sources, f"{TVSL.name} (untrained)", _fresh(TVSL.name))
    return sources, _agreed(sources, wanted)


def _put(sources: _Sources, name: str, source: StoredHead | UntrainedHead) -> None:
    if name in sources:
        raise UsageError(f"'{name}' is to be evaluated twice.", "Name each head once.")
    sources[name] = source


def _fresh(given: str | type[Method]) -> UntrainedHead:
    method = METHODS.resolve(given) if isinstance(given, str) else given
    if issubclass(method, Trivial):
        raise UsageError(f"The baseline '{method.name}' is in every table.", "Leave it out.")
    return UntrainedHead.of(method)


def _agreed(sources: _Sources, wanted: Set[str]) -> MethodConfig:
    """The config of the first head, if all want the same encoder."""
    leader, first = next(iter(sources.items()))
    for name, source in sources.items():
        hyperparameter = _difference(first, source, wanted)
        if hyperparameter is not None:
            ours, theirs = (
                getattr(first.config, hyperparameter),
                getattr(source.config, hyperparameter),
            )
            raise UsageError(
                f"'{leader}' wants the encoder with {hyperparameter} {ours!r}, "
                f"'{name}' {theirs!r}.",
                "Evaluate them one by one, or give --flip-average where it is this.",
            )
    return first.config


def _difference(
    first: StoredHead | UntrainedHead, other: StoredHead | UntrainedHead, wanted: Set[str]
) -> str | None:
    """The hyperparameter in which two heads want different encoders, if there is one."""
    for hyperparameter in sorted(wanted):
        theirs = getattr(other.config, hyperparameter)
        # Without training a head goes with whatever a trained one wants, where it leaves it open.
        open_to_all = isinstance(other, UntrainedHead) and not isinstance(first, UntrainedHead)
        if open_to_all and theirs == MethodConfig.model_fields[hyperparameter].default:
            continue
        if theirs != getattr(first.config, hyperparameter):
            return hyperparameter
    return None
