"""Uploads: a form is written to a folder while it arrives, and never more of it than is allowed."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from anyio import fail_after
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from tvsl.errors import printable
from tvsl.serve.guard import too_large
from tvsl.serve.schemas import MOST_LETTERS, Refusal

MOST_PARTS: Final = 8
"""Parts of a form."""
MOST_PART_HEADERS: Final = 8_192
"""Bytes of the headers of a part."""
UPLOAD_SECONDS: Final = 600
"""Time of an upload."""
SILENT_SECONDS: Final = 30
"""Time without a byte of an upload."""
_FILES = ("video", "picture", "sound")
_OPTIONS = ("labels", "sources", "every")
_MARGIN = 65_536  # of a form around its files
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Form:
    """Content of an upload.

    Attributes:
        files: Files by their fields.
        options: Texts of the other fields.
    """

    files: dict[str, Path]
    options: dict[str, str]


async def read_form(request: Request, folder: Path, most: int) -> Form:
    """Write the files of a form into a folder, as they arrive.

    Args:
        request: The request, of whose body nothing was read.
        folder: An empty folder.
        most: Bytes of all files.

    Returns:
        The form; it has a video, or a picture and a sound.

    Raises:
        Refusal: It is no such form, too large, cut off, or too slow.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
        raise Refusal(
            415,
            "no_form",
            "The body is no form with files.",
            "Send multipart/form-data with `video`, or with `picture` and `sound`.",
        )
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and int(stated) > most + _MARGIN:
        raise too_large("The upload", most)
    parts = _Parts(folder, most)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        async for chunk in _chunks(request):
            parser.write(chunk)
    except FormParserError as error:
        raise _broken() from error
    except OSError as error:
        raise Refusal(
            507,
            "no_room",
            "The upload cannot be stored here.",
            "Try a smaller one, or free some of the service's disk.",
        ) from error
    finally:
        parts.close()
    if not parts.is_whole:
        raise _broken()
    _check_fields(parts)
    return Form(parts.files, {name: _text(value) for name, value in parts.options.items()})


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Pieces of a body; one that is too slow is given up."""
    end, more = time.monotonic() + UPLOAD_SECONDS, True
    while more:
        left = min(end - time.monotonic(), SILENT_SECONDS)
        try:
            with fail_after(left):
                message = await request.receive()
        except TimeoutError as error:
            raise Refusal(
                408,
                "too_slow",
                "The upload takes too long.",
                "Try again, by a faster way.",
                {"Connection": "close"},
            ) from error
        if message["type"] != "http.request":  # the other side has gone
            raise _broken()
        more = message.get("more_body", False)
        yield message.get("body", b"")


class _Parts:
    """Parts of a form while they arrive."""

    def __init__(self, folder: Path, most: int) -> None:
        self.files: dict[str, Path] = {}
        self.options: dict[str, bytearray] = {}
        self.is_whole = False
        self._folder = folder
        self._left = self._most = most
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value, self._size, self._count = b"", b"", 0, 0
        self._file: IO[bytes] | None = None
        self._option: bytearray | None = None

    def callbacks(self) -> dict[str, object]:
        """The parser's events."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._opened,
            "on_part_data": self._data,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._field, self._value, self._size = {}, b"", b"", 0
        self._count += 1
        if self._count > MOST_PARTS:
            raise _unknown("The form has too many parts.")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._grow(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._grow(end - start)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MOST_PART_HEADERS:
            raise _unknown("A part of the form has too long a header.")

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _opened(self) -> None:
        _, found = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = found.get(b"name", b"").decode("utf-8", "replace")
        if name in self.files or name in self.options:
            raise _unknown(f"The field {name} comes twice.")
        if name in _FILES:
            file = file_name(found.get(b"filename", b"").decode("utf-8", "replace"), name)
            while (self._folder / file).exists():
                file = f"_{file}"
            self.files[name] = self._folder / file
            self._file = (self._folder / file).open("xb")
        elif name in _OPTIONS:
            self._option = self.options[name] = bytearray()
        else:
            raise _unknown("The form has a field that is not known.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._option is not None:
            self._option += data[start:end]
            if len(self._option) > 4 * MOST_LETTERS:
                raise _unknown("A field of the form is too long.")
        elif self._file is not None:
            self._left -= end - start
            if self._left < 0:
                raise too_large("The upload", self._most)
            self._file.write(data[start:end])

    def close(self) -> None:
        """End the part, if there is one."""
        self._option = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end(self) -> None:
        self.is_whole = True


def file_name(given: str, field: str) -> str:
    """A name for an upload that stays in its folder, and begins as no option does.

    Args:
        given: What the browser calls the file, in any form.
        field: The field of the form, which names a file without a name.

    Returns:
        The last part of the given name, in letters, digits and a few marks.
    """
    last = printable(given).replace("\\", "/").rpartition("/")[2]
    clean = "".join(one if one.isalnum() or one in " .,()+-_" else "_" for one in last)
    clean = clean.strip(" .").lstrip("-") or field
    stem, dot, ending = clean.rpartition(".")
    if not dot:
        stem, ending = clean, ""
    name = f"{stem[:_LONGEST_NAME]}{dot}{ending[:10]}"
    try:
        # A name has at most 255 bytes, and letters of some scripts have four each.
        return name if len(os.fsencode(name)) <= 200 else f"{stem[:40]}{dot}{ending[:5]}"
    except UnicodeEncodeError:  # a system that names files in ASCII
        return name.encode("ascii", "replace").decode().replace("?", "_")


def _check_fields(parts: _Parts) -> None:
    """Forget files that were not chosen in a form; what is left must be enough."""
    for name, path in list(parts.files.items()):
        if path.name == name and path.stat().st_size == 0:  # a form's empty file field
            path.unlink()
            del parts.files[name]
    if set(parts.files) not in ({"video"}, {"picture", "sound"}):
        raise Refusal(
            422,
            "wrong_files",
            "The form has neither a video alone, nor a picture and a sound.",
            "Send `video`, or `picture` and `sound`.",
        )


def _text(value: bytearray) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unknown("A field of the form is no text in UTF-8.") from error


def _unknown(problem: str) -> Refusal:
    return Refusal(
        422, "wrong_form", problem, "Send the fields that the description at /openapi.json lists."
    )


def _broken() -> Refusal:
    return Refusal(
        400, "broken_form", "The form is broken or cut off.", "Send it again.",
        {"Connection": "close"},
    )  # fmt: skip
