"""Masks in pickled arrays, read without running the pickle.

A pickle is a program. This reader interprets only the instructions with which NumPy writes a plain
array. Names in the program are constants, never looked up or called; the array is built from sizes,
a type and bytes that are checked before use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tvsl.data.targets import FileTarget, Mask, Shape
from tvsl.errors import MediaLimitError, UnreadableMediaError
from tvsl.media import MediaLimits, check_file
from tvsl.utils.files import read_small

LARGEST_FILE: Final = 64 * 2**20
LARGEST_ARRAY: Final = 2**26

# NumPy writes an array in some forty instructions, whatever its size.
_MOST_INSTRUCTIONS: Final = 200
_MOST_MEMORIES: Final = 1000
_LONGEST_NAME: Final = 80
_NEWEST_PROTOCOL: Final = 5
_NUMBER: Final = re.compile(rb"-?[0-9]{1,20}")
# Escapes of Python 2 for unprintable characters and backslashes; a backslash before anything else.
_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|[nrt\\'\"]|)")
_ESCAPED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_TYPE: Final = re.compile(r"[<>|=]?([biuf])([1248])")
_BYTE_ORDERS: Final = ("<", ">", "|", "=")
_REMEDY: Final = (
    "Nothing else is unpickled, since a pickle can run any program. Get the file again."
)


class PickledMask(FileTarget):
    """A mask in a pickled array: (H, W), positive on the source.

    It has the shape of its picture, or is square, for a squeezed picture.
    """

    def load(self, shape: Shape | None) -> Mask:
        """Read the mask; see ``FileTarget``."""
        mask = read_pickled_mask(self.path)
        height, width = mask.shape
        if height != width:
            self.require_shape((height, width), shape)
        return Mask(mask)


def read_pickled_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask: (H, W) bool, true where the array is positive.

    Args:
        path: A pickle of one NumPy array of numbers: (H, W), (1, H, W) or (H, W, 1).

    Raises:
        MissingFileError: There is no such file.
        MediaLimitError: The file or the array is too large.
        UnreadableMediaError: It has another content, or negative values.
    """
    check_file(path, MediaLimits(max_file_size=LARGEST_FILE))
    content = read_small(path, LARGEST_FILE, UnreadableMediaError, _REMEDY)
    try:
        array = _Program(content).run()
    except _TooLargeError as error:
        raise MediaLimitError(
            f"The mask is larger than {LARGEST_ARRAY} values.", "Store it at a usual size.", path
        ) from error
    except _RefusedError as error:
        raise UnreadableMediaError(
            f"The file is no pickled array of numbers ({error}).", _REMEDY, path
        ) from error
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[:, :, 0]
    if array.ndim != 2 or array.size == 0:
        raise UnreadableMediaError(
            "The file holds no mask: one array of rows and columns.", "Get the file again.", path
        )
    if (array < 0).any():  # pixels to be ignored, or bytes that were misread
        raise UnreadableMediaError(
            f"The mask holds negative values, down to {np.nanmin(array):g}.",
            "Store 0 where the source is not, and a positive number where it is.",
            path,
        )
    return np.asarray(array > 0)


class _RefusedError(Exception):
    """A program with which NumPy does not write arrays."""


class _TooLargeError(Exception):
    """An array that exceeds the limit."""


class _Mark:
    """Start of a tuple on the stack."""


@dataclass(frozen=True)
class _Name:
    """A name in the program, as text alone."""

    module: str
    name: str


@dataclass
class _Type:
    """A number type."""

    kind: str
    size: str
    order: str = "="

    def build(self) -> np.dtype[Any]:
        order = "=" if self.order == "|" else self.order
        return np.dtype(f"{order}{self.kind}{self.size}")


