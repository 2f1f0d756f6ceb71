"""Folders that hold a model: ``config.json``, ``model.safetensors``, ``README.md``.

Encoders and heads are stored in this form. Nothing in it is ever unpickled. ``tvsl.json`` names the
files that were written, which alone may be replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tvsl import __version__
from tvsl.errors import OutputError, UsageError, WeightsError, shown
from tvsl.utils.atomic import (
    foreign_record,
    is_inner_name,
    staged,
    writable,
    write_whole,
)
from tvsl.utils.files import LARGEST_CONFIG, read_small_json
from tvsl.utils.run_folder import read_record

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CONFIG_FILE = "config.json"
TENSORS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
CARD_FILE = "README.md"
HEAD_FOLDER = "head"
"""Subfolder of the head in a bundle, the folder of an encoder with its head."""
LARGEST_TENSORS = 1 << 34
"""Maximum bytes of a file of tensors; the public model has half a gigabyte."""

_STORED_TYPES = frozenset(["F16", "BF16", "F32", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"])
_FLOATS = frozenset(["F16", "BF16", "F32", "F64"])

PROVENANCE_FILE = "PROVENANCE.json"
NOTICE_FILES = ("NOTICE", PROVENANCE_FILE)
"""Files beside a model that holds weights of others."""
OWN_FILES = (CONFIG_FILE, TENSORS_FILE, TOKENIZER_FILE, CARD_FILE, *NOTICE_FILES)
"""Names of the files that a model may have; whether tvsl wrote such a file, its record tells."""
RECORD_FILE: Final = "tvsl.json"
"""Record of the files that were written."""

ModelKind = Literal["encoder", "head"]
CARD_TITLES: Final[Mapping[ModelKind, str]] = {
    "encoder": "# An encoder for tvsl",
    "head": "# A head for tvsl",
}
"""Beginnings of the cards that tvsl writes where none is given."""
_MARKS: Final[Mapping[ModelKind, tuple[frozenset[str], ...]]] = {
    "encoder": (
        frozenset({"embedding", "waveform_scale", "image", "audio", "text"}),
        frozenset({"encoder", "embedding", "space", "pieces"}),
    ),
    "head": (frozenset({"format", "method", "encoder_sha256", "config", "notes"}),),
}
"""Keys of ``config.json`` by which a folder without a record, of an earlier version, is known."""
_METADATA: Final = {"format": "pt"}
_TYPES: Final = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.int16": "I16",
    "torch.int8": "I8",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}


@contextmanager
def writing(folder: Path, force: bool, kind: ModelKind) -> Iterator[Path]:
    """Write the files of a model atomically, with a record of their names.

    Args:
        folder: The target folder; other files there stay.
        force: Whether an existing model of this kind may be replaced.
        kind: Kind of the model.

    Raises:
        OutputError: The folder is not empty and ``force`` is not set, it holds no model of this
            kind, a file that tvsl did not write is in the way, or it cannot be written.
    """
    with _writing(folder, force, {"": kind}) as work:
        yield work


@contextmanager
def writing_bundle(folder: Path, force: bool) -> Iterator[Path]:
    """Write the files of an encoder and its head atomically, with records of their names.

    Args:
        folder: The target folder; other files there stay.
        force: Whether an existing encoder and head may be replaced.

    Raises:
        OutputError: As for ``writing``.
    """
    with _writing(folder, force, {"": "encoder", HEAD_FOLDER: "head"}) as work:
        yield work


@contextmanager
def _writing(folder: Path, force: bool, parts: Mapping[str, ModelKind]) -> Iterator[Path]:
    """Write models atomically, by the subfolders that they take."""
    unchanged: set[str] = set()

    def earlier(folder: Path) -> set[str]:
        names = set(unchanged)
        for part, kind in parts.items():
            found = _earlier_files(folder / part, kind)
            names |= {Path(part, name).as_posix() for name in found}
        return names

    with staged(folder, CONFIG_FILE, force, earlier) as work, writable(folder):
        yield work
        for part, kind in parts.items():
            _write_record(work / part, kind)
        made = _files(work)
        # Nothing is lost where the same takes its place, whoever wrote it.
        unchanged |= {name for name in made if _is_same(folder / name, work / name)}
        if "encoder" in parts.values() and TOKENIZER_FILE not in made:
            _check_no_tokenizer(folder, earlier(folder))


def _files(folder: Path) -> list[str]:
    """Names of all files in a folder, relative to it, sorted."""
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _is_same(path: Path, other: Path) -> bool:
    return path.is_file() and not path.is_symlink() and cmp(path, other, shallow=False)


def _check_no_tokenizer(folder: Path, earlier: set[str]) -> None:
    """Refuse to leave a tokenizer beside an encoder that has none: it would be read as its own."""
    path = folder / TOKENIZER_FILE
    if os.path.lexists(path) and TOKENIZER_FILE not in earlier:
        raise OutputError(
            "This would be taken for the tokenizer of the encoder.", "Move it elsewhere.", path
        )


def _write_record(folder: Path, kind: ModelKind) -> None:
    """Record the files of a model; a head in an encoder's folder has a record of its own."""
    names = [name for name in _files(folder) if name != RECORD_FILE]
    if kind == "encoder":
        names = [name for name in names if not name.startswith(f"{HEAD_FOLDER}/")]
    content = {"tvsl": __version__, "kind": kind, "files": names}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")


