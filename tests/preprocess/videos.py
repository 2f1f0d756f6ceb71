"""Small videos to prepare, whose pictures tell their number and whose sound tells its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.media.media_makers import chirp, make_sound, make_video

RATE = 44_100
PICTURES_PER_SECOND = 10
SECONDS = 3


def make_clip(path: Path, seconds: int = SECONDS, rate: int = PICTURES_PER_SECOND) -> Path:
    """A video with sound; picture ``k`` carries the number ``k``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path, seconds * rate, rate, sound=chirp(seconds, RATE))


def make_broken(folder: Path, start: int = 0) -> dict[str, str]:
    """Videos of VGGSound's names that cannot be used; gives the kind of error of each."""
    kinds = {}

    def place(kind: str) -> Path:
        path = folder / f"brokenvideo_{start + len(kinds)}.mp4"
        kinds[path.name] = kind
        return path

    make_video(place("NoSoundError"), 20)
    make_sound(place("NoPictureError"), chirp(1.0, RATE), RATE, "aac", kind="fltp")
    whole = make_clip(folder / "whole.mp4").read_bytes()
    (folder / "whole.mp4").unlink()
    place("UnreadableMediaError").write_bytes(whole[: len(whole) // 2])
    place("UnreadableMediaError").write_bytes(b"this is no video at all" * 20)
    place("MissingFileError").touch()
    return kinds


def contents(root: Path) -> dict[str, bytes]:
    """All files of a folder by their path inside it."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def pitch_at(samples: np.ndarray, rate: int, time: float) -> float:
    """Frequency in Hz that is heard around a moment, by its zero crossings in 0.1 s."""
    part = samples[round((time - 0.05) * rate) : round((time + 0.05) * rate)]
    return float(np.count_nonzero(np.diff(np.signbit(part)))) / 2 / (len(part) / rate)
