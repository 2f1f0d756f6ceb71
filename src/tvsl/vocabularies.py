"""Class names: their spelling, what makes two spellings one class, and lists of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from unicodedata import category

from tokenizers import Regex, pre_tokenizers

from tvsl.errors import VocabularyError, first_few, shown
from tvsl.utils.files import read_small_text

WORD_PATTERN = (
    r"(?i)<\|startoftext\|>|<\|endoftext\|>"
    r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
"""Pattern of the words of CLIP's tokenizer (Radford et al., 2021)."""

_MOST_CHARACTERS = 10_000
_MOST_SHOWN = 5
_WORDS = pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="removed", invert=True)


@lru_cache(maxsize=1 << 12)
def plain_text(text: str) -> str:
    """Clean a text as CLIP's tokenizer does before it splits words.

    Returns:
        The text without mojibake, curly quotes, ligatures, full-width letters, HTML entities and
        control characters, in one Unicode form and lower case, words one space apart.

    Raises:
        VocabularyError: The text is far too long for a class name, or not valid Unicode.
    """
    if len(text) > _MOST_CHARACTERS:
        raise VocabularyError(
            f"The text {shown(text)} has {len(text)} characters.", "Shorten the class name."
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise VocabularyError(
            f"The text {shown(text)} holds half of a character.", "Give the name in Unicode."
        )
    mended = text
    if not (text.isascii() and text.isprintable() and "&" not in text):  # else it stays
        import ftfy  # its tables take longer to import than all the rest here

        mended = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(mended.split()).lower()


@lru_cache(maxsize=1 << 12)
def same_name(name: str) -> str:
    """Normal form of a class name, for comparisons: its words, one space apart.

    Case, white space, Unicode forms and everything else that the tokenizer ignores make no
    difference: names of one form have one embedding.

    Args:
        name: A class name in any spelling.

    Raises:
        VocabularyError: As for ``plain_text``.
    """
    return " ".join(word for word, _ in _WORDS.pre_tokenize_str(plain_text(name)))


def same_names(names: Iterable[str]) -> tuple[str, ...]:
    """``same_name`` of each of some names, in their order."""
    return tuple(map(same_name, names))


def split_names(texts: Iterable[str]) -> list[str]:
    """Class names that were typed, separated by commas, or by semicolons where names hold commas.

    They are given without white space around them and without empty ones.
    """
    names = [name.strip() for text in texts for name in text.split(";" if ";" in text else ",")]
    return [name for name in names if name]


def joined_names(names: Sequence[str]) -> str:
    """Class names as one text that ``split_names`` takes apart again; none holds a semicolon."""
    if not any("," in name for name in names):
        return ",".join(names)
    return ";".join(names) if len(names) > 1 else f"{names[0]};"


def check_names(names: Sequence[str]) -> None:
    """Check that class names are valid and different.

    Raises:
        VocabularyError: There is none, one is no text or empty, or one occurs twice, perhaps in
            another spelling.
    """
    if not names:
        raise VocabularyError("There is no class name.", "Give at least one.")
    first: dict[str, str] = {}
    twice = []
    for name in names:
        if not isinstance(name, str):
            raise VocabularyError(f"{shown(name)} is no class name.", "Give each class a text.")
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise VocabularyError(
                f"The class name {shown(name)} is no text in Unicode.", "Write it in UTF-8."
            )
        form = same_name(name)
        if not form:
            raise VocabularyError("A class name is empty.", "Give each class a name.")
        if form in first:
            other = first[form]
            both = f"{shown(other)} and {shown(name)} (two spellings of one)"
            twice.append(shown(name) if name == other else both)
        first.setdefault(form, name)
    if twice:
        repeated = first_few(list(dict.fromkeys(twice)), _MOST_SHOWN)
        raise VocabularyError(
            f"Class names occur twice: {', '.join(repeated)}.",
            "Give each name once; case, white space and forms of characters do not count.",
        )


NAMES_FILE = "names.txt"
"""File name of the list of classes in a folder of data."""

_MOST_BYTES = 1 << 20


def check_distinct(names: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
    """Refuse names that a model's tokenizer merges, although they differ.

    Args:
        names: N class names.
        ids: Token ids of each.

    Raises:
        VocabularyError: Two names have the same ids; it names both.
    """
    first: dict[tuple[int, ...], str] = {}
    for name, row in zip(names, ids, strict=True):
        other = first.setdefault(tuple(row), name)
        if other is not name:
            raise VocabularyError(
                f"The model cannot tell {shown(other)} from {shown(name)}.", "Give one of the two."
            )


@cache
def everyday_sounds() -> tuple[str, ...]:
    """About two hundred everyday sound sources, the vocabulary when none is given."""
    text = resources.files("tvsl").joinpath("everyday_sounds.txt").read_text(encoding="utf-8")
    return tuple(_names(text))


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """Read class names, one a line; lines that begin with ``#`` are comments.

    Args:
        path: A text file in UTF-8.

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
