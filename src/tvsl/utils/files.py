"""Small files: bounded reading, safe CSV cells, and the folders of cached files.

Reading is bounded: a device has no end, a pipe may block forever, and a huge file would fill the
memory.

Spreadsheets run a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, even in quotes.
An id of YouTube may begin with ``-``, and a label with any character.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Final, TextIO

from tvsl.errors import TvslError
from tvsl.utils.atomic import check_free_file, writable, write_text, write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBERS = re.compile(r"\[\n\s+([-+.\deE,\s]+?)\n\s+\]")

# Two letters at least: one is a drive of Windows. ``Path`` makes one slash of two.
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(?=[^/])")


def home() -> Path:
    """Folder of cached files: ``TVSL_HOME`` if set, else the platform's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("TVSL_HOME")
    return Path(chosen).expanduser() if chosen else user_cache_path("tvsl", appauthor=False)


def weights_folder() -> Path:
    """Folder of the public weight files."""
    return home() / "weights"


def lists_folder() -> Path:
    """Folder of the benchmarks' lists and annotations."""
    return home() / "lists"


def address(path: str | Path) -> str | None:
    """Recognize a network address given in place of a path.

    Returns:
        The address, with the slashes that a path loses; None for anything else, also if a file or
        folder of that name exists.
    """
    found = _SCHEME.match(str(path))
    if found is None or os.path.lexists(path):
        return None
    return f"{found[1]}://{str(path)[found.end() :]}"


_AT_ONCE: Final = 1 << 18

LARGEST_CONFIG: Final = 1 << 24
"""Maximum bytes of a config, a recipe or a record of a run."""
LARGEST_LIST: Final = 1 << 28
"""Maximum bytes of a list, a manifest or an annotation file."""


def read_small(path: str | Path, most: int, error: type[TvslError], remedy: str) -> bytes:
    """Read a file of limited size.

    Args:
        path: The file, or a link to one.
        most: Maximum number of bytes.
        error: Type of the errors.
        remedy: Remedy, for the message.

    Raises:
        TvslError: Of the type ``error``: there is no such file, it is a folder, device, pipe or
            socket, it is larger than ``most``, or the system does not let it be read.
    """
    place = Path(path)
    try:
        status = place.stat()
        if not S_ISREG(status.st_mode):
            found = "a folder" if S_ISDIR(status.st_mode) else "a device, pipe or socket"
            raise error(f"This is {found}, not a file.", remedy, path)
        if status.st_size > most:
            raise _too_large(path, most, error, remedy)
        with place.open("rb") as stream:
            # In blocks: a read of so many bytes allocates as much memory, however short the file.
            blocks, left = [], most + 1
            while left and (block := stream.read(min(left, _AT_ONCE))):
                blocks.append(block)
                left -= len(block)
    except FileNotFoundError as reason:
        raise error("There is no such file.", remedy, path) from reason
    except (OSError, ValueError) as reason:  # ValueError: an invalid name
        why = getattr(reason, "strerror", None) or str(reason)
        raise error(f"The file cannot be read ({why}).", remedy, path) from reason
    if not left:  # it grew, or the system reports no size
        raise _too_large(path, most, error, remedy)
    return b"".join(blocks)


def read_small_text(path: str | Path, most: int, error: type[TvslError], remedy: str) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: As for ``read_small``.
        most: As for ``read_small``.
        error: As for ``read_small``.
        remedy: As for ``read_small``.

    Returns:
        The text, with unchanged line ends.

    Raises:
        TvslError: As for ``read_small``, or it is no text in UTF-8.
    """
    content = read_small(path, most, error, remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise error("The file is no text in UTF-8.", remedy, path) from reason


def read_small_json(path: str | Path, most: int, error: type[TvslError], remedy: str) -> Any:
    """Read a JSON file.

    Args:
        path: As for ``read_small``.
        most: As for ``read_small``.
        error: As for ``read_small``.
        remedy: As for ``read_small``.

    Raises:
        TvslError: As for ``read_small``, or it holds no JSON, or too deeply nested JSON.
    """
    text = read_small_text(path, most, error, remedy)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise error("The file is damaged: it holds no JSON.", remedy, path) from reason


def _too_large(path: str | Path, most: int, error: type[TvslError], remedy: str) -> TvslError:
    return error(f"The file is too large: {most} bytes are allowed.", remedy, path)


_FORMULA: Final = re.compile(r"['\s]*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001  (wide forms run as well)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf")


def guarded(cell: object) -> str:
    """Protect a cell: an apostrophe is put before a possible formula; numbers stay unchanged."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """Restore the text of a cell that ``guarded`` returned."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def write_rows(file: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV, one line each, with commas.

    Args:
        file: Where to; opened with ``newline=""``.
        rows: Their cells.
    """
    for row in rows:
        line = io.StringIO(newline="")
        # Only characters of this ending are put in quotes, and a cell may hold either.
        csv.writer(line, lineterminator="\r\n").writerow([guarded(cell) for cell in row])
        file.write(line.getvalue().removesuffix("\r\n") + "\n")


def to_json(content: Any) -> str:
    """JSON with an indent, but lists of numbers, as boxes and rows of maps, on one line."""
    text = json.dumps(content, indent=2, allow_nan=False)
    # No string is touched: a line break inside a string is written as an escape.
    return _NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)


def write_json(content: Any, path: str | Path, force: bool = False) -> Path:
    """Write JSON atomically.

    Args:
        content: Plain JSON types.
        path: Where to; the folder must exist.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    target = Path(path)
    text = to_json(content) + "\n"
    check_free_file(target, force)
    write_text(target, text)
    return target


_FASTEST: Final = 1  # more effort makes maps no smaller


def write_npz(
    arrays: Mapping[str, NDArray[np.floating]], path: str | Path, force: bool = False
) -> Path:
    """Write arrays by any names, which ``numpy.savez`` would take for its own arguments.

    They are compressed: a raw map by 6 %, a heat-map of 1280 x 720 pixels by 13 %, in 0.1 s. The
    bytes are the same for the same arrays.

    Args:
        arrays: Arrays by name.
        path: Where to; the folder must exist.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    from numpy.lib.format import write_array

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w") as file:
            for name, values in arrays.items():
                content = io.BytesIO()
                write_array(content, values, allow_pickle=False)
                # Without the compression in the call that of the entry counts, which is none.
                entry, kind = zipfile.ZipInfo(f"{name}.npy"), zipfile.ZIP_DEFLATED
                file.writestr(entry, content.getvalue(), kind, _FASTEST)

    target = Path(path)
    check_free_file(target, force)
    with writable(target, "file"):
        write_whole(target, write)
    return target
