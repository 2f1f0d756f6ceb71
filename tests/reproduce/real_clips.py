"""A handful of real pictures with boxes and real sounds, as a folder with a manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.shared_files import shared

SOUNDS = {"helicopter": "helicopter", "rooster": "rooster", "dog": "dog_bark"}
"""Folders of the sounds of each class."""


def write_real_clips(folder: Path, splits: tuple[str, ...] = ("train", "train", "test")) -> Path:
    """Write as many items of each class as there are splits, one for each."""
    entries = json.loads(shared("media", "boxes.json").read_text())
    lines = [
        _line(folder, entries, label, place, split)
        for label in SOUNDS
        for place, split in enumerate(splits)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text)
    return folder


def _line(
    folder: Path, entries: list[dict[str, Any]], label: str, place: int, split: str
) -> dict[str, Any]:
    # There are few pictures with boxes of a class: with another sound they are another item.
    boxed = [
        (entry["file"], [thing["box"] for thing in entry["objects"] if thing["label"] == label])
        for entry in entries
        if entry["t"] is None and any(thing["label"] == label for thing in entry["objects"])
    ]
    picture, boxes = boxed[place % len(boxed)]
    sounds = sorted(shared("media", "audio", "esc10", SOUNDS[label]).iterdir())
    name = f"{label}-{place}"
    frame, audio = f"frames/{name}.jpg", f"audio/{name}.ogg"
    for target, source in ((frame, shared("media", picture)), (audio, sounds[place])):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / target)
    return {
        "id": name,
        "frame": frame,
        "audio": audio,
        "labels": [label],
        "boxes": {label: boxes},
        "split": split,
    }
