"""What a run was started with, noted in its folder, so that it is resumed as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tvsl.encoder import Encoder
from tvsl.errors import OutputError, UsageError
from tvsl.small_files import LARGEST_CONFIG, read_small_json
from tvsl.staging import writable, write_text
from tvsl.training.recipe import TrainConfig
from tvsl.training.run_folder import RECIPE_FILE


def keep_recipe(config: TrainConfig, encoder: Encoder, folder: Path, resume: bool) -> None:
    """Note what a run is, or check that the run to resume is the same.

    Args:
        config: The recipe.
        encoder: The encoder.
        folder: Folder of the run.
        resume: Whether there is a run that shall go on.

    Raises:
        UsageError: The run to resume is another one.
        OutputError: The folder cannot be written, or the note is damaged.
    """
    path = folder / RECIPE_FILE
    record: dict[str, Any] = {
        **config.model_dump(mode="json"),
        "encoder": encoder.fingerprint,
        "image_tokens": encoder.image_tokens,
        "flip_average": encoder.flip_average,
        "precision": encoder.precision,
    }
    if resume:
        _check_same(record, _read(path), path)
        return
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record, indent=2) + "\n")


def kept_recipe(folder: Path) -> tuple[dict[str, Any], str | None]:
    """What a run was started with.

    Args:
        folder: Folder of the run.

    Returns:
        Fields of its ``TrainConfig``, and the encoder's averaging with flipped pictures.

    Raises:
        OutputError: The note is missing or damaged.
    """
    record = _read(folder / RECIPE_FILE)
    fields = {name: record[name] for name in TrainConfig.model_fields if name in record}
    return fields, record.get("flip_average")


def _read(path: Path) -> dict[str, Any]:
    record = read_small_json(path, LARGEST_CONFIG, OutputError, "Start anew in another folder.")
    return record if isinstance(record, dict) else {}


def _check_same(record: dict[str, Any], kept: dict[str, Any], path: Path) -> None:
    names = sorted(record.keys() | kept.keys())
    others = [name for name in names if record.get(name) != kept.get(name)]
    if others:
        told = ", ".join(f"{name} was {kept.get(name)!r}" for name in others)
        raise UsageError(
            f"The run to resume is another one: {told}.", "Resume it as it was started.", path
        )
