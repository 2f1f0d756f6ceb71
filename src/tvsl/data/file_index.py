"""Index of photographs and sounds by class: their splits, roles, licences, boxes and masks.

An index is a table, ``index.csv``, with a line for each file. Photographs and sounds are not
paired: whatever has one class belongs together.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tvsl.data.base import Item, Sample, Source, Split, draw_targets, normal_form
from tvsl.data.files import FileDataSet
from tvsl.data.layouts import digest_of, inside, name_fault, require_root
from tvsl.data.lists import line_error, read_rows
from tvsl.data.targets import (
    Boxes,
    FileTarget,
    Mask,
    Nowhere,
    RelativeBox,
    Shape,
    Target,
    loaded,
)
from tvsl.errors import DataError, UnreadableMediaError, first_problem, shown
from tvsl.media import crop_center, load_audio, load_image, require_sound
from tvsl.media.image import load_object_map
from tvsl.utils.files import unguarded

INDEX_FILE: Final = "index.csv"
COLUMNS: Final = (
    "file", "kind", "class", "split", "role", "licence", "attribution", "origin", "box",
    "box_source", "mask", "group", "sha256", "note",
)  # fmt: skip
_NEEDED: Final = ("file", "kind", "class", "split", "role")
_SPLITS: Final = {"val": "validation"}
_HEXADECIMAL: Final = r"^[0-9a-f]{64}$"
_OUTLINE: Final = 128
_DEVELOPMENT_FOLDS: Final = 5

Kind = Literal["photo", "sound"]
Role = Literal["sounding", "silent", "off-screen"]

PERMISSIVE: Final = ("CC-BY", "CC0", "MIT", "public-domain")
"""Families of licences that ask for no more than a notice."""


class IndexLine(BaseModel):
    """A line of an index.

    Attributes:
        file: File relative to the folder.
        kind: Photograph or sound.
        label: Its class, in the column ``class``.
        split: Split of the data.
        role: ``sounding`` classes have photographs and sounds, ``silent`` ones photographs alone,
            ``off-screen`` ones sounds alone.
        licence: Its licence, such as "CC-BY-4.0".
        attribution: Author and source.
        origin: Description of how it was made.
        box: Object of a photograph, relative to its width and height. A silent photograph without
            one is a background.
        box_source: Description of how the box was drawn.
        mask: File of the object's outline, white on black, relative to the folder.
        group: Name of the source; files of one source are in one split.
        sha256: SHA-256 of the file.
        note: Remark.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, populate_by_name=True)

    file: str = Field(min_length=1)
    kind: Kind
    label: str = Field(min_length=1, alias="class")
    split: Split
    role: Role
    licence: str = ""
    attribution: str = ""
    origin: str = ""
    box: RelativeBox | None = None
    box_source: str = ""
    mask: str | None = None
    group: str | None = None
    sha256: str | None = Field(None, pattern=_HEXADECIMAL)
    note: str = ""

    @field_validator("split", mode="before")
    @classmethod
    def _long_split(cls, value: Any) -> Any:
        return _SPLITS.get(value, value) if isinstance(value, str) else value

    @field_validator("box", mode="before")
    @classmethod
    def _corners(cls, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _agrees(self) -> IndexLine:
        if not normal_form(self.label):
            raise ValueError(f"{self.label!r} names no class")
        for name in (self.file, self.mask):
            fault = None if name is None else name_fault(name)
            if fault is not None:
                raise ValueError(f"the file {shown(name)} {fault}")
        if self.kind == "sound" and (self.box is not None or self.mask is not None):
            raise ValueError("a sound has no box and no mask")
        allowed = ("sounding", "silent") if self.kind == "photo" else ("sounding", "off-screen")
        if self.role not in allowed:
            raise ValueError(f"a {self.kind} is not {self.role}, but {' or '.join(allowed)}")
        if self.mask is not None and self.box is None:
            raise ValueError("a mask needs its box")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    "a box is left, top, right and bottom, from 0 to 1, the first two smaller"
                )
        return self


