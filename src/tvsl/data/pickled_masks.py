"""Masks in pickled arrays, read without running anything that the pickle names.

A pickle is a program. This reader admits only what NumPy writes for a plain array, puts stand-ins
of its own in place of NumPy's functions, and builds the array from checked sizes and bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tvsl.data.targets import Drawn, FileTarget, Mask
from tvsl.errors import MediaLimitError, UnreadableMediaError
from tvsl.media import MediaLimits, check_file

LARGEST_FILE: Final = 64 * 2**20
LARGEST_ARRAY: Final = 2**26

# NumPy writes an array in some forty instructions, whatever its size.
_MOST_INSTRUCTIONS: Final = 200
_TYPE = re.compile(r"[<>|=]?[biuf][1248]")
# What broken or foreign pickles raise while they are read.
_ERRORS = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError,
    OverflowError, MemoryError, UnicodeError, ImportError,
)  # fmt: skip


class PickledMask(FileTarget):
    """A mask in a pickled array: (H, W), on the source where it is not 0."""

    def draw(self, height: int, width: int) -> Drawn:
        """The nearest pixels of the mask; see ``Target``."""
        return Mask(read_pickled_mask(self.path)).draw(height, width)


def read_pickled_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask.

    Args:
        path: A pickle of one NumPy array of numbers: (H, W), (1, H, W) or (H, W, 1).

    Returns:
        (H, W) bool: where it is not 0.

    Raises:
        MissingFileError: There is no such file.
        MediaLimitError: The file or the array is too large.
        UnreadableMediaError: It holds anything else.
    """
    content = check_file(path, MediaLimits(max_file_size=LARGEST_FILE)).read_bytes()
    try:
        _check_length(content)
        loaded = _Unpickler(content).load()
        array = loaded.build() if isinstance(loaded, _Array) else None
    except _TooLargeError as error:
        raise MediaLimitError(
            f"The mask is larger than {LARGEST_ARRAY} values.", "Store it at a usual size.", path
        ) from error
    except _ERRORS as error:
        raise UnreadableMediaError(
            f"The file is no pickled array of numbers ({error}).",
            "Nothing else is unpickled, since a pickle can run any program. Get the file again.",
            path,
        ) from error
    if array is not None and array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[:, :, 0]
    if array is None or array.ndim != 2 or array.size == 0:
        raise UnreadableMediaError(
            "The file holds no mask: one array of rows and columns.", "Get the file again.", path
        )
    return np.asarray(array != 0)


def _check_length(content: bytes) -> None:
    """Refuse a program longer than an array needs: it could fill the memory or the stack."""
    for number, _ in enumerate(pickletools.genops(content)):
        if number >= _MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError("it is too long a program for one array")


class _TooLargeError(ValueError):
    """An array that is larger than is allowed."""


@dataclass
class _Type:
    """Stands for a type of numbers."""

    code: str
    order: str = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """NumPy's state: version, byte order, and what only other types have."""
        self.order = str(state[1])

    def build(self) -> np.dtype[Any]:
        """The type, of plain numbers only."""
        if not _TYPE.fullmatch(self.code) or self.order not in tuple("<>|="):
            raise pickle.UnpicklingError(f"the type {self.code!r} is not one of numbers")
        return np.dtype(self.code).newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]


@dataclass
class _Array:
    """Stands for an array until all of it is known."""

    shape: Any = None
    kind: Any = None
    columns_first: bool = False
    content: Any = field(default=b"", repr=False)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """NumPy's state: version, shape, type, order of the axes, bytes."""
        _, self.shape, self.kind, self.columns_first, self.content = state

    def build(self) -> NDArray[Any]:
        """The array, after everything about it has been checked."""
        content = self.content
        if isinstance(content, str):
            content = content.encode("latin1")  # a pickle of Python 2
        shape = tuple(int(size) for size in self.shape)
        if not isinstance(self.kind, _Type) or min(shape, default=0) < 0:
            raise pickle.UnpicklingError("the array has no size or type")
        if math.prod(shape) > LARGEST_ARRAY:
            raise _TooLargeError
        array = np.frombuffer(content, dtype=self.kind.build())
        return array.reshape(shape, order="F" if self.columns_first else "C")


class _Unpickler(pickle.Unpickler):
    """Reads a pickle in which only the makers of plain arrays are known.

    Args:
        content: The pickle.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._decoded = 0
        self._known: dict[tuple[str, str], Callable[..., Any] | type] = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): self._type,
            ("_codecs", "encode"): self._encode,
        }
        for package in ("numpy.core", "numpy._core"):
            self._known[f"{package}.multiarray", "_reconstruct"] = self._reconstruct
            self._known[f"{package}.numeric", "_frombuffer"] = self._from_buffer

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Look a name up among the known ones alone."""
        found = self._known.get((module_name, global_name))
        if found is None:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        return found

    def _reconstruct(self, *_: object) -> _Array:
        return _Array()

    def _from_buffer(self, content: Any, kind: Any, shape: Any, order: Any) -> _Array:
        return _Array(shape, kind, order == "F", content)

    def _type(self, code: str, *_: object) -> _Type:
        return _Type(str(code))

    def _encode(self, text: str, encoding: str) -> bytes:
        """How protocols before 3 write bytes; bounded, for it may be called again and again."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it holds bytes encoded as {encoding!r}")
        content = text.encode("latin1")
        self._decoded += len(content)
        if self._decoded > LARGEST_FILE:
            raise _TooLargeError
        return content
