"""One's own data: a folder with a manifest, such as `tvsl synthetic export` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tvsl.data.base import Item, Source, Split
from tvsl.data.files import FileDataSet, draw_targets
from tvsl.data.layouts import inside, require_root
from tvsl.data.lists import ExpectedMedia, line_error
from tvsl.data.manifest import MANIFEST_FILES, ManifestEntry, read_manifest
from tvsl.data.targets import (
    Boxes,
    FileTarget,
    Mask,
    Shape,
    Target,
    clipped,
    in_pixels,
    same_shape,
)
from tvsl.errors import DataError, UnreadableMediaError, shown
from tvsl.media.image import load_object_map
from tvsl.vocabularies import NAMES_FILE, read_vocabulary, same_name, same_names


@dataclass(frozen=True)
class MappedObjects(FileTarget):
    """Objects of a map of objects.

    Attributes:
        values: Their values.
    """

    values: tuple[int, ...]

    def load(self, shape: Shape | None) -> Mask:
        """The objects' pixels; see ``FileTarget``."""
        objects = load_object_map(self.path)
        height, width = objects.shape
        if shape is not None and not same_shape((height, width), shape):
            raise UnreadableMediaError(
                f"The map of objects has {in_pixels((height, width))} pixels, its picture "
                f"{in_pixels(shape)}.",
                "Check which of them is turned, and that they belong together.",
                self.path,
            )
        return Mask(np.isin(objects, self.values))


class FolderData(FileDataSet):
    """A folder with ``manifest.jsonl`` or ``manifest.csv``.

    Pictures are scored at their own size; those whose shorter side is longer than ``side`` are
    scored as small as that.

    Attributes:
        manifest: The manifest, where it is not in the folder.
        vocabulary: Text file of the classes among which to detect, one a line. ``names.txt`` of
            the folder where it is not given, or all labels of the manifest in their order.
        truth: What maps are scored against: ``boxes``, or ``masks``.
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
        """As ``squeeze`` says."""
        return self.squeeze

    @property
    def several(self) -> bool:
        """Whether any item has several sources."""
        return any(len(item.sources) > 1 for item in self.items)

    @property
    def layout(self) -> str:
        """The manifest; see the base class."""
        return self._manifest.name

    @property
    def names(self) -> tuple[str, ...]:
        """Classes among which to detect; empty where nothing is labelled."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        own = self.root / NAMES_FILE
        path = self.vocabulary or (own if own.is_file() else None)
        if path is not None:
            return read_vocabulary(path)
        labels = (label for _, line in self._lines for label in line.labels)
        first: dict[str, str] = {}
        for label in labels:
            first.setdefault(same_name(label), label)
        return tuple(sorted(first.values()))

    @cached_property
    def _by_form(self) -> dict[str, str]:
        """The classes as they are called here, by what all their spellings share."""
        return dict(zip(same_names(self.names), self.names, strict=True))

    def listed(self, split: Split) -> Iterator[Item]:
        """The lines of a split, and those of none; see the base class."""
        lines = [(at, line) for at, line in self._lines if line.split in (None, split)]
        if not lines:
            raise DataError(
                f"No line of the manifest is of the split '{split}'.",
                "Choose another split, or correct the manifest.",
                self._manifest,
            )
        for at, line in lines:
            frame, audio = inside(self.root, line.frame), inside(self.root, line.audio)
            boxes = tuple(box for of in line.shares.values() for box in of)
            boxes = boxes if self.truth == "boxes" else ()
            expected = ExpectedMedia(
                self._manifest, at, line.shape, line.rate, line.duration, boxes
            )
            yield Item(
                line.id, (frame,), (audio,), self._sources(at, line), line.panels, (expected,)
            )

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Lines of other splits; see the base class."""
        others = sum(line.split not in (None, self.split) for _, line in self._lines)
        return {"lines of other splits": others} if others else {}

    def has_items(self, split: Split) -> bool:
        """Whether a line is of the split, or of all; see the base class."""
        return any(line.split in (None, split) for _, line in self._lines)

    def targets(self, item: Item, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Where each source is, at the picture's own size; see the base class."""
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
    def _lines(self) -> list[tuple[int, ManifestEntry]]:
        return read_manifest(self._manifest)

    def _sources(self, at: int, line: ManifestEntry) -> tuple[Source, ...]:
        forms = same_names(line.labels)
        for label, form in zip(line.labels, forms, strict=True):
            if form not in self._by_form:
                raise line_error(
                    self._manifest, at, f"has a label that is no class: {shown(label)}"
                )
        named = [(self._by_form[form], form) for form in forms]
        if self.truth == "masks":
            return tuple(Source(name, self._objects(at, line, form)) for name, form in named)
        boxes = {
            same_name(label): Boxes(tuple(box for box in map(clipped, of) if box is not None))
            for label, of in line.shares.items()
        }
        if not forms:
            return (Source(None, boxes.get("", Boxes(()))),)
        return tuple(Source(name, boxes.get(form, Boxes(()))) for name, form in named)

    def _objects(self, at: int, line: ManifestEntry, form: str) -> Target:
        if line.masks is None:
            raise line_error(self._manifest, at, "has no masks")
        objects = (thing for thing in line.objects if thing.sounds)
        found = (thing for thing in objects if same_name(thing.label) == form)
        return MappedObjects(inside(self.root, line.masks), tuple(thing.value for thing in found))