@dataclass
class _Array:
    """An array; without a type until its state is known."""

    shape: tuple[int, ...] = ()
    kind: _Type | None = None
    columns_first: bool = False
    axes: tuple[int, ...] | None = None
    content: bytes = field(default=b"", repr=False)

    def build(self) -> NDArray[Any]:
        if self.kind is None:
            raise _RefusedError("the array has no size or type")
        kind = self.kind.build()
        if len(self.content) != math.prod(self.shape) * kind.itemsize:
            raise _RefusedError("the array's size is not that of its content")
        values = np.frombuffer(self.content, dtype=kind)
        array = values.reshape(self.shape, order="F" if self.columns_first else "C")
        return array if self.axes is None else array.transpose(self.axes)


_MULTIARRAY: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC: Final = ("numpy.core.numeric", "numpy._core.numeric")


class _Program:
    """Interpreter of a pickle's instructions, each of them once."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0
        self._stack: list[object] = []
        self._memory: dict[int, object] = {}
        self._decoded = 0

    def run(self) -> NDArray[Any]:
        """Run the program to its end.

        Raises:
            _RefusedError: NumPy does not write arrays with such a program.
            _TooLargeError: The array exceeds the limit.
        """
        for _ in range(_MOST_INSTRUCTIONS):
            code = self._take(1)
            if code == b".":
                found = self._pop()
                if not isinstance(found, _Array):
                    raise _RefusedError("it holds something else")
                return found.build()
            step = _STEPS.get(code)
            if step is None:
                raise _RefusedError("it has an instruction that no array needs")
            step(self)
        raise _RefusedError("it is too long a program for one array")

    # Reading from the file.

    def _take(self, count: int) -> bytes:
        if count > len(self._content) - self._at:
            raise _RefusedError("it is cut off")
        self._at += count
        return self._content[self._at - count : self._at]

    def _number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self._take(count), "little", signed=signed)

    def _line(self) -> bytes:
        end = self._content.find(b"\n", self._at)
        if end < 0:
            raise _RefusedError("it is cut off")
        return self._take(end + 1 - self._at)[:-1]

    def _digits(self, ending: bytes = b"") -> bytes:
        text = self._line().removesuffix(ending)
        if not _NUMBER.fullmatch(text):
            raise _RefusedError("a number is none")
        return text

    def _word(self) -> str:
        return _decoded(self._line()[: _LONGEST_NAME + 1], "ascii")

    # Operations on the stack.

    def push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        if not self._stack:
            raise _RefusedError("it takes more than it has put down")
        return self._stack.pop()

    def protocol(self) -> None:
        if self._number(1) > _NEWEST_PROTOCOL:
            raise _RefusedError("it is of a newer protocol")

    def frame(self) -> None:
        self._take(8)  # only tells how much to read at once

    def short_number(self) -> None:
        """A number in text, or one of the two truth values."""
        text = self._digits()
        self.push(text == b"01" if text in (b"00", b"01") else int(text))

    def long_number(self) -> None:
        self.push(int(self._digits(b"L")))

    def long_bytes(self) -> None:
        size = self._number(1)
        if size > 8:
            raise _RefusedError("a number is too large")
        self.push(self._number(size, signed=True))

    def quoted(self) -> None:
        """A string of Python 2 in quotes, with escapes for what cannot be printed."""
        text = self._line()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise _RefusedError("a text has no quotes")
        self.push(_ESCAPE.sub(_unescaped, text[1:-1]).decode("latin1"))

    def put(self, place: int) -> None:
        """Remember the topmost value."""
        if not self._stack or isinstance(self._stack[-1], _Mark):
            raise _RefusedError("it remembers what is not there")
        if not 0 <= place < _MOST_MEMORIES:
            raise _RefusedError("it remembers more than an array needs")
        self._memory[place] = self._stack[-1]

    def get(self, place: int) -> None:
        """Push a remembered value."""
        if place not in self._memory:
            raise _RefusedError("it wants what it does not remember")
        self.push(self._memory[place])

    def name(self) -> None:
        self._push_name(self._word(), self._word())

    def name_from_stack(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise _RefusedError("a name is no text")
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        if (module, name) not in _CALLS and (module, name) != ("numpy", "ndarray"):
            raise _RefusedError(f"it names {module[:_LONGEST_NAME]!r}.{name[:_LONGEST_NAME]!r}")
        self.push(_Name(module, name))

    def group(self, count: int) -> None:
        """A tuple of the topmost values."""
        self.push(tuple(reversed([self._unmarked() for _ in range(count)])))

    def group_to_mark(self) -> None:
        values: list[object] = []
        while not isinstance(value := self._pop(), _Mark):
            values.append(value)
        self.push(tuple(reversed(values)))

    def _unmarked(self) -> object:
        value = self._pop()
        if isinstance(value, _Mark):
            raise _RefusedError("a tuple is cut off")
        return value

    def call(self) -> None:
        """Build the result of one of NumPy's functions."""
        arguments, called = self._pop(), self._pop()
        if not isinstance(called, _Name) or not isinstance(arguments, tuple):
            raise _RefusedError("it calls what has no name")
        make = _CALLS.get((called.module, called.name))
        if make is None:
            raise _RefusedError(f"it calls {called.name}")
        self.push(make(self, arguments))

    def build(self) -> None:
        """Give the topmost array or type its state."""
        state, made = self._pop(), self._pop()
        if not isinstance(state, tuple):
            raise _RefusedError("a state is no tuple")
        if isinstance(made, _Type):
            made.order = _byte_order(state)
        elif isinstance(made, _Array):
            if len(state) != 5 or made.kind is not None:
                raise _RefusedError("the array's state is not one of NumPy's")
            _, shape, kind, columns_first, content = state
            self._fill(made, content, kind, shape, columns_first in (True, 1))
        else:
            raise _RefusedError("it gives a state to what has none")
        self.push(made)

    # Results of NumPy's functions.

    def _reconstruct(self, arguments: tuple[object, ...]) -> _Array:
        if not arguments or arguments[0] != _Name("numpy", "ndarray"):
            raise _RefusedError("the array is of a special kind")
        return _Array()

    def _from_buffer(self, arguments: tuple[object, ...]) -> _Array:
        if len(arguments) not in (4, 5) or arguments[3] not in ("C", "F", "K"):
            raise _RefusedError("the array's state is not one of NumPy's")
        content, kind, shape, order, *axes = arguments
        made = _Array()
        self._fill(made, content, kind, shape, order == "F")
        if order == "K" and axes != [None]:  # since NumPy 2.3: the axes in another order
            made.axes = _order_of_axes(axes, len(made.shape))
        return made

    def _type(self, arguments: tuple[object, ...]) -> _Type:
        code = arguments[0] if arguments else None
        found = _TYPE.fullmatch(code) if isinstance(code, str) else None
        if found is None:
            raise _RefusedError("its type is not one of numbers")
        if found[1] + found[2] in ("b2", "b4", "b8", "f1"):
            raise _RefusedError("its type is not one of numbers")
        return _Type(found[1], found[2])

    def _fill(
        self, made: _Array, content: object, kind: object, shape: object, columns_first: bool
    ) -> None:
        """Set the state of an array after checking it."""
        if isinstance(content, str):
            content = self._encoded(content)  # a pickle of Python 2
        if not isinstance(content, bytes) or not isinstance(kind, _Type):
            raise _RefusedError("the array has no size or type")
        if not isinstance(shape, tuple) or len(shape) > 3:
            raise _RefusedError("the array has no rows and columns")
        sizes = tuple(size for size in shape if type(size) is int and 0 <= size < 2**31)
        if len(sizes) < len(shape):
            raise _RefusedError("the array's sizes are none")
        if math.prod(sizes) > LARGEST_ARRAY:
            raise _TooLargeError
        made.shape, made.kind, made.content = sizes, kind, content
        made.columns_first = columns_first

    def _encode(self, arguments: tuple[object, ...]) -> bytes:
        """Bytes that protocols before 3 write as text."""
        if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1"):
            raise _RefusedError("it holds bytes in a strange encoding")
        if not isinstance(arguments[0], str):
            raise _RefusedError("it encodes what is no text")
        return self._encoded(arguments[0])

    def _encoded(self, text: str) -> bytes:
        """Encode a text; bounded in total, as one text may be encoded many times."""
        self._decoded += len(text)
        if self._decoded > LARGEST_FILE:
            raise _TooLargeError
        try:
            return text.encode("latin1")
        except UnicodeEncodeError as error:
            raise _RefusedError("its content is no bytes") from error


