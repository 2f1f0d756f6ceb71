"""Real photos with boxes, real sounds and the real video, in the places that layouts have."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.shared_files import shared

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture."""

VIDEO = "open_video/pe_train_woman.mp4"
MOMENTS = (3, 7, 11)
"""Seconds at which the video has boxes, of a woman who speaks and of a train that passes."""


@dataclass(frozen=True)
class Thing:
    """Something that is seen in a photo and heard in a sound.

    Attributes:
        picture: Path of the photo, a JPEG.
        sound: Path of the sound.
        boxes: Where it is.
    """

    picture: Path
    sound: Path
    boxes: tuple[Box, ...]

    def put(self, frame: Path, sound: Path) -> None:
        """Copy both, to paths without an ending."""
        copy(self.picture, frame.with_name(frame.name + self.picture.suffix))
        copy(self.sound, sound.with_name(sound.name + self.sound.suffix))


_ORCHESTRA = "Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_string_orchestra.ogg"
_GUITAR = "instruments/guitarset__03_BN3-119-G_solo_mic.wav"
_FILES = {
    "accordion": ("caltech101/accordion/image_0014", f"librosa/{_ORCHESTRA}"),
    "dog": ("coral/pets", "esc10/dog_bark/1-30226-A.ogg"),
    "electric guitar": ("caltech101/electric_guitar/image_0030", "instruments/egfxset__6-22.wav"),
    "helicopter": ("caltech101/helicopter/image_0001", "esc10/helicopter/1-172649-A.ogg"),
    "mandolin": ("caltech101/mandolin/image_0004", _GUITAR),
    "owl": ("coral/owl", "librosa/456440__inspectorj__bird-whistling-robin-single-13.ogg"),
    "rooster": ("caltech101/rooster/image_0015", "esc10/rooster/1-27724-A.ogg"),
    "saxophone": ("caltech101/saxophone/image_0003", "librosa/sorohanro_-_solo-trumpet-06.ogg"),
}


def thing(name: str) -> Thing:
    """One of the things; not all of them have a sound of quite their own kind here."""
    picture, sound = _FILES[name]
    file = f"images/{picture}.jpg"
    return Thing(shared("media", file), shared("media", "audio", sound), _boxes(file))


def video_boxes(second: int) -> tuple[Box, Box]:
    """Boxes of the woman and of the train at one of the moments."""
    woman, train = _boxes(VIDEO, second)
    return woman, train


def copy_video(path: Path) -> Path:
    """Copy the real video."""
    return copy(shared("media", VIDEO), path)


def copy(source: Path, target: Path) -> Path:
    """Copy a file into folders that are made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target


def _boxes(file: str, second: int | None = None) -> tuple[Box, ...]:
    """Boxes of a picture, or of a moment of a video."""
    (entry,) = (one for one in _entries() if (one["file"], one["t"]) == (file, second))
    return tuple(tuple(found["box"]) for found in entry["objects"])


@cache
def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(shared("media", "boxes.json").read_text())
    return entries
