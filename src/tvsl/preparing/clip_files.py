"""The files of clips in a prepared folder: where they are, and removing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tvsl.preparing.layouts import is_file_name
from tvsl.staging import replacing, writable

FRAMES, AUDIO = "frames", "audio"


def frame_path(root: Path, name: str) -> Path:
    """Where a picture of this name is."""
    return root / FRAMES / f"{name}.jpg"


def audio_path(root: Path, name: str) -> Path:
    """Where the sound of the clip of this id is."""
    return root / AUDIO / f"{name}.wav"


def are_here(root: Path, clip: str, pictures: Iterable[str]) -> bool:
    """Whether the files of a clip are in their places; each was whole when it was moved there."""
    return all(path.is_file() for path in _paths(root, clip, pictures))


def remove(root: Path, clip: str, pictures: Iterable[str]) -> None:
    """Remove the files of a clip, as far as they are there and in this folder.

    Raises:
        OutputError: A file cannot be removed.
    """
    if not all(is_file_name(name) for name in (clip, *pictures)):
        return  # no account of ours: it shall not lead to files elsewhere
    with writable(root):
        for path in _paths(root, clip, pictures):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class NewClip:
    """Folders in which a clip is gathered.

    Attributes:
        frames: For its pictures, by their names.
        audio: For its sound, by its id.
    """

    frames: Path
    audio: Path


@contextmanager
def replaced(root: Path, clip: str, pictures: Iterable[str]) -> Iterator[NewClip]:
    """Folders to write a clip into; its files get to their places when they all are whole.

    Pictures and sounds may lie on different disks. A kill between the two leaves the account of the
    earlier clip, by which it is made again.

    Args:
        root: The prepared folder, with ``frames`` and ``audio``.
        clip: The clip's id, which is checked already.
        pictures: Names of its new pictures, and of those that it has now.

    Yields:
        The folders; gone afterwards, whatever happened.

    Raises:
        OutputError: A file cannot be written; all is as it was.
    """
    # An account that is none of ours shall not lead to files elsewhere.
    old = [f"{name}.jpg" for name in pictures if is_file_name(name)]
    with (
        replacing(root / FRAMES, old) as frames,
        replacing(root / AUDIO, [f"{clip}.wav"]) as audio,
    ):
        yield NewClip(frames, audio)


def _paths(root: Path, clip: str, pictures: Iterable[str]) -> list[Path]:
    return [audio_path(root, clip), *(frame_path(root, name) for name in pictures)]