def _order_of_axes(given: list[object], count: int) -> tuple[int, ...]:
    wanted = given[0] if given else None
    if isinstance(wanted, tuple) and len(wanted) == count:
        axes = tuple(axis for axis in wanted if type(axis) is int)
        if sorted(axes) == list(range(count)):
            return axes
    raise _RefusedError("the array's axes are in no order")


def _byte_order(state: tuple[object, ...]) -> str:
    """Byte order in NumPy's state of a type: version, byte order, and fields of other types."""
    if not 2 <= len(state) <= 9 or any(isinstance(part, tuple) for part in state):
        raise _RefusedError("its type is not one of numbers")
    for order in _BYTE_ORDERS:
        if isinstance(state[1], str) and state[1] == order:
            return order
    raise _RefusedError("its type has no byte order")


def _unescaped(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if not what:
        raise _RefusedError("a text has wrong escapes")
    return bytes([int(what[1:], 16)]) if what[:1] == b"x" else _ESCAPED.get(what, what)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise _RefusedError("a text is none") from error


def _sized(count: int, encoding: str | None) -> Callable[[_Program], None]:
    """Bytes, or a text in an encoding, behind their length in some bytes."""

    def step(program: _Program) -> None:
        content = program._take(program._number(count))
        program.push(content if encoding is None else _decoded(content, encoding))

    return step


def _constant(value: object) -> Callable[[_Program], None]:
    return lambda program: program.push(value)


def _whole(count: int, signed: bool = False) -> Callable[[_Program], None]:
    return lambda program: program.push(program._number(count, signed))


# Handlers by the byte of each instruction. Lists, dicts, sets, objects, copies of the topmost value
# and all others are missing: no array needs them.
_STEPS: Final[Mapping[bytes, Callable[[_Program], None]]] = {
    b"\x80": _Program.protocol,
    b"\x95": _Program.frame,
    b"(": lambda program: program.push(_Mark()),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"I": _Program.short_number,
    b"L": _Program.long_number,
    b"\x8a": _Program.long_bytes,
    b"J": _whole(4, signed=True),
    b"K": _whole(1),
    b"M": _whole(2),
    b"S": _Program.quoted,
    b"U": _sized(1, "latin1"),
    b"T": _sized(4, "latin1"),
    b"V": lambda program: program.push(_decoded(program._line(), "raw-unicode-escape")),
    b"\x8c": _sized(1, "utf-8"),
    b"X": _sized(4, "utf-8"),
    b"\x8d": _sized(8, "utf-8"),
    b"C": _sized(1, None),
    b"B": _sized(4, None),
    b"\x8e": _sized(8, None),
    b"\x96": _sized(8, None),
    b")": _constant(()),
    b"\x85": lambda program: program.group(1),
    b"\x86": lambda program: program.group(2),
    b"\x87": lambda program: program.group(3),
    b"t": _Program.group_to_mark,
    b"p": lambda program: program.put(int(program._digits())),
    b"q": lambda program: program.put(program._number(1)),
    b"r": lambda program: program.put(program._number(4)),
    b"\x94": lambda program: program.put(len(program._memory)),
    b"g": lambda program: program.get(int(program._digits())),
    b"h": lambda program: program.get(program._number(1)),
    b"j": lambda program: program.get(program._number(4)),
    b"c": _Program.name,
    b"\x93": _Program.name_from_stack,
    b"R": _Program.call,
    b"b": _Program.build,
}
_CALLS: Final[Mapping[tuple[str, str], Callable[[_Program, tuple[object, ...]], object]]] = {
    ("numpy", "dtype"): _Program._type,
    ("_codecs", "encode"): _Program._encode,
    **{(module, "_reconstruct"): _Program._reconstruct for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _Program._from_buffer for module in _NUMERIC},
}
