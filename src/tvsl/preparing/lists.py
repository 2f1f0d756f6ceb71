"""Lists of ids of the videos that are to be prepared."""

from __future__ import annotations

from pathlib import Path

from tvsl.errors import MediaError, MissingFileError
from tvsl.id_lists import ListedId, read_id_list

_REMEDY = "Give a CSV, text or JSON file whose first column is the id."


def read_list(path: Path) -> tuple[ListedId, ...]:
    """Read the ids of a list.

    Args:
        path: As for ``read_id_list``.

    Returns:
        The ids in their order, each once; at least one.

    Raises:
        MissingFileError: There is no such list.
        MediaError: The file cannot be read, is too large, or holds no ids.
    """
    if not path.is_file():
        raise MissingFileError("There is no such list.", _REMEDY, path)
    ids = read_id_list(path, MediaError)
    if all(one.optional for one in ids):
        raise MediaError("The list holds no ids.", _REMEDY, path)
    return ids
