"""Small data sets in the public layouts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.shared_files import shared
from tvsl.media.writing import wav_bytes

RATE = 8_000
SIZE = (32, 24)
"""Width and height of a made picture."""

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def write(path: Path, content: bytes | str) -> Path:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def picture(path: Path, grey: int = 100, size: tuple[int, int] = SIZE) -> Path:
    """Write a picture of one grey."""
    stream = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(stream, FORMATS[path.suffix.lower()])
    return write(path, stream.getvalue())


def sound(path: Path, level: float = 0.5, seconds: float = 0.5) -> Path:
    """Write a WAV file of one value, with a ripple of 1e-4 by which it is heard; 0 is silence."""
    samples = np.full(round(seconds * RATE), round(level * 32768), dtype=np.int16)
    samples[np.arange(samples.size) // 64 % 2 == 1] -= np.int16(np.sign(level) * 12)
    return write(path, wav_bytes(samples, RATE))


def media(root: Path, names: Iterable[str], frames: str = "frames", sounds: str = "audio") -> None:
    """Write a picture and a sound for each id, in two folders."""
    for number, name in enumerate(names):
        picture(root / frames / f"{name}.jpg", grey=40 + number)
        sound(root / sounds / f"{name}.wav", level=0.1 + number / 100)


def folders(root: Path, *names: str) -> Path:
    """Make empty folders; their root."""
    for name in names or ("frames", "audio"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return root


def rows(path: Path, lines: Sequence[str], end: str = "\r\n") -> Path:
    """Write a list as the public ones are: no line end after the last line."""
    return write(path, end.join(lines))


def vggss(folder: Path, entries: dict[str, tuple[str, list[list[float]]]]) -> Path:
    """Write annotations: class and boxes by id."""
    content: list[Any] = [
        {"file": name, "class": label, "bbox": boxes} for name, (label, boxes) in entries.items()
    ]
    return write(folder / "vggss.json", json.dumps(content))


def real_lists() -> Path:
    """The public lists; the test that asks is skipped where they are absent."""
    return shared("metadata")


def video(number: int) -> str:
    """The id of a video, of 11 characters."""
    return f"video{number:06d}"


def clip(number: int, second: int = 30) -> str:
    """The id of a clip of VGGSound."""
    return f"{video(number)}_{second:06d}"
