"""The errors of this package: each names the problem, the file and the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MOST_SHOWN = 60
_LONGEST_NUMBER = 200  # bits; Python itself refuses to print numbers of some thousand digits

# What moves the cursor, ends the line, turns the direction of writing or is half a character:
# C0, DEL, C1, the line and paragraph separators, the bidirectional controls, lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

# Wording for pydantic's types of errors: the field, what was given, what is allowed.
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a shorter number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "string_unicode": "a text in Unicode",
    "string_sub_type": "a text",
    "path_type": "a path",
    "none_required": "nothing",
    "dict_type": "an object with named entries",
    "mapping_type": "an object with named entries",
    "model_type": "an object with named entries",
    "model_attributes_type": "an object with named entries",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "is_instance_of": "a {class}",
    "string_too_short": "a text of {min_length} or more characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "too_short": "a list of {min_length} or more entries",
    "too_long": "a list of at most {max_length} entries",
    "invalid-json-value": "a value that JSON has",
    "recursion_loop": "without a circle",
}


class TvslError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        problem: The problem, one sentence without the path.
        remedy: A remedy for the user, one sentence.
        path: The affected file, if any.
    """

    def __init__(self, problem: str, remedy: str, path: str | Path | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.path = None if path is None else Path(path)
        where = "" if path is None else f"{path}: "
        super().__init__(printable(f"{where}{problem} {remedy}"))

    def __reduce__(self) -> tuple[type[TvslError], tuple[str, str, Path | None]]:
        """Pickle all parts of the error."""
        return type(self), (self.problem, self.remedy, self.path)


class UsageError(TvslError):
    """Contradictory options, or an argument outside its range."""


class DivergedError(UsageError):
    """A training with a loss that is not finite."""


class ShapeError(TvslError):
    """An array or tensor of a wrong shape, type or range."""


class VocabularyError(TvslError):
    """A class name that the vocabulary or the model cannot express."""


class WeightsError(TvslError):
    """A checkpoint that is missing, damaged, unsafe or of another model."""


class DataError(TvslError):
    """A data set's list or annotation that is missing, damaged or contradicts itself."""


class StoreError(TvslError):
    """A token store that has another key, is incomplete or is damaged."""


class MediaError(TvslError):
    """A picture, sound or video that cannot be used."""


class MissingFileError(MediaError):
    """There is no such file, it is not a regular file, or it is empty."""


class UnreadableMediaError(MediaError):
    """The file exists but is broken, truncated or of an unknown format."""


class NoPictureError(MediaError):
    """The file has no video stream or no decodable picture."""


class NoSoundError(MediaError):
    """The file has no audio stream."""


class SilentAudioError(MediaError):
    """The sound is silent throughout."""


class MediaLimitError(MediaError):
    """The file exceeds a safety limit on pixels, duration, rate or channels."""


class MediaWarning(UserWarning):
    """A part of a media file that cannot be used, although the file is used.

    It is raised with ``warnings.warn``; the commands print it as one line and include it in their
    results.

    Args:
        problem: The missing part, one sentence without the path.
        path: The file.
    """

    def __init__(self, problem: str, path: str | Path) -> None:
        self.problem = problem
        self.path = Path(path)
        super().__init__(problem, path)  # what a copy, e.g. of another process, is made from

    def __str__(self) -> str:
        """The message."""
        return f"{self.path}: {self.problem}"


class FontWarning(UserWarning):
    """Characters that no font of this system has: their numbers are shown in pictures.

    Args:
        characters: The characters.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        super().__init__(characters)  # what a copy, e.g. of another process, is made from

    def __str__(self) -> str:
        """The message."""
        return (
            f"No font here has {self.characters}: pictures show their numbers. Install a font that "
            "has them (e.g. the package fonts-noto-cjk or fonts-noto-color-emoji), or name one "
            "with --font FILE."
        )


class LostProcessError(TvslError):
    """A process of a run that has ended, or that the others cannot reach."""


class OutputError(TvslError):
    """A result cannot be written: it exists already, or the place is not writable."""


def first_problem(error: ValidationError) -> str:
    """Describe the first problem that pydantic found, in plain words.

    Args:
        error: The error of a validated config, options or entry.

    Returns:
        A clause in one line without a full stop: the field, what was given, what is allowed.
    """
    details = error.errors(include_url=False)
    place = details[0]["loc"]
    if any(map(_is_type, place)):  # a union of types: the deepest location
        beside = [entry for entry in details if entry["loc"][:1] == place[:1]]
        first = max(beside, key=lambda entry: len(entry["loc"]))
    else:
        first = details[0]
    return _problem(first, first.get("ctx", {}))


class RequestError(Protocol):
    """The error of a request that pydantic refused; its places begin with a part of the request."""

    def errors(self) -> Sequence[Any]:
        """The problems, each with its place in ``loc``."""


def wrong_fields(error: RequestError) -> list[str]:
    """Names of the fields that pydantic refused, without what was given for them."""
    names = {".".join(str(part) for part in one["loc"][1:]) for one in error.errors()}
    return sorted(names - {""})


def _problem(first: ErrorDetails, context: Mapping[str, Any]) -> str:
    kind, given = first["type"], first["input"]
    # A union of types adds the type's name to the location, which means nothing to a user.
    parts = [part for part in first["loc"] if not _is_type(part)]
    entry = f"entry {parts.pop(0)}: " if parts and isinstance(parts[0], int) else ""
    name = _cut(".".join(map(str, parts)))
    subject = f"{entry}'{name}'" if name else f"{entry}the whole"
    if kind == "missing":
        return f"{subject} is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{subject} is not known"
    if kind in ("value_error", "assertion_error"):
        said = str(context["error"])
        return f"{subject}: {said}" if name else f"{entry}{said}"
    if kind == "json_invalid":
        return f"this is no valid JSON ({context['error']})"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = context["discriminator"].strip("'")
        subject = f"{entry}'{name}.{tag}'" if name else f"{entry}'{tag}'"
        if kind == "union_tag_not_found":
            return f"{subject} is missing"
        return f"{subject} is '{_cut(context['tag'])}' but must be {context['expected_tags']}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{subject} is {shown(given)} but must be {words} {context[bound]}"
    if kind in _KINDS:
        return f"{subject} is {shown(given)} but must be {_KINDS[kind].format(**context)}"
    return f"{subject} cannot be {shown(given)}"


def _is_type(part: int | str) -> bool:
    """Tell whether a part of an error's location is the name of a type: ``dict[str,int]``."""
    return isinstance(part, str) and re.fullmatch(r"[a-z-]+\[.*\]", part) is not None


def shown(value: object) -> str:
    """Format a value for a message, in one short line with escaped control characters."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _MOST_SHOWN else repr(value[:_MOST_SHOWN]) + "…"
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return "a number of more than 60 digits"
    if isinstance(value, list | tuple | set | frozenset):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} entries"
    return {"None": "nothing", "True": "true", "False": "false"}.get(repr(value), _cut(repr(value)))


def _cut(text: str) -> str:
    plain = text if text.isprintable() else repr(text)[1:-1]
    return plain if len(plain) <= _MOST_SHOWN else f"{plain[:_MOST_SHOWN]}…"


def printable(text: str) -> str:
    r"""Escape control characters in an external text, such as a file's name.

    Args:
        text: Any text, also with bytes of a file's name that are no UTF-8.

    Returns:
        The text in one line, with the escapes of Python: ``\n``, ``\x1b``, ``\u202e``.
    """
    return _UNPRINTABLE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # Python's form of a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()


def first_few(texts: Sequence[str], most: int, others: str = "") -> list[str]:
    """Shorten a list for a message.

    Args:
        texts: All texts.
        most: Maximum number of them to show.
        others: File or option that shows the others.

    Returns:
        The first texts, and one more about the others, if there are any.
    """
    more = len(texts) - most
    if more <= 0:
        return list(texts)
    return [*texts[:most], f"and {more} more{f'; see {others}' if others else ''}"]
