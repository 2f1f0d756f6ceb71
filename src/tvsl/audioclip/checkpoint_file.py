"""Checks of a checkpoint's file that need no torch: it exists, or may be written."""

from __future__ import annotations

import os
from pathlib import Path

from tvsl.errors import OutputError, WeightsError
from tvsl.utils.atomic import check_free_file

SAFETENSORS = ".safetensors"


def existing_file(path: Path) -> Path:
    """Refuse a file that is missing or empty.

    Raises:
        WeightsError: It is missing or empty.
    """
    remedy = "Give a checkpoint's file or folder, or a name: mini, audioclip, audioclip-partial."
    if not path.is_file():
        raise WeightsError("There is no such checkpoint file.", remedy, path)
    if path.stat().st_size == 0:
        raise WeightsError("The file is empty.", remedy, path)
    return path


def free_target(path: Path, force: bool) -> Path:
    """Refuse a path that is not a safetensors file that may be written.

    Args:
        path: The file to write.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: It exists, or has another ending.
    """
    if path.suffix != SAFETENSORS:
        raise OutputError(f"The name must end in {SAFETENSORS}.", "Choose another name.", path)
    if os.path.lexists(path):
        check_free_file(path, force)
    return path
