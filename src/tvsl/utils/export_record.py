"""The record of an export, ``export.json``; without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tvsl.utils.atomic import foreign_record, is_inner_name
from tvsl.utils.run_folder import read_record

RECORD_FILE: Final = "export.json"


def earlier_files(folder: Path) -> list[str]:
    """Names of the files of an earlier export in a folder.

    Raises:
        OutputError: Its record is none of an export.
    """
    record = folder / RECORD_FILE
    content = read_record(record, {"tvsl", "graphs", "files"})
    if content is None:
        return []
    names = content["files"]
    if not isinstance(names, list) or not all(is_inner_name(name) for name in names):
        raise foreign_record(record)
    return [*names, RECORD_FILE]