def _earlier_files(folder: Path, kind: ModelKind) -> list[str]:
    """Names of the files that tvsl wrote for an earlier model of this kind."""
    path = folder / RECORD_FILE
    record = read_record(path, {"tvsl", "kind", "files"}, LARGEST_CONFIG)
    if record is None:
        return _unrecorded_files(folder, kind)
    names = record["files"]
    known = isinstance(names, list) and all(is_inner_name(name) for name in names)
    if record["kind"] != kind or not known:
        raise foreign_record(path)
    return [*names, RECORD_FILE]


def _unrecorded_files(folder: Path, kind: ModelKind) -> list[str]:
    """Names of the files that an earlier version surely wrote; it kept no record."""
    path = folder / CONFIG_FILE
    config = read_record(path, frozenset(), LARGEST_CONFIG)
    if config is None:
        return []
    if not any(keys <= config.keys() for keys in _MARKS[kind]):
        raise foreign_record(path)
    names = [CONFIG_FILE, TENSORS_FILE]
    return [*names, CARD_FILE] if _has_own_card(folder, kind) else names


def _has_own_card(folder: Path, kind: ModelKind) -> bool:
    path, title = folder / CARD_FILE, CARD_TITLES[kind].encode()
    if not path.is_file():
        return False
    with writable(path, "file"), path.open("rb") as stream:
        return stream.read(len(title)) == title


def fingerprint(description: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a model, the same for every file format.

    Args:
        description: Its config, as text.
        tensors: Its tensors by name; their order does not count.

    Returns:
        64 hexadecimal digits, over the description, names, shapes and values.
    """
    digest = hashlib.sha256(description.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def is_encoder(config: Mapping[str, Any]) -> bool:
    """Tell whether this is the config of an encoder."""
    return "embedding" in config and not is_head(config)


def is_head(config: Mapping[str, Any]) -> bool:
    """Tell whether this is the config of a head."""
    return "method" in config


def existing_folder(folder: Path, holds: str) -> Path:
    """Check that a folder has the required files of a model.

    Args:
        folder: The folder.
        holds: Kind of the model, for the message.

    Raises:
        WeightsError: The folder or a file is missing.
    """
    remedy = f"Give the folder of {holds}: {CONFIG_FILE} and {TENSORS_FILE}."
    if folder.exists() and not folder.is_dir():
        raise WeightsError("This is a file, not a folder.", remedy, folder)
    if not folder.is_dir():
        raise WeightsError("There is no such folder.", remedy, folder)
    for name in (CONFIG_FILE, TENSORS_FILE):
        if not (folder / name).is_file():
            raise WeightsError(f"The folder lacks {name}.", remedy, folder)
    return folder


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        remedy: Remedy, for the message.

    Raises:
        WeightsError: The file cannot be read, or holds something else.
    """
    content = read_small_json(path, LARGEST_CONFIG, WeightsError, remedy)
    if not isinstance(content, dict):
        raise WeightsError("The file holds no JSON object.", remedy, path)
    return content


def read_tensors(path: Path, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors and the metadata of its header.

    Args:
        path: The file.
        remedy: Remedy, for the message.

    Raises:
        WeightsError: It is truncated, damaged, too large or unreadable, or holds values of types
            that no model of this package has.
    """
    from safetensors import SafetensorError, safe_open

    try:
        _check_header(path, remedy)
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            for name in names:
                part = file.get_slice(name)
                stored = part.get_dtype()
                if max(part.get_shape(), default=0) > LARGEST_TENSORS:
                    raise ValueError(f"{name} has no such shape")
                if stored not in _STORED_TYPES:
                    raise WeightsError(
                        f"{shown(name)} is stored as {shown(stored)}, not as numbers of a model.",
                        remedy,
                        path,
                    )
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, OverflowError, RuntimeError) as error:
        raise WeightsError("The file is truncated or damaged.", remedy, path) from error


def _check_header(path: Path, remedy: str) -> None:
    """Refuse a file that is too large, or has too large a header, which is parsed as a whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if size > LARGEST_TENSORS:
        raise WeightsError(
            f"The file is too large: {LARGEST_TENSORS} bytes are allowed.", remedy, path
        )
    if header > LARGEST_CONFIG:
        raise WeightsError("The file is damaged: its header has no end.", remedy, path)


def storable(tensors: Mapping[str, Tensor], dtype: torch.dtype, path: Path) -> dict[str, Tensor]:
    """Convert tensors for storage: on the CPU, all floating-point tensors in one type.

    Args:
        tensors: A state dict.
        dtype: float16 or float32.
        path: Path of the file, for the message.

    Raises:
        OutputError: A value is not finite, or not in this type.
        UsageError: The type is another one.
    """
    import torch

    if dtype not in (torch.float16, torch.float32):
        raise UsageError(f"Weights are not stored as {dtype}.", "Give torch.float16 or float32.")
    stored = {}
    for name, value in tensors.items():
        converted = value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)
        if not torch.isfinite(converted).all():
            raise OutputError(
                f"'{name}' holds values that are not finite as {str(dtype).split('.')[-1]}.",
                "Store them as float32; where they are not finite either, training diverged.",
                path,
            )
        stored[name] = converted.contiguous().clone()  # safetensors refuses shared memory
    return stored


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] = _METADATA
) -> None:
    """Write tensors as safetensors, always with the same bytes.

    The library's own writer orders the header at random, and leaves a file of another name when it
    is killed.

    Args:
        tensors: Tensors by name, on the CPU.
        path: The file; an existing one is replaced.
        metadata: Metadata of the header.

    Raises:
        OSError: The file cannot be written.
    """
    import torch

    # As the format recommends: large types first, so that offsets are multiples of their size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": _TYPES[str(tensors[name].dtype)],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            values = tensors[name].detach().contiguous().flatten()
            file.write(values.view(torch.uint8).numpy().data)


