"""VGG-Sound Source: the boxes and classes of VGGSound's test clips (Chen et al., CVPR 2021).

Boxes are for the frame in the middle of each clip, five seconds after its start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from tvsl.data.class_names import ClassNames, normal_form
from tvsl.data.dataset import Item, Source, UsedList
from tvsl.data.layouts import PLAIN, Layout
from tvsl.data.listed import ListedData, Media, used_list
from tvsl.data.rows import Entry, Row, Share, read_by_id, read_entries, read_rows, wrong_line
from tvsl.data.stated import Stated, stated_by
from tvsl.data.targets import Boxes, clipped
from tvsl.errors import shown
from tvsl.id_lists import clip_name

VGGSS_FILE: Final = "vggss.json"
TRAIN_FILE: Final = "vggsound_single_train.txt"
OFFICIAL_FILE: Final = "vggsound.csv"

_START: Final = re.compile(r"[0-9]{1,6}(?:\.0*)?")
_ID = re.compile(r".{11}_\d{6}")


def _clip_folder(name: str) -> str:
    """An id as SSLalignment writes it: from when to when the clip lasts, in milliseconds."""
    if not _ID.fullmatch(name):
        return name
    start = int(name[12:])
    return f"{name[:11]}_{1000 * start}_{1000 * (start + 10)}"


ALIGNMENT: Final = Layout(
    "VGGSound_img/VIDEO_FROM_TO/image_050.jpg, VGGSound_aud/VIDEO_FROM_TO.wav",
    ("VGGSound_img", "VGGSound_aud"),
    lambda name: (f"VGGSound_img/{_clip_folder(name)}/image_050",),
    lambda name: (
        f"VGGSound_aud/{_clip_folder(name)}",
        f"VGGSound_aud/{_clip_folder(name)}/{_clip_folder(name)}",
    ),
)
"""SSLalignment, SSL-TIE: ten pictures a second, the fiftieth is meant."""


@dataclass(frozen=True)
class Annotation:
    """What is known of a test clip.

    Attributes:
        label: Its class.
        boxes: Where its source is; empty where the annotators' boxes vanish.
        stated: What else is told of its picture.
    """

    label: str
    boxes: Boxes
    stated: Stated | None = None


class _Entry(Entry):
    label: str = Field(alias="class")
    bbox: tuple[tuple[Share, Share, Share, Share], ...]


def read_vggss(path: Path) -> dict[str, Annotation]:
    """Read the annotations.

    Boxes are left, top, right, bottom as shares. Some values are wild (-2.9e16) and some boxes
    have no area: they are cut off at the picture's edges, and those that vanish are dropped.

    Args:
        path: ``vggss.json``.

    Returns:
        Annotations by the clips' ids.

    Raises:
        DataError: It cannot be read or is something else.
    """
    found: dict[str, Annotation] = {}
    for name, entry in read_entries(path, _Entry).items():
        if (
            found.setdefault(clip_name(name), annotation := _annotation(path, entry))
            is not annotation
        ):
            raise wrong_line(path, f"The entry of {shown(name)}", "repeats an earlier one")
    return found


def _annotation(path: Path, entry: _Entry) -> Annotation:
    boxes = (clipped(box) for box in entry.bbox)
    found = Boxes(tuple(box for box in boxes if box is not None))
    return Annotation(entry.label, found, stated_by(path, entry))


class VGGSoundData(ListedData):
    """What the benchmarks on VGGSound share: annotations, classes, layouts, training clips."""

    layouts: ClassVar[tuple[Layout, ...]] = (PLAIN, ALIGNMENT)
    train_files: ClassVar[tuple[str, ...]] = (TRAIN_FILE,)

    @property
    def names(self) -> tuple[str, ...]:
        """The 221 classes of VGG-SS, in natural words."""
        return self.all_names

    @cached_property
    def all_names(self) -> tuple[str, ...]:
        """The classes of all annotated clips."""
        return tuple(sorted({annotation.label for annotation in self.annotations.values()}))

    @cached_property
    def annotations(self) -> Mapping[str, Annotation]:
        """All annotated clips by their ids."""
        return read_vggss(self.find_list(VGGSS_FILE))

    def annotated(self, media: Media, row: Row, path: Path, column: int = 0) -> Item:
        """A test clip that a list names.

        Args:
            media: Looks up its files.
            row: The line of the list.
            path: The list.
            column: The cell with the clip's id; its class stands in the next one, if any.

        Returns:
            The clip.

        Raises:
            DataError: It is not annotated, or the list has another class for it.
        """
        name = row.cells[column]
        found = self.annotations.get(name)
        if found is None:
            example = shown(next(iter(self.annotations)))
            raise wrong_line(
                path,
                row.line,
                f"names a clip that is not annotated: {shown(name)} (one that is: {example})",
            )
        given = row.cells[column + 1 : column + 2]
        if given and normal_form(given[0]) != normal_form(found.label):
            raise wrong_line(
                path, row.line, f"says {shown(given[0])}, the annotations say {found.label!r}"
            )
        return media.item(name, Source(found.label, found.boxes), stated=found.stated)

    def training_items(self) -> Iterator[Item]:
        """Labelled clips without boxes: those of AVGN's list, or of VGGSound's own.

        AVGN's ``vggsound_single_train.txt`` holds ids and classes; where it is not here,
        VGGSound's ``vggsound.csv`` serves, its training clips of the classes of VGG-SS.
        """
        media = self.media()
        for name, label in self.training_labels().items():
            yield media.item(name, Source(label, Boxes(())))

    @cached_property
    def used_lists(self) -> tuple[UsedList, ...]:
        """The lists of the split, VGGSound's own where it serves; see the base class."""
        if self.split != "train":
            return super().used_lists
        files = [(one,) if one != TRAIN_FILE else (one, OFFICIAL_FILE) for one in self.train_files]
        return tuple(used_list(self.find_list(*names)) for names in files)

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Training clips of VGGSound's own list that are of none of the 221 classes."""
        if self.split != "train" or self._training_list.name != OFFICIAL_FILE:
            return {}
        return {"training clips of other classes than those of VGG-SS": self._official[1]}

    @property
    def _training_list(self) -> Path:
        return self.find_list(TRAIN_FILE, OFFICIAL_FILE)

    @cached_property
    def _official(self) -> tuple[dict[str, str], int]:
        return _official_labels(self._training_list, self.all_names)

    def training_labels(self) -> dict[str, str]:
        """Classes of training clips by their ids."""
        path = self._training_list
        if path.name == OFFICIAL_FILE:
            return self._official[0]
        names = ClassNames(self.all_names)
        rows = read_by_id(path, {2}, clip_name)
        return {name: names.find(row.cells[1], path, row.line) for name, row in rows.items()}


def _official_labels(path: Path, names: Iterable[str]) -> tuple[dict[str, str], int]:
    """VGGSound's own list: a video, its start in seconds, a class and a split in each line.

    Returns:
        The classes of the training clips of these names, and how many are of others.
    """
    labels = {normal_form(name): name for name in names}
    found: dict[str, str] = {}
    others = 0
    for row in read_rows(path, {4}, {0: str}):
        video, start, name, split = row.cells
        if not _START.fullmatch(start):
            raise wrong_line(path, row.line, f"has no start in seconds: {shown(start)}")
        if split != "train":
            continue
        label = labels.get(normal_form(name))
        if label is None:
            others += 1
        else:
            found[f"{video}_{int(start.partition('.')[0]):06d}"] = label
    return found, others
