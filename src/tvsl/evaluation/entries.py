"""What is evaluated side by side: heads on one encoder, trained or without need of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch

from tvsl.audioclip.config import FlipAverage
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.weights import model_folder
from tvsl.devices import PrecisionChoice
from tvsl.errors import UsageError
from tvsl.loading import load_encoder
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.checkpoint import StoredHead, read_head
from tvsl.methods.config import MethodConfig, switched
from tvsl.methods.trivial import Trivial
from tvsl.methods.tvsl import TVSL
from tvsl.model_folder import HEAD_FOLDER, fingerprint

Progress = Callable[[int, "int | None"], None]

# What these say of the encoder must be one thing for all heads that are evaluated on it.
_ENCODER_SWITCHES = ("image_tokens", "waveform_scale", "flip_average", "square_pictures")


@dataclass(frozen=True, eq=False)
class Entry:
    """A method in the table.

    Attributes:
        name: What the table calls it.
        method: The head, in evaluation mode.
    """

    name: str
    method: Method

    @property
    def sha256(self) -> str:
        """Fingerprint of the head with all its switches, as they are now."""
        described = f"{self.method.name} {self.method.config.model_dump_json()}"
        return fingerprint(described, self.method.state_dict())


@dataclass(frozen=True, eq=False)
class Entries:
    """All that is evaluated in one pass over an encoder's tokens.

    Attributes:
        model: Name of the encoder.
        encoder: The encoder.
        methods: The methods, the one first that cases are chosen by.
    """

    model: str
    encoder: AudioCLIPEncoder
    methods: tuple[Entry, ...]

    @property
    def square(self) -> bool:
        """Whether the heads want pictures squeezed into a square."""
        return self.methods[0].method.config.square_pictures


@dataclass(frozen=True)
class _Fresh:
    """A head that is built anew."""

    method: type[Method]
    config: MethodConfig

    def build(self, encoder: AudioCLIPEncoder) -> Method:
        """Build it on its encoder; see ``StoredHead``."""
        config = switched(self.config, embedding=encoder.config.embedding)
        # The same one each time, or an interrupted evaluation would not know it again.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            head = self.method.on_encoder(config, encoder)
        return head.to(encoder.device).eval()


_Sources = dict[str, "StoredHead | _Fresh"]


def load_entries(
    model: str | Path,
    heads: Sequence[str | Path] = (),
    methods: Sequence[str] = (),
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
) -> Entries:
    """Load an encoder with all heads that are to be evaluated on it.

    Args:
        model: Name or path of the encoder.
        heads: Folders of trained heads; the model's own when there are none, if it has one that
            goes with the methods.
        methods: Names of methods that need no training; ``tvsl``, the zero-shot head, where there
            would be nothing else.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: Average with the flipped picture's tokens; the heads' choice when None.
        progress: Called with bytes so far and in all while weights are fetched.

    Returns:
        The methods, trained ones first.

    Raises:
        UsageError: There is no such method, it needs training, one comes twice, or the heads want
            different encoders.
        WeightsError: The encoder or a head cannot be had or used.
        VocabularyError: The vocabulary file is missing.
    """
    sources, config = _chosen(model, heads, methods, flip_average)
    encoder = load_encoder(model, config, device, precision, flip_average, progress)
    built = tuple(Entry(name, source.build(encoder)) for name, source in sources.items())
    folder = model_folder(model)
    place = Path(model) if folder is None else folder.resolve()
    return Entries(place.name, encoder, built)


def chosen_methods(
    model: str | Path,
    heads: Sequence[str | Path] = (),
    methods: Sequence[str] = (),
    flip_average: FlipAverage | None = None,
) -> dict[str, type[Method]]:
    """Tell which methods would be evaluated; no weights are read.

    Args:
        model: As for ``load_entries``.
        heads: As for ``load_entries``.
        methods: As for ``load_entries``.
        flip_average: As for ``load_entries``.

    Returns:
        Their classes, by what the table calls them.

    Raises:
        UsageError: As for ``load_entries``.
        WeightsError: A head cannot be used.
    """
    sources, _ = _chosen(model, heads, methods, flip_average)
    return {name: source.method for name, source in sources.items()}


def _chosen(
    model: str | Path,
    heads: Sequence[str | Path],
    methods: Sequence[str],
    flip_average: FlipAverage | None,
) -> tuple[_Sources, MethodConfig]:
    """The heads by what the table calls them, and the config that their encoder shall have."""
    folder = model_folder(model)
    sources: _Sources = {}
    wanted = set(_ENCODER_SWITCHES) - ({"flip_average"} if flip_average is not None else set())
    fresh = {name: _fresh(name) for name in methods}
    own = None if folder is None else folder / HEAD_FOLDER
    if not heads and own is not None and own.is_dir():
        head = read_head(own)
        # Nobody named it: it gives way to a method that was named and wants another encoder.
        if all(_difference(head, one, wanted) is None for one in fresh.values()):
            sources[f"{head.method.name} (trained)"] = head
    for path in heads:
        head = read_head(path)
        _put(sources, f"{head.method.name} ({path})", head)
    for name in methods:
        _put(sources, f"{name} (untrained)", fresh[name])
    if not sources:
        _put(sources, f"{TVSL.name} (untrained)", _fresh(TVSL.name))
    return sources, _agreed(sources, wanted)


def _put(sources: _Sources, name: str, source: StoredHead | _Fresh) -> None:
    if name in sources:
        raise UsageError(f"'{name}' is to be evaluated twice.", "Name each head once.")
    sources[name] = source


def untrained_methods() -> tuple[str, ...]:
    """Names of the methods that do something sensible before any training."""
    return tuple(
        name
        for name, method in METHODS.items()
        if method.works_untrained and not issubclass(method, Trivial)
    )


def _fresh(name: str) -> _Fresh:
    known = ", ".join(untrained_methods())
    if name not in METHODS:
        raise UsageError(f"There is no method '{name}'.", f"Without training: {known}.")
    method = METHODS[name]
    if issubclass(method, Trivial):
        raise UsageError(f"The baseline '{name}' is in every table.", "Leave it out.")
    if not method.works_untrained:
        raise UsageError(
            f"The method '{name}' has to be trained first.",
            f"Give the folder of a trained head, or one of {known}.",
        )
    return _Fresh(method, method.config_type())


def _agreed(sources: _Sources, wanted: Set[str]) -> MethodConfig:
    """The config of the first head, if all want the same encoder."""
    leader, first = next(iter(sources.items()))
    for name, source in sources.items():
        switch = _difference(first, source, wanted)
        if switch is not None:
            ours, theirs = getattr(first.config, switch), getattr(source.config, switch)
            raise UsageError(
                f"'{leader}' wants the encoder with {switch} {ours!r}, '{name}' {theirs!r}.",
                "Evaluate them one by one, or give --flip-average where it is this.",
            )
    return first.config


def _difference(
    first: StoredHead | _Fresh, other: StoredHead | _Fresh, wanted: Set[str]
) -> str | None:
    """The switch in which two heads want different encoders, if there is one."""
    for switch in sorted(wanted):
        theirs = getattr(other.config, switch)
        # Without training a head goes with whatever a trained one wants, where it leaves it open.
        open_to_all = isinstance(other, _Fresh) and not isinstance(first, _Fresh)
        if open_to_all and theirs == MethodConfig.model_fields[switch].default:
            continue
        if theirs != getattr(first.config, switch):
            return switch
    return None
