"""Where results go: gathered in the folder, and moved to their places when they are whole."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tvsl.errors import OutputError
from tvsl.small_files import LARGEST_LIST, read_small_json
from tvsl.staging import RECORD_REMEDY, check_free, foreign_record, is_inner_name, staged

JSON_NAME = "localization.json"
_UNNAMED = "input"


def result_folders(
    inputs: Sequence[Path], output: Path, force: bool, audio: Path | None = None
) -> list[tuple[Path, Path]]:
    """Decide where each input's results go, and refuse before any work is done.

    Args:
        inputs: The inputs.
        output: The folder that was named: the results' own for one input, else their parent.
        force: Whether earlier results may be replaced.
        audio: The sound of the inputs, if it is a file of its own.

    Returns:
        Each input with its folder.

    Raises:
        OutputError: A folder is not empty and ``force`` is not set, it is a file, what is there
            is no earlier result, or an input is a file of the result that would be replaced.
    """
    chosen: list[tuple[Path, Path]] = []
    taken: set[str] = set()
    for source in inputs:
        name = source.stem if source.stem.strip(".") else _UNNAMED
        while _key(name) in taken:
            name += "_"
        taken.add(_key(name))
        chosen.append((source, output if len(inputs) == 1 else output / name))
    for _, folder in chosen:
        check_free(folder, force, _earlier_files)
    if force:
        read = {path.resolve() for path in (*inputs, audio) if path is not None}
        for path in (folder / name for _, folder in chosen for name in _earlier_files(folder)):
            if os.path.lexists(path) and path.resolve() in read:
                raise OutputError(
                    "This input is part of the earlier result, which would be replaced.",
                    "Copy it elsewhere first, or choose another folder for the results.",
                    path,
                )
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
    return staged(folder, JSON_NAME, force, _earlier_files)


def _key(name: str) -> str:
    """What two names share that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _earlier_files(folder: Path) -> list[str]:
    """What an earlier run wrote here, by its own list."""
    record = folder / JSON_NAME
    if not os.path.lexists(record):
        return []
    content = read_small_json(record, LARGEST_LIST, OutputError, RECORD_REMEDY)
    if not isinstance(content, dict) or not {"tvsl", "moments"} <= content.keys():
        raise foreign_record(record)
    names = content.get("files")
    if not isinstance(names, list) or not all(is_inner_name(name) for name in names):
        raise foreign_record(record)
    return [*names, JSON_NAME]
