"""Lists of class names: the default one, and those that people bring in files."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from unicodedata import category

from tvsl.errors import VocabularyError
from tvsl.names import check_names
from tvsl.small_files import read_small_text

NAMES_FILE = "names.txt"
"""What a folder of data calls its list of classes."""

_MOST_BYTES = 1 << 20


def everyday_sounds() -> tuple[str, ...]:
    """About two hundred everyday sound sources, the vocabulary when none is given."""
    text = resources.files("tvsl").joinpath("everyday_sounds.txt").read_text(encoding="utf-8")
    return tuple(_names(text))


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """Read class names, one a line; lines that begin with ``#`` are comments.

    Args:
        path: A text file in UTF-8.

    Returns:
        The names, in their order.

    Raises:
        VocabularyError: The file cannot be read, is no text, holds no name or one twice.
    """
    path = Path(path)
    remedy = "Give a text file with one class name a line."
    names = _names(read_small_text(path, _MOST_BYTES, VocabularyError, remedy))
    if any(category(character) == "Cc" for name in names for character in name):
        raise VocabularyError("The file holds control characters: it is no text.", remedy, path)
    try:
        check_names(names)
    except VocabularyError as error:
        raise VocabularyError(error.problem, remedy, path) from error
    return tuple(names)


def _names(text: str) -> list[str]:
    lines = (line.strip() for line in re.split(r"\r\n|\r|\n", text))
    return [line for line in lines if line and not line.startswith("#")]
