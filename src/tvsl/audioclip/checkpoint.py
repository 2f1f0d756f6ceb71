"""Checkpoints of AudioCLIP: read strictly, without running any code from the file, and written."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import OutputError, WeightsError
from tvsl.model_folder import check_tensors, read_tensors

CONFIG_KEY = "tvsl_audioclip_config"
"""Where a safetensors header states the model's sizes."""


def read_state(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    """Read the tensors of a checkpoint, and its sizes where the file states them.

    Raises:
        WeightsError: The file is damaged, unsafe or no state dict.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_official(path), AudioCLIPConfig()


def build(state: Mapping[str, Tensor], config: AudioCLIPConfig, path: Path) -> AudioCLIP:
    """Build a frozen model around tensors, without initialising it first.

    Raises:
        WeightsError: Names or shapes are not this model's, or no model has such sizes.
    """
    try:
        with torch.device("meta"):
            model = AudioCLIP(config)
    except Exception as error:
        raise WeightsError(
            f"The sizes contradict each other ({error}).", "Get the model again.", path
        ) from error
    check_tensors(
        model.state_dict(),
        state,
        path,
        "This is the checkpoint of another model",
        "Give an AudioCLIP checkpoint; `tvsl weights list` names the public ones.",
    )
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    tensors = {
        name: value if name in counters else value.float().contiguous()
        for name, value in state.items()
    }
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.freeze()


def convert(source: Path, target: Path, force: bool = False) -> Path:
    """Write a checkpoint as safetensors, with its sizes in the header.

    Args:
        source: Official ``.pt`` file or safetensors file.
        target: Path that ends in ``.safetensors``.
        force: Whether an existing file may be replaced.

    Returns:
        The file that was written.

    Raises:
        WeightsError: The source cannot be used.
        OutputError: The target exists, has another ending or cannot be written.
    """
    if target.suffix != ".safetensors":
        raise OutputError("The name must end in .safetensors.", "Choose another name.", target)
    if target.exists() and not force:
        raise OutputError("This file exists already.", "Choose another name or force it.", target)
    state, config = read_state(existing_file(source))
    model = build(state, config, source)
    partial = target.with_name(target.name + ".part")
    header = {CONFIG_KEY: config.model_dump_json(), "format": "pt"}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, partial, header)
        partial.replace(target)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"The file cannot be written ({error}).", "Check the place and the free space.", target
        ) from error
    return target


def existing_file(path: Path) -> Path:
    """Let through only a file that is there and not empty.

    Raises:
        WeightsError: It is not.
    """
    remedy = "Give a checkpoint's file or folder, or a name: mini, audioclip, audioclip-partial."
    if not path.is_file():
        raise WeightsError("There is no such checkpoint file.", remedy, path)
    if path.stat().st_size == 0:
        raise WeightsError("The file is empty.", remedy, path)
    return path


def _read_official(path: Path) -> dict[str, Tensor]:
    remedy = "Fetch it again with `tvsl weights fetch audioclip`."
    if not zipfile.is_zipfile(path):
        raise WeightsError(
            "The file is truncated or damaged, or no checkpoint of torch.", remedy, path
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters becomes one error below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            "The file is no plain state dict: loading it could run code, so it was not loaded.",
            remedy,
            path,
        ) from error
    except Exception as error:
        raise WeightsError("The file is damaged.", remedy, path) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise WeightsError("The file holds no state dict.", remedy, path)
    return dict(state)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    remedy = "Convert the official file again with `tvsl weights convert`."
    state, metadata = read_tensors(path, remedy)
    if CONFIG_KEY not in metadata:
        raise WeightsError("The file does not state its sizes.", remedy, path)
    try:
        config = AudioCLIPConfig.model_validate(json.loads(metadata[CONFIG_KEY]))
    except (ValidationError, json.JSONDecodeError) as error:
        raise WeightsError("The sizes in the file's header are wrong.", remedy, path) from error
    return state, config
