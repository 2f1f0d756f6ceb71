"""The models that come with the package itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from tvsl.errors import WeightsError
from tvsl.model_folder import TENSORS_FILE

EMBEDDED: Mapping[str, str] = {
    "mini": "a small model of tvsl's synthetic world, for trying things out",
}
"""What each of them is, by name."""


def embedded_path(name: str) -> Path:
    """Where the files of an embedded model belong.

    Args:
        name: A name of ``EMBEDDED``.
    """
    return Path(str(resources.files("tvsl"))) / "pretrained" / name


def is_here(name: str) -> bool:
    """Whether this installation holds an embedded model."""
    return (embedded_path(name) / TENSORS_FILE).is_file()


def embedded_folder(name: str) -> Path:
    """The folder of an embedded model.

    Args:
        name: A name of ``EMBEDDED``.

    Returns:
        The folder; it holds the model.

    Raises:
        WeightsError: This installation came without it.
    """
    folder = embedded_path(name)
    if not is_here(name):
        raise WeightsError(
            f"This installation of tvsl came without its embedded model '{name}'.",
            "Install it again, make the model with `make mini` in a checkout, or use another "
            "(`--model audioclip`).",
            folder,
        )
    return folder
