"""Fonts: Pillow's own, and others of the system for characters that it lacks.

Names may be in any script. Each part of a text is written in the first font that has its
characters; where none has, the numbers of the characters are shown, and a warning says so once.
"""

from __future__ import annotations

import os
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from tvsl.errors import FontWarning, UsageError

Color = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_ENDINGS: Final = frozenset((".ttf", ".otf", ".ttc", ".otc"))
_MOST_FILES: Final = 4000
# Sizes that fonts of coloured pictures have alone.
_STRIKES: Final = (109, 128, 136, 160, 96, 64, 32)
_COVERAGE_SIZE: Final = 24
# Parts of names of fonts that are a variant of another one.
_VARIANTS: Final = ("bold", "italic", "oblique", "mono", "light", "thin", "black", "condensed")
_NO_CHARACTER: Final = "\U0010fffe"
JOINERS: Final = "\u200c\u200d"
"""Characters that join or part others, and are not seen themselves."""
_KEPT: Final = 4


@dataclass(frozen=True, eq=False)
class Face:
    """A font in all sizes.

    Attributes:
        path: Its file; None for Pillow's own.
    """

    path: Path | None

    @cached_property
    def strike(self) -> int | None:
        """The one size that it has; None where it has all."""
        if self.path is None:
            return None
        for size in (_COVERAGE_SIZE, *_STRIKES):
            try:
                ImageFont.truetype(str(self.path), size)
            except OSError:
                continue
            return None if size == _COVERAGE_SIZE else size
        raise UsageError("This is no font.", "Give a file in TrueType or OpenType.", self.path)

    def font(self, size: int) -> Font:
        """The font in a size in pixels, or in the one that it has."""
        return _font(self.path, self.strike or size)

    def length(self, text: str, size: int) -> float:
        """Width of a text in pixels.

        Args:
            text: One line.
            size: Height of the font in pixels.
        """
        width = float(self.font(size).getlength(text))
        return width if self.strike is None else width * size / self.strike

    def has(self, character: str) -> bool:
        """Tell whether the font has a picture of a character."""
        if character.isspace() or character in JOINERS or _is_selector(character):
            return True
        known = self._known.get(character)
        if known is None:
            drawn = self._drawn(character)
            known = self._known[character] = any(drawn[1]) and drawn != self._missing
        return known

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    @cached_property
    def _missing(self) -> tuple[tuple[int, int], bytes]:
        return self._drawn(_NO_CHARACTER)

    def _drawn(self, character: str) -> tuple[tuple[int, int], bytes]:
        """Size and opacity of a character's picture, which tells a missing one from others."""
        mask = self.font(_COVERAGE_SIZE).getmask(character, mode="L")
        return mask.size, bytes(mask)


def _is_selector(character: str) -> bool:
    """Tell whether a character only chooses the form of the one before."""
    return "\ufe00" <= character <= "\ufe0f"


@cache
def _font(path: Path | None, size: int) -> Font:
    return (
        ImageFont.load_default(size=size) if path is None else ImageFont.truetype(str(path), size)
    )


_chosen: list[Face] = []
_told: set[str] = set()


@contextmanager
def font_file(path: str | Path | None) -> Iterator[None]:
    """Write names in a font as long as this runs, in this process.

    Args:
        path: A file in TrueType or OpenType; Pillow's own font when None. Characters that it lacks
            are looked for in Pillow's own font and in those of the system.

    Raises:
        UsageError: There is no such file, or it is no font.
    """
    before = _chosen[:]
    if path is None:
        _chosen[:] = []
    else:
        if not Path(path).is_file():
            raise UsageError("There is no such font.", "Give a file, e.g. a .ttf.", path)
        face = Face(Path(path))
        _ = face.strike
        _chosen[:] = [face]
    try:
        yield
    finally:
        _chosen[:] = before


def chosen_font() -> Path | None:
    """The font that ``font_file`` chose: pictures of text that are kept are those of one font."""
    return _chosen[0].path if _chosen else None


def font_of_size(size: int) -> Font:
    """Pillow's own font in a size in pixels, for words of ours: the same on every machine."""
    return _font(None, size)


@cache
def _own() -> Face:
    return Face(None)


def font_folders() -> list[Path]:
    """Folders in which this system keeps its fonts, the user's own last."""
    home = Path.home()
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home))
        return [
            Path(os.environ.get("WINDIR", "C:\\Windows")) / "Fonts",
            Path(local) / "Microsoft/Windows/Fonts",
        ]
    shared = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts")]
    return [*shared, home / ".local/share/fonts", home / ".fonts"]