@dataclass(frozen=True)
class IndexedFile:
    """A photograph or sound of an index.

    Attributes:
        name: Its name in the index, which is its id.
        path: The file.
        kind: Photograph or sound.
        label: Natural name of its class, with spaces in place of underscores.
        split: Its split.
        role: Role of its class.
        licence: Its licence.
        attribution: Author and source, for notices.
        box: Its object.
        mask: File of the object's outline.
        sha256: SHA-256 that the file should have.
        group: Name of its source, or its own name.
    """

    name: str
    path: Path
    kind: Kind
    label: str
    split: Split
    role: Role
    licence: str = ""
    attribution: str = ""
    box: RelativeBox | None = None
    mask: Path | None = None
    sha256: str | None = None
    group: str = ""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file, and that of its outline."""
        return (self.path,) if self.mask is None else (self.path, self.mask)

    @property
    def target(self) -> Target:
        """Place of the object in the photograph."""
        if self.kind == "sound" or (self.box is None and self.role == "silent"):
            return Nowhere()
        if self.mask is not None:
            return OutlineTarget(self.mask)
        return Boxes(() if self.box is None else (self.box,))


@dataclass(frozen=True)
class OutlineTarget(FileTarget):
    """An object's outline, an image file that is white on the object."""

    def load(self, shape: Shape | None) -> Mask:
        """The object's pixels; see ``FileTarget``."""
        values = load_object_map(self.path)
        height, width = values.shape
        self.require_shape((height, width), shape, picture="photograph")
        # Masks of 0 and 1 are as common as those of 0 and 255.
        outline = values >= (_OUTLINE if values.max() >= _OUTLINE else 1)
        if not outline.any():
            raise UnreadableMediaError(
                "The mask is empty.", "Draw the object in white, or leave the mask out.", self.path
            )
        return Mask(outline)


def read_index(path: Path, root: Path) -> tuple[IndexedFile, ...]:
    """Read an index.

    Args:
        path: A table with commas whose first line names the columns (``COLUMNS``).
        root: Folder of its files.

    Returns:
        Its files, at least one, in their order.

    Raises:
        DataError: It cannot be read, a line is not valid, a file is listed twice, or a class or a
            source is used in two ways.
    """
    head, *rows = read_rows(path, range(1, len(COLUMNS) + 1))
    unknown = [column for column in head.cells if column not in COLUMNS]
    missing = [column for column in _NEEDED if column not in head.cells]
    if unknown or missing or len(set(head.cells)) < len(head.cells):
        raise line_error(
            path,
            head.line,
            f"must name {', '.join(_NEEDED)} and others of {', '.join(COLUMNS)}, each once",
        )
    if not rows:
        raise DataError("The index lists no file.", "Write a line for each file.", path)
    lines = []
    for row in rows:
        if len(row.cells) != len(head.cells):
            raise line_error(path, row.line, f"has {len(row.cells)} of {len(head.cells)} columns")
        texts = (unguarded(cell) for cell in row.cells)
        cells = {column: cell for column, cell in zip(head.cells, texts, strict=True) if cell}
        try:
            lines.append((row.line, IndexLine.model_validate(cells)))
        except ValidationError as error:
            raise line_error(path, row.line, f"cannot be read: {first_problem(error)}") from error
    _check_lines(path, lines)
    names = _natural_names(line.label for _, line in lines)
    return tuple(
        IndexedFile(
            line.file,
            inside(root, line.file),
            line.kind,
            names[normal_form(line.label)],
            line.split,
            line.role,
            line.licence,
            line.attribution,
            line.box,
            None if line.mask is None else inside(root, line.mask),
            line.sha256,
            line.group or line.file,
        )
        for _, line in lines
    )


def _check_lines(path: Path, lines: Iterable[tuple[int, IndexLine]]) -> None:
    """Refuse files that are listed twice, and classes and sources that are used in two ways."""
    files: dict[str, int] = {}
    roles: dict[str, tuple[Role, int]] = {}
    splits: dict[str, tuple[Split, int]] = {}
    for number, line in lines:
        earlier = files.setdefault(line.file, number)
        if earlier != number:
            raise line_error(path, number, f"repeats {shown(line.file)} of line {earlier}")
        role, first = roles.setdefault(normal_form(line.label), (line.role, number))
        if role != line.role:
            raise line_error(
                path,
                number,
                f"calls {shown(line.label)} {line.role}, which is {role} in line {first}",
            )
        if line.group is not None:
            split, first = splits.setdefault(line.group, (line.split, number))
            if split != line.split:
                raise line_error(
                    path,
                    number,
                    f"puts the source {shown(line.group)} into the split '{line.split}', and line "
                    f"{first} into '{split}'",
                )