def keep_tensors(
    tensors: Mapping[str, Tensor],
    path: Path,
    metadata: Mapping[str, str],
    content: str,
    remedy: str = "Make room or choose another place, and start again: what is there will be used.",
) -> None:
    """Write tensors that a long run comes back to: all of the file, or nothing, safe from a crash.

    Args:
        tensors: Tensors by name, on the CPU.
        path: The file; its folder is made.
        metadata: Metadata of the header.
        content: Description of the content, in the plural, for the message.
        remedy: Remedy where they cannot be written.

    Raises:
        OutputError: They cannot be written.
    """
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_whole(path, lambda part: write_tensors(tensors, part, metadata), durable=True)
    except OSError as error:
        raise OutputError(f"{content} cannot be kept ({error}).", remedy, path) from error


def check_tensors(
    expected: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    path: Path,
    problem: str,
    remedy: str,
) -> None:
    """Check that names, shapes and types are those expected, and all values finite.

    Any floating-point type of 16 to 64 bits stands for another; other types must be equal.
    Shapes are compared before any value is read, so that no more memory is needed than the file
    has.

    Args:
        expected: State dict of the model.
        found: Tensors of a file.
        path: The file.
        problem: Problem when names or shapes differ, without a full stop.
        remedy: Remedy, for the message.

    Raises:
        WeightsError: They differ.
    """
    import torch

    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    given = {name: tuple(value.shape) for name, value in found.items()}
    if shapes != given:
        raise WeightsError(f"{problem}: {_difference(shapes, given)}.", remedy, path)
    for name, value in found.items():
        floating = expected[name].is_floating_point() and _TYPES.get(str(value.dtype)) in _FLOATS
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or not (floating or value.dtype == expected[name].dtype):
            raise WeightsError(
                f"{problem}: '{name}' holds {str(value.dtype).split('.')[-1]}, not "
                f"{str(expected[name].dtype).split('.')[-1]}.",
                remedy,
                path,
            )
    broken = [
        name
        for name, value in found.items()
        if value.is_floating_point() and not _is_finite(value.float())
    ]
    negative = [
        name for name, value in found.items() if name.endswith("running_var") and (value < 0).any()
    ]
    if negative:
        raise WeightsError(
            f"'{negative[0]}' holds variances below 0.", "The file is damaged: get it again.", path
        )
    if broken:
        raise WeightsError(
            f"{len(broken)} tensors hold values that are not finite, among them {broken[0]}.",
            "The file is damaged: get it again.",
            path,
        )


def _is_finite(values: Tensor) -> bool:
    """Tell whether all values are finite; their sum, in a fifth of the time, tells it mostly."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def _difference(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str:
    missing, surplus = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or surplus:
        example = shown(min(missing or surplus))
        return f"{len(missing)} tensors missing, {len(surplus)} unknown, among them {example}"
    name = next(name for name in sorted(expected) if expected[name] != found[name])
    return f"'{name}' has shape {found[name]}, not {expected[name]}"