@cache
def _of_system() -> tuple[Face, ...]:
    """Fonts of the system, plain ones first, always in the same order."""
    found: list[Path] = []
    for folder in font_folders():
        for parent, _, names in os.walk(folder):
            found += [Path(parent, n) for n in names if Path(n).suffix.lower() in _ENDINGS]
            if len(found) > _MOST_FILES:
                break

    def order(path: Path) -> tuple[int, str]:
        name = path.name.lower()
        return sum(part in name for part in _VARIANTS) + ("sans" not in name), str(path)

    return tuple(map(Face, sorted(found[:_MOST_FILES], key=order)))


@cache
def _system_face(character: str) -> Face | None:
    """The first font of the system that has a character."""
    for face in _of_system():
        try:
            if face.has(character):
                return face
        except (UsageError, OSError, ValueError):  # a file that is no font, or a broken one
            continue
    return None


def _face_of(character: str) -> Face | None:
    for face in (*_chosen, _own()):
        if face.has(character):
            return face
    return _system_face(character)


def writable_text(text: str) -> str:
    """A text with the numbers of characters that no font has; a warning says so once for each."""
    missing = [one for one in dict.fromkeys(text) if _face_of(one) is None]
    if not missing:
        return text
    new = [one for one in missing if one not in _told]
    if new:
        _told.update(new)
        listed = ", ".join(f"{one} (U+{ord(one):04X})" for one in new[:_KEPT])
        more = f" and {len(new) - _KEPT} more" if len(new) > _KEPT else ""
        warnings.warn(FontWarning(f"{listed}{more}"), stacklevel=2)
    return "".join(one.encode("unicode_escape").decode() if one in missing else one for one in text)


def runs(text: str) -> list[tuple[Face, str]]:
    """Parts of a text from ``writable_text``, each with the font that it is written in."""
    parts: list[tuple[Face, str]] = []
    spaces = ""

    def add(face: Face, part: str) -> None:
        if parts and parts[-1][0] is face:
            parts[-1] = face, parts[-1][1] + part
        elif part:
            parts.append((face, part))

    for character in text:
        if character.isspace():  # it goes with what follows: at the end of a word from right to
            spaces += character  # left it would stand before the word
            continue
        last = parts[-1][0] if parts else None
        face = last if last is not None and _goes_on(character, last) else None
        face = face or _face_of(character) or _own()
        add(face if face is last else _own(), spaces)
        add(face, character)
        spaces = ""
    add(_own(), spaces)
    return parts


def _goes_on(character: str, face: Face) -> bool:
    """Tell whether a character that is no letter is written in the font of what stands before."""
    kinds = "MC" if face.strike is not None else "MCPSN"
    return (
        unicodedata.category(character)[0] in kinds
        and character != "\\"  # it begins the number of a character
        and face.has(character)
    )


def text_length(text: str, size: int) -> float:
    """Width of a line in pixels.

    Args:
        text: What ``writable_text`` gave.
        size: Size of the font in pixels.
    """
    return sum(face.length(part, size) for face, part in runs(text))


def draw_line(
    image: Image.Image,
    place: tuple[float, float],
    text: str,
    size: int,
    color: Color,
) -> None:
    """Write one line, its left end and its vertical middle at a place.

    Args:
        image: What to write on.
        place: Column and row in pixels.
        text: What ``writable_text`` gave.
        size: Size of the font in pixels.
        color: Colour of the letters.
    """
    draw, (left, middle) = ImageDraw.Draw(image), place
    for face, part in runs(text):
        if face.strike is None:
            draw.text((left, middle), part, fill=color, font=face.font(size), anchor="lm")
        else:
            patch = _strike_patch(face, part, size, color)
            top = round(middle - patch.height / 2)
            image.paste(patch.convert(image.mode), (round(left), top), patch)
        left += face.length(part, size)


def _strike_patch(face: Face, text: str, size: int, color: Color) -> Image.Image:
    """A text in a font of one size, such as one of coloured pictures, scaled to another size."""
    strike = face.strike or size
    font = face.font(size)
    width = max(1, round(font.getlength(text)))
    patch = Image.new("RGBA", (width, round(1.2 * strike)))
    ImageDraw.Draw(patch).text(
        (0, patch.height / 2), text, fill=color, font=font, anchor="lm", embedded_color=True
    )
    scale = size / strike
    shape = (max(1, round(patch.width * scale)), max(1, round(patch.height * scale)))
    return patch.resize(shape, Image.Resampling.LANCZOS)
