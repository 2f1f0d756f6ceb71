"""Encoders as folders: sizes, weights, tokenizer and model card; read strictly and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from tvsl.audioclip.checkpoint import build
from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import TextTokenizer, find_clip_tokenizer
from tvsl.audioclip.word_tokenizer import load_tokenizer
from tvsl.errors import OutputError, WeightsError, first_problem
from tvsl.model_folder import (
    CARD_FILE,
    CONFIG_FILE,
    HEAD_FOLDER,
    TENSORS_FILE,
    TOKENIZER_FILE,
    existing_folder,
    fingerprint,
    is_encoder,
    read_json,
    read_tensors,
    storable,
    write_tensors,
    writing,
)

_REMEDY = "Get the model again: its files belong together."


def load_folder(folder: Path, waveform_scale: float | None = None) -> AudioCLIP:
    """Load a frozen AudioCLIP from its folder.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``, of any floating-point type, and
            ``tokenizer.json`` where the tokenizer is not CLIP's.
        waveform_scale: Overrides the config's.

    Returns:
        The model in float32, frozen, on the CPU.

    Raises:
        WeightsError: A file is missing, damaged, or of another model.
    """
    config = _read_config(folder)
    if waveform_scale is not None:
        config = config.model_copy(update={"waveform_scale": waveform_scale})
    weights = folder / TENSORS_FILE
    model = build(read_tensors(weights, _REMEDY)[0], config, weights)
    model.tokenizer = _read_tokenizer(folder, config)
    return model


def folder_tokenizer(folder: Path) -> TextTokenizer | None:
    """The tokenizer of a model that is kept as a folder, without its weights.

    Args:
        folder: As for ``load_folder``.

    Returns:
        The tokenizer; None where CLIP's is needed and not here.

    Raises:
        WeightsError: A file is missing, damaged, or of another model.
    """
    return _read_tokenizer(folder, _read_config(folder))


def _read_config(folder: Path) -> AudioCLIPConfig:
    existing_folder(folder, "an encoder")
    path = folder / CONFIG_FILE
    content = read_json(path, _REMEDY)
    if "method" in content:
        raise WeightsError(
            "This is the folder of a head, not of an encoder.",
            "Give it as the head (`--head`), and its encoder as the model.",
            folder,
        )
    try:
        return AudioCLIPConfig.model_validate(content)
    except ValidationError as error:
        raise WeightsError(
            f"These are no sizes of an encoder ({first_problem(error)}).", _REMEDY, path
        ) from error


def _read_tokenizer(folder: Path, config: AudioCLIPConfig) -> TextTokenizer | None:
    words = folder / TOKENIZER_FILE
    if words.exists():  # a device or a pipe in its place is an error
        return load_tokenizer(words, config.text)
    return find_clip_tokenizer(config.text, beside=folder / TENSORS_FILE)


def save_audioclip(
    model: AudioCLIP,
    folder: str | Path,
    dtype: torch.dtype = torch.float16,
    card: str | None = None,
    force: bool = False,
) -> Path:
    """Write a model as a folder that ``load_audioclip`` reads: all of it, or nothing.

    In half precision the values are rounded, so the fingerprint is another than the model's in
    memory. Saving what was loaded from the folder changes nothing any more: train heads on that.

    Args:
        model: The model, with its tokenizer if that is not CLIP's.
        folder: Where to; other files there, such as a head's folder, stay.
        dtype: float16 or float32, for the file alone.
        card: What ``README.md`` shall say; the bare facts when None.
        force: Whether a model that is there may be replaced.

    Returns:
        The folder.

    Raises:
        OutputError: The folder is not empty and ``force`` is not set, it cannot be written, a
            value does not fit into ``dtype``, or the folder holds a head of another encoder.
        VocabularyError: The model cannot express its own classes.
    """
    folder = Path(folder).expanduser()
    if model.config.classes:
        model.require_tokenizer()(model.config.classes)
    tensors = storable(model.state_dict(), dtype, folder)
    _check_head(folder / HEAD_FOLDER, model, tensors)
    with writing(folder, force, is_encoder) as work:
        text = model.config.model_dump_json(indent=2)
        (work / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        (work / CARD_FILE).write_text(card or _card(model, dtype), encoding="utf-8")
        if model.tokenizer is not None:
            model.tokenizer.save(work / TOKENIZER_FILE)
        write_tensors(tensors, work / TENSORS_FILE)
    return folder


def encoder_fingerprint(folder: Path, waveform_scale: float | None) -> str | None:
    """The fingerprint of the encoder in a folder, as a head has it that is loaded with it.

    Args:
        folder: The folder.
        waveform_scale: The head's; the encoder's own when None.

    Returns:
        None where the folder holds no encoder.

    Raises:
        WeightsError: It is damaged.
    """
    path = folder / CONFIG_FILE
    if not path.is_file() or not is_encoder(read_json(path, _REMEDY)):
        return None
    model = load_folder(folder, waveform_scale)
    return fingerprint(model.config.fingerprinted, model.state_dict())


def _check_head(folder: Path, model: AudioCLIP, stored: Mapping[str, Tensor]) -> None:
    """Let through only a place without a head, or with one for the values that are stored."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        return
    record = read_json(path, _REMEDY)
    switches, config = record.get("config"), model.config
    if isinstance(switches, dict) and switches.get("waveform_scale") is not None:
        config = config.model_copy(update={"waveform_scale": switches["waveform_scale"]})
    # As they are read again: all in single precision but the counters.
    values = {
        name: value.float() if value.is_floating_point() else value
        for name, value in stored.items()
    }
    if record.get("encoder_sha256") != fingerprint(config.fingerprinted, values):
        raise OutputError(
            "This head would not fit the encoder that is to be stored beside it: it is one for "
            "another encoder, or for values that are rounded when they are stored.",
            "Store the encoder with dtype=torch.float32, or both with "
            "Localizer.save_pretrained, or move the head elsewhere.",
            folder,
        )


def _card(model: AudioCLIP, dtype: torch.dtype) -> str:
    """The bare facts."""
    count = sum(parameter.numel() for parameter in model.parameters())
    classes = ", ".join(model.config.classes) or "not stated"
    return (
        "# An encoder for tvsl\n\n"
        f"{count:,} parameters, stored as {str(dtype).split('.')[-1]}; embeddings of size "
        f"{model.config.embedding}. Nothing is stated about its training.\n\n"
        f"Classes: {classes}.\n\n"
        "Load it with `tvsl.Localizer.from_pretrained(FOLDER)` or `tvsl localize --model FOLDER`.\n"
    )
