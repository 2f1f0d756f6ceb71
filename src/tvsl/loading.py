"""From the name of a model, and perhaps of a head, to an encoder with a head on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tvsl.audioclip.config import FlipAverage
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.weights import load_audioclip, model_folder
from tvsl.devices import PrecisionChoice, choose_device, choose_precision
from tvsl.download import Progress
from tvsl.errors import UsageError
from tvsl.methods.base import Method
from tvsl.methods.checkpoint import StoredHead, read_head
from tvsl.methods.config import MethodConfig
from tvsl.methods.tvsl import ReleasedConfig, TVSLConfig, build
from tvsl.methods.tvsl import preset as find_preset

HEAD_FOLDER = "head"
"""Where a bundle, the folder of an encoder, keeps the head that belongs to it."""
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


def load(
    name_or_path: str | Path,
    head: str | Path | None = None,
    preset: str | TVSLConfig | ReleasedConfig | None = None,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    progress: Progress | None = None,
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

    Returns:
        The two.

    Raises:
        WeightsError: The encoder or the head cannot be had or used.
        VocabularyError: The vocabulary file is missing.
        UsageError: No such preset or device, or a preset together with a head.
    """
    folder = model_folder(name_or_path)
    source = _stored_head(folder, head, preset) or _untrained(preset)
    config = source.config if isinstance(source, StoredHead) else source
    encoder = load_encoder(name_or_path, config, device, precision, flip_average, progress)
    if isinstance(source, StoredHead):
        method = source.build(encoder)
        kind = f"{method.name} ({'trained' if head is None else source.folder.resolve().name})"
    else:
        method = build(source, encoder.config.embedding, text_encoder=encoder.model)
        own = f"{method.name} (own switches)"
        kind = own if isinstance(preset, MethodConfig) else preset or DEFAULT_PRESET
    place = Path(name_or_path) if folder is None else folder.resolve()
    return Loaded(encoder, method, f"{place.name}/{kind}")


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


def _stored_head(
    folder: Path | None,
    head: str | Path | None,
    preset: str | TVSLConfig | ReleasedConfig | None,
) -> StoredHead | None:
    """The head that was asked for, or that the bundle has; None for an untrained one."""
    if head is not None:
        if preset is not None:
            raise UsageError(
                "A preset is for an untrained head, and a trained head has its own switches.",
                "Give a head or a preset, not both.",
            )
        return read_head(head)
    if preset is None and folder is not None and (folder / HEAD_FOLDER).is_dir():
        return read_head(folder / HEAD_FOLDER)
    return None


def _untrained(
    preset: str | TVSLConfig | ReleasedConfig | None,
) -> TVSLConfig | ReleasedConfig:
    if isinstance(preset, MethodConfig):
        return preset
    return find_preset(DEFAULT_PRESET if preset is None else preset)
