"""A small folder of photographs and sounds by class, with an index."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.made_files import RATE, write
from tvsl.data.file_index import COLUMNS
from tvsl.data.real import RealData
from tvsl.media.writing import wav_bytes

SOUNDING = ("church_bell", "dog", "drum", "violin")
SILENT = ("cup", "chair")
OFF_SCREEN = ("rain", "wind")
WIDTH, HEIGHT = 60, 48
BOX = (12, 6, 48, 42)
"""Left, top, right, bottom of each object in pixels; ends are exclusive."""

Lines = list[dict[str, str]]


def photograph(path: Path, colour: int, objects: bool = True) -> Path:
    """A disc of one colour on another."""
    pixels = np.full((HEIGHT, WIDTH, 3), 255 - colour, dtype=np.uint8)
    if objects:
        pixels[disc()] = (colour, colour // 2, 255 - colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def disc() -> np.ndarray:
    """The disc that fills the box, (H, W) bool."""
    left, top, right, bottom = BOX
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    across = (x - (left + right) / 2) / ((right - left) / 2)
    down = (y - (top + bottom) / 2) / ((bottom - top) / 2)
    return np.asarray(across**2 + down**2 <= 1)


def tone(path: Path, hertz: float, seconds: float = 0.5, level: float = 0.3) -> Path:
    """A sine."""
    time = np.arange(round(seconds * RATE)) / RATE
    samples = np.rint(level * 32768 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    return write(path, wav_bytes(samples, RATE))


def index_lines(root: Path, boxes: bool = True, masks: bool = True) -> Lines:
    """Write photographs, masks and sounds; lines of an index of them."""
    lines: Lines = []
    corners = np.array(BOX) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
    box = " ".join(f"{edge:.6f}" for edge in corners)
    for number, label in enumerate((*SOUNDING, *SILENT)):
        for split in ("train", "val", "test"):
            for copy in range(2):
                name = f"photos/{label}/{split}{copy}.png"
                photograph(root / name, 20 + 30 * number + 5 * copy)
                line = {"file": name, "kind": "photo", "class": label, "split": split}
                line["role"] = "silent" if label in SILENT else "sounding"
                line["licence"] = "CC-BY-4.0" if copy else "CC-BY-SA-3.0"
                # The second photograph of each split is cut out by its box.
                if boxes:
                    line["box"] = box
                if boxes and masks and copy == 0:
                    line["mask"] = f"masks/{label}/{split}.png"
                    mask = Image.fromarray(disc().astype(np.uint8) * 255)
                    (root / line["mask"]).parent.mkdir(parents=True, exist_ok=True)
                    mask.save(root / line["mask"])
                lines.append(line)
    for split in ("train", "val", "test"):
        name = f"photos/background/{split}.png"
        photograph(root / name, 128, objects=False)
        lines.append({"file": name, "kind": "photo", "class": "background", "split": split})
        lines[-1] |= {"role": "silent", "licence": "CC0-1.0"}
    for number, label in enumerate((*SOUNDING, *OFF_SCREEN)):
        for turn, split in enumerate(("train", "val", "test")):
            name = f"sounds/{label}/{split}.wav"
            tone(root / name, 200 + 100 * number + 10 * turn)
            line = {"file": name, "kind": "sound", "class": label, "split": split}
            line["role"] = "off-screen" if label in OFF_SCREEN else "sounding"
            line["licence"] = "MIT (STK licence)"
            line["sha256"] = sha256((root / name).read_bytes()).hexdigest()
            lines.append(line)
    return lines


def write_index(root: Path, lines: Iterable[Mapping[str, str]]) -> Path:
    """Write an index with all columns."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "index.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


def real_data(root: Path, **options: object) -> RealData:
    """The data set in a folder, with small panels and short sounds."""
    fields = {"root": root, "side": 64, "window": 0.5, "count": 8, **options}
    return RealData.model_validate(fields)
