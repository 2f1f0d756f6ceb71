"""Where results go: gathered beside the folder, and moved into it when they are whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tvsl.staging import check_free, staged

JSON_NAME = "localization.json"


def result_folders(inputs: Sequence[Path], output: Path, force: bool) -> list[tuple[Path, Path]]:
    """Decide where each input's results go, and refuse before any work is done.

    Args:
        inputs: The inputs.
        output: The folder that was named: the results' own for one input, else their parent.
        force: Whether earlier results may be replaced.

    Returns:
        Each input with its folder.

    Raises:
        OutputError: A folder is not empty and ``force`` is not set, or it is a file.
    """
    chosen: list[tuple[Path, Path]] = []
    taken: set[str] = set()
    for source in inputs:
        name = source.stem
        while name in taken:
            name += "_"
        taken.add(name)
        chosen.append((source, output if len(inputs) == 1 else output / name))
    for _, folder in chosen:
        check_free(folder, force)
    return chosen


def staging(folder: Path, force: bool) -> AbstractContextManager[Path]:
    """A folder to write into, whose files are moved to ``folder`` if the block ends well.

    With ``force`` the files of an earlier result there go; what the user put beside them stays.

    Args:
        folder: Where the results belong.
        force: Whether earlier results may be replaced.

    Returns:
        A context with the folder to write into; gone afterwards, whatever happened. It raises
        ``OutputError`` where a place cannot be written.
    """
    return staged(folder, JSON_NAME, force, _remove_earlier)


def _remove_earlier(folder: Path) -> None:
    """Remove what an earlier run wrote here, by its own list."""
    record = folder / JSON_NAME
    if not record.is_file():
        return
    try:
        names = json.loads(record.read_text(encoding="utf-8")).get("files", [])
    except (ValueError, AttributeError):
        names = []  # not ours: it is only overwritten
    root = folder.resolve()
    for path in [folder / str(name) for name in names] + [record]:
        if root in path.resolve().parents:
            path.unlink(missing_ok=True)
            if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()
