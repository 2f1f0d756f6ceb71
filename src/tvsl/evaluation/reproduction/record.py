"""What a folder holds a reproduction of, so that another one is never mixed into it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvsl import __version__
from tvsl.errors import OutputError, UsageError
from tvsl.localization import write_json
from tvsl.small_files import LARGEST_CONFIG, LARGEST_LIST, read_small_json
from tvsl.staging import RECORD_REMEDY, check_places, entries, foreign_record, writable

if TYPE_CHECKING:
    from tvsl.evaluation.reproduction.bench import Bench

RECORD_FILE = "reproduction.json"
PAGE, MARKDOWN, CSV, RESULTS = "page.html", "tables.md", "tables.csv", "results.json"
OUTPUTS = (PAGE, MARKDOWN, CSV, RESULTS)
"""What a reproduction writes once all is measured."""
_REMEDY = "Start anew in another folder."


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
    check_folder(folder)
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(record, path)


def check_folder(folder: Path) -> None:
    """Let through only a folder that a reproduction may begin in or go on in.

    Args:
        folder: The folder.

    Raises:
        OutputError: It holds something else, or files of others where results belong.
    """
    path = folder / RECORD_FILE
    with writable(folder):
        if not path.is_file() and entries(folder):
            raise OutputError(
                "The folder is not empty, and holds no reproduction.", "Choose another one.", folder
            )
    if path.is_file() and not {"tvsl", "encoder", "learning_rates"} <= _read(path).keys():
        raise foreign_record(path)
    check_places(folder, OUTPUTS, set(earlier_outputs(folder)))


def earlier_outputs(folder: Path) -> tuple[str, ...]:
    """What an earlier run of a reproduction wrote, by its own results.

    Raises:
        OutputError: The results are none of ours.
    """
    path = folder / RESULTS
    if not os.path.lexists(path):
        return ()
    content = read_small_json(path, LARGEST_LIST, OutputError, RECORD_REMEDY)
    if not isinstance(content, dict) or not {"conditions", "claims", "tables"} <= content.keys():
        raise foreign_record(path)
    return OUTPUTS


def _read(path: Path) -> dict[str, Any]:
    record = read_small_json(path, LARGEST_CONFIG, OutputError, _REMEDY)
    if not isinstance(record, dict):
        raise OutputError("The record of the reproduction is damaged.", _REMEDY, path)
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