def _natural_names(labels: Iterable[str]) -> dict[str, str]:
    """Names of classes as they are asked for, by their normal forms; the first spelling counts."""
    names: dict[str, str] = {}
    for label in labels:
        natural = unicodedata.normalize("NFC", re.sub(r"_+", " ", label).strip())
        names.setdefault(normal_form(label), natural)
    return names


def development_split(files: Sequence[IndexedFile]) -> tuple[IndexedFile, ...]:
    """Split files anew, so that what is tested in development is not what is published.

    Files to validate on become those to test on. About a fifth of the training files of each class
    and kind, whole sources only, become those to validate on. Files to test on are left out.

    Returns:
        The files with their new splits, in their order; the same whatever else is listed of the
        other splits.
    """
    train = [file for file in files if file.split == "train"]
    held_back: set[str] = set()
    for key in sorted({(file.label, file.kind) for file in train}):
        sizes = Counter(file.group for file in train if (file.label, file.kind) == key)
        # Small sources first, so that a class of few large ones keeps most of its files.
        order = sorted(
            sizes, key=lambda group: (sizes[group], hashlib.sha256(group.encode()).digest())
        )
        held = sum(sizes[group] for group in order if group in held_back)
        free = [group for group in order if group not in held_back]
        while len(free) > 1 and held < sum(sizes.values()) / _DEVELOPMENT_FOLDS:
            group = free.pop(0)
            held_back.add(group)
            held += sizes[group]
    splits: dict[Split, Split] = {"train": "train", "validation": "test"}
    return tuple(
        replace(file, split="validation" if file.group in held_back else splits[file.split])
        for file in files
        if file.split in splits
    )


def licence_family(licence: str) -> str:
    """A licence without its version and remarks: "CC-BY-4.0" is "CC-BY"."""
    return re.sub(r"[- ]v?\d+(\.\d+)+\+?.*$|\s*\(.*$", "", licence).strip()


def has_licence(file: IndexedFile, allowed: Collection[str]) -> bool:
    """Tell whether a file has one of some licences.

    Args:
        file: The file.
        allowed: Licences, or their families; case makes no difference.
    """
    known = {name.casefold() for name in allowed}
    return not known.isdisjoint({file.licence.casefold(), licence_family(file.licence).casefold()})


def check_digest(file: IndexedFile) -> None:
    """Compare a file with the SHA-256 of its index.

    Raises:
        MissingFileError: There is no such file, or it cannot be read.
        UnreadableMediaError: It is another file.
    """
    if file.sha256 is None:
        return
    digest = digest_of(file.path)
    if digest != file.sha256:
        raise UnreadableMediaError(
            f"The file is not that of the index: its SHA-256 is {digest}.",
            "Get the file again, or correct the index.",
            file.path,
        )


@lru_cache(8)
def _read_once(path: Path, root: Path, *stamp: int) -> tuple[IndexedFile, ...]:  # noqa: ARG001
    """An index as it is at a time, which the stamp tells: training opens it many times."""
    return read_index(path, root)


