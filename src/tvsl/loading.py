"""From the name of a model, and perhaps of a head, to an encoder with a head on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tvsl.audioclip.config import FlipAverage
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.weights import known_tokenizer, load_audioclip, model_folder
from tvsl.errors import UsageError
from tvsl.localization import Request, cannot_detect
from tvsl.methods import find_method
from tvsl.methods.base import Method, MethodConfig, with_overrides
from tvsl.methods.checkpoint_io import StoredHead, read_head
from tvsl.methods.tvsl import ReleasedConfig, TVSLConfig, method_of
from tvsl.methods.tvsl import preset as find_preset
from tvsl.utils.devices import PrecisionChoice, choose_device, choose_precision
from tvsl.utils.download import Progress
from tvsl.utils.model_folder import HEAD_FOLDER

DEFAULT_PRESET = "tvsl"


@dataclass(frozen=True, eq=False)
class Loaded:
    """An encoder with a head.

    Attributes:
        encoder: The frozen encoder, on its device.
        method: The head.
        name: What results call the two: model/head.
    """

    encoder: AudioCLIPEncoder
    method: Method
    name: str


class _Head(NamedTuple):
    """A head that is still to be built on its encoder.

    Attributes:
        title: What results call it.
        method: Its class.
        config: Its sizes and hyperparameters.
        build: Builds it.
    """

    title: str
    method: type[Method]
    config: MethodConfig
    build: Callable[[AudioCLIPEncoder], Method]


def load(
    name_or_path: str | Path,
    head: str | Path | None = None,
    preset: str | TVSLConfig | ReleasedConfig | None = None,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
    method: str | None = None,
) -> Loaded:
    """Load an encoder with a head; see ``Localizer.from_pretrained``.

    Args:
        name_or_path: The encoder.
        head: Folder of a trained head for it.
        preset: Else an untrained head; the encoder's own trained head when None, if it has one.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: As the head's config says when None.
        progress: Called with bytes so far and in all while weights are fetched.
        method: Name of the head's method; any when None.

    Returns:
        The two.

    Raises:
        WeightsError: The encoder or the head cannot be had or used.
        VocabularyError: The vocabulary file is missing.
        UsageError: No such preset, method or device; a preset together with a head or a method;
            a head of another method; or a method that is of no use without a trained head.
    """
    folder = model_folder(name_or_path)
    found = _find_head(folder, head, preset, method)
    encoder = load_encoder(name_or_path, found.config, device, precision, flip_average, progress)
    place = Path(name_or_path) if folder is None else folder.resolve()
    return Loaded(encoder, found.build(encoder), f"{place.name}/{found.title}")


def check_request(
    name_or_path: str | Path,
    request: Request,
    head: str | Path | None = None,
    preset: str | None = None,
    method: str | None = None,
) -> None:
    """Refuse what a model cannot answer, as far as that is known before its weights are read.

    Args:
        name_or_path: As for ``load``.
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
    found = _find_head(model_folder(name_or_path), head, preset, method)
    if request.labels is None and not found.method.can_detect():
        raise cannot_detect(found.method)
    if request.names is not None:
        check_classes(name_or_path, request.names)


def check_classes(name_or_path: str | Path, names: Sequence[str]) -> None:
    """Refuse class names that a model cannot express, as far as is known without its weights.

    Args:
        name_or_path: As for ``load``.
        names: Different class names.

    Raises:
        VocabularyError: It cannot express one, or one occurs twice.
        WeightsError: Its tokenizer is damaged.
    """
    tokenizer = known_tokenizer(name_or_path)
    if tokenizer is not None:
        tokenizer.class_ids(names)


def load_encoder(
    name_or_path: str | Path,
    config: MethodConfig,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
) -> AudioCLIPEncoder:
    """Load an encoder as a head wants it.

    Args:
        name_or_path: The encoder.
        config: The head's.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: As the head's config says when None.
        progress: Called with bytes so far and in all while weights are fetched.

    Returns:
        The encoder.

    Raises:
        WeightsError: It cannot be had or used.
        VocabularyError: The vocabulary file is missing.
        UsageError: No such device.
    """
    target = choose_device(device)
    model = load_audioclip(name_or_path, config.waveform_scale, progress)
    model.require_tokenizer()  # else the lack of it would show only after all other work
    return AudioCLIPEncoder(
        model,
        choose_precision(precision, target),
        config.image_tokens,
        config.flip_average if flip_average is None else flip_average,
    ).to(target)


def _find_head(
    folder: Path | None,
    head: str | Path | None,
    preset: str | TVSLConfig | ReleasedConfig | None,
    method: str | None,
) -> _Head:
    """The head that was asked for; all that can be wrong is said before weights are fetched."""
    if preset is not None:
        if head is not None or method is not None:
            raise UsageError(
                "A preset is an untrained head of T-VSL, with the preset's hyperparameters.",
                "Give a preset, or a head or a method, not both.",
            )
        return _preset(preset)
    kind = None if method is None else find_method(method)
    if head is not None:
        stored = read_head(head)
        if kind not in (None, stored.method):
            raise UsageError(
                f"This head is of the method '{stored.method.name}', not of '{method}'.",
                "Give another head, or no method: the head knows its own.",
                stored.folder,
            )
        return _trained(stored, stored.folder.resolve().name)
    if folder is not None and (folder / HEAD_FOLDER).is_dir():
        own = read_head(folder / HEAD_FOLDER)
        if kind in (None, own.method):
            return _trained(own, "trained")
    return _preset(DEFAULT_PRESET) if kind is None else _as_built(kind)


def _trained(stored: StoredHead, where: str) -> _Head:
    title = f"{stored.method.name} ({where})"
    return _Head(title, stored.method, stored.config, stored.build)


def _as_built(method: type[Method]) -> _Head:
    """An untrained head of a method that is of use so."""
    if not method.works_untrained:
        raise UsageError(
            f"The method '{method.name}' is of no use without a trained head.",
            f"Train one with `tvsl train --method {method.name}`, and give its folder by `--head`.",
        )
    return _untrained(method, method.config_type(), method.name)


def _preset(preset: str | TVSLConfig | ReleasedConfig) -> _Head:
    """An untrained head of T-VSL."""
    if isinstance(preset, str):
        config = find_preset(preset)
        return _untrained(method_of(config), config, preset)
    method = method_of(preset)
    return _untrained(method, preset, f"{method.name} (own hyperparameters)")


def _untrained(method: type[Method], config: MethodConfig, title: str) -> _Head:
    def build(encoder: AudioCLIPEncoder) -> Method:
        sized = with_overrides(config, embedding=encoder.config.embedding)
        return method.on_encoder(sized, encoder)

    return _Head(title, method, config, build)
