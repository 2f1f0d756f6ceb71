"""Class names as lists write them, with underscores, and as people do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tvsl.data.rows import wrong_line


def normal_form(name: str) -> str:
    """What is equal for all spellings of a name: lower case, one underscore between words.

    "female speech, woman speaking" and "female_speech_woman_speaking" are one name. Never compare
    classes by their place in a sorted list: underscores sort otherwise than spaces and commas do
    ("cattle, bovinae cowbell" and "cattle mooing" change places).
    """
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


class ClassNames:
    """The classes of a data set, found by any spelling.

    Args:
        names: Their natural names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_form = {normal_form(name): name for name in names}

    def find(self, name: str, path: Path, line: int | str) -> str:
        """The natural name of a class.

        Args:
            name: A name from a list.
            path: The list.
            line: The line that the name is from, or what its place is called.

        Returns:
            The name that the data set uses.

        Raises:
            DataError: There is no such class.
        """
        found = self._by_form.get(normal_form(name))
        if found is None:
            raise wrong_line(path, line, f"names a class that there is not: {name!r}")
        return found
