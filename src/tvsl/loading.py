"""Encoders and heads from what users call them: names, paths, references and classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import getattr_static
from pathlib import Path

import torch

from tvsl.detecting import cannot_detect
from tvsl.encoder import Encoder, EncoderOptions, FlipAverage
from tvsl.encoder_folders import kind_of
from tvsl.errors import TvslError, UsageError, shown
from tvsl.localization import Request
from tvsl.methods import METHODS
from tvsl.methods.base import Method, MethodConfig, Trivial, with_overrides
from tvsl.methods.checkpoint_io import StoredHead, read_head
from tvsl.methods.tvsl import ReleasedConfig, TVSLConfig, method_of
from tvsl.methods.tvsl import preset as find_preset
from tvsl.models import MODEL_NAMES, model_folder
from tvsl.registry import Registry, is_reference
from tvsl.utils.devices import PrecisionChoice, choose_device, choose_precision
from tvsl.utils.hub import commit, hub_model
from tvsl.utils.model_folder import HEAD_FOLDER
from tvsl.utils.processes import Progress

DEFAULT_PRESET = "tvsl"

EncoderFactory = Callable[[EncoderOptions], Encoder]
_PROTOCOL = [name for name in vars(Encoder) if not name.startswith("_")]
_ABSENT = object()


@dataclass(frozen=True, eq=False)
class Loaded:
    """An encoder with a head.

    Attributes:
        encoder: The frozen encoder, on its device.
        method: The head.
        name: Name of the two in results: model/head.
    """

    encoder: Encoder
    method: Method
    name: str


@dataclass(frozen=True)
class UntrainedHead:
    """A head that is built anew.

    Attributes:
        method: Its class.
        config: Its hyperparameters; the size is that of the encoder.
    """

    method: type[Method]
    config: MethodConfig

    @classmethod
    def of(cls, method: type[Method]) -> UntrainedHead:
        """An untrained head of a method that is of use so.

        Raises:
            UsageError: The method has to be trained first.
        """
        if not method.works_untrained:
            raise UsageError(
                f"The method '{method.name}' is of no use without a trained head: "
                "it has to be trained first.",
                f"Train a head with `tvsl train --method {method.name}`, and give its folder by "
                f"`--head`; or choose one of {', '.join(untrained_methods())}.",
            )
        return cls(method, method.config_type())

    def build(self, encoder: Encoder) -> Method:
        """Build the head, the same one each time.

        Returns:
            The head, in evaluation mode, on the encoder's device.

        Raises:
            UsageError: Hyperparameters that contradict each other or the encoder.
        """
        config = with_overrides(self.config, embedding=encoder.embedding)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            head = self.method.on_encoder(config, encoder)
        return head.to(encoder.device).eval()


def untrained_methods() -> tuple[str, ...]:
    """Names of the methods that are of use before any training, trivial baselines left out."""
    methods, _ = METHODS.load_all()
    return tuple(
        name
        for name, method in methods.items()
        if method.works_untrained and not issubclass(method, Trivial)
    )


def load(
    model: str | Path | Encoder,
    head: str | Path | None = None,
    preset: str | TVSLConfig | ReleasedConfig | None = None,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
    method: str | type[Method] | None = None,
) -> Loaded:
    """Load an encoder with a head; see ``Localizer.from_pretrained``.

    Args:
        model: The encoder.
        head: Folder of a trained head for it.
        preset: Else an untrained head; the encoder's own trained head when None, if it has one.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: As the head's config says when None.
        progress: Called with bytes so far and in all while weights are fetched.
        method: The head's method; any when None.

    Raises:
        WeightsError: The encoder or the head cannot be had or used.
        VocabularyError: The vocabulary file is missing.
        UsageError: No such preset, method or device; a preset together with a head or a method;
            a head of another method; or a method that is of no use without a trained head.
    """
    title, found = _find_head(model, head, preset, method)
    encoder = load_encoder(model, found.config, device, precision, flip_average, progress)
    return Loaded(encoder, found.build(encoder), f"{model_name(model)}/{title}")


def check_request(
    model: str | Path,
    request: Request,
    head: str | Path | None = None,
    preset: str | None = None,
    method: str | None = None,
) -> None:
    """Refuse what a model cannot answer, as far as that is known before its weights are read.

    Args:
        model: As for ``load``.
        request: What it is to be asked.
        head: As for ``load``.
        preset: As for ``load``.
        method: As for ``load``.

    Raises:
        VocabularyError: The model cannot express a class.
        UsageError: The method cannot detect what sounds and labels are missing, or as for
            ``load``.
        WeightsError: The head cannot be had or used.
    """
    _, found = _find_head(model, head, preset, method)
    if request.labels is None and not found.method.can_detect():
        raise cannot_detect(found.method)
    if request.names is not None:
        check_classes(model, request.names)


def check_classes(model: str | Path | Encoder, names: Sequence[str]) -> None:
    """Refuse class names that a model cannot express, as far as is known without its weights.

    Args:
        model: As for ``load``.
        names: Different class names.

    Raises:
        VocabularyError: It cannot express one, or one occurs twice.
        WeightsError: Its tokenizer is damaged.
        UsageError: There is no such encoder.
    """
    if isinstance(model, str | Path) and _added_factory(model) is None:
        check_names = kind_of(model_folder(model)).check_names
        if check_names is not None:
            check_names(model, names)


def load_encoder(
    model: str | Path | Encoder,
    config: MethodConfig,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
) -> Encoder:
    """Load an encoder as a head wants it.

    Args:
        model: Name, path or reference of the encoder, or one that is made already, which keeps its
            own device and precision.
        config: The head's.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: As the head's config says when None.
        progress: Called with bytes so far and in all while weights are fetched.

    Raises:
        WeightsError: It cannot be had or used.
        VocabularyError: The vocabulary file is missing.
        UsageError: No such device or encoder, or one that cannot do what is asked for.
    """
    if isinstance(model, str | Path):
        target = choose_device(device)
        options = EncoderOptions(
            target,
            choose_precision(precision, target),
            config.flip_average if flip_average is None else flip_average,
            config.image_tokens,
            config.waveform_scale,
            progress,
        )
        factory = _added_factory(model)
        encoder = _built_in(model, options) if factory is None else _made(factory, model, options)
    else:
        encoder = _complete(model)
        flip = encoder.flip_average if flip_average is None else flip_average
        options = EncoderOptions(encoder.device, encoder.precision, flip, config.image_tokens)
    _check_encoder(encoder, options, precision)
    return encoder


def model_name(model: str | Path | Encoder) -> str:
    """Name of an encoder in results.

    The name that was given, on the hub with the commit, the last part of a path, or the name of a
    class.
    """
    if not isinstance(model, str | Path):
        return type(model).__name__
    if _added_factory(model) is not None:
        return str(model).rpartition(":")[2]
    on_hub = hub_model(model)
    if on_hub is not None:
        return str(commit(on_hub))
    folder = model_folder(model)
    return (Path(model) if folder is None else folder.resolve()).name


def own_head(model: str | Path | Encoder) -> StoredHead | None:
    """The trained head that lies in a model's folder; None where there is none.

    Args:
        model: As for ``load``.

    Raises:
        WeightsError: It is damaged.
    """
    if not isinstance(model, str | Path) or _added_factory(model) is not None:
        return None
    folder = model_folder(model)
    if folder is None or not (folder / HEAD_FOLDER).is_dir():
        return None
    return read_head(folder / HEAD_FOLDER)


def _built_in(model: str | Path, options: EncoderOptions) -> Encoder:
    """An encoder of tvsl, by its name or path."""
    folder = model_folder(model)
    return kind_of(folder).load(model if folder is None else folder, options)


ENCODERS: Registry[EncoderFactory] = Registry(
    "encoder",
    "tvsl.encoders",
    {name: partial(_built_in, name) for name in MODEL_NAMES},
    "a class or function that makes a tvsl.encoder.Encoder of tvsl.encoder.EncoderOptions",
    callable,
)
"""Encoders by name; a path of a checkpoint is given in place of a name."""


def _added_factory(model: str | Path) -> EncoderFactory | None:
    """Look up an encoder that is not of tvsl; None for the name or the path of one of tvsl."""
    if not isinstance(model, str) or model in MODEL_NAMES:
        return None
    return ENCODERS.resolve(model) if is_reference(model) or model in ENCODERS else None


def _made(factory: EncoderFactory, model: str | Path, options: EncoderOptions) -> Encoder:
    """An encoder that is not of tvsl."""
    try:
        encoder = factory(options)
    except TvslError:
        raise
    except Exception as error:
        raise UsageError(
            f"The encoder {shown(str(model))} cannot be made "
            f"({type(error).__name__}: {shown(str(error))}).",
            "It is called with one argument, tvsl.encoder.EncoderOptions.",
        ) from error
    return _complete(encoder)


def _complete(encoder: Encoder) -> Encoder:
    """Let through only an object that has all that the protocol names."""
    missing = [name for name in _PROTOCOL if getattr_static(encoder, name, _ABSENT) is _ABSENT]
    if missing:
        raise UsageError(
            f"{type(encoder).__name__} is no encoder: it lacks {', '.join(missing)}.",
            "See tvsl.encoder.Encoder for all that an encoder has.",
        )
    return encoder


def _check_encoder(encoder: Encoder, options: EncoderOptions, precision: PrecisionChoice) -> None:
    """Let through only an encoder that does what was asked for."""
    kind = type(encoder).__name__
    for asked, wanted, given in (
        ("flip average", options.flip_average, encoder.flip_average),
        ("image tokens", options.image_tokens, encoder.image_tokens),
        ("precision", None if precision == "auto" else options.precision, encoder.precision),
    ):
        if wanted not in (None, given):
            raise UsageError(
                f"The encoder {kind} has no {asked} '{wanted}', it gives '{given}'.",
                "Choose what it gives, or another head or encoder.",
            )


def _find_head(
    model: str | Path | Encoder,
    head: str | Path | None,
    preset: str | TVSLConfig | ReleasedConfig | None,
    method: str | type[Method] | None,
) -> tuple[str, StoredHead | UntrainedHead]:
    """The head that was asked for, and its name in results, before weights are fetched."""
    if preset is not None:
        if head is not None or method is not None:
            raise UsageError(
                "A preset is an untrained head of T-VSL, with the preset's hyperparameters.",
                "Give a preset, or a head or a method, not both.",
            )
        return _preset(preset)
    wanted = METHODS.resolve(method) if isinstance(method, str) else method
    if head is not None:
        stored = read_head(head, wanted)
        return f"{stored.method.name} ({stored.folder.resolve().name})", stored
    own = own_head(model)
    if own is not None and wanted in (None, own.method):
        return f"{own.method.name} (own head)", own
    return _preset(DEFAULT_PRESET) if wanted is None else (wanted.name, UntrainedHead.of(wanted))


def _preset(preset: str | TVSLConfig | ReleasedConfig) -> tuple[str, UntrainedHead]:
    """An untrained head of T-VSL."""
    config = find_preset(preset) if isinstance(preset, str) else preset
    method = method_of(config)
    title = preset if isinstance(preset, str) else f"{method.name} (own hyperparameters)"
    return title, UntrainedHead(method, config)
