"""One's own data: a folder with a manifest, such as `tvsl synthetic export` writes.

The manifest has an entry for each picture with its sound, as CSV or JSON Lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from tvsl.data.base import Item, Source, Split, draw_targets
from tvsl.data.files import FileDataSet
from tvsl.data.layouts import inside, name_fault, require_root
from tvsl.data.lists import LARGEST_SIDE, ExpectedMedia, line_error, read_rows, read_text
from tvsl.data.targets import Boxes, FileTarget, Mask, Shape, Target, clipped
from tvsl.encoder import MOST_SOURCES
from tvsl.errors import DataError, VocabularyError, first_problem, shown
from tvsl.media.image import load_object_map
from tvsl.vocabularies import NAMES_FILE, check_names, read_vocabulary, same_name, same_names

MANIFEST_FILES: Final = ("manifest.jsonl", "manifest.csv")
COLUMNS: Final = (
    "id", "frame", "audio", "labels", "boxes", "width", "height", "rate", "duration", "panels",
    "split", "recording",
)  # fmt: skip
_NEEDED: Final = ("id", "frame", "audio")
_NO_LABEL: Final = ""
# Shares may be rounded up a little.
_LARGEST_SHARE: Final = 1.01

_LARGEST_RATE: Final = 10**7
_LONGEST: Final = 10**7
_LARGEST_VALUE: Final = 2**31 - 1
_LONGEST_NAME: Final = 4096


def _number(value: object, info: ValidationInfo) -> object:
    """Refuse true and false for numbers, and texts for numbers outside of CSV."""
    if isinstance(value, bool) or (isinstance(value, str) and info.mode == "json"):
        given = shown(value) if isinstance(value, str) else json.dumps(value)
        raise ValueError(f"{given} is no number")
    return value


_Whole = Annotated[int, BeforeValidator(_number)]
_Number = Annotated[float, BeforeValidator(_number)]
_Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
Corners = tuple[_Number, _Number, _Number, _Number]
"""Left, top, right, bottom."""


class MappedObject(BaseModel):
    """An object of an object map.

    Attributes:
        value: Value of its pixels.
        label: Its class.
        sounds: Whether it is heard.
    """

    value: _Whole = Field(ge=1, le=_LARGEST_VALUE)
    label: str
    sounds: bool = Field(True, strict=True)


class ManifestEntry(BaseModel):
    """A picture with its sound.

    Attributes:
        id: Id of the item.
        frame: File of the picture, relative to the folder.
        audio: File of the sound, relative to the folder.
        labels: Classes of the sounding sources.
        boxes: Boxes by label; a list where nothing is labelled. In pixels of the whole picture
            if its width and height are given, else relative to them.
        width: Width of the picture.
        height: Its height.
        rate: Samples per second of the sound.
        duration: Its length in seconds.
        panels: Number of pictures side by side in it.
        split: Split of the data; all of them when None.
        recording: Id of the recording that several entries are of, such as frames of one video.
        masks: File of an object map, relative to the folder.
        objects: Objects of this map.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: _Name
    frame: _Name
    audio: _Name
    labels: tuple[_Name, ...] = ()
    boxes: dict[str, tuple[Corners, ...]] | tuple[Corners, ...] = {}
    width: _Whole | None = Field(None, gt=0, le=LARGEST_SIDE)
    height: _Whole | None = Field(None, gt=0, le=LARGEST_SIDE)
    rate: _Whole | None = Field(None, gt=0, le=_LARGEST_RATE)
    duration: _Number | None = Field(None, gt=0, le=_LONGEST)
    panels: _Whole = Field(1, ge=1, le=MOST_SOURCES)
    split: Split | None = None
    recording: _Name | None = None
    masks: str | None = None
    objects: tuple[MappedObject, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_other_spelling(cls, content: Any) -> Any:
        """Refuse ``label`` for ``labels``, which would be ignored as other unknown keys are."""
        known = {_stem(name): name for name in cls.model_fields}
        for key in content if isinstance(content, dict) else ():
            meant = known.get(_stem(str(key)), key)
            if key != meant:
                raise ValueError(f"{key!r} is called {meant!r}")
        return content

    @property
    def shape(self) -> Shape | None:
        """Height and width of the picture, where they are given."""
        return None if self.width is None or self.height is None else (self.height, self.width)

    @property
    def shares(self) -> dict[str, tuple[Corners, ...]]:
        """Boxes by label, relative to the picture's width and height; by "" without labels."""
        boxes = self.boxes if isinstance(self.boxes, dict) else {_NO_LABEL: self.boxes}
        width, height = self.width or 1, self.height or 1
        return {
            label: tuple(
                (x1 / width, y1 / height, x2 / width, y2 / height) for x1, y1, x2, y2 in of
            )
            for label, of in boxes.items()
        }


def _stem(name: str) -> str:
    """A name in lower case without the ending of a plural."""
    return name.casefold().rstrip("es")


def read_manifest(path: Path) -> list[tuple[int, ManifestEntry]]:
    """Read a manifest.

    Args:
        path: JSON Lines, or CSV with a first line that names the columns (``COLUMNS``) where its
            name ends in ``.csv``.

    Returns:
        Line number and entry of each line; at least one.

    Raises:
        DataError: It cannot be read, or a line is not valid.
    """
    parse = _csv_lines if path.suffix.lower() == ".csv" else _json_lines
    entries = list(parse(path))
    if not entries:
        raise DataError("The manifest is empty.", "Write a line for each picture.", path)
    for number, entry in entries:
        _check(path, number, entry)
    return entries


def parse_boxes(text: str) -> dict[str, list[list[float]]] | list[list[float]]:
    """Parse the boxes of a cell: ``dog:0.1 0.2 0.5 0.9;cat:…``, or without labels.

    Returns:
        Boxes by label, or a list where nothing is labelled.

    Raises:
        ValueError: The text has another form.
    """
    labelled: dict[str, list[list[float]]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        label, _, corners = part.rpartition(":")
        box = [float(number) for number in corners.split()]
        if len(box) != 4:
            raise ValueError(f"{part!r} is no box: label:left top right bottom")
        labelled.setdefault(label.strip(), []).append(box)
    return labelled.get(_NO_LABEL, []) if set(labelled) <= {_NO_LABEL} else dict(labelled)


def _csv_lines(path: Path) -> Iterator[tuple[int, ManifestEntry]]:
    head, *rows = read_rows(path, range(1, len(COLUMNS) + 1))
    unknown = [column for column in head.cells if column not in COLUMNS]
    missing = [column for column in _NEEDED if column not in head.cells]
    if unknown or missing or len(set(head.cells)) < len(head.cells):
        raise line_error(path, head.line, f"must name columns of {', '.join(COLUMNS)}, each once")
    for row in rows:
        if len(row.cells) != len(head.cells):
            raise line_error(path, row.line, f"has {len(row.cells)} of {len(head.cells)} columns")
        cells = {column: cell for column, cell in zip(head.cells, row.cells, strict=True) if cell}
        yield row.line, _parse_cells(path, row.line, cells)


def _parse_cells(path: Path, number: int, cells: dict[str, str]) -> ManifestEntry:
    content: dict[str, object] = dict(cells)
    if "labels" in cells:
        content["labels"] = [label.strip() for label in cells["labels"].split(";")]
    try:
        if "boxes" in cells:
            content["boxes"] = parse_boxes(cells["boxes"])
        return ManifestEntry.model_validate(content)
    except ValidationError as error:
        raise line_error(path, number, f"cannot be read: {first_problem(error)}") from error
    except ValueError as error:
        raise line_error(path, number, f"cannot be read: {error}") from error


def _json_lines(path: Path) -> Iterator[tuple[int, ManifestEntry]]:
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            try:
                yield number, ManifestEntry.model_validate_json(text)
            except ValidationError as error:
                raise line_error(path, number, f"cannot be read: {first_problem(error)}") from error


def _check(path: Path, number: int, entry: ManifestEntry) -> None:
    """Refuse an entry that contradicts itself or names files outside the folder."""
    if not entry.id.isprintable():
        raise line_error(path, number, f"has an id that is no plain text: {shown(entry.id)}")
    for name in (entry.frame, entry.audio, entry.masks):
        fault = None if name is None else name_fault(name)
        if fault is not None:
            raise line_error(path, number, f"has the file {shown(name)}, which {fault}")
    boxes = entry.shares
    for labels in (entry.labels, [label for label in boxes if label != _NO_LABEL]):
        try:
            check_names(labels or ("none",))
        except VocabularyError as error:
            problem = error.problem.removesuffix(".")
            raise line_error(
                path, number, f"has wrong labels; boxes of one label are one source: {problem}"
            ) from error
    known = same_names(entry.labels or (_NO_LABEL,))
    strange: Sequence[str] = sorted(label for label in boxes if same_name(label) not in known)
    if strange:
        which = f"{shown(strange[0])}, which is none of its labels" if strange[0] else "no label"
        raise line_error(path, number, f"has boxes of {which}")
    if (entry.width is None) != (entry.height is None):
        raise line_error(path, number, "must have both width and height, or none of them")
    if entry.width is None and any(
        max(box) > _LARGEST_SHARE for of in boxes.values() for box in of
    ):
        raise line_error(
            path, number, "has boxes in pixels, which need the picture's width and height"
        )


@dataclass(frozen=True)
class MappedObjects(FileTarget):
    """Objects of an object map, an image file whose pixel values number its objects.

    Attributes:
        values: Values of the objects.
    """

    values: tuple[int, ...]

    def load(self, shape: Shape | None) -> Mask:
        """The objects' pixels; see ``FileTarget``."""
        objects = load_object_map(self.path)
        height, width = objects.shape
        self.require_shape((height, width), shape, "map of objects")
        return Mask(np.isin(objects, self.values))


class FolderData(FileDataSet):
    """A folder with ``manifest.jsonl`` or ``manifest.csv``.

    Pictures are scored at their own size; those whose shorter side is longer than ``side`` are
    scored as small as that.

    Attributes:
        manifest: The manifest, if it is not in the folder.
        vocabulary: Text file of the classes among which to detect, one a line. By default
            ``names.txt`` of the folder, or else all labels of the manifest, sorted.
        truth: Ground truth of the scores: ``boxes``, or ``masks``.
        squeeze: Whether pictures are squeezed into a square, as the benchmarks do.
    """

    name: ClassVar[str] = "folder"
    title: ClassVar[str] = "Folder"
    splits: ClassVar[tuple[Split, ...]] = ("test", "train", "validation")
    manifest: Path | None = None
    vocabulary: Path | None = None
    truth: Literal["boxes", "masks"] = "boxes"
    squeeze: bool = False

    @property
    def square(self) -> bool:
        """The option ``squeeze``."""
        return self.squeeze

    @property
    def several(self) -> bool:
        """Tell whether any item has several sources."""
        return any(len(item.sources) > 1 for item in self.items)

    @property
    def layout(self) -> str:
        """The manifest; see the base class."""
        return self._manifest.name

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Classes among which to detect; empty where nothing is labelled."""
        own = self.root / NAMES_FILE
        path = self.vocabulary or (own if own.is_file() else None)
        if path is not None:
            return read_vocabulary(path)
        labels = (label for _, entry in self._entries for label in entry.labels)
        first: dict[str, str] = {}
        for label in labels:
            first.setdefault(same_name(label), label)
        return tuple(sorted(first.values()))

    @cached_property
    def _by_form(self) -> dict[str, str]:
        """Class names by their normal form."""
        return dict(zip(same_names(self.names), self.names, strict=True))

    def listed(self, split: Split) -> Iterator[Item]:
        """Entries of a split, and those without one; see the base class."""
        entries = [(line, entry) for line, entry in self._entries if entry.split in (None, split)]
        if not entries:
            raise DataError(
                f"No line of the manifest is of the split '{split}'.",
                "Choose another split, or correct the manifest.",
                self._manifest,
            )
        for line, entry in entries:
            frame, audio = inside(self.root, entry.frame), inside(self.root, entry.audio)
            boxes = tuple(box for of in entry.shares.values() for box in of)
            boxes = boxes if self.truth == "boxes" else ()
            expected = ExpectedMedia(
                self._manifest, line, entry.shape, entry.rate, entry.duration, boxes
            )
            yield Item(
                entry.id,
                (frame,),
                (audio,),
                self._sources(line, entry),
                entry.panels,
                (expected,),
                entry.recording,
            )

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Lines of other splits; see the base class."""
        others = sum(entry.split not in (None, self.split) for _, entry in self._entries)
        return {"lines of other splits": others} if others else {}

    def has_items(self, split: Split) -> bool:
        """Tell whether an entry is of the split, or of all; see the base class."""
        return any(entry.split in (None, split) for _, entry in self._entries)

    def targets(self, item: Item, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Targets at the picture's own size; see the base class."""
        height, width = pictures[0].shape[:2]
        if self.squeeze:
            return super().targets(item, pictures)
        scale = min(1.0, self.side / min(height, width))
        size = round(height * scale), round(width * scale)
        return draw_targets(item.sources, item.panels, *size)

    @cached_property
    def _manifest(self) -> Path:
        require_root(self.root)
        if self.manifest is not None:
            return self.manifest
        for file in MANIFEST_FILES:
            if (self.root / file).is_file():
                return self.root / file
        raise DataError(
            "The folder has no manifest.",
            f"Write {' or '.join(MANIFEST_FILES)} into it, or give the option manifest.",
            self.root,
        )

    @cached_property
    def _entries(self) -> list[tuple[int, ManifestEntry]]:
        return read_manifest(self._manifest)

    def _sources(self, line: int, entry: ManifestEntry) -> tuple[Source, ...]:
        forms = same_names(entry.labels)
        for label, form in zip(entry.labels, forms, strict=True):
            if form not in self._by_form:
                raise line_error(
                    self._manifest, line, f"has a label that is no class: {shown(label)}"
                )
        named = [(self._by_form[form], form) for form in forms]
        if self.truth == "masks":
            return tuple(Source(name, self._objects(line, entry, form)) for name, form in named)
        boxes = {
            same_name(label): Boxes(tuple(box for box in map(clipped, of) if box is not None))
            for label, of in entry.shares.items()
        }
        if not forms:
            return (Source(None, boxes.get("", Boxes(()))),)
        return tuple(Source(name, boxes.get(form, Boxes(()))) for name, form in named)

    def _objects(self, line: int, entry: ManifestEntry, form: str) -> Target:
        if entry.masks is None:
            raise line_error(self._manifest, line, "has no masks")
        objects = (thing for thing in entry.objects if thing.sounds)
        found = (thing for thing in objects if same_name(thing.label) == form)
        return MappedObjects(inside(self.root, entry.masks), tuple(thing.value for thing in found))
