"""The file of a checkpoint: whether it is there, or may be written; known without torch."""

from __future__ import annotations

import os
from pathlib import Path

from tvsl.errors import OutputError, WeightsError
from tvsl.staging import check_free_file

SAFETENSORS = ".safetensors"


def existing_file(path: Path) -> Path:
    """Let through only a file that is there and not empty.

    Raises:
        WeightsError: It is not.
    """
    remedy = "Give a checkpoint's file or folder, or a name: mini, audioclip, audioclip-partial."
    if not path.is_file():
        raise WeightsError("There is no such checkpoint file.", remedy, path)
    if path.stat().st_size == 0:
        raise WeightsError("The file is empty.", remedy, path)
    return path


def free_target(path: Path, force: bool) -> Path:
    """Let through only the name of a safetensors file that may be written.

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
