"""The classes of the world: six shapes times six surfaces, half of them held out.

Every shape and every surface occurs among the seen classes, so that an unseen class is a new
combination of known parts and its name can be understood (zero-shot, Table 4).
"""

from __future__ import annotations

from typing import Literal

from tvsl.errors import VocabularyError

SHAPES = ("disc", "square", "triangle", "star", "ring", "cross")
SURFACES = ("red", "green", "blue", "yellow", "striped", "dotted")
SIZE_WORDS = ("small", "medium", "large")
FILLER_WORDS = ("a", "an", "the", "and")

ClassSplit = Literal["seen", "unseen", "all"]
WorldSplit = Literal["train", "validation", "test"]
_SEEN_REMAINDERS = (0, 1, 3)


def _names(seen: bool | None) -> tuple[str, ...]:
    return tuple(
        f"{surface} {shape}"
        for number, shape in enumerate(SHAPES)
        for row, surface in enumerate(SURFACES)
        if seen is None or ((number + row) % len(SURFACES) in _SEEN_REMAINDERS) == seen
    )


CLASSES: dict[ClassSplit, tuple[str, ...]] = {
    "seen": _names(True),
    "unseen": _names(False),
    "all": _names(None),
}
"""Class names such as "striped ring": 18 seen, 18 unseen, 36 in all."""


def surface_and_shape(name: str) -> tuple[str, str]:
    """Surface and shape of a class.

    Raises:
        VocabularyError: There is no such class.
    """
    if name not in CLASSES["all"]:
        raise VocabularyError(
            f"The synthetic world has no class '{name}'.",
            f"Classes are a surface ({', '.join(SURFACES)}) and a shape ({', '.join(SHAPES)}).",
        )
    surface, shape = name.split()
    return surface, shape


def size_word(radius: float) -> str:
    """Size word for an object of this radius in pixels: small, medium or large."""
    if radius < 16.3:
        return SIZE_WORDS[0]
    return SIZE_WORDS[1] if radius < 22.1 else SIZE_WORDS[2]
