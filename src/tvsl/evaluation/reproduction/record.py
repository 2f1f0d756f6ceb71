"""What a folder holds a reproduction of, so that another one is never mixed into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.errors import OutputError, UsageError
from tvsl.evaluation.reproduction.bench import Bench
from tvsl.localization import write_json
from tvsl.small_files import LARGEST_CONFIG, read_small_json
from tvsl.staging import writable

RECORD_FILE = "reproduction.json"


def describe(bench: Bench) -> dict[str, Any]:
    """Everything that decides the numbers."""
    encoder = bench.encoder
    described = {
        "tvsl": __version__,
        **bench.config.model_dump(mode="json"),
        **bench.testbed.record(),
        "encoder": encoder.fingerprint,
        "image_tokens": encoder.image_tokens,
        "precision": encoder.precision,
    }
    return dict(json.loads(json.dumps(described)))


def keep_record(bench: Bench) -> None:
    """Note what a reproduction is, or check that the one that is there is the same.

    Args:
        bench: The reproduction.

    Raises:
        UsageError: The folder holds another one.
        OutputError: It holds something else, or cannot be written.
    """
    folder = bench.setup.folder
    path, record = folder / RECORD_FILE, describe(bench)
    if path.is_file():
        _check_same(_read(path), record, folder)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            "The folder is not empty, and holds no reproduction.", "Choose another one.", folder
        )
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(record, path)


def _read(path: Path) -> dict[str, Any]:
    remedy = "Start anew in another folder."
    record = read_small_json(path, LARGEST_CONFIG, OutputError, remedy)
    if not isinstance(record, dict):
        raise OutputError("The record of the reproduction is damaged.", remedy, path)
    return record


def _check_same(kept: dict[str, Any], record: dict[str, Any], folder: Path) -> None:
    others = sorted(
        name for name in kept.keys() | record.keys() if kept.get(name) != record.get(name)
    )
    if others:
        told = ", ".join(f"{name} was {_short(kept.get(name))}" for name in others)
        raise UsageError(
            f"{folder} holds another reproduction: {told}.",
            "Go on with it as it was started, or choose another folder.",
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
