"""One's own data: a folder with a manifest, such as `tvsl synthetic export` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tvsl.data.base import Item, Source, Split, draw_targets
from tvsl.data.files import FileDataSet
from tvsl.data.layouts import inside, require_root
from tvsl.data.lists import ExpectedMedia, line_error
from tvsl.data.manifest import MANIFEST_FILES, ManifestEntry, read_manifest
from tvsl.data.targets import Boxes, FileTarget, Mask, Shape, Target, clipped
from tvsl.errors import DataError, shown
from tvsl.media.image import load_object_map
from tvsl.vocabularies import NAMES_FILE, read_vocabulary, same_name, same_names


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
