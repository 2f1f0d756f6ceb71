"""The files of clips in a prepared folder: where they are, and writing them whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tvsl.preparing.layouts import is_file_name
from tvsl.staging import writable

FRAMES, AUDIO = "frames", "audio"
PART = ".part"


def frame_path(root: Path, name: str) -> Path:
    """Where a picture of this name is."""
    return root / FRAMES / f"{name}.jpg"


def audio_path(root: Path, name: str) -> Path:
    """Where the sound of the clip of this id is."""
    return root / AUDIO / f"{name}.wav"


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, then move it there.

    Args:
        path: Where the file belongs.
        write: Writes it to the path that it is given.

    Raises:
        OutputError: It cannot be written.
    """
    # Its process is part of the name: one whose parent was killed may still be at the same clip.
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    with writable(path.parent):
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, as ``write_whole`` does."""
    write_whole(path, lambda part: part.write_bytes(text.encode()))


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


def remove_parts(root: Path) -> None:
    """Remove what killed processes left half-written.

    Raises:
        OutputError: A file cannot be removed.
    """
    with writable(root):
        # Of the folder itself only what belongs to files of ours.
        for folder, names in ((root / FRAMES, "*"), (root / AUDIO, "*"), (root, "*.json*.*")):
            for path in folder.glob(names + PART):
                path.unlink(missing_ok=True)


def _paths(root: Path, clip: str, pictures: Iterable[str]) -> list[Path]:
    return [audio_path(root, clip), *(frame_path(root, name) for name in pictures)]