class IndexedData(FileDataSet):
    """Base of data sets with an index.

    Attributes:
        index: The index, if it is not ``index.csv`` of the folder.
        licences: Licences of the files that are used, or their families ("CC-BY"): all of them when
            None. "permissive" stands for CC BY, CC0, MIT and public domain.
        hashes: Whether files are compared with their SHA-256 when they are read.
        development: Whether files are split for development, which leaves the final test files
            alone: see ``development_split``.
    """

    splits: ClassVar[tuple[Split, ...]] = ("test", "train", "validation")
    index: Path | None = None
    licences: tuple[str, ...] | str | None = None
    hashes: bool = False
    development: bool = False

    @property
    def layout(self) -> str:
        """The index; see the base class."""
        return self.index_path.name

    @property
    def index_path(self) -> Path:
        """The index.

        Raises:
            DataError: There is no such folder, or no index in it.
        """
        require_root(self.root)
        path = self.index or self.root / INDEX_FILE
        if not path.is_file():
            raise DataError(
                "There is no index.",
                f"Make one by `tvsl data index {self.root}`, or give the option index.",
                path,
            )
        return path

    @cached_property
    def allowed(self) -> tuple[str, ...] | None:
        """Allowed licences; None for all."""
        if isinstance(self.licences, str):
            return PERMISSIVE if self.licences == "permissive" else (self.licences,)
        return self.licences

    @cached_property
    def indexed(self) -> tuple[IndexedFile, ...]:
        """Files of the index with an allowed licence, of all splits.

        Raises:
            DataError: The index cannot be used, or no file has such a licence.
        """
        path = self.index_path
        status = path.stat()
        files = _read_once(path, self.root, status.st_mtime_ns, status.st_size)
        if self.development:
            files = development_split(files)
        if self.allowed is None:
            return files
        found = tuple(file for file in files if has_licence(file, self.allowed))
        if not found:
            known = ", ".join(sorted({file.licence for file in files}))
            raise DataError(
                f"No file has a licence of {', '.join(self.allowed)}.",
                f"Licences of the index: {known}.",
                self.index_path,
            )
        return found

    def has_items(self, split: Split) -> bool:
        """Tell whether the index has files of a split."""
        return any(file.split == split for file in self.indexed)


class IndexFiles(IndexedData):
    """The files of an index one by one, to be checked."""

    name: ClassVar[str] = "real"
    title: ClassVar[str] = "Files of an index"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All classes."""
        return tuple(sorted({file.label for file in self.indexed}))

    def listed(self, split: Split) -> Iterator[Item]:
        """Files of a split; see the base class."""
        if not self.has_items(split):
            raise DataError(
                f"No line of the index is of the split '{split}'.",
                "Choose another split, such as --option split=validation, or correct the index.",
                self.index_path,
            )
        for file in self.indexed:
            if file.split == split:
                paths = (file.path,)
                pictures, sounds = (paths, ()) if file.kind == "photo" else ((), paths)
                yield Item(file.name, pictures, sounds, (Source(file.label, file.target),))

    def read(self, item: Item, sample_rate: int) -> Sample:
        """Read one file; see the base class."""
        file = self._by_name[item.id]
        if self.hashes:
            check_digest(file)
        if file.kind == "sound":
            sound = load_sound(file.path, sample_rate, self.window)
            return Sample((), sound, np.zeros((1, self.side, self.side), dtype=np.float32))
        picture = load_image(file.path)
        shape = (picture.shape[0], picture.shape[1])
        source = Source(file.label, loaded(file.target, shape, [shape]))
        targets = draw_targets([source], 1, self.side, self.side)
        return Sample((picture,), np.zeros(0, dtype=np.float32), targets)

    @cached_property
    def _by_name(self) -> dict[str, IndexedFile]:
        return {file.name: file for file in self.indexed}


def load_sound(path: Path, sample_rate: int, window: float | None) -> NDArray[np.float32]:
    """Load a sound, or the middle of a longer one: mono, (S,).

    Args:
        path: The sound.
        sample_rate: Samples per second of the result.
        window: Longest result in seconds; the whole sound when None.

    Raises:
        MediaError: The file cannot be used, or is silent.
    """
    if window is None:
        sound = load_audio(path, sample_rate)
    else:
        sound = crop_center(path, window, sample_rate)
    return require_sound(sound, path).samples


def by_class(files: Sequence[IndexedFile]) -> dict[str, tuple[IndexedFile, ...]]:
    """Files by their classes, classes and files in order of their names."""
    found: dict[str, list[IndexedFile]] = {}
    for file in sorted(files, key=lambda one: (one.label, one.name)):
        found.setdefault(file.label, []).append(file)
    return {label: tuple(some) for label, some in found.items()}
